"""Cross-entropy over a large vocabulary without ever holding all logits.

With 150,000 words the logits of 16,384 tokens weigh 14 GiB in fp32: the peak of memory in a naive step. Here a few
hundred tokens at a time go through the head; their part of both gradients is made at once, and the logits are gone.
Only positions that have a target go through the head at all.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from medcorpus.training import attention

IGNORE = -100  # the target that is none, as everywhere in torch
LOGITS = 1 << 27  # logits held at once (0.5 GiB in fp32): tokens a chunk = LOGITS / vocabulary


class Found(NamedTuple):
    """total: sum over tokens of weight * loss, for `backward`; tokens [B, S]: the loss of each in nats, 0 without target."""  # noqa: E501

    total: Tensor
    tokens: Tensor


def targets(input_ids: Tensor, supervised: Tensor, segment_ids: Tensor) -> Tensor:
    """What each position has to predict: the next token if it is supervised and of the same document, else IGNORE.

    All [B, S]; supervised is true on the tokens to be learnt, segment_ids counts documents from 1, 0 is padding.
    """
    following = torch.full_like(input_ids, IGNORE)
    within = (segment_ids[:, 1:] == segment_ids[:, :-1]) & (segment_ids[:, 1:] > 0) & supervised[:, 1:].bool()
    following[:, :-1] = torch.where(within, input_ids[:, 1:], IGNORE)
    return following


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor | None = None, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of `hidden @ weight.T`, `chunk` tokens at a time.

    hidden [N, h]; weight [V, h]; targets [N] with IGNORE; weights [N] or None (1 each). Returns the sum of weight *
    loss (a scalar with gradient to hidden and weight) and the loss of each token [N] in fp32 (without gradient).
    """
    if not torch.is_grad_enabled():
        hidden, weight = hidden.detach(), weight.detach()
    chunk = chunk or max(1, LOGITS // len(weight))
    total, tokens = _LinearCrossEntropy.apply(hidden, weight, targets, weights, chunk)
    return total, tokens


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor | None, chunk: int) -> Any:
        to_hidden, to_weight = ctx.needs_input_grad[:2]
        places = (targets != IGNORE).nonzero()[:, 0]
        tokens = torch.zeros(len(targets), dtype=torch.float32, device=hidden.device)
        scale = torch.ones_like(tokens) if weights is None else weights.float()
        grad_hidden = torch.zeros_like(hidden) if to_hidden else None
        # In fp32: with bf16 the sum over chunks would lose what the later ones add.
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if to_weight else None
        for some in places.split(chunk):
            rows, wanted = hidden[some], targets[some, None]
            logits = (rows @ weight.T).float()
            log_sum = logits.logsumexp(dim=-1, keepdim=True)
            tokens[some] = (log_sum - logits.gather(-1, wanted))[:, 0]
            if not (to_hidden or to_weight):
                continue
            slope = logits.sub_(log_sum).exp_()  # softmax - one-hot, times the token's weight
            slope.scatter_add_(-1, wanted, torch.full_like(log_sum, -1.0)).mul_(scale[some, None])
            slope = slope.to(weight.dtype)
            if grad_hidden is not None:
                grad_hidden[some] = (slope @ weight).to(hidden.dtype)
            if grad_weight is not None:
                grad_weight += slope.T @ rows.to(weight.dtype)
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(tokens)
        return (tokens * scale).sum(), tokens

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Any:
        hidden, weight = ctx.saved_tensors
        hidden = None if hidden is None else hidden * grad
        weight = None if weight is None else (weight * grad).to(ctx.dtype)
        return hidden, weight, None, None, None


class Objective(nn.Module):
    """A causal language model and its loss as one module: what is trained, and what FSDP2 shards.

    `model` is the stock model (or a peft model around it); its own `forward`, which makes all logits, is not used.
    """

    def __init__(self, model: nn.Module, chunk: int | None = None):
        super().__init__()
        self.model, self.chunk = model, chunk
        self._no_split_modules = getattr(model, "_no_split_modules", None)  # accelerate shards by these

    def forward(
        self,
        input_ids: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        position_ids: Tensor | None = None,
        segment_ids: Tensor | None = None,
        arguments: dict[str, Any] | None = None,
    ) -> Found:
        """Loss of a batch; all tensors [B, S], see `targets`.

        `arguments` are those of `attention.arguments`, best made where the batch is loaded; without them they are made
        here from position_ids and segment_ids, and without these a row is one document.
        """
        if arguments is None and position_ids is not None and segment_ids is not None:
            arguments = attention.arguments(self.model, position_ids, segment_ids, input_ids.device)
        hidden = self.model.get_decoder()(input_ids=input_ids, use_cache=False, **(arguments or {})).last_hidden_state
        head = self.model.get_output_embeddings().weight
        flat = None if weights is None else weights.reshape(-1)
        total, tokens = linear_cross_entropy(hidden.flatten(0, 1), head, targets.reshape(-1), flat, self.chunk)
        return Found(total, tokens.view_as(targets))
