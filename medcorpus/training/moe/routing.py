"""Hybrid-k routing on a stock mixture of experts: the language's expert always works, the rest is a free choice.

After Apollo-MoE (https://arxiv.org/abs/2410.10626): a softmax over all E experts, the k best are used. In training, a
token whose language has an expert gets that expert in the last slot unless it is among the k best anyway; at inference
routing is plain top-k, so the finished model needs no language and no code of ours. Said in one line: the experts used
in training are {own} plus the k-1 best of the others. Weights are the softmax values of the experts used, divided by
their sum where the model's `norm_topk_prob` says so (the paper's code does not, and so begins with a damaged model).

Nothing is subclassed. `install` puts a router with the same weight in the place of the stock one; the language comes in
through `experts`, travels with the keyword arguments of the layers (and so is there when gradient checkpointing
computes a layer again), and is taken out before attention sees it.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_KEY = "medcorpus_tokens"


@dataclass(frozen=True)
class Routing:
    """How tokens choose experts, and what of it is part of the loss.

    train: `hybrid` (own expert forced into the last slot; with k = 1 that is language-specific routing) or `free`
        (vanilla top-k).
    infer: `free` (the paper), `forced` (as hybrid) or `masked` (the own expert and the best one, nobody else).
    balance, z, language: coefficients of the auxiliary losses (see `auxiliary_loss`); 0 is off.
    """

    train: Literal["hybrid", "free"] = "hybrid"
    infer: Literal["free", "forced", "masked"] = "free"
    balance: float = 0.0
    z: float = 0.0
    language: float = 0.0

    def __post_init__(self) -> None:
        if self.train not in ("hybrid", "free"):
            raise ValueError(f"routing in training is 'hybrid' or 'free', not '{self.train}'")
        if self.infer not in ("free", "forced", "masked"):
            raise ValueError(f"routing at inference is 'free', 'forced' or 'masked', not '{self.infer}'")


@dataclass
class Counts:
    """What the routers did: L layers with experts, G languages, E experts. Sums of two passes add with `+`."""

    layers: list[int]
    languages: list[str]
    top1: np.ndarray  # [L, G, E] tokens whose free first choice is this expert
    used: np.ndarray  # [L, G, E] slots in which this expert worked, forced ones among them
    own: np.ndarray  # [L, G] tokens whose free first choice is their language's expert
    forced: np.ndarray  # [L, G] tokens on which that expert had to be forced (or would have been, at inference)
    known: np.ndarray  # [L, G] tokens whose language has an expert
    tokens: np.ndarray  # [L, G]
    entropy: np.ndarray  # [L, G] sum over tokens of the router's entropy, nats

    def __add__(self, other: "Counts") -> "Counts":
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)[2:]}
        return Counts(self.layers, self.languages, **sums)

    def own_share(self) -> np.ndarray:
        """[L, G] share of tokens whose free first choice is their language's expert; NaN where none is known."""
        with np.errstate(invalid="ignore"):
            return self.own / np.where(self.known > 0, self.known, np.nan)


class Tokens:
    """What is known of the tokens of one forward pass; `losses` has the layers that have seen them.

    own [B, S], or [B, 1] for whole rows: expert of the language, -1: none; group of the same shape: index of the
    language in the counters, -1: padding. No dataclass: FSDP2 would look for gradients inside and hand on a copy.
    """

    def __init__(self, own: Tensor, group: Tensor):
        self.own, self.group = own, group
        self.losses: dict[int, Tensor] = {}


@dataclass
class _Seat:
    """Where a layer's attention leaves the tokens for the router of the same layer."""

    tokens: Tokens | None = None


@dataclass
class _State:
    routing: Routing
    languages: list[str]
    hooks: list[Any] = field(default_factory=list)
    current: Tokens | None = None  # of the `with` we are in
    last: Tokens | None = None  # of the newest forward pass


