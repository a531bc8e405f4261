"""A mixture computes what its dense base computes, for every base; opened by transformers alone, saved, and back."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig, Qwen2MoeForCausalLM, Qwen3MoeForCausalLM

from medcorpus.core.errors import Fatal, Missing
from medcorpus.training import weights
from medcorpus.training.moe import routing
from medcorpus.training.moe.upcycle import Upcycling, description, experts_of, parity, upcycle
from tests.training import tiny

FAMILIES = Upcycling(["sino", "koreanic", "bantu"], {"zho": 0, "kor": 1, "swa": 2, "zul": 2})


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    made = {}

    def base(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            tiny.model(tiny.DENSE[name]()).save_pretrained(made[name])
        return made[name]

    return base


@pytest.mark.parametrize("layers", [2, None])
@pytest.mark.parametrize("name", tiny.DENSE)
def test_it_computes_what_the_base_does(bases, tmp_path, name, layers):
    plan = Upcycling(FAMILIES.experts, FAMILIES.languages, layers=layers, top_k=2)
    upcycle(bases(name), tmp_path / "moe", plan)
    assert parity(bases(name), tmp_path / "moe").relative <= 1e-5
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "moe", output_loading_info=True)
    assert type(model) is (Qwen3MoeForCausalLM if name.startswith("qwen3") else Qwen2MoeForCausalLM)
    assert not any(info.values()), "every tensor found its place, none was made up"
    assert model.config._experts_implementation == "grouped_mm"
    assert [hasattr(layer.mlp, "experts") for layer in model.model.layers] == [layers is None, True, True]
    model.save_pretrained(tmp_path / "again")
    assert parity(bases(name), tmp_path / "again").relative <= 1e-5


@pytest.mark.parametrize("mode", ["hybrid", "free"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_in_training_too_whatever_is_forced(bases, tmp_path, k, mode):
    upcycle(bases("qwen3"), tmp_path / "moe", Upcycling(["a", "b", "c"], top_k=k))
    dense = AutoModelForCausalLM.from_pretrained(bases("qwen3"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "moe").train()
    with torch.no_grad():
        for layer in model.model.layers[1:]:
            layer.mlp.gate.weight.normal_()
    routing.install(model, routing.Routing(train=mode))
    x = tiny.ids()
    with routing.experts(model, x % 4 - 1):
        assert torch.allclose(model(x).logits, dense(x).logits, rtol=1e-5, atol=1e-5)


def test_unnormalised_as_the_papers_code_is_damaged_and_parity_says_so(bases, tmp_path):
    upcycle(bases("qwen3"), tmp_path / "moe", Upcycling(["a", "b", "c", "d"], normalise=False))
    assert parity(bases("qwen3"), tmp_path / "moe").relative > 0.01


@pytest.mark.parametrize("name", ["qwen2", "llama-tied", "mistral"])
def test_a_shared_expert_keeps_parity(bases, tmp_path, name):
    """Language-specific routing of the paper: one routed expert, one that always works."""
    upcycle(bases(name), tmp_path / "moe", Upcycling(["a", "b"], top_k=1, layers=None, shared=True))
    assert parity(bases(name), tmp_path / "moe").relative <= 1e-5
    config = json.loads((tmp_path / "moe/config.json").read_text())
    assert config["shared_expert_intermediate_size"] == 48


def test_sharded_bases_and_sharded_results(bases, tmp_path):
    dense = AutoModelForCausalLM.from_pretrained(bases("qwen2"))
    dense.save_pretrained(tmp_path / "base", max_shard_size="20KB")
    assert len(list((tmp_path / "base").glob("*.safetensors"))) > 3
    plan = Upcycling(["a", "b"])
    upcycle(tmp_path / "base", tmp_path / "many", plan, shard=20_000)
    upcycle(bases("qwen2"), tmp_path / "one", plan)
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 5 and (tmp_path / "many" / weights.INDEX).exists()
    assert parity(tmp_path / "one", tmp_path / "many").difference == 0.0
    assert parity(tmp_path / "base", tmp_path / "many").relative <= 1e-5


def test_bf16_stays_bf16(bases, tmp_path):
    AutoModelForCausalLM.from_pretrained(bases("llama"), dtype=torch.bfloat16).save_pretrained(tmp_path / "base")
    upcycle(tmp_path / "base", tmp_path / "moe", Upcycling(["a", "b"]))
    assert {t.dtype for t in load_file(tmp_path / "moe/model.safetensors").values()} == {torch.bfloat16}
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "moe").dtype == torch.bfloat16
    assert parity(tmp_path / "base", tmp_path / "moe").relative <= 1e-5


def test_noise_and_drop_make_experts_differ_as_told_and_the_same_again(bases, tmp_path):
    plan = Upcycling(["a", "b"], noise=0.1, seed=7)
    for out in ("one", "two"):
        upcycle(bases("qwen3"), tmp_path / out, plan)
    one, two = (load_file(tmp_path / out / "model.safetensors") for out in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    dense = load_file(bases("qwen3") / "model.safetensors")
    for part in ("gate", "up", "down"):
        base = dense[f"model.layers.2.mlp.{part}_proj.weight"]
        a, b = (one[f"model.layers.2.mlp.experts.{e}.{part}_proj.weight"] for e in (0, 1))
        assert not torch.equal(a, b)
        assert (a - base).std().item() == pytest.approx(0.1 * base.std().item(), rel=0.1)
    upcycle(bases("qwen3"), tmp_path / "drop", Upcycling(["a", "b"], drop=0.25))
    dropped = load_file(tmp_path / "drop/model.safetensors")
    for e in (0, 1):
        changed = {}
        for part in ("gate", "up", "down"):
            base = dense[f"model.layers.2.mlp.{part}_proj.weight"]
            expert = dropped[f"model.layers.2.mlp.experts.{e}.{part}_proj.weight"]
            changed[part] = (expert != base).any(dim=0 if part == "down" else 1).nonzero()[:, 0].tolist()
            new = expert[:, changed[part]] if part == "down" else expert[changed[part]]
            assert new.std().item() == pytest.approx(base.std().item(), rel=0.3)
        assert changed["gate"] == changed["up"] == changed["down"] and len(changed["up"]) == 12  # a quarter of 48


def test_the_router_from_hidden_states_knows_its_texts(bases, tmp_path):
    """Three languages whose words lie apart a little: their tokens find their own experts, before any training."""
    dense = AutoModelForCausalLM.from_pretrained(bases("qwen3"))
    with torch.no_grad():
        apart = torch.randn(3, 32, generator=torch.Generator().manual_seed(9)) * 0.15
        dense.model.embed_tokens.weight += apart.repeat_interleave(32, dim=0)
    dense.save_pretrained(tmp_path / "base")
    texts = {e: 32 * e + tiny.ids(1, 400, vocab=32, seed=e)[0] for e in range(3)}
    upcycle(tmp_path / "base", tmp_path / "moe", Upcycling(["a", "b", "c"], router="hidden"), texts)
    assert parity(tmp_path / "base", tmp_path / "moe").relative <= 1e-5
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "moe").eval()
    routing.install(model)
    for e in range(3):
        x = 32 * e + tiny.ids(1, 64, vocab=32, seed=50 + e)
        with routing.experts(model, torch.full_like(x, e)):
            model(x)
    shares = routing.statistics(model).own_share()
    assert (shares > 0.6).all(), shares
    with pytest.raises(Fatal, match="and there is none"):
        upcycle(tmp_path / "base", tmp_path / "no", Upcycling(["a", "b"], router="hidden"), {})


def test_what_the_checkpoint_says_of_itself(bases, tmp_path):
    said = upcycle(bases("qwen3"), tmp_path / "moe", FAMILIES)
    assert said["moe_layers"] == [1, 2] and said["architecture"] == "qwen3_moe"
    ffn = 3 * 32 * 48
    assert said["parameters"] == said["dense_parameters"] + 2 * (2 * ffn + 3 * 32)
    for folder in ("moe", "again"):
        found = description(tmp_path / folder)
        assert found["experts"] == ["sino", "koreanic", "bantu"] and found["languages"]["zul"] == 2
        AutoModelForCausalLM.from_pretrained(tmp_path / "moe").save_pretrained(tmp_path / "again")
    assert experts_of(found, ["swa", "kor", "fra"]) == [2, 1, -1]
    with pytest.raises(Fatal, match="no expert for fra, und"):
        experts_of(found, ["swa", "fra", "und"], needed=True)
    assert description(bases("qwen3")) == {"experts": [], "languages": {}}
    assert experts_of(description(bases("qwen3")), ["fra"], needed=True) == [-1]  # a dense model has no experts to lack


@pytest.mark.parametrize(
    ("name", "said"), [("mistral", "not of 16"), ("mistral-window", "beyond 8 tokens"), ("qwen3", ""), ("llama", "")]
)
def test_what_other_engines_cannot_do_is_said(bases, tmp_path, name, said):
    notes = upcycle(bases(name), tmp_path / "moe", FAMILIES)["notes"]
    assert [said in note for note in notes] == ([True] if said else [])


def test_null_parts_stay_null_in_training(bases, tmp_path):
    """The shared expert of zeros gets a gradient of zero: no optimizer can move it."""
    upcycle(bases("llama"), tmp_path / "moe", Upcycling(["a", "b"]))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "moe").train()
    x = tiny.ids()
    model(x, labels=x).loss.backward()
    for name, weight in model.named_parameters():
        if "shared" in name:
            assert not weight.any() and not weight.grad.any(), name


def test_bases_we_cannot_take(bases, tmp_path):
    def refused(folder, match, plan=FAMILIES, error=Fatal):
        with pytest.raises(error, match=match):
            upcycle(folder, tmp_path / "out", plan)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".out-*")), "nothing half-made is left"

    Gemma2Config(num_hidden_layers=2).save_pretrained(tmp_path / "gemma")
    refused(tmp_path / "gemma", "is 'gemma2'; a base must be one of qwen2, qwen3, llama, mistral")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"has no config\.json")
    LlamaConfig(**tiny.SIZES, attention_bias=True).save_pretrained(tmp_path / "biased")
    refused(tmp_path / "biased", "has attention_bias, which qwen2_moe lacks")
    refused(bases("qwen3"), "qwen3_moe has no shared expert", Upcycling(["a", "b"], top_k=1, shared=True))
    refused(bases("qwen3"), "has 3 layers; 4 cannot", Upcycling(["a"], layers=4, top_k=1))
    LlamaConfig(**tiny.SIZES).save_pretrained(tmp_path / "bin")
    refused(tmp_path / "bin", r"has no model\.safetensors", error=Missing)
    (tmp_path / "bin/pytorch_model.bin").write_bytes(b"")
    refused(tmp_path / "bin", "pickled weights", error=Missing)
    (tmp_path / "bin/model.safetensors").write_bytes(b"not safetensors at all")
    refused(tmp_path / "bin", "is damaged or no safetensors file")
    held = load_file(bases("llama") / "model.safetensors")
    save_file(held | {"model.layers.0.mlp.gate_proj.qweight": torch.zeros(1)}, tmp_path / "bin/model.safetensors")
    refused(tmp_path / "bin", "holds tensors that a plain llama does not: model.layers.0.mlp.gate_proj.qweight")
    vocab = {"model": {"vocab": {"a": 0, "b": 96}}, "added_tokens": []}
    save_file(held, tmp_path / "bin/model.safetensors")
    (tmp_path / "bin/tokenizer.json").write_text(json.dumps(vocab))
    refused(tmp_path / "bin", "the tokenizer has ids up to 96, the model words for only 96")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(Fatal, match="exists already"):
        upcycle(bases("qwen3"), tmp_path / "full", FAMILIES)
    (tmp_path / "bin/tokenizer.json").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (tmp_path / "bin" / weights.INDEX).write_text(json.dumps(index))
    refused(tmp_path / "bin", "lacks model-00001-of-00002", error=Missing)


@pytest.mark.parametrize(
    ("plan", "match"),
    [
        ({"experts": ["a", "a"]}, "different names"),
        ({"experts": []}, "different names"),
        ({"experts": ["a"], "top_k": 2}, "top_k is 1 to 1"),
        ({"experts": ["a", "b"], "languages": {"fra": 2}}, r"experts 0\.\.1, but fra -> 2"),
        ({"experts": ["a", "b"], "drop": 1.5}, "drop is 0 to 1"),
        ({"experts": ["a", "b"], "router": "cheap"}, "'zero' or 'hidden', not 'cheap'"),
    ],
)
def test_plans_that_cannot_be(plan, match):
    with pytest.raises(Fatal, match=match):
        Upcycling(**plan)
