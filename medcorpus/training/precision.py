"""What is trained, in which precision: frozen parts, LoRA, parameter groups, fp32 masters of bf16 weights.

Weights stay in bf16 and not in fp32 under autocast: `grouped_mm` of transformers takes the type of the experts'
weights, so that under autocast with fp32 weights the experts alone would run in fp32. What bf16 cannot hold, steps
smaller than 1/256 of a weight, is kept in the optimizer's fp32 masters.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.utils.checkpoint import checkpoint

from medcorpus.core.errors import Fatal, Missing

EXPERTS = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
What = Literal["full", "last", "moe", "lora"]


def trainable(model: nn.Module, what: What = "full", layers: int = 2, rank: int = 16) -> nn.Module:
    """Freeze what is not to be trained; returns the model, for `lora` a peft model around it.

    full: everything. last: the last `layers` layers whole, so that below them nothing is kept for the backward pass.
    moe: experts and routers. lora: adapters of `rank` on attention, FFN and experts of all layers, and the routers
    themselves. Parts that are zeros by construction (see `upcycle`) are never trained. Call it before
    `routing.install`, since peft looks for stock modules.
    """
    count = len(model.get_decoder().layers)
    if what == "last" and not 1 <= layers <= count:
        raise Fatal(f"the model has {count} layers; the last {layers} cannot be trained")
    if what == "moe" and not any(".experts." in name for name, _ in model.named_parameters()):
        raise Fatal("`moe` trains experts and routers; this model is dense")
    last = tuple(f"model.layers.{index}." for index in range(count - layers, count))
    null = null_parts(model)
    if what == "lora":
        model = _lora(model, rank)
    elif what not in ("full", "last", "moe"):
        raise Fatal(f"what is trained is full, last, moe or lora, not '{what}'")
    for name, weight in model.named_parameters():
        if what == "full":
            weight.requires_grad_(True)
        elif what == "last":
            weight.requires_grad_(name.startswith(last))
        elif what == "moe":
            weight.requires_grad_(".mlp.experts." in name or ".shared_expert" in name or is_router(name))
        elif is_router(name):
            weight.requires_grad_(True)
        if null(name):
            weight.requires_grad_(False)
    return model


def null_parts(model: nn.Module) -> Callable[[str], bool]:
    """Says of a parameter's name whether it is zero by construction: asked for by the architecture only."""
    made = getattr(model.config, "medcorpus", None) or {}
    parts = [".mlp.shared_expert"] if made and not made.get("shared") else []
    if made.get("base") in ("llama", "mistral"):
        parts += [f".self_attn.{part}_proj.bias" for part in "qkv"]
    return lambda name: any(part in name for part in parts)


def is_router(name: str) -> bool:
    """Whether a parameter of this name is a router's."""
    return name.endswith(".mlp.gate.weight")


def _lora(model: nn.Module, rank: int) -> nn.Module:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise Missing("LoRA needs peft: pip install 'medcorpus[train]'") from error
    names = [name for name, _ in model.named_parameters()]
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=r".*\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)",
        # Experts are 3-D parameters, no Linear modules: `target_modules` does not reach them.
        target_parameters=[name for name in EXPERTS if any(name in full for full in names)],
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        # peft gives the fused gate and up twice the rank and then looks for a module of that name; there is none.
        warnings.filterwarnings("ignore", "The following (rank|alpha)_pattern keys")
        return get_peft_model(model, config)


def merged(model: nn.Module) -> nn.Module:
    """The stock model, adapters merged into its weights. Adapters on experts are not served as such anywhere."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def filled(fresh: nn.Module, trained: nn.Module, gathered: Mapping[str, Tensor]) -> nn.Module:
    """The stock model `fresh` with the weights `gathered` from the shards of `trained`; adapters are merged.

    Raises Fatal when a weight has no place in it: nothing that was trained may be lost in silence.
    """
    adapted = getattr(trained, "peft_config", None)
    if adapted:
        fresh = _lora(fresh, adapted["default"].r)
    lost = fresh.load_state_dict(dict(gathered), strict=False).unexpected_keys  # tied weights are there once
    if lost:
        raise Fatal(f"trained weights have no place in the model: {', '.join(lost[:3])}")
    return merged(fresh)


def groups(
    model: nn.Module,
    lr: float,
    weight_decay: float = 0.1,
    router: float = 1.0,
    experts: float = 1.0,
    trunk: float = 1.0,
) -> list[dict[str, Any]]:
    """Parameter groups of what is trained, each with a name; `router`, `experts` and `trunk` multiply the rate.

    Vectors (norms, biases), routers and embeddings do not decay.
    """
    found: dict[tuple[str, bool], list[Tensor]] = {}
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        part = "router" if is_router(name) else "experts" if ".mlp.experts." in name else "trunk"
        decays = weight.ndim > 1 and part != "router" and "embed_tokens" not in name
        found.setdefault((part, decays), []).append(weight)
    rates = {"router": lr * router, "experts": lr * experts, "trunk": lr * trunk}
    return [
        {"name": part, "params": params, "lr": rates[part], "weight_decay": weight_decay if decays else 0.0}
        for (part, decays), params in sorted(found.items(), key=lambda item: item[0])
    ]


class MasterAdamW(torch.optim.Optimizer):
    """AdamW (https://arxiv.org/abs/1711.05101) that keeps an fp32 copy of every weight of lower precision.

    16 bytes a weight in bf16: 2 and 2 for weight and gradient, 12 for master and moments. For fp32 weights it is
    torch.optim.AdamW to the bit. Works on sharded (DTensor) weights.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-5,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step from the gradients as they are."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            states = [self.state[weight] or self._begin(weight) for weight in weights]
            masters = [state.get("master", weight) for state, weight in zip(states, weights, strict=True)]
            adamw(
                masters,
                [weight.grad.float() for weight in weights],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [state["step"] for state in states],
                fused=weights[0].device.type == "cuda" or None,
                amsgrad=False,
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=False,
            )
            for weight, master in zip(weights, masters, strict=True):
                if master is not weight:
                    weight.copy_(master)

    def _begin(self, weight: Tensor) -> dict[str, Tensor]:
        state = self.state[weight]
        if weight.dtype != torch.float32:
            state["master"] = weight.detach().float()
        for name in ("exp_avg", "exp_avg_sq"):
            state[name] = torch.zeros_like(weight, dtype=torch.float32)
        # The fused kernel reads the count on the device; the others would wait for it there.
        state["step"] = torch.zeros((), device=weight.device if weight.device.type == "cuda" else "cpu")
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but moments and masters stay fp32: torch would cast them to the weights' type."""
        super().load_state_dict(state_dict)
        ours = [weight for group in self.param_groups for weight in group["params"]]
        saved = [number for group in state_dict["param_groups"] for number in group["params"]]
        for number, weight in zip(saved, ours, strict=True):
            for name, value in state_dict["state"].get(number, {}).items():
                device = weight.device if name != "step" or weight.device.type == "cuda" else "cpu"
                self.state[weight][name] = value.detach().to(device, copy=True)


def checkpointing(model: nn.Module, every: int = 1) -> None:
    """Gradient checkpointing: every `every`-th layer keeps only its input and is computed again in the backward pass.

    0 turns it off. Layers below everything that is trained keep nothing anyway.
    """
    for index, layer in enumerate(model.get_decoder().layers):
        layer.gradient_checkpointing = bool(every) and index % every == 0
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
