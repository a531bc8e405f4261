"""Scores against counts by hand."""

import random

import pytest

from medcorpus.text.lid.scoring import by_length, by_script, figures

PAIRS = [
    ("eng_Latn", "eng_Latn"),
    ("eng_Latn", "eng_Latn"),
    ("eng_Latn", "deu_Latn"),
    ("deu_Latn", "deu_Latn"),
    ("rus_Cyrl", "ukr_Cyrl"),
]


def test_figures():
    found = figures(PAIRS)
    assert found["f1"] == {"deu_Latn": 0.6667, "eng_Latn": 0.8, "rus_Cyrl": 0.0}  # what is only said has none
    assert found["macro_f1"] == pytest.approx((0.6667 + 0.8 + 0) / 3, abs=1e-4)
    assert (found["lines"], found["accuracy"]) == (5, 0.6)
    assert found["confusions"] == [["eng_Latn", "deu_Latn", 1], ["rus_Cyrl", "ukr_Cyrl", 1]]


def test_figures_against_the_definition():
    chance = random.Random(5)
    pairs = [tuple(chance.choices("abcd", [5, 3, 1, 1], k=2)) for _ in range(500)]
    for label, f1 in figures(pairs)["f1"].items():
        hits = sum(truth == said == label for truth, said in pairs)
        precision = hits / max(1, sum(said == label for _, said in pairs))
        recall = hits / sum(truth == label for truth, _ in pairs)
        assert f1 == pytest.approx(2 * precision * recall / max(1e-9, precision + recall), abs=1e-4)


def test_the_worst_come_first_and_are_thirty():
    pairs = [(f"a{n}", "b") for n in range(40) for _ in range(n + 1)]
    assert figures(pairs)["confusions"][:2] == [["a39", "b", 40], ["a38", "b", 39]]
    assert len(figures(pairs)["confusions"]) == 30


def test_nothing_is_no_figure():
    with pytest.raises(ValueError, match="no text"):
        figures([])
    assert by_length([], []) == []
    assert by_script([]) == {}


def test_by_length():
    texts = ["", "x" * 10, "x" * 11, "ไข้" * 7, "x" * 5000]
    found = by_length(texts, PAIRS)
    assert [(part["characters"], part["lines"]) for part in found] == [
        ("1-10", 2),
        ("11-20", 1),
        ("21-40", 1),
        ("over 320", 1),
    ]
    assert [part["accuracy"] for part in found] == [1.0, 0.0, 1.0, 0.0]


def test_by_script():
    found = by_script(PAIRS)
    assert list(found) == ["Latn", "Cyrl"]
    assert found["Latn"] == {"lines": 4, "labels": 2, "macro_f1": 0.7333, "accuracy": 0.75}
    assert found["Cyrl"] == {"lines": 1, "labels": 1, "macro_f1": 0.0, "accuracy": 0.0}
