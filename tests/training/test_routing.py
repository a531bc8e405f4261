"""Routing against a few lines of plain Python, on stock models, with checkpointing, in every mode."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForCausalLM

from medcorpus.training import loss, precision, weights
from medcorpus.training.moe import routing
from medcorpus.training.moe.upcycle import Upcycling, upcycle
from tests.training import tiny


def oracle(p, k, own, mode, normalise):
    """Experts and weights of one token as a dict: the rule as the paper tells it."""
    ranked = sorted(range(len(p)), key=lambda e: -p[e])
    chosen = ranked[:k]
    if mode != "free" and own >= 0 and own not in chosen:
        chosen = [*chosen[:-1], own]
    weights = {e: p[e] for e in chosen}
    if mode == "masked" and own >= 0:
        weights = {e: w for e, w in weights.items() if e in (own, chosen[0])}
    total = sum(weights.values()) if normalise else 1.0
    return {e: w / total for e, w in weights.items()}


@given(
    st.integers(1, 5).flatmap(lambda k: st.tuples(st.just(k), st.integers(k, 8))),
    st.sampled_from(["free", "hybrid", "forced", "masked"]),
    st.booleans(),
    st.integers(0, 10_000),
)
def test_choose_is_the_rule(sizes, mode, normalise, seed):
    k, experts = sizes
    rng = torch.Generator().manual_seed(seed)
    p = torch.rand(20, experts, generator=rng, dtype=torch.float64).softmax(-1)
    own = torch.randint(-1, experts, (20,), generator=rng)
    chosen, weights = routing.choose(p, k, own, mode, normalise)
    for t in range(20):
        assert len(set(chosen[t].tolist())) == k
        found = {e: w for e, w in zip(chosen[t].tolist(), weights[t].tolist(), strict=True) if w}
        expected = oracle(p[t].tolist(), k, own[t].item(), mode, normalise)
        assert found.keys() == expected.keys()
        assert all(math.isclose(found[e], expected[e], rel_tol=1e-12) for e in found)


def test_the_truth_table():
    p = torch.tensor([[0.4, 0.3, 0.2, 0.1]] * 4)
    own = torch.tensor([0, 1, 3, -1])
    chosen, weights = routing.choose(p, 2, own, "hybrid", False)
    assert chosen.tolist() == [[0, 1], [0, 1], [0, 3], [0, 1]]  # only expert 3 has to be forced in
    assert torch.allclose(weights[2], torch.tensor([0.4, 0.1]))  # with its own small probability
    _, weights = routing.choose(p, 2, own, "hybrid", True)
    assert torch.allclose(weights[2], torch.tensor([0.8, 0.2]))
    chosen, weights = routing.choose(p, 1, own, "hybrid", True)  # k = 1: language-specific routing
    assert chosen.tolist() == [[0], [1], [3], [0]] and weights.tolist() == [[1.0]] * 4
    assert routing.choose(p, 2, own, "free", True)[0].tolist() == [[0, 1]] * 4
    assert routing.choose(p, 2, None, "hybrid", True)[0].tolist() == [[0, 1]] * 4


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_installed_and_free_it_is_the_stock_model(kind):
    stock = tiny.moe(kind)
    x, names = tiny.ids(), list(stock.state_dict())
    expected = stock(x).logits
    routing.install(stock)
    assert list(stock.state_dict()) == names
    assert torch.equal(stock(x).logits, expected)
    with routing.experts(stock, torch.ones_like(x)):
        assert torch.equal(stock(x).logits, expected)  # at inference the language changes nothing
    routing.install(stock, routing.Routing(infer="forced"))
    with routing.experts(stock, torch.ones_like(x)):
        assert not torch.allclose(stock(x).logits, expected)
    assert torch.equal(stock(x).logits, expected)  # nobody says whose tokens these are: nothing is forced
    routing.remove(stock)
    assert torch.equal(stock(x).logits, expected)
    assert type(stock.model.layers[1].mlp.gate).__name__ == f"Qwen{kind[-1]}MoeTopKRouter"


def dense_all(block, hidden, weights_by_expert):
    """Every expert on every token, then the weighted sum: nothing is sorted, so nothing can be mixed up."""
    out = torch.zeros_like(hidden)
    for e in range(weights_by_expert.shape[-1]):
        gate, up = functional.linear(hidden, block.experts.gate_up_proj[e]).chunk(2, -1)
        out = out + weights_by_expert[:, e, None] * functional.linear(
            functional.silu(gate) * up, block.experts.down_proj[e]
        )
    return out


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_eager_grouped_and_all_experts_agree_forward_and_backward(k, normalise):
    own = torch.tensor([[0, 1, 2, 3, -1, 0, 1, 2, 3, -1, 0, 1]] * 2)
    results = {}
    for implementation in ("eager", "grouped_mm", "oracle"):
        model = tiny.moe("qwen3", top_k=k, normalise=normalise).train()
        model.set_experts_implementation("eager" if implementation == "oracle" else implementation)
        routing.install(model)
        block = model.model.layers[2].mlp
        hidden = torch.randn(2, 12, 32, generator=torch.Generator().manual_seed(1))
        hidden.requires_grad_()
        block.gate.seat.tokens = routing.Tokens(own, own)
        if implementation == "oracle":
            p = functional.linear(hidden.reshape(-1, 32).float(), block.gate.weight.float()).softmax(-1)
            rows = [
                oracle(row.tolist(), k, o, "hybrid", False) for row, o in zip(p, own.reshape(-1).tolist(), strict=True)
            ]
            mask = torch.tensor([[float(e in row) for e in range(4)] for row in rows])
            used = p * mask
            out = dense_all(block, hidden.reshape(-1, 32), (used / used.sum(-1, keepdim=True) if normalise else used))
        else:
            out = block(hidden).reshape(-1, 32)
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        grads = [hidden.grad, block.experts.gate_up_proj.grad, block.experts.down_proj.grad, block.gate.weight.grad]
        results[implementation] = [out.detach(), *grads]
    for implementation in ("eager", "grouped_mm"):
        for found, expected in zip(results[implementation], results["oracle"], strict=True):
            assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_unknown_language_and_padding_force_nothing():
    model = tiny.moe().train()
    x = tiny.ids()
    routing.install(model)
    plain = model(x).logits
    with routing.experts(model, torch.full_like(x, -1)):
        assert torch.equal(model(x).logits, plain)
    counts = routing.statistics(model)
    assert counts.tokens.sum() == 0 and counts.used.sum() == 0


@pytest.mark.parametrize("inside", [True, False])
def test_checkpointing_computes_again_with_the_experts_of_its_own_pass(inside):
    """Two forwards, then two backwards: the first one's layers are computed again after the second one's ids came."""
    settings = routing.Routing(balance=0.1, z=0.01, language=0.1)
    grads, counts = [], []
    for checkpointed in (False, True):
        model = tiny.moe(top_k=2).train()
        routing.install(model, settings)
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        losses = []
        for seed, expert in ((0, 1), (1, 3)):
            x = tiny.ids(seed=seed)
            with routing.experts(model, torch.full_like(x, expert)):
                loss = model(x, use_cache=False).logits.square().mean() + routing.auxiliary_loss(model)
                if inside:
                    loss.backward()
            losses.append(loss)
        if not inside:
            for loss in losses:
                loss.backward()
        grads.append({name: weight.grad for name, weight in model.named_parameters()})
        counts.append(routing.statistics(model))
    for name, grad in grads[0].items():
        assert torch.allclose(grad, grads[1][name], rtol=1e-5, atol=1e-8), name
    assert (counts[0].used == counts[1].used).all() and counts[0].tokens.sum() == 2 * 2 * 24
    assert counts[1].used.sum() == 2 * counts[1].tokens.sum()


def test_counters_against_a_loop():
    model = tiny.moe(top_k=2).train()
    routing.install(model, languages=["hau", "tha", "und"])
    seen = []
    for layer in model.model.layers[1:]:
        layer.mlp.gate.register_forward_hook(lambda gate, args, out: seen.append((out[0].detach(), out[2])))
    x = tiny.ids()
    language = torch.randint(-1, 3, x.shape, generator=torch.Generator().manual_seed(3))
    own = torch.tensor([2, 0, -1, -1])[language]
    with routing.experts(model, own, language):
        model(x)
    counts = routing.statistics(model, reset=True)
    assert counts.layers == [1, 2] and counts.languages == ["hau", "tha", "und"]
    for place, (logits, chosen) in enumerate(seen):
        for g in range(3):
            rows = [t for t in range(24) if language.reshape(-1)[t] == g]
            expert = [2, 0, -1][g]
            top = [sorted(range(4), key=lambda e: -logits[t, e])[:2] for t in rows]
            assert counts.tokens[place, g] == len(rows)
            assert counts.known[place, g] == (len(rows) if expert >= 0 else 0)
            assert counts.own[place, g] == sum(best[0] == expert for best in top)
            assert counts.forced[place, g] == sum(expert >= 0 and expert not in best for best in top)
            for e in range(4):
                assert counts.top1[place, g, e] == sum(best[0] == e for best in top)
                assert counts.used[place, g, e] == sum(e in chosen[t].tolist() for t in rows)
            p = [logits[t].softmax(-1) for t in rows]
            assert counts.entropy[place, g] == pytest.approx(sum(-(q * q.log()).sum().item() for q in p), rel=1e-4)
    assert math.isnan(counts.own_share()[0, 2]) and 0 <= counts.own_share()[0, 0] <= 1
    assert routing.statistics(model).tokens.sum() == 0  # reset
    assert ((counts + counts).used == 2 * counts.used).all()


def test_balance_is_one_when_even_and_counts_only_what_is_free():
    own = torch.tensor([0] * 30)
    member = torch.ones(30, 1)
    even = torch.full((30, 4), 0.2)
    even[:, 0] = 0.4
    for t in range(30):
        even[t, 1 + t % 3] += 0.001
    assert routing.balance(even / even.sum(-1, keepdim=True), own, member, 2).item() == pytest.approx(1.0, abs=1e-4)
    skewed = torch.tensor([[0.4, 0.58, 0.01, 0.01]] * 30)
    assert routing.balance(skewed, own, member, 2).item() > 2.5  # one of three others does nearly all
    own_only = torch.tensor([[0.97, 0.01, 0.01, 0.01]] * 30) + even / 1000
    assert routing.balance(own_only, own, member, 2).item() == pytest.approx(
        1.0, abs=0.05
    )  # leaning on one's own is no fault
    assert routing.balance(skewed, own, member, 1).item() == 0.0  # k = 1: nothing is free


def test_balance_keeps_languages_apart():
    """Each language perfectly one-sided on another expert: balanced together, not balanced within."""
    p = torch.tensor([[0.4, 0.58, 0.01, 0.01]] * 10 + [[0.4, 0.01, 0.58, 0.01]] * 10 + [[0.4, 0.01, 0.01, 0.58]] * 10)
    own, one = torch.zeros(30, dtype=torch.long), torch.ones(30, 1)
    apart = functional.one_hot(torch.arange(30) // 10, 3).float()
    assert routing.balance(p, own, one, 2).item() == pytest.approx(1.0, abs=0.01)
    assert routing.balance(p, own, apart, 2).item() > 2.5


def test_auxiliary_losses_move_the_router_the_right_way():
    def after(**coefficients):
        model = tiny.moe(top_k=2).train()
        routing.install(model, routing.Routing(**coefficients))
        x = tiny.ids(4, 32)
        optimizer = torch.optim.SGD([m.weight for m in model.modules() if isinstance(m, routing.HybridRouter)], 0.2)
        for _ in range(30):
            with routing.experts(model, torch.full_like(x, 2)):
                model(x)
            loss = routing.auxiliary_loss(model)
            if loss.requires_grad:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        routing.statistics(model, reset=True)
        with routing.experts(model, torch.full_like(x, 2)):
            model(x)
        return routing.statistics(model).own_share()[:, 2].mean()

    assert after(language=1.0) > 0.9 > after()


def test_a_second_install_keeps_the_weights_and_a_copy_is_a_copy():
    model = tiny.moe().train()
    x = tiny.ids()
    routing.install(model)
    weight = model.model.layers[1].mlp.gate.weight
    routing.install(model, routing.Routing(train="free"), languages=["eng"] * 4)
    assert model.model.layers[1].mlp.gate.weight is weight
    twin = copy.deepcopy(model)
    with routing.experts(twin, torch.zeros_like(x)):
        twin(x)
        model(x)
    assert routing.statistics(twin).tokens.sum() == 48 and routing.statistics(model).tokens.sum() == 0


def test_whole_rows_and_generation():
    model = tiny.moe()
    routing.install(model, routing.Routing(infer="forced"))
    x = tiny.ids()
    rows = torch.tensor([[1], [3]])
    with routing.experts(model, rows):
        short = model(x).logits
        model.generate(x, max_new_tokens=3, do_sample=False, pad_token_id=0)
    with routing.experts(model, rows.expand(-1, 12)):
        assert torch.equal(model(x).logits, short)
    assert routing.statistics(model).forced.sum() > 0


def test_saved_while_installed_it_opens_as_stock(tmp_path):
    model = tiny.moe()
    x = tiny.ids()
    expected = model(x).logits
    routing.install(model)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.allclose(again(x).logits, expected, atol=1e-6)
    assert not (tmp_path / "modeling.py").exists() and "auto_map" not in (tmp_path / "config.json").read_text()


def test_a_dense_model_is_left_alone():
    model = tiny.model(tiny.DENSE["qwen3"]())
    x = tiny.ids()
    routing.install(model)
    with routing.experts(model, torch.zeros_like(x)):
        model(x)
    assert routing.statistics(model) is None and routing.auxiliary_loss(model).item() == 0.0


def test_bad_input_says_what():
    with pytest.raises(ValueError, match="'hybrid' or 'free', not 'topk'"):
        routing.Routing(train="topk")
    model = tiny.moe()
    routing.install(model, languages=["eng"])
    x = tiny.ids()
    with (
        pytest.raises(ValueError, match=r"expert ids lie in 4\.\.4, not in -1\.\.3"),
        routing.experts(model, x * 0 + 4, x * 0),
    ):
        model(x)
    with (
        pytest.raises(ValueError, match=r"language ids lie in 1\.\.1, not in -1\.\.0"),
        routing.experts(model, x * 0, x * 0 + 1),
    ):
        model(x)
    with (
        pytest.raises(ValueError, match="ids for 10 tokens, but the model was given 24"),
        routing.experts(model, x[:, :5] * 0),
    ):
        model(x)


def speak(rows, rng, words=16, length=24):
    """Three languages without a word in common, each with its own order of words; and whose row is whose."""
    follows = [torch.randperm(words, generator=torch.Generator().manual_seed(g)) for g in range(3)]
    own = torch.arange(rows) % 3
    said = torch.randint(0, words, (rows, length), generator=rng)
    for place in range(1, length):
        regular = torch.stack([follows[g][said[row, place - 1]] for row, g in enumerate(own.tolist())])
        said[:, place] = torch.where(torch.rand(rows, generator=rng) < 0.8, regular, said[:, place])
    return said + words * own[:, None], own[:, None].expand(-1, length)


def test_the_forced_slot_teaches_the_free_choice(tmp_path):
    """Routers begin at zero and no loss speaks of languages; with the forced slot they come to know them anyway."""
    tiny.model(tiny.DENSE["qwen3"]()).save_pretrained(tmp_path / "base")
    upcycle(tmp_path / "base", tmp_path / "moe", Upcycling(["a", "b", "c"]))
    shares = {}
    for mode in ("hybrid", "free"):
        model = weights.load(tmp_path / "moe").train()
        routing.install(model, routing.Routing(train=mode))
        optimizer = precision.MasterAdamW(precision.groups(model, 3e-3, router=10.0))
        objective, rng = loss.Objective(model), torch.Generator().manual_seed(5)
        for step in range(61):
            model.train(step < 60)
            x, own = speak(12, rng)
            targets = loss.targets(x, torch.ones_like(x), torch.ones_like(x))
            routing.statistics(model, reset=True)
            with routing.experts(model, own):
                total = objective(x, targets).total / x.numel()
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        shares[mode] = routing.statistics(model).own_share().mean()
    assert shares["hybrid"] >= 0.6 > shares["free"], shares
