"""Exam questions scored by likelihood: how often is the right option the likeliest, by language.

Every option is a continuation of the same prompt, so the prompt is computed once: a row is prompt, continuation 1,
continuation 2 ..., and a mask lets each see the prompt and itself alone. Nothing is generated, nothing is parsed.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medcorpus.core.errors import Fatal
from medcorpus.training.moe import routing
from medcorpus.training.plan.items import Item

Z95 = 1.959963984540054


def wilson(right: int, count: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), 95% by default; (0, 1) when nothing was counted."""
    if not count:
        return 0.0, 1.0
    share, square = right / count, z * z / count
    middle = (share + square / 2) / (1 + square)
    half = z * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def batches(items: Sequence[Item], tokens: int) -> Iterator[list[int]]:
    """Indices of items of about the same length, at most `tokens` with padding (but at least one item)."""
    some: list[int] = []
    for index in sorted(range(len(items)), key=lambda i: (-items[i].size, items[i].id)):
        if some and (len(some) + 1) * items[some[0]].size > tokens:
            yield some
            some = []
        some.append(index)
    if some:
        yield some


def laid_out(items: Sequence[Item]) -> tuple[Tensor, Tensor, Tensor]:
    """input_ids, position_ids and part [B, S]: part 0 is the prompt, j continuation j, -1 padding."""
    size = max(item.size for item in items)
    ids, positions = np.zeros((2, len(items), size), np.int64)
    parts = np.full((len(items), size), -1, np.int64)
    for row, item in enumerate(items):
        pieces = [item.prompt, *(option[:-1] for option in item.options)]
        flat = np.concatenate([np.array(piece, np.int64) for piece in pieces])
        part = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
        place = np.arange(len(flat)) - np.searchsorted(part, part)
        ids[row, : len(flat)], parts[row, : len(flat)] = flat, part
        positions[row, : len(flat)] = place + np.where(part > 0, len(item.prompt), 0)
    return torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(parts)


def mask(parts: Tensor) -> Tensor:
    """[B, 1, S, S] of bool: a token sees what stands before it in its own part and in the prompt."""
    same = parts[:, None, :, None] == parts[:, None, None, :]
    sees = same | (parts[:, None, None, :] == 0)
    return sees & torch.ones(parts.shape[-1], parts.shape[-1], dtype=torch.bool, device=parts.device).tril()


@torch.no_grad()
def likelihoods(model: nn.Module, items: Sequence[Item], of: dict[str, int], languages: list[str]) -> list[list[float]]:
    """Log-likelihood of every option of every item, in nats. `of`: language -> expert, for the routers' counters.

    `model` is a stock causal model in eval mode that attends with SDPA or eagerly.
    """
    device = next(model.parameters()).device
    ids, positions, parts = (each.to(device) for each in laid_out(items))
    rows = torch.arange(len(items), device=device)[:, None].expand_as(parts)
    language = torch.tensor([languages.index(item.language) for item in items], device=device)[rows]
    expert = torch.tensor([of.get(item.language, -1) for item in items], device=device)[rows]
    padding = parts < 0
    with routing.experts(model, expert.masked_fill(padding, -1), language.masked_fill(padding, -1)):
        decoded = model.get_decoder()(
            input_ids=ids, attention_mask=mask(parts), position_ids=positions, use_cache=False
        )
    hidden, head = decoded.last_hidden_state, model.get_output_embeddings()
    found = []
    for row, item in enumerate(items):
        first = hidden[row, len(item.prompt) - 1 : len(item.prompt)]
        sums = []
        for number, option in enumerate(item.options, start=1):
            states = torch.cat([first, hidden[row, parts[row] == number]])
            scores = head(states).float().log_softmax(dim=-1)
            sums.append(float(scores.gather(-1, torch.tensor(option, device=device)[:, None]).sum()))
        found.append(sums)
    return found


def evaluate(
    model: nn.Module, items: Sequence[Item], of: dict[str, int] | None = None, batch_tokens: int = 8192
) -> dict[str, Any]:
    """Accuracy by language, each with its interval and with what guessing would give; and the choice for every item.

    The option with the largest log-likelihood a character wins; of equals the first. Raises Fatal when a score is no
    number: such a model has no accuracy.
    """
    languages = sorted({item.language for item in items})
    was_training = model.training
    model.eval()
    chosen = np.zeros(len(items), np.int64)
    for some in batches(items, batch_tokens):
        for index, sums in zip(some, likelihoods(model, [items[i] for i in some], of or {}, languages), strict=True):
            scores = np.array(sums) / items[index].lengths
            if not np.isfinite(scores).all():
                raise Fatal(f"the model gives question {items[index].id} a likelihood that is no number")
            chosen[index] = int(scores.argmax())
    model.train(was_training)
    right = np.array([item.right for item in items]) == chosen
    by_language = {}
    for name in languages:
        mine = [index for index, item in enumerate(items) if item.language == name]
        by_language[name] = accuracy(right[mine], [len(items[i].options) for i in mine])
    whole = accuracy(right, [len(item.options) for item in items])
    mean = float(np.mean([row["accuracy"] for row in by_language.values()]))
    choices = [{"id": item.id, "chosen": int(c), "right": item.right} for item, c in zip(items, chosen, strict=True)]
    return {"all": whole, "mean_of_languages": mean, "by_language": by_language, "choices": choices}


def accuracy(right: np.ndarray, options: Sequence[int]) -> dict[str, Any]:
    """Share of right answers with its interval, and the share that guessing gets."""
    low, high = wilson(int(right.sum()), len(right))
    guess = float(np.mean([1 / count for count in options]))
    return {"n": len(right), "right": int(right.sum()), "accuracy": float(right.mean()), "low": low, "high": high, "guess": guess}  # fmt: skip # noqa: E501