def choose(probabilities: Tensor, k: int, own: Tensor | None, mode: str, normalise: bool) -> tuple[Tensor, Tensor]:
    """Which experts a token uses and how much of each.

    probabilities [T, E] (softmax over all experts); own [T] expert of the language, -1 for none; mode one of free,
    hybrid, forced (the same as hybrid) and masked. Returns experts [T, k] and weights [T, k]; in `masked` the slots
    that are neither own nor best have weight 0.
    """
    weights, chosen = probabilities.topk(k, dim=-1)
    if mode != "free" and own is not None:
        known = own >= 0
        absent = known & (chosen != own[:, None]).all(dim=-1)
        chosen = torch.cat([chosen[:, :-1], torch.where(absent, own, chosen[:, -1])[:, None]], dim=-1)
        weights = probabilities.gather(-1, chosen)
        if mode == "masked":
            best = torch.arange(k, device=chosen.device) == 0
            weights = weights * (best | (chosen == own[:, None]) | ~known[:, None])
    if normalise:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return chosen, weights


def balance(probabilities: Tensor, own: Tensor, member: Tensor, k: int) -> Tensor:
    """Switch Transformer's load-balancing loss (https://arxiv.org/abs/2101.03961, eq. 4), within each language.

    Only over what is free: the k-1 best of the experts that are not the token's own (all k for a token without one).
    Across languages nothing is balanced: there, English would dictate. probabilities [T, E], own [T], member [T, G]
    0/1. Returns the mean over tokens; 1 is perfect balance, 0 means that no slot is free.
    """
    experts = torch.arange(probabilities.shape[-1], device=own.device)
    others = (experts != own[:, None]).to(probabilities.dtype)
    open_to = others * probabilities
    share = open_to / open_to.sum(dim=-1, keepdim=True).clamp_min(1e-20)
    slots = (torch.arange(k, device=own.device) < k - (own >= 0).long()[:, None]).to(share.dtype)
    picked = torch.zeros_like(share).scatter(-1, open_to.detach().topk(k, dim=-1).indices, slots)
    tokens = member.sum(dim=0)
    each = tokens.clamp_min(1)[:, None]
    used = member.T @ picked / (member.T @ slots).sum(dim=-1, keepdim=True).clamp_min(1)
    wanted = member.T @ share / each
    choices = (member.T @ others / each).sum(dim=-1)
    return ((used * wanted).sum(dim=-1) * choices) @ tokens / tokens.sum().clamp_min(1)


