"""What is trained and what is not, masters against fp32, resume to the bit, LoRA merged to a stock model."""

import copy
import io

import pytest
import torch
from transformers import AutoModelForCausalLM

from medcorpus.core.errors import Fatal
from medcorpus.training import loss, precision
from medcorpus.training.moe import routing
from medcorpus.training.moe.upcycle import Upcycling, upcycle
from tests.training import tiny


def steps(model, optimizer, count, begin=0):
    objective = loss.Objective(model)
    for number in range(begin, begin + count):
        x = tiny.ids(2, 12, seed=number)
        targets = loss.targets(x, torch.ones_like(x), torch.ones_like(x))
        optimizer.zero_grad()
        (objective(x, targets).total / 22).backward()
        optimizer.step()


def trained(model):
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_for_fp32_it_is_adamw_to_the_bit():
    results = []
    for kind in (torch.optim.AdamW, precision.MasterAdamW):
        model = tiny.moe()
        steps(model, kind(precision.groups(model, 1e-2, router=10.0)), 4)
        results.append(model.state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_masters_keep_what_bf16_loses():
    """Steps far below the resolution of bf16: the masters go where fp32 goes, to the bit; bf16 alone stays put."""
    grad = torch.linspace(-1, 1, 9)  # eighths: exact in bf16
    ends = {}
    for name, dtype, kind in (
        ("fp32", torch.float32, torch.optim.AdamW),
        ("bf16", torch.bfloat16, torch.optim.AdamW),
        ("masters", torch.bfloat16, precision.MasterAdamW),
    ):
        weight = torch.nn.Parameter(torch.ones(9, dtype=dtype))
        optimizer = kind([weight], lr=1e-5, weight_decay=0.1)
        for _ in range(600):
            weight.grad = grad.to(dtype)
            optimizer.step()
        ends[name] = weight.detach()
        masters = optimizer.state[weight].get("master")
    lost = (ends["bf16"].float() - ends["fp32"]).abs().mean()
    kept = (ends["masters"].float() - ends["fp32"]).abs().mean()
    assert lost > 2 * kept, (lost, kept)
    assert torch.equal(masters, ends["fp32"]) and (ends["fp32"] != 1).all()
    assert torch.equal(ends["masters"], ends["fp32"].bfloat16())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_resumed_it_goes_on_to_the_bit(dtype):
    def fresh():
        model = tiny.moe().to(dtype)
        return model, precision.MasterAdamW(precision.groups(model, 1e-2))

    straight, optimizer = fresh()
    steps(straight, optimizer, 5)
    first, optimizer = fresh()
    steps(first, optimizer, 3)
    file = io.BytesIO()
    torch.save({"model": first.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    second, optimizer = fresh()
    second.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    state = next(iter(optimizer.state.values()))
    assert state["exp_avg"].dtype == torch.float32 and ("master" in state) == (dtype == torch.bfloat16)
    steps(second, optimizer, 2, begin=3)
    for name, weight in straight.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name]), name


def test_last_layers_and_experts_only():
    model = precision.trainable(tiny.moe(), "last", layers=1)
    assert trained(model) == {name for name, _ in model.named_parameters() if ".layers.2." in name}
    assert any("self_attn.q_proj" in name for name in trained(model))
    before = copy.deepcopy(model.state_dict())
    steps(model, precision.MasterAdamW(precision.groups(model, 1e-2)), 2)
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == trained(model)
    assert all(weight.grad is None for name, weight in model.named_parameters() if name not in changed)
    moe = trained(precision.trainable(tiny.moe(), "moe"))
    assert {name.split("mlp.")[1] for name in moe} == {"gate.weight", "experts.gate_up_proj", "experts.down_proj"}
    assert trained(precision.trainable(model, "full")) == {name for name, _ in model.named_parameters()}


def test_zeros_by_construction_are_not_trained(tmp_path):
    tiny.model(tiny.DENSE["llama"]()).save_pretrained(tmp_path / "base")
    upcycle(tmp_path / "base", tmp_path / "moe", Upcycling(["a", "b"]))
    model = precision.trainable(AutoModelForCausalLM.from_pretrained(tmp_path / "moe"), "full")
    frozen = {name.split(".", 3)[3] for name, w in model.named_parameters() if not w.requires_grad}
    assert {"self_attn.q_proj.bias", "mlp.shared_expert_gate.weight", "mlp.shared_expert.up_proj.weight"} <= frozen
    assert all("shared" in name or "bias" in name for name in frozen)
    tiny.model(tiny.DENSE["qwen2"]()).save_pretrained(tmp_path / "qwen2")
    upcycle(tmp_path / "qwen2", tmp_path / "moe2", Upcycling(["a", "b"], top_k=1, shared=True))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "moe2")
    assert trained(precision.trainable(model)) == {name for name, _ in model.named_parameters()}


