"""Packed rows whose documents do not see each other.

A row holds several documents; `segment_ids` says which token belongs to which. Two ways, chosen by `install`:

    block   SDPA with an explicit block-diagonal causal mask: any device; cost grows with the square of the row
    varlen  torch's `varlen_attn` (flash attention over a list of lengths, torch >= 2.10, CUDA from Ampere on, bf16 or
            fp16): cost grows with the squares of the documents. On a CPU each document goes through SDPA alone: the
            same path, for tests

We never leave it to the model to find the documents out from its positions: it does so only when no mask is given at
all, and an all-ones mask silently lets documents see each other.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

VARLEN = "medcorpus_varlen"
LARGEST_HEAD = 256  # of flash attention


def install(model: nn.Module, kind: str = "auto", device: torch.device | str | None = None) -> str:
    """Choose how `model` attends inside documents; returns `block` or `varlen`.

    `auto`: varlen where its kernel runs, else block. device: where the model will work, if it is not there yet. Raises
    ValueError for another name, or where varlen cannot run. Generation and scoring with a cache need `block`.
    """
    if kind not in ("auto", "block", "varlen"):
        raise ValueError(f"attention is auto, block or varlen, not '{kind}'")
    device = torch.device(device) if device is not None else next(model.parameters()).device
    reason = _no_kernel(model, device)
    if kind == "varlen" and reason and device.type != "cpu":
        raise ValueError(f"attention 'varlen' cannot run here: {reason}")
    chosen = kind if kind != "auto" else "block" if reason else "varlen"
    model.set_attn_implementation(VARLEN if chosen == "varlen" else "sdpa")
    return chosen


def arguments(
    model: nn.Module, position_ids: Tensor, segment_ids: Tensor, device: torch.device | str | None = None
) -> dict[str, Any]:
    """Keyword arguments for the model's forward pass, on `device` (that of segment_ids when None).

    position_ids [B, S] start at 0 in every document; segment_ids [B, S] count the documents of a row from 1, 0 is
    padding. Give CPU tensors: lengths are counted on the host, and a device would have to be waited for.
    """
    device = device or segment_ids.device
    config = next(m.config for m in model.modules() if hasattr(m, "config"))
    given: dict[str, Any] = {"position_ids": position_ids.to(device, non_blocking=True)}
    if config._attn_implementation == VARLEN:
        ends = document_ends(segment_ids)
        longest = int(ends.diff().max())
        ends = ends.to(device, torch.int32, non_blocking=True)
        return given | {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}
    full, window = block_mask(segment_ids.to(device)), getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if "sliding_attention" in kinds or (window and not kinds):
        near = full & _near(full.shape[-1], window, device)
        return given | {"attention_mask": {"full_attention": full, "sliding_attention": near} if kinds else near}
    return given | {"attention_mask": full}


def block_mask(segment_ids: Tensor) -> Tensor:
    """[B, 1, S, S] of bool: true where a token (row) may see another (column): same document, not later."""
    same = segment_ids[:, None, :, None] == segment_ids[:, None, None, :]
    return same & torch.ones_like(same[0, 0]).tril()


def document_ends(segment_ids: Tensor) -> Tensor:
    """[D + 1] int64: where each document begins and ends when all rows lie in one line; padding is one more."""
    begins = torch.ones_like(segment_ids, dtype=torch.bool)
    begins[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    starts = begins.reshape(-1).nonzero()[:, 0]
    return torch.cat([starts, starts.new_tensor([segment_ids.numel()])])


def varlen(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention function of transformers' kind: query [B, Hq, S, D], key and value [B, Hk, S, D] -> [B, S, Hq, D]."""
    if cu_seq_lens_q is None or attention_mask is not None or dropout:
        raise ValueError("varlen attention wants attention.arguments(), no mask and no dropout")
    window = sliding_window or getattr(module, "sliding_window", None)
    rows, heads, length, size = query.shape
    lines = [x.transpose(1, 2).reshape(rows * length, -1, size) for x in (query, key, value)]
    if query.device.type == "cpu":
        out = _each_document(lines, cu_seq_lens_q, scaling, window)
    else:
        out = _kernel(lines, cu_seq_lens_q, max_length_q, scaling, window)
    return out.view(rows, length, heads, size), None


def _kernel(lines: list[Tensor], ends: Tensor, longest: int | None, scale: float | None, window: int | None) -> Tensor:
    """The kernel's settings grew with torch: 2.10 knows `is_causal`, 2.11 `window_size`, later ones grouped heads."""
    from torch.nn.attention.varlen import varlen_attn

    known, groups = inspect.signature(varlen_attn).parameters, lines[0].shape[1] // lines[1].shape[1]
    # Flash attention counts the tokens to the left and to the right, without the token itself.
    reach = (window - 1 if window else -1, 0)
    settings: dict[str, Any] = {"window_size": reach} if "window_size" in known else {"is_causal": True}
    if "scale" in known:
        settings["scale"] = scale
    if groups > 1 and "enable_gqa" in known:
        settings["enable_gqa"] = True
    elif groups > 1:
        lines = [lines[0], *(x.repeat_interleave(groups, dim=1) for x in lines[1:])]
    return varlen_attn(*lines, ends, ends, longest, longest, **settings)


def _each_document(lines: list[Tensor], ends: Tensor, scale: float | None, window: int | None) -> Tensor:
    parts, device = [], ends.device
    for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        one = [x[begin:end].transpose(0, 1)[None] for x in lines]
        near = _near(end - begin, window, device).tril() if window else None
        out = functional.scaled_dot_product_attention(
            *one, attn_mask=near, is_causal=near is None, scale=scale, enable_gqa=True
        )
        parts.append(out[0].transpose(0, 1))
    return torch.cat(parts)


def _near(length: int, window: int, device: torch.device | str) -> Tensor:
    place = torch.arange(length, device=device)
    return place[None, :] > place[:, None] - window


def _no_kernel(model: nn.Module, device: torch.device) -> str:
    """Why `varlen_attn` cannot run for `model` on `device`; empty when it can."""
    weight, config = next(model.parameters()), model.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if device.type != "cuda":
        return "it needs a CUDA device"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "it needs an Ampere GPU or newer"
    if weight.dtype not in (torch.bfloat16, torch.float16):
        return f"it needs bf16 or fp16 weights, these are {weight.dtype}"
    if head > LARGEST_HEAD:
        return f"heads of {head} are larger than {LARGEST_HEAD}"
    try:
        from torch.nn.attention import varlen  # noqa: F401
    except ImportError:
        return "it needs torch 2.10"
    return ""


AttentionInterface.register(VARLEN, varlen)
