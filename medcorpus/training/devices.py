"""One device or many: the few things that differ, over accelerate. Many means torchrun, and FSDP2.

Tensors of the model may be shards; `whole` gathers one, on every process alike, and `restore` puts it back as shards.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from medcorpus.training import sizes


class Devices:
    """What the loop needs of accelerate."""

    def __init__(self, layers: list[str] | None = None, cpu: bool = False):
        """`layers`: class names that FSDP2 shards by, used when torchrun started several processes."""
        import os

        plugin = None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate.utils import FullyShardedDataParallelPlugin

            plugin = FullyShardedDataParallelPlugin(
                fsdp_version=2,
                auto_wrap_policy="transformer_based_wrap",
                transformer_cls_names_to_wrap=layers,
                reshard_after_forward=True,
                state_dict_type="FULL_STATE_DICT",
            )
        self.accelerator = Accelerator(fsdp_plugin=plugin, cpu=cpu)
        self.device: torch.device = self.accelerator.device
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes
        self.first: bool = self.accelerator.is_main_process

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, torch.optim.Optimizer]:
        """Model and optimizer on the device, sharded where there are many."""
        model, optimizer = self.accelerator.prepare(model, optimizer)
        return model, getattr(optimizer, "optimizer", optimizer)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss that is this device's part of a sum: shards are averaged, which `world` undoes."""
        self.accelerator.backward(loss * self.world)

    def no_sync(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Gradients stay here until the last micro-batch."""
        return self.accelerator.no_sync(model)

    def clip(self, model: nn.Module, limit: float) -> float:
        """Clip the gradient to the norm `limit`; returns the norm it had."""
        return float(self.accelerator.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], limit))

    def total(self, value: Tensor) -> Tensor:
        """The sum over all devices."""
        return self.accelerator.reduce(value, "sum") if self.world > 1 else value

    def agree(self, signum: int) -> int:
        """The largest of the signals that any process got."""
        if self.world == 1:
            return signum
        seen = self.accelerator.gather(torch.tensor([signum], device=self.device))
        return int(seen.max())

    def wait(self) -> None:
        """Until every process is here."""
        self.accelerator.wait_for_everyone()

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
