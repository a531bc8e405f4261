"""Packed documents give what each gives alone: logits, loss, gradients; both ways of attention, with windows too."""

import pytest
import torch
from torch.nn import functional
from transformers import Qwen2MoeConfig

from medcorpus.training import attention, loss
from tests.training import tiny

LENGTHS = [[5, 1, 7], [13], [3, 4]]  # the last row has padding


def packed(lengths=LENGTHS, size=14):
    x = torch.zeros(len(lengths), size, dtype=torch.long)
    positions, segments, documents = x.clone(), x.clone(), []
    for row, sizes in enumerate(lengths):
        at = 0
        for number, n in enumerate(sizes, 1):
            document = tiny.ids(1, n, seed=10 * row + number)
            x[row, at : at + n], positions[row, at : at + n], segments[row, at : at + n] = (
                document,
                torch.arange(n),
                number,
            )
            documents.append((row, at, document))
            at += n
        positions[row, at:] = torch.arange(size - at)
    return x, positions, segments, documents


def windowed_moe():
    more = {
        "use_sliding_window": True,
        "sliding_window": 4,
        "layer_types": ["sliding_attention"] * 3,
        "mlp_only_layers": [0],
    }
    return Qwen2MoeConfig(
        **tiny.SIZES,
        **more,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=48,
        shared_expert_intermediate_size=8,
    )


MODELS = {name: lambda make=make: tiny.model(make()) for name, make in tiny.DENSE.items()}
MODELS |= {"qwen3-moe": lambda: tiny.moe("qwen3"), "qwen2-moe": lambda: tiny.moe("qwen2")}
MODELS |= {"mistral-short-window": lambda: tiny.model(tiny.DENSE["mistral"](sliding_window=4))}
MODELS |= {"qwen2-moe-window": lambda: tiny.model(windowed_moe())}
MODELS |= {
    "qwen2-mixed": lambda: tiny.model(
        tiny.DENSE["qwen2"](use_sliding_window=True, sliding_window=3, max_window_layers=1)
    )
}


@pytest.mark.parametrize("kind", ["block", "varlen"])
@pytest.mark.parametrize("name", MODELS)
def test_packed_is_unpacked(name, kind):
    model = MODELS[name]()
    x, positions, segments, documents = packed()
    alone = [model(document).logits[0] for _, _, document in documents]
    assert attention.install(model, kind) == kind
    together = model(x, use_cache=False, **attention.arguments(model, positions, segments)).logits
    assert together.isfinite().all()
    for (row, at, document), expected in zip(documents, alone, strict=True):
        found = together[row, at : at + document.shape[1]]
        assert torch.allclose(found, expected, atol=2e-5 * expected.abs().max().item()), (row, at)


@pytest.mark.parametrize("kind", ["block", "varlen"])
def test_loss_and_gradients_are_those_of_the_documents_alone(kind):
    x, positions, segments, documents = packed()
    targets = loss.targets(x, torch.ones_like(x), segments)
    assert (targets != loss.IGNORE).sum() == sum(n - 1 for row in LENGTHS for n in row)
    model = tiny.moe()
    total = sum(
        functional.cross_entropy(model(document).logits[0, :-1], document[0, 1:], reduction="sum")
        for _, _, document in documents
        if document.shape[1] > 1
    )
    total.backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    attention.install(model, kind)
    found = loss.Objective(model)(x, targets, None, positions, segments)
    found.total.backward()
    assert found.total.item() == pytest.approx(total.item(), rel=1e-5)
    for name, weight in model.named_parameters():
        assert torch.allclose(weight.grad, expected[name], rtol=1e-3, atol=1e-4), name


def test_the_mask_by_hand():
    mask = attention.block_mask(torch.tensor([[1, 1, 2, 2, 0]]))[0, 0]
    seen = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    assert mask.int().tolist() == seen
    assert attention.document_ends(torch.tensor([[1, 1, 2], [1, 0, 0]])).tolist() == [0, 2, 3, 4, 6]


def test_without_our_mask_documents_do_see_each_other():
    """The check above can fail: an all-ones mask, as most collators make, leaks."""
    model = tiny.moe()
    x, positions, _, documents = packed()
    row, at, document = documents[2]
    leaking = model(x, attention_mask=torch.ones_like(x), position_ids=positions, use_cache=False).logits
    alone = model(document).logits[0]
    assert not torch.allclose(leaking[row, at : at + document.shape[1]], alone, atol=1e-3)


def test_bad_input_says_what():
    model = tiny.moe()
    with pytest.raises(ValueError, match="auto, block or varlen, not 'flash'"):
        attention.install(model, "flash")
    assert attention.install(model) == "block"  # no GPU here
    attention.install(model, "varlen")
    with pytest.raises(ValueError, match=r"attention\.arguments"):
        model(tiny.ids())


def test_where_the_kernel_cannot_run_it_says_why():
    """Asked for a GPU while the model is still on the CPU: the answer is about the GPU."""
    model = tiny.moe().bfloat16()
    with pytest.raises(ValueError, match="'varlen' cannot run here: it needs a CUDA device"):
        attention.install(model, "varlen", "meta")
    assert attention.install(model, "auto", "meta") == "block" == attention.install(model, "auto", "cpu")
