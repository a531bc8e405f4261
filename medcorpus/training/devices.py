"""One device or many: the few things that differ. Many means torchrun, and FSDP2.

accelerate finds the devices and joins the processes. Sharding is torch's own `fully_shard`, layer by layer: that of
accelerate knows no CPU, where we test it, and mends tied weights by their names. Tensors of the model may be shards:
`whole` gathers one, on every process alike, and `restore` puts it back as shards.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor, nn

from medcorpus.training import sizes


class Devices:
    """What the loop needs to know of the device it is on, and of the others."""

    def __init__(self, cpu: bool = False):
        # Evaluation is the first process's; the others wait for it, however long the exam is.
        self._state = PartialState(cpu=cpu, timeout=timedelta(days=1))
        self.device: torch.device = self._state.device
        self.rank: int = self._state.process_index
        self.world: int = self._state.num_processes
        self.first: bool = self.rank == 0

    def prepare(
        self, model: nn.Module, optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The model on the device, sharded where there are many, and then its optimizer."""
        if self.world > 1:
            from torch.distributed.fsdp import fully_shard

            layers = next(m.layers for m in model.modules() if isinstance(getattr(m, "layers", None), nn.ModuleList))
            model = model.to(self.device)
            for layer in layers:
                fully_shard(layer)
            fully_shard(model)
        else:
            model = model.to(self.device)
        return model, optimizer(model)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss that is this device's part of a sum: shards are averaged, which `world` undoes."""
        (loss * self.world).backward()

    @contextmanager
    def no_sync(self, model: nn.Module) -> Iterator[None]:
        """Gradients stay here until the last micro-batch."""
        if self.world == 1:
            yield
            return
        model.set_requires_gradient_sync(False)  # type: ignore[operator]
        try:
            yield
        finally:
            model.set_requires_gradient_sync(True)  # type: ignore[operator]

    def clip(self, model: nn.Module, limit: float) -> float:
        """Clip the gradient to the norm `limit`; returns the norm it had."""
        return float(whole(nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], limit)))

    def total(self, value: Tensor) -> Tensor:
        """The sum over all devices."""
        if self.world > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def agree(self, signum: int) -> int:
        """The largest of the signals that any process got."""
        if self.world == 1:
            return signum
        seen = torch.tensor([signum], device=self.device)
        dist.all_reduce(seen, dist.ReduceOp.MAX)
        return int(seen)

    def wait(self) -> None:
        """Until every process is here."""
        self._state.wait_for_everyone()

    def leave(self) -> None:
        """Part from the other processes, at the end."""
        self._state.destroy_process_group()

    def memory_mb(self) -> int:
        """Peak memory: of the device, or of the process on a CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) >> 20
        import resource
        import sys

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (10 if sys.platform == "linux" else 20)

    def peak(self) -> float | None:
        """FLOP/s of one device by its data sheet, None when it is not known."""
        return sizes.peak(torch.cuda.get_device_name(self.device)) if self.device.type == "cuda" else None

    def parameters(self, model: nn.Module) -> dict[str, Tensor]:
        """What is trained, whole, on the CPU."""
        return {name: whole(p.detach()).cpu() for name, p in model.named_parameters() if p.requires_grad}

    def state(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """The optimizer's tensors, whole, on the CPU, as `<parameter>/<what>`."""
        made = {}
        for name, parameter in model.named_parameters():
            for what, value in optimizer.state.get(parameter, {}).items():
                made[f"{name}/{what}"] = whole(torch.as_tensor(value).detach()).cpu()
        return made


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be a shard, gathered."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def like(tensor: Tensor, full: Tensor) -> Tensor:
    """`full` as shards like those of `tensor`, or on its device."""
    if hasattr(tensor, "full_tensor"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(full.to(tensor.device), tensor.device_mesh, tensor.placements)
    return full.to(tensor.device)


@torch.no_grad()
def restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, weights: bool = True) -> None:
    """Put back what `parameters` (if `weights`) and `state` gave; ValueError when other parts are trained now."""
    from safetensors.torch import load_file

    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    saved, state = load_file(folder / "model.safetensors"), load_file(folder / "optimizer.safetensors")
    if saved.keys() != trained.keys():
        odd = sorted(saved.keys() ^ trained.keys())
        raise ValueError(f"{folder} was made with other parts of the model frozen: {', '.join(odd[:3])} ...")
    for name, parameter in trained.items() if weights else ():
        parameter.copy_(like(parameter, saved[name]))
    for key, value in state.items():
        name, what = key.rsplit("/", 1)
        parameter = trained[name]
        if value.shape == parameter.shape:
            optimizer.state[parameter][what] = like(parameter, value)
        else:  # the count of steps: the fused kernel reads it on the device, the others here
            optimizer.state[parameter][what] = value.to(parameter.device) if parameter.is_cuda else value
