"""A checkpoint as Apollo-MoE published them computes the same when imported; their model is restated as the oracle."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Qwen2MoeForCausalLM

from benchmarks.plain_loop import PlainLoop
from medcorpus.core.errors import Fatal, Missing
from medcorpus.training import weights
from medcorpus.training.moe import routing
from medcorpus.training.moe.published import KIND, import_published
from medcorpus.training.moe.upcycle import description
from tests.training import tiny


def published(folder, tied=False, shared=False, experts=4, normalise=False):
    """Write what their trainer saved; returns the model it was: a Qwen2 whose last two layers loop over experts."""
    model = tiny.model(
        tiny.DENSE["qwen2"](tie_word_embeddings=tied, rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    )
    torch.manual_seed(1)
    for layer in model.model.layers[1:]:
        layer.mlp = PlainLoop(32, 48, experts, 2, normalise, shared)
        for weight in layer.mlp.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    own = {
        "model_type": KIND, "auto_map": {"AutoConfig": "theirs.Config"},
        "num_experts": experts, "num_experts_per_tok": 2, "norm_topk_prob": normalise, "decoder_sparse_step": 1,
        "moe_intermediate_size": 48, "shared_expert_intermediate_size": 48, "share_flag": shared, "language_gate": True,
        "attn_init_change": False, "mlp_only_layers": [], "router_aux_loss_coef": 0.0, "output_router_logits": False,
    }  # fmt: skip
    plain = {key: tiny.SIZES[key] for key in tiny.SIZES} | {
        "rope_theta": 1e6, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": tied,
        "use_sliding_window": False, "sliding_window": 32, "max_window_layers": 3, "torch_dtype": "float32",
        "transformers_version": "4.41.0", "attention_dropout": 0.0,
    }  # fmt: skip
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(plain | own))
    (folder / "modeling_upcycling_qwen2_moe.py").write_text("raise SystemExit('code of a checkpoint was run')")
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if tied:
        del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return model.eval()


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_it_computes_the_same_without_their_code(tmp_path, tied, shared, normalise):
    theirs = published(tmp_path / "theirs", tied, shared, normalise=normalise)
    said = import_published(tmp_path / "theirs", tmp_path / "stock")
    assert said["moe_layers"] == [1, 2] and said["experts"] == 4 and said["top_k"] == 2
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "stock", output_loading_info=True)
    assert type(model) is Qwen2MoeForCausalLM and not any(info.values())
    assert (
        not list((tmp_path / "stock").glob("*.py")) and "auto_map" not in (tmp_path / "stock/config.json").read_text()
    )
    x = tiny.ids(3, 20)
    expected = theirs(x).logits
    assert (model.eval()(x).logits - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_trained_on_it_routes_as_theirs_did(tmp_path):
    """The language's slot in training: our router on the imported model against their loop."""
    theirs = published(tmp_path / "theirs").train()
    import_published(tmp_path / "theirs", tmp_path / "stock")
    model = weights.load(tmp_path / "stock").train()
    routing.install(model)
    x = tiny.ids(3, 20)
    own = torch.arange(60).reshape(3, 20) % 4
    for layer in theirs.model.layers[1:]:
        layer.mlp.register_forward_pre_hook(lambda _, args: (*args, own))
    expected = theirs(x).logits
    with routing.experts(model, own):
        assert (model(x).logits - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_names_and_languages_are_kept(tmp_path):
    published(tmp_path / "theirs")
    names = ["Sino-Tibetan", "Altaic", "Australasian", "Austronesian"]
    import_published(tmp_path / "theirs", tmp_path / "stock", names, {"zho": 0, "kor": 1})
    found = description(tmp_path / "stock")
    assert found["experts"] == names and found["languages"] == {"zho": 0, "kor": 1}
    assert found["normalise"] is False and found["source"] == KIND


def test_what_is_none_of_theirs_is_refused(tmp_path):
    published(tmp_path / "theirs")
    with pytest.raises(Fatal, match="has 4 experts, the names are 2"):
        import_published(tmp_path / "theirs", tmp_path / "out", ["a", "b"])
    with pytest.raises(Missing, match=r"no config\.json"):
        import_published(tmp_path, tmp_path / "out")
    tiny.model(tiny.DENSE["qwen2"]()).save_pretrained(tmp_path / "dense")
    with pytest.raises(Fatal, match="is 'qwen2', not a published Apollo-MoE"):
        import_published(tmp_path / "dense", tmp_path / "out")
    held = dict(weights.Checkpoint(tmp_path / "theirs").tensors())
    lost = {name: tensor for name, tensor in held.items() if ".2.mlp.experts.3." not in name}
    save_file(lost, tmp_path / "theirs/model.safetensors")
    with pytest.raises(Fatal, match="not the same ones in every layer"):
        import_published(tmp_path / "theirs", tmp_path / "out")
    assert not (tmp_path / "out").exists()
