"""The chunked loss against torch's own, for every chunk, weight and split into micro-batches."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from medcorpus.training import loss
from tests.training import tiny


def naive(hidden, weight, targets, weights):
    each = functional.cross_entropy(hidden @ weight.T, targets, reduction="none", ignore_index=loss.IGNORE)
    return (each * weights).sum(), each


@given(st.integers(1, 40), st.integers(1, 50), st.floats(0, 1), st.integers(0, 10_000))
def test_it_is_cross_entropy(tokens, chunk, share, seed):
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, 6, generator=rng, dtype=torch.float64)
    weight = torch.randn(11, 6, generator=rng, dtype=torch.float64)
    weights = torch.rand(tokens, generator=rng, dtype=torch.float64)
    targets = torch.randint(0, 11, (tokens,), generator=rng)
    targets[torch.rand(tokens, generator=rng) < share] = loss.IGNORE
    grads = []
    for function in (naive, lambda *a: loss.linear_cross_entropy(*a, chunk=chunk)):
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        total, each = function(h, w, targets, weights)
        (total * 0.7).backward()
        grads.append((total.detach().float(), each.detach().float(), h.grad, w.grad))
    for found, expected in zip(*grads, strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_nothing_supervised_is_zero_with_a_gradient_of_zero():
    hidden, weight = torch.randn(4, 6, requires_grad=True), torch.randn(11, 6, requires_grad=True)
    total, each = loss.linear_cross_entropy(hidden, weight, torch.full((4,), loss.IGNORE))
    total.backward()
    assert total.item() == 0 and not each.any() and not hidden.grad.any() and not weight.grad.any()


def test_a_frozen_head_gets_no_gradient_and_scoring_makes_none():
    hidden, weight = torch.randn(4, 6, requires_grad=True), torch.randn(11, 6)
    total, _ = loss.linear_cross_entropy(hidden, weight, torch.arange(4))
    total.backward()
    assert weight.grad is None and hidden.grad.any()
    with torch.no_grad():
        assert not loss.linear_cross_entropy(hidden, weight.requires_grad_(), torch.arange(4))[0].requires_grad


def test_bf16_stays_close_and_sums_in_fp32():
    rng = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(600, 16, generator=rng), torch.randn(50, 16, generator=rng)
    targets = torch.randint(0, 50, (600,), generator=rng)
    exact = weight.clone().requires_grad_()
    loss.linear_cross_entropy(hidden, exact, targets)[0].backward()
    errors = {}
    for chunk in (600, 1):
        rough = weight.bfloat16().requires_grad_()
        total, each = loss.linear_cross_entropy(hidden.bfloat16(), rough, targets, chunk=chunk)
        total.backward()
        assert each.dtype == torch.float32 and rough.grad.dtype == torch.bfloat16
        errors[chunk] = ((rough.grad - exact.grad).norm() / exact.grad.norm()).item()
    assert errors[600] < 0.02 and errors[1] < 0.02  # 600 sums in bf16 would be off by far more


@pytest.mark.parametrize("name", ["qwen2", "qwen2-tied", "qwen3", "llama", "mistral"])
def test_objective_is_the_models_own_loss(name):
    x = tiny.ids(3, 10)
    grads = []
    for ours in (False, True):
        model = tiny.model(tiny.DENSE[name]())
        if ours:
            targets = loss.targets(x, torch.ones_like(x), torch.ones_like(x))
            total = loss.Objective(model, chunk=7)(x, targets).total / 27
        else:
            total = model(x, labels=x).loss
        total.backward()
        grads.append([total] + [weight.grad for weight in model.parameters()])
    for found, expected in zip(*grads, strict=True):
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_the_split_into_micro_batches_changes_nothing(rows):
    """Documents of very different lengths: a mean of micro-batch means would weigh them wrongly."""
    x = tiny.ids(4, 12)
    supervised = torch.arange(12)[None, :] < torch.tensor([[12], [3], [7], [2]])
    targets = loss.targets(x, supervised, torch.ones_like(x))
    count = (targets != loss.IGNORE).sum()
    grads = []
    for size in (4, rows):
        model = loss.Objective(tiny.moe())
        for begin in range(0, 4, size):
            (model(x[begin : begin + size], targets[begin : begin + size]).total / count).backward()
        grads.append([weight.grad for weight in model.parameters()])
    for found, expected in zip(*grads, strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_targets_by_hand():
    x = torch.tensor([[5, 6, 7, 8, 9, 0]])
    segments = torch.tensor([[1, 1, 1, 2, 2, 0]])
    supervised = torch.tensor([[1, 1, 1, 1, 1, 1]])
    none = loss.IGNORE
    assert loss.targets(x, supervised, segments).tolist() == [[6, 7, none, 9, none, none]]
    assert loss.targets(x, torch.tensor([[0, 0, 1, 1, 0, 0]]), segments).tolist() == [[none, 7, none, none, none, none]]


def test_losses_of_tokens_are_where_their_tokens_are():
    x = tiny.ids(2, 8)
    model = tiny.moe()
    targets = loss.targets(x, torch.arange(8)[None, :] % 3 == 0, torch.ones_like(x))
    found = loss.Objective(model)(x, targets, torch.full_like(x, 2).float())
    each = functional.cross_entropy(
        model(x).logits.reshape(-1, 96), targets.reshape(-1), reduction="none", ignore_index=loss.IGNORE
    )
    assert torch.allclose(found.tokens.reshape(-1), each, atol=1e-5)
    assert found.total.item() == pytest.approx(2 * each.sum().item(), rel=1e-5)