class HybridRouter(nn.Module):
    """Takes the place of the stock top-k router: the same weight [E, h], the same three results."""

    def __init__(self, stock: nn.Module, layer: int, seat: _Seat, state: _State):
        super().__init__()
        self.weight = stock.weight
        self.top_k: int = stock.top_k
        self.num_experts: int = stock.num_experts
        self.norm_topk_prob: bool = stock.norm_topk_prob
        self.stock = [stock]  # in a list: no part of this module
        self.layer, self.seat = layer, seat
        self.routing, self.groups = state.routing, len(state.languages)
        self.counter: Tensor | None = None  # [G, 2E + 5]; no buffer: it is no part of the model

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [T, E], weights [T, k] and experts [T, k] for hidden states [T, h]."""
        hidden = hidden_states.reshape(-1, hidden_states.shape[-1])
        # In fp32 whatever the model's type: rounding must not decide between two experts.
        with torch.autocast(hidden.device.type, enabled=False):
            logits = functional.linear(hidden.float(), self.weight.float())
        probabilities = logits.softmax(dim=-1)
        mode = self.routing.train if self.training else self.routing.infer
        tokens = self.seat.tokens
        if tokens is None:
            chosen, weights = choose(probabilities, self.top_k, None, mode, self.norm_topk_prob)
            return logits, weights.to(hidden_states.dtype), chosen
        own, group = _flat(tokens.own, len(hidden)), _flat(tokens.group, len(hidden))
        chosen, weights = choose(probabilities, self.top_k, own, mode, self.norm_topk_prob)
        member = functional.one_hot(group + 1, self.groups + 1)[:, 1:].float()
        # Checkpointing computes a layer again and wants the very same operations: the loss too, but noted only once.
        loss = self._loss(logits, probabilities, own, member)
        if self.layer not in tokens.losses:
            tokens.losses[self.layer] = loss
            with torch.no_grad():
                self._count(probabilities, chosen, weights, own, member)
        return logits, weights.to(hidden_states.dtype), chosen

    def _loss(self, logits: Tensor, probabilities: Tensor, own: Tensor, member: Tensor) -> Tensor:
        loss, real = logits.new_zeros(()), member.sum(dim=-1)
        if self.routing.z:
            loss = loss + self.routing.z * _mean(logits.logsumexp(dim=-1) ** 2, real)
        if self.routing.language:
            missed = functional.cross_entropy(logits, own.clamp(min=0), reduction="none")
            loss = loss + self.routing.language * _mean(missed, real * (own >= 0))
        if self.routing.balance:
            free = own if self.routing.train == "hybrid" else torch.full_like(own, -1)
            loss = loss + self.routing.balance * balance(probabilities, free, member, self.top_k)
        return loss

    def _count(self, probabilities: Tensor, chosen: Tensor, weights: Tensor, own: Tensor, member: Tensor) -> None:
        top = probabilities.topk(self.top_k, dim=-1).indices
        first = functional.one_hot(top[:, 0], self.num_experts).float()
        used = (functional.one_hot(chosen, self.num_experts) * (weights > 0)[..., None]).sum(dim=1).float()
        known = own >= 0
        hit, forced = top[:, 0] == own, known & (top != own[:, None]).all(dim=-1)
        entropy = torch.special.entr(probabilities).sum(dim=-1)
        rest = [hit.float(), forced.float(), known.float(), torch.ones_like(entropy), entropy]
        counts = member.T @ torch.cat([first, used, torch.stack(rest, dim=-1)], dim=-1)
        if self.counter is None:
            self.counter = counts.new_zeros(counts.shape, dtype=torch.float64)
        self.counter += counts


def install(model: nn.Module, routing: Routing | None = None, languages: Sequence[str] = ()) -> None:
    """Put our router in the place of every stock top-k router of `model` (a stock qwen2_moe or qwen3_moe).

    `languages` names the rows of the counters: what `language_ids` in `experts` index. Empty: rows are expert
    indices. A second call changes the settings and starts the counters anew. A dense model is left as it is.
    """
    remove(model)
    base = _decoder(model)
    layers = dict(enumerate(base.layers)) if base is not None else {}
    stock = {i: layer.mlp.gate for i, layer in layers.items() if hasattr(layer.mlp, "experts")}
    if base is None or not stock:
        return
    count = next(iter(stock.values())).num_experts
    state = _State(routing or Routing(), list(languages) or [str(e) for e in range(count)])
    base.medcorpus_routing = state
    state.hooks.append(base.register_forward_pre_hook(_bring, with_kwargs=True))
    for index, layer in layers.items():
        seat = layer.self_attn.medcorpus_seat = _Seat()
        state.hooks.append(layer.self_attn.register_forward_pre_hook(_take, with_kwargs=True))
        if index in stock:
            layer.mlp.gate = HybridRouter(stock[index], index, seat, state).train(layer.training)


def remove(model: nn.Module) -> None:
    """Put the stock routers back, with the weights as they are now."""
    base = _decoder(model)
    state = getattr(base, "medcorpus_routing", None)
    if base is None or state is None:
        return
    for hook in state.hooks:
        hook.remove()
    for layer in base.layers:
        router = getattr(layer.mlp, "gate", None)
        if isinstance(router, HybridRouter):
            layer.mlp.gate = router.stock[0]
            layer.mlp.gate.weight = router.weight
    del base.medcorpus_routing


@contextlib.contextmanager
def experts(model: nn.Module, expert_ids: Tensor, language_ids: Tensor | None = None) -> Iterator[None]:
    """Tell the routers whose tokens these are, for the forward passes inside the `with`.

    expert_ids [B, S]: expert of the token's language, -1 for none. language_ids [B, S]: index into the languages given
    to `install`, -1 for padding, which is neither counted nor in the auxiliary losses; without it the expert ids
    stand in. [B, 1] means whole rows (generation). `backward` may run inside the `with` or after it. Raises ValueError
    when an index is out of range.
    """
    state = _state(model)
    if state is None:
        yield
        return
    router = next(iter(_routers(model).values()))
    group = expert_ids if language_ids is None else language_ids
    if group.shape != expert_ids.shape:
        raise ValueError(f"expert ids are {tuple(expert_ids.shape)}, language ids {tuple(group.shape)}")
    if expert_ids.device.type == "cpu":  # on a device the check would wait for it
        for name, ids, limit in (("expert", expert_ids, router.num_experts), ("language", group, router.groups)):
            if ids.numel() and not -1 <= int(ids.min()) <= int(ids.max()) < limit:
                raise ValueError(f"{name} ids lie in {int(ids.min())}..{int(ids.max())}, not in -1..{limit - 1}")
    device = router.weight.device
    before, state.current = state.current, Tokens(expert_ids.to(device), group.to(device))
    try:
        yield
    finally:
        state.current = before


def auxiliary_loss(model: nn.Module) -> Tensor:
    """The auxiliary losses of the newest forward pass, each with its coefficient: a mean over tokens and layers.

    Balance within each language (see `balance`); z-loss, the squared log of the softmax's sum (ST-MoE,
    https://arxiv.org/abs/2202.08906, eq. 5); language: cross-entropy of the router against the language's expert.
    A zero without gradient when all are off.
    """
    state = _state(model)
    if state is None or state.last is None or not state.last.losses:
        return torch.zeros((), device=next(model.parameters()).device)
    return torch.stack(list(state.last.losses.values())).mean()


def statistics(model: nn.Module, reset: bool = False) -> Counts | None:
    """What the routers did since `install` or the last reset; None for a dense model. Waits once for the device.

    Only passes inside `experts` are counted, each layer once a pass.
    """
    state = _state(model)
    if state is None:
        return None
    routers = _routers(model)
    experts = next(iter(routers.values())).num_experts
    nothing = torch.zeros(len(state.languages), 2 * experts + 5, dtype=torch.float64)
    table = torch.stack([nothing if r.counter is None else r.counter.cpu() for r in routers.values()]).numpy()
    if reset:
        for router in routers.values():
            router.counter = None
    top1, used, rest, entropy = np.split(table, [experts, 2 * experts, 2 * experts + 4], axis=-1)
    own, forced, known, tokens = np.moveaxis(rest.astype(np.int64), -1, 0)
    languages, layers = list(state.languages), list(routers)
    return Counts(
        layers, languages, top1.astype(np.int64), used.astype(np.int64), own, forced, known, tokens, entropy[..., 0]
    )


def _bring(base: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Before the decoder: the tokens join the arguments that it hands to every layer."""
    state = base.medcorpus_routing
    state.last = state.current and Tokens(state.current.own, state.current.group)
    return args, kwargs | {_KEY: state.last}


def _take(attention: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Before a layer's attention (so inside its checkpoint): the tokens leave the arguments, for the router."""
    attention.medcorpus_seat.tokens = kwargs.pop(_KEY, None)
    return args, kwargs


def _flat(ids: Tensor, tokens: int) -> Tensor:
    """[B, S] or [B, 1] as [B * S]."""
    if ids.shape[-1] == 1:
        ids = ids.expand(-1, tokens // len(ids))
    if ids.numel() != tokens:
        raise ValueError(f"ids for {ids.numel()} tokens, but the model was given {tokens}")
    return ids.reshape(-1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(1)


def _decoder(model: nn.Module) -> nn.Module | None:
    """The module that holds the layers, under whatever wraps it."""
    return next((m for m in model.modules() if isinstance(getattr(m, "layers", None), nn.ModuleList)), None)


def _state(model: nn.Module) -> _State | None:
    return getattr(_decoder(model), "medcorpus_routing", None)


def _routers(model: nn.Module) -> dict[int, HybridRouter]:
    return {m.layer: m for m in model.modules() if isinstance(m, HybridRouter)}
