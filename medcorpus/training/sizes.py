"""What a model costs before anything runs: parameters, memory by component, floating-point operations per token, MFU.

Formulas: a matrix of n numbers costs 2n operations per token forward, as much again for the gradient of its input and
of itself; attention scores cost 4 * heads * head size * tokens seen (https://arxiv.org/abs/2204.02311, appendix B).
Work done twice because of gradient checkpointing is not counted, so MFU compares.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

from medcorpus.core.errors import Fatal
from medcorpus.training import loss, precision

# Dense bf16 FLOP/s of data sheets, found by a part of the device's name. What a GPU really reaches in a plain matrix
# product is about 80 % of it.
PEAKS = {
    "B200": 2250e12, "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12,
    "A10G": 70e12, "A10": 125e12, "RTX 4090": 165e12, "RTX 3090": 71e12,
}  # fmt: skip
PARTS = ("embedding", "attention", "ffn", "experts", "shared", "router", "norm", "head")


class Flops(NamedTuple):
    """Operations per token: of the forward pass, and of forward and backward together."""

    forward: float
    training: float


def empty(model: Path | Mapping[str, Any] | PreTrainedConfig) -> nn.Module:
    """The model of a folder, a dictionary (with `model_type`) or a configuration, without memory for its weights."""
    if isinstance(model, Mapping):
        model = AutoConfig.for_model(**model)
    elif not isinstance(model, PreTrainedConfig):
        model = AutoConfig.from_pretrained(model)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(model)


def parameters(model: nn.Module) -> dict[str, int]:
    """Parameters by PARTS, `total`, and `active`: those that one token passes through."""
    found = dict.fromkeys(PARTS, 0)
    for name, weight in model.named_parameters():  # tied weights once, as embedding
        found[_part(name)] += weight.numel()
    config = model.config
    share = config.num_experts_per_tok / config.num_experts if found["experts"] else 0.0
    total = sum(found.values())
    return found | {"total": total, "active": total - round(found["experts"] * (1 - share))}


def flops_per_token(model: nn.Module, context: float, scored: float = 1.0) -> Flops:
    """Operations per token of `model`, in training those that its `requires_grad` asks for.

    context: how many tokens a token sees on average, itself included: (S + 1) / 2 for a document of S tokens; for
    packed rows the mean over documents, weighted by tokens. scored: share of tokens that go through the head. A matrix
    costs its forward again for its own gradient if it is trained, and again for that of its input if anything before
    it is. LoRA on experts costs once a step, not once a token: what is counted for it is too much.
    """
    config = model.config
    forward = training = 0.0
    flows = _trained(model.get_input_embeddings())  # whether a gradient goes into what was computed so far

    def count(share: float, *modules: nn.Module) -> None:
        """Matrices side by side, of which a token passes through `share`."""
        nonlocal forward, training, flows
        numbers, trained = (2 * share * sum(map(of, modules)) for of in (_numbers, _trained_numbers))
        forward, training = forward + numbers, training + numbers * (1 + flows) + trained
        flows |= any(map(_trained, modules))

    for layer in model.get_decoder().layers:
        attention, mlp = layer.self_attn, layer.mlp
        flows |= _trained(layer.input_layernorm)
        count(1, attention.q_proj, attention.k_proj, attention.v_proj)
        scores = 4 * config.num_attention_heads * attention.head_dim * context
        forward, training = forward + scores, training + scores * (3 if flows else 1)
        count(1, attention.o_proj)
        flows |= _trained(layer.post_attention_layernorm)
        if not hasattr(mlp, "experts"):
            count(1, mlp.gate_proj, mlp.up_proj)
            count(1, mlp.down_proj)
            continue
        before, used = flows, config.num_experts_per_tok / config.num_experts
        for name, share in ("gate", 1), ("experts", used), ("shared_expert", 1), ("shared_expert_gate", 1):
            part = getattr(mlp, name, None)
            if part is None:
                continue
            flows = before  # they work side by side
            if "gate" in name:
                count(share, part)
            else:  # gate and up, two thirds of an FFN, then down
                count(share * 2 / 3, part)
                count(share / 3, part)
        flows = before or _trained(mlp)
    flows |= _trained(model.get_decoder().norm)
    count(scored, model.get_output_embeddings())
    return Flops(forward, training)


def memory(model: nn.Module, tokens: int, size: int = 2, every: int = 0, held: int | None = None) -> dict[str, int]:
    """Bytes by component for training what of `model` requires a gradient, and `total`.

    tokens: in one micro-batch. size: bytes of a weight, 2 (bf16 with fp32 masters: 12 more for what is trained) or 4
    (fp32: 8 more). every: gradient checkpointing of every so many layers, 0 for none. held: logits at once (see
    `loss`). Activations are what the eager layers keep, 14 hidden + 4 inner vectors a token: an estimate, good to
    about a third; the allocator's waste comes on top.
    """
    config, layers = model.config, list(model.get_decoder().layers)
    numbers = sum(weight.numel() for weight in model.parameters())
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    head = model.get_output_embeddings().weight
    rows = min(tokens, max(1, (held or loss.LOGITS) // len(head)))
    first = next((index for index, layer in enumerate(layers) if _trained(layer)), len(layers))
    first = 0 if _trained(model.get_input_embeddings()) else first
    kept, again = 0, 0  # numbers a token leaves for the backward pass; the most that is computed again at once
    for index, layer in enumerate(layers[first:], first):
        one = _kept(config, hasattr(layer.mlp, "experts"))
        checkpointed = bool(every) and index % every == 0
        kept += config.hidden_size if checkpointed else one
        again = max(again, one if checkpointed else 0)
    found = {
        "weights": numbers * size,
        "gradients": trained * size,
        "optimizer": trained * (12 if size == 2 else 8),
        "activations": (kept + again) * tokens * size,
        "logits": rows * len(head) * (4 + size) + (head.numel() * 4 if head.requires_grad else 0),
    }
    return found | {"total": sum(found.values())}


def _kept(config: PreTrainedConfig, mixture: bool) -> int:
    """Numbers that one token leaves in one eager layer; a mixture has k copies of what enters and leaves an FFN."""
    if not mixture:
        return 14 * config.hidden_size + 4 * config.intermediate_size
    k = config.num_experts_per_tok
    return (11 + 3 * k) * config.hidden_size + 4 * k * config.moe_intermediate_size


def available(device: torch.device | str = "cpu") -> int:
    """Free bytes of a CUDA device, or of this machine."""
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():  # what can be had without swapping, the page cache included
        line = next(line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_memory(needed: Mapping[str, int], free: int, where: str = "this machine") -> None:
    """Raise Fatal, with what takes most and what would help, when `needed["total"]` bytes are more than `free`."""
    if needed["total"] <= free:
        return
    parts = sorted(((size, name) for name, size in needed.items() if name != "total"), reverse=True)
    told = ", ".join(f"{name} {size / 2**30:.1f}" for size, name in parts)
    cures = {
        "activations": "smaller micro-batches or gradient checkpointing",
        "logits": "fewer logits at once",
        "optimizer": "training the last layers only, LoRA, or more GPUs",
        "gradients": "training the last layers only, LoRA, or more GPUs",
        "weights": "a smaller base, or more GPUs",
    }
    raise Fatal(
        f"training needs about {needed['total'] / 2**30:.1f} GiB, {where} has {free / 2**30:.1f} free ({told}); "
        f"what helps most: {cures[parts[0][1]]}"
    )


def peak(device_name: str) -> float | None:
    """Dense bf16 FLOP/s of a device from its data sheet, None when we do not know it."""
    return next((rate for name, rate in PEAKS.items() if name in device_name), None)


def mfu(tokens_per_second: float, flops: float, peak: float) -> float:
    """Model FLOPs utilisation: the share of `peak` (of all devices together) that useful operations took."""
    return tokens_per_second * flops / peak


def seconds(tokens: int, flops: float, peak: float, mfu: float) -> float:
    """How long `tokens` take at a given MFU."""
    return tokens * flops / (peak * mfu)


def _numbers(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters() if weight.ndim > 1)


def _trained_numbers(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters() if weight.ndim > 1 and weight.requires_grad)


def _trained(module: nn.Module) -> bool:
    return any(weight.requires_grad for weight in module.parameters())


def _part(name: str) -> str:
    for mark, part in (
        ("embed_tokens", "embedding"), ("lm_head", "head"), ("norm", "norm"), (".self_attn.", "attention"),
        (".experts.", "experts"), (".shared_expert", "shared"),
    ):  # fmt: skip
        if mark in name:
            return part
    return "router" if precision.is_router(name) else "ffn"
