import numpy as np
import pytest
import torch

from medcorpus.core.errors import Fatal
from medcorpus.training.evaluate import batches, evaluate, laid_out, likelihoods, mask, wilson
from medcorpus.training.moe import routing
from medcorpus.training.plan.items import Item, read_items, write_items
from tests.training.helpers import tiny

LANGUAGES = ["eng", "tha"]


def some_items(count=7, letters=False):
    draw = np.random.default_rng(0)
    made = []
    for number in range(count):
        options = [
            draw.integers(4, 300, 1 if letters else int(draw.integers(1, 6))).tolist() for _ in range(2 + number % 3)
        ]
        prompt = draw.integers(4, 300, int(draw.integers(1, 30))).tolist()
        made.append(Item(f"i{number}", LANGUAGES[number % 2], prompt, options, 0, [1] * len(options)))
    return made


def slow(model, item):
    """Each continuation on its own, as a plain text."""
    sums = []
    for option in item.options:
        logits = model(torch.tensor([item.prompt + option])).logits[0].log_softmax(-1)
        places = range(len(item.prompt) - 1, len(item.prompt) + len(option) - 1)
        sums.append(sum(float(logits[place, token]) for place, token in zip(places, option, strict=True)))
    return sums


@pytest.mark.parametrize("experts", [0, 4])
@pytest.mark.parametrize("letters", [False, True])
def test_shared_prompts_score_as_separate_texts(experts, letters):
    model, items = tiny(experts).eval(), some_items(letters=letters)
    routing.install(model, languages=LANGUAGES)
    found = likelihoods(model, items, {"eng": 0}, LANGUAGES)
    with torch.no_grad():
        for item, sums in zip(items, found, strict=True):
            assert sums == pytest.approx(slow(model, item), abs=1e-4)


def test_a_continuation_sees_its_prompt_and_itself():
    items = [Item("a", "eng", [5, 6], [[7, 8, 9], [10, 11]], 0, [1, 1]), Item("b", "eng", [5], [[1]], 0, [1])]
    ids, positions, parts = laid_out(items)
    assert ids.tolist() == [[5, 6, 7, 8, 10], [5, 0, 0, 0, 0]]
    assert positions[0].tolist() == [0, 1, 2, 3, 2] and parts.tolist() == [[0, 0, 1, 1, 2], [0, -1, -1, -1, -1]]
    seen = mask(parts)[0, 0].int().tolist()
    assert seen == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]


def test_batches_hold_every_item_once_and_are_not_too_large():
    items = some_items(50)
    found = list(batches(items, 100))
    assert sorted(index for some in found for index in some) == list(range(50))
    assert all(len(some) == 1 or len(some) * max(items[i].size for i in some) <= 100 for some in found)


def test_accuracy_by_language_against_choosing_by_hand(tmp_path):
    model, items = tiny(4).eval(), some_items(20)
    write_items(items, tmp_path / "items.jsonl")
    assert read_items(tmp_path / "items.jsonl") == items
    routing.install(model, languages=LANGUAGES)
    found = evaluate(model, items, {"eng": 0, "tha": 2}, batch_tokens=64)
    with torch.no_grad():
        best = [int(np.argmax(slow(model, item))) for item in items]
    assert [choice["chosen"] for choice in found["choices"]] == best
    thai = found["by_language"]["tha"]
    assert thai["n"] == 10 and thai["right"] == sum(b == 0 for b in best[1::2])
    assert found["mean_of_languages"] == pytest.approx(np.mean([r["accuracy"] for r in found["by_language"].values()]))
    assert found["all"]["low"] <= found["all"]["accuracy"] <= found["all"]["high"]
    counts = routing.statistics(model)
    assert counts.tokens.sum() == sum(item.size for item in items), "padding is not counted"


def test_options_of_different_length_are_compared_by_character():
    model = tiny()
    item = Item("i", "eng", [5, 6], [[7], [7, 8, 9]], 1, [1, 300])
    (sums,) = likelihoods(model.eval(), [item], {}, ["eng"])
    assert sums[0] > sums[1], "more tokens are less likely"
    assert evaluate(model, [item])["choices"][0]["chosen"] == 1


def test_wilson():
    # Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for right, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)):  # fmt: skip # noqa: E501
        assert wilson(right, count) == pytest.approx((low, high), abs=6e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_broken_model_has_no_accuracy():
    model = tiny()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(Fatal, match=r"question i0 .*no number"):
        evaluate(model, some_items(1))
