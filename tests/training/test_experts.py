"""A further expert: the copy is a copy, the model opens, k = 1 computes the same, training tells the two apart."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from medcorpus.core.errors import Fatal
from medcorpus.training import weights
from medcorpus.training.moe import routing
from medcorpus.training.moe.experts import add_expert
from medcorpus.training.moe.upcycle import Upcycling, description, parity, upcycle
from tests.training import tiny


@pytest.fixture
def mixture(tmp_path):
    """An upcycled Qwen3 or Llama whose experts have gone different ways."""

    def make(kind="qwen3", k=1):
        tiny.model(tiny.DENSE[kind]()).save_pretrained(tmp_path / "base")
        plan = Upcycling(["romance", "germanic", "bantu"], {"fra": 0, "deu": 1, "swa": 2}, top_k=k, noise=0.5)
        upcycle(tmp_path / "base", tmp_path / "plain", plan)
        model = weights.load(tmp_path / "plain")
        for layer in model.model.layers[1:]:
            torch.nn.init.normal_(layer.mlp.gate.weight)
        weights.save(model, tmp_path / "moe")
        return tmp_path / "moe"

    return make


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_with_one_expert_a_token_nothing_changes(mixture, tmp_path, kind):
    folder = mixture(kind)
    said = add_expert(folder, tmp_path / "more", "hausa", "bantu", ["hau"])
    assert said["index"] == 3 and said["like"] == "bantu"
    assert said["parameters"] == weights.parameters(folder) + 2 * (3 * 32 * 48 + 32)
    assert parity(folder, tmp_path / "more").relative <= 1e-5
    found = description(tmp_path / "more")
    assert found["experts"] == ["romance", "germanic", "bantu", "hausa"]
    assert found["languages"] == {"fra": 0, "deu": 1, "swa": 2, "hau": 3}
    held = dict(weights.Checkpoint(tmp_path / "more").tensors())
    for layer in (1, 2):
        for part in ("gate", "up", "down"):
            names = [f"model.layers.{layer}.mlp.experts.{e}.{part}_proj.weight" for e in (2, 3)]
            assert torch.equal(held[names[0]], held[names[1]])
        router = held[f"model.layers.{layer}.mlp.gate.weight"]
        assert router.shape == (4, 32) and torch.equal(router[2], router[3])


def test_by_index_and_with_two_experts_a_token(mixture, tmp_path):
    add_expert(mixture(k=2), tmp_path / "more", "hausa", "1")
    assert description(tmp_path / "more")["experts"][3] == "hausa"
    assert 0 < parity(tmp_path / "moe", tmp_path / "more").relative < 1  # two copies may be chosen: said in the summary


def test_the_new_expert_learns_alone(mixture, tmp_path):
    add_expert(mixture(), tmp_path / "more", "hausa", "bantu", ["hau"])
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "more").train()
    routing.install(model)
    x = tiny.ids()
    with routing.experts(model, torch.full_like(x, 3)):
        model(x, labels=x).loss.backward()
    grad = model.model.layers[2].mlp.experts.gate_up_proj.grad
    assert grad[3].any() and not grad[:3].any()  # k = 1: Hausa goes to its own expert and to no other


def test_bad_input_says_what(mixture, tmp_path):
    folder = mixture()
    for name, like, message in (
        ("bantu", "romance", "has an expert 'bantu' already"),
        ("new", "bantoo", "has no expert 'bantoo'; did you mean 'bantu'"),
        ("new", "3", "has no expert '3'"),
    ):
        with pytest.raises(Fatal, match=message):
            add_expert(folder, tmp_path / "out", name, like)
    with pytest.raises(Fatal, match="is 'qwen3'; experts can be added to"):
        add_expert(tmp_path / "base", tmp_path / "out", "new", "bantu")
    with pytest.raises(Fatal, match="exists already"):
        add_expert(folder, tmp_path / "plain", "new", "bantu")
    (tmp_path / "none").mkdir()
    with pytest.raises(Fatal, match=r"has no config\.json"):
        add_expert(tmp_path / "none", tmp_path / "out", "new", "bantu")
    assert not (tmp_path / "out").exists()
