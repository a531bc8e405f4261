"""The mixture block as Apollo-MoE published it, restated in our words: the yardstick for speed and for imports.

A router without normalisation, a Python loop over all experts, each finding its tokens with `where` (on a GPU: one wait
for the device per expert and layer) and adding its part with `index_add_`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainExpert(nn.Module):
    """SwiGLU: down(silu(gate x) * up x)."""

    def __init__(self, hidden: int, inner: int):
        super().__init__()
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class PlainLoop(nn.Module):
    """[B, S, h] -> [B, S, h]; `own` [B, S], while training, takes the last slot where it is not among the k best."""

    def __init__(self, hidden: int, inner: int, experts: int, k: int, normalise: bool = False, shared: bool = False):
        super().__init__()
        self.k, self.normalise = k, normalise
        self.gate = nn.Linear(hidden, experts, bias=False)
        self.experts = nn.ModuleList(PlainExpert(hidden, inner) for _ in range(experts))
        if shared:
            self.shared_expert = PlainExpert(hidden, inner)
            self.shared_expert_gate = nn.Linear(hidden, 1, bias=False)

    def forward(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        tokens = x.reshape(-1, x.shape[-1])
        p = self.gate(tokens).softmax(dim=-1, dtype=torch.float)
        weights, chosen = p.topk(self.k, dim=-1)
        if self.training and own is not None:
            mine = own.reshape(-1, 1)
            there = (chosen == mine).any(dim=-1)
            chosen = torch.cat([chosen[:, :-1], torch.where(there, chosen[:, -1], mine[:, 0])[:, None]], dim=-1)
            weights = p.gather(1, chosen)
        if self.normalise:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(tokens)
        slots = functional.one_hot(chosen, len(self.experts)).permute(2, 1, 0)
        for number, expert in enumerate(self.experts):
            slot, token = torch.where(slots[number])
            out.index_add_(0, token, expert(tokens[token]) * weights[token, slot, None].to(x.dtype))
        if hasattr(self, "shared_expert"):
            out = out + self.shared_expert_gate(tokens).sigmoid() * self.shared_expert(tokens)
        return out.view_as(x)
