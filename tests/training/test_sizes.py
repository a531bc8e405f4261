"""What is computed beforehand against what torch counts: operations, saved tensors, parameters."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3Config, Qwen3MoeConfig

from medcorpus.core.errors import Fatal
from medcorpus.training import precision, sizes
from tests.training import tiny

MODELS = {name: lambda make=make: tiny.model(make()) for name, make in tiny.DENSE.items() if "window" not in name}
MODELS |= {
    "moe": lambda: tiny.moe("qwen3"),
    "moe-shared": lambda: tiny.moe("qwen2"),
    "moe-1": lambda: tiny.moe(top_k=1),
}
QWEN2 = {
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
             "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": True},
    "7B": {"hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28, "num_attention_heads": 28,
           "num_key_value_heads": 4, "vocab_size": 152_064, "tie_word_embeddings": False},
}  # fmt: skip


CASES = [(name, what) for name in MODELS for what in ("full", "last", "moe") if what != "moe" or "moe" in name]


@pytest.mark.parametrize(("name", "what"), CASES)
def test_operations_are_what_torch_counts(name, what):
    model = precision.trainable(MODELS[name](), what, layers=1)
    model.set_attn_implementation("eager")  # the counter sees matrices
    if "moe" in name:
        model.set_experts_implementation("eager")
    with FlopCounterMode(display=False) as forward:
        total = model(tiny.ids(2, 16)).logits.sum()
    with FlopCounterMode(display=False) as backward:
        total.backward()
    found = sizes.flops_per_token(model, context=16)  # eager attention computes the masked half too
    counted = forward.get_total_flops() / 32, (forward.get_total_flops() + backward.get_total_flops()) / 32
    angles = model.model.layers[0].self_attn.head_dim  # older transformers get them by a product of matrices
    assert found == pytest.approx(counted, rel=1e-9, abs=angles)


def test_full_training_is_three_times_forward_and_scoring_less_costs_less():
    model = tiny.moe()
    found = sizes.flops_per_token(model, context=8.5)
    assert found.training == pytest.approx(3 * found.forward)
    half = sizes.flops_per_token(model, context=8.5, scored=0.5)
    assert found.forward - half.forward == pytest.approx(32 * 96)


def test_adapters_cost_no_gradient_of_what_they_adapt():
    model = precision.trainable(tiny.model(tiny.DENSE["llama"]()), "lora", rank=4)
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as forward:
        total = model(input_ids=tiny.ids(2, 16)).logits.sum()
    with FlopCounterMode(display=False) as backward:
        total.backward()
    found = sizes.flops_per_token(model, context=16)
    assert found.forward == pytest.approx(forward.get_total_flops() / 32, rel=1e-2)
    assert found.training == pytest.approx((forward.get_total_flops() + backward.get_total_flops()) / 32, rel=2e-2)
    assert sizes.memory(model, 32)["gradients"] == 2 * sum(w.numel() for w in model.parameters() if w.requires_grad)


@pytest.mark.parametrize("experts", [0, 7])
@pytest.mark.parametrize("name", QWEN2)
def test_published_sizes(name, experts):
    """Parameters of Qwen2 0.5B and 7B and of their Post-MoE with 7 experts in the last 2 layers, worked by hand."""
    dense = QWEN2[name] | {"model_type": "qwen2", "layer_types": None}
    if experts:
        layers = dense["num_hidden_layers"]
        dense |= {
            "model_type": "qwen2_moe", "num_experts": experts, "num_experts_per_tok": 2, "norm_topk_prob": True,
            "moe_intermediate_size": dense["intermediate_size"], "shared_expert_intermediate_size": 64,
            "mlp_only_layers": list(range(layers - 2)),
        }  # fmt: skip
    model = sizes.empty({key: value for key, value in dense.items() if value is not None})
    assert next(model.parameters()).device.type == "meta"
    found = sizes.parameters(model)
    total, active = {
        ("0.5B", 0): (0.494e9, 0.494e9), ("0.5B", 7): (0.651e9, 0.520e9),
        ("7B", 0): (7.616e9, 7.616e9), ("7B", 7): (10.060e9, 8.023e9),
    }[name, experts]  # fmt: skip
    assert found["total"] == pytest.approx(total, rel=2e-3) and found["active"] == pytest.approx(active, rel=2e-3)
    assert sum(found[part] for part in sizes.PARTS) == found["total"] == sum(w.numel() for w in model.parameters())
    forward = {"0.5B": (1.164e9, 1.216e9), "7B": (14.96e9, 15.78e9)}[name][experts > 0]
    assert sizes.flops_per_token(model, context=2048.5).forward == pytest.approx(forward, rel=5e-3)


def test_memory_of_the_7b_does_not_fit_one_h200_unless_the_trunk_is_frozen():
    config = QWEN2["7B"] | {
        "model_type": "qwen2_moe", "num_experts": 7, "num_experts_per_tok": 2, "moe_intermediate_size": 18_944,
        "shared_expert_intermediate_size": 64, "mlp_only_layers": list(range(26)),
    }  # fmt: skip
    free = 139 * 2**30
    model = precision.trainable(sizes.empty(config), "full")
    full = sizes.memory(model, tokens=4096)
    assert sum(full[n] for n in ("weights", "gradients", "optimizer")) == pytest.approx(149.9 * 2**30, rel=5e-3)
    with pytest.raises(Fatal, match=r"needs about 1\d\d\.\d GiB, the GPU has 139\.0 free \(optimizer 112\.\d.*LoRA"):
        sizes.check_memory(full, free, "the GPU")
    last = sizes.memory(precision.trainable(model, "last", layers=2), tokens=4096)
    assert sum(last[n] for n in ("weights", "gradients", "optimizer")) == pytest.approx(58 * 2**30, rel=0.05)
    sizes.check_memory(last, free, "the GPU")


SAVING = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4,
          "num_key_value_heads": 2, "vocab_size": 96}  # fmt: skip


@pytest.mark.parametrize("what", ["full", "last"])
@pytest.mark.parametrize("every", [0, 1, 2])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "moe"])
def test_activations_are_about_what_autograd_keeps(kind, every, what):
    made = {
        "qwen2": lambda: Qwen2Config(**SAVING),
        "qwen3": lambda: Qwen3Config(**SAVING, head_dim=32),
        "moe": lambda: Qwen3MoeConfig(
            **SAVING, head_dim=32, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=512, mlp_only_layers=[0]
        ),
    }[kind]()
    model = precision.trainable(AutoModelForCausalLM.from_config(made).bfloat16().train(), what, layers=2)
    precision.checkpointing(model, every)
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept, alive = {}, []

    def pack(tensor):
        alive.append(tensor)
        storage = tensor.untyped_storage()
        if tensor.is_floating_point() and storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.get_decoder()(input_ids=tiny.ids(4, 256), use_cache=False)
    found = sizes.memory(model, tokens=1024, every=every)["activations"]
    if every == 0:
        assert sum(kept.values()) == pytest.approx(found, rel=0.33)
    else:  # while one layer is computed again, its activations are there too
        assert sum(kept.values()) < found < sizes.memory(model, tokens=1024)["activations"] * 1.1


def test_rates_and_devices():
    assert sizes.peak("NVIDIA H200") == sizes.peak("NVIDIA H100 80GB HBM3") == 989e12
    assert sizes.peak("NVIDIA H100 PCIe") == 756e12 and sizes.peak("NVIDIA A100-SXM4-80GB") == 312e12
    assert sizes.peak("Some CPU") is None
    assert sizes.mfu(100_000, 3.65e9, 989e12) == pytest.approx(0.369, rel=1e-3)
    assert sizes.seconds(1_000_000, 3.65e9, 989e12, 0.369) == pytest.approx(10.0, rel=1e-2)
    assert 2**28 < sizes.available() < 2**50