def test_groups_hold_every_trained_weight_once_with_its_rate():
    model = precision.trainable(tiny.moe("qwen2"), "last", layers=2)
    found = precision.groups(model, 1.0, 0.1, router=10.0, experts=2.0, trunk=0.5)
    held = [id(weight) for group in found for weight in group["params"]]
    assert len(held) == len(set(held)) and set(held) == {id(w) for w in model.parameters() if w.requires_grad}
    names = {id(weight): name for name, weight in model.named_parameters()}
    for group in found:
        assert group["lr"] == {"router": 10.0, "experts": 2.0, "trunk": 0.5}[group["name"]]
        for weight in group["params"]:
            name = names[id(weight)]
            assert (group["name"] == "router") == ("mlp.gate." in name)
            assert (group["weight_decay"] == 0) == (weight.ndim == 1 or "mlp.gate." in name)


def test_lora_trains_adapters_and_router_and_merges_to_stock(tmp_path):
    stock = tiny.moe()
    names = set(stock.state_dict())
    before = copy.deepcopy(stock.state_dict())
    model = precision.trainable(stock, "lora", rank=4)
    routing.install(model)
    assert all("lora_" in name or precision.is_router(name) for name in trained(model))
    assert any("experts" in name for name in trained(model)) and any("q_proj" in name for name in trained(model))
    shapes = {name.split("layers.2.mlp.")[-1]: tuple(weight.shape) for name, weight in model.named_parameters()}
    assert shapes["experts.base_layer.lora_A.default.weight"] == (2 * 4 * 4, 32)  # gate and up, rank 4, 4 experts
    assert shapes["experts.lora_B.default.weight"] == (32, 4 * 4)
    x = tiny.ids()
    optimizer = precision.MasterAdamW(precision.groups(model, 1e-1))
    with routing.experts(model, x % 4):
        steps(model, optimizer, 3)
    model.eval()
    expected = model(x).logits
    routing.remove(model)
    plain = precision.merged(model)
    assert set(plain.state_dict()) == names
    plain.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.allclose(again(x).logits, expected, atol=1e-4)
    changed = {name for name in names if not torch.equal(plain.state_dict()[name], before[name])}
    assert {name for name in changed if precision.is_router(name)} and not any("norm" in name for name in changed)
    assert any("experts.down_proj" in name for name in changed)


@pytest.mark.parametrize("what", ["full", "lora"])
def test_gathered_weights_fill_a_stock_model(what):
    trained = precision.trainable(tiny.moe(), what, rank=4)
    steps(trained, precision.MasterAdamW(precision.groups(trained, 1e-1)), 2)
    gathered = {name: weight.detach().clone() for name, weight in trained.named_parameters()}
    found, expected = precision.filled(tiny.moe(), trained, gathered), precision.merged(trained)
    assert found.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(weight, found.state_dict()[name]) for name, weight in expected.state_dict().items())
    assert not torch.equal(found.model.layers[2].mlp.gate.weight, tiny.moe().model.layers[2].mlp.gate.weight)
    with pytest.raises(Fatal, match="have no place in the model: of_another"):
        precision.filled(tiny.moe(), found, {"of_another": torch.zeros(1)})


def test_lora_of_a_dense_model():
    model = precision.trainable(tiny.model(tiny.DENSE["qwen3"]()), "lora", rank=2)
    steps(model, precision.MasterAdamW(precision.groups(model, 1e-2)), 1)
    assert type(precision.merged(model)).__name__ == "Qwen3ForCausalLM"


@pytest.mark.parametrize("every", [0, 1, 2])
def test_checkpointing_changes_nothing(every):
    grads = []
    for number in (0, every):
        model = tiny.moe().train()
        precision.checkpointing(model, number)
        assert sum(layer.gradient_checkpointing for layer in model.model.layers) == {0: 0, 1: 3, 2: 2}[number]
        steps(model, torch.optim.SGD(model.parameters(), 0.0), 1)
        grads.append([weight.grad for weight in model.parameters()])
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-8) for a, b in zip(*grads, strict=True))


def test_bad_input_says_what():
    with pytest.raises(Fatal, match="full, last, moe or lora, not 'some'"):
        precision.trainable(tiny.moe(), "some")
    with pytest.raises(Fatal, match="has 3 layers; the last 4"):
        precision.trainable(tiny.moe(), "last", layers=4)
    with pytest.raises(Fatal, match="this model is dense"):
        precision.trainable(tiny.model(tiny.DENSE["qwen3"]()), "moe")
