"""Tables and pictures of routing, from counters with known answers and from a real pass."""

import math
import sys

import numpy as np
import pytest
import torch

from medcorpus.core.errors import Missing
from medcorpus.training.moe import analysis, routing
from tests.training import tiny

EXPERTS = ["sino", "bantu", "turkic"]


def counted(top1, used, own=None, forced=None, known=None):
    """Counters of one layer with the given [G, E]."""
    top1, used = np.array([top1]), np.array([used])
    tokens = top1.sum(-1)
    per = [np.array([x]) if x is not None else np.zeros_like(tokens) for x in (own, forced, known)]
    return routing.Counts([5], [f"l{g}" for g in range(top1.shape[1])], top1, used, *per, tokens, tokens * 0.5)


def test_the_table_by_hand():
    counts = counted([[6, 4, 0], [0, 0, 0]], [[10, 8, 2], [0, 0, 0]], own=[6, 0], forced=[2, 0], known=[10, 0])
    same = {"layer": 5, "language": "l0", "tokens": 10, "own": 0.6, "forced": 0.2, "entropy": 0.5}
    assert analysis.table(counts, EXPERTS) == [
        same | {"expert": "sino", "free": 0.6, "used": 0.5},
        same | {"expert": "bantu", "free": 0.4, "used": 0.4},
        same | {"expert": "turkic", "free": 0.0, "used": 0.1},
    ]


def test_spread_is_one_when_experts_tell_languages_apart_and_zero_when_not():
    assert analysis.spread(np.array([[10, 0], [0, 10]])) == pytest.approx(1.0)
    assert analysis.spread(np.array([[5, 5], [10, 10]])) == pytest.approx(0.0)
    assert analysis.spread(np.array([[8, 2]])) == 0.0 and analysis.spread(np.zeros((2, 2))) == 0.0
    p = np.array([[3, 1], [1, 3]]) / 8  # by the definition: H(L) - H(L | E) over H(L)
    expected = (math.log(2) - (-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))) / math.log(2)
    assert analysis.spread(p * 8) == pytest.approx(expected)


def test_the_summary_names_idle_experts():
    found = analysis.summary(counted([[6, 4, 0]], [[10, 10, 0]], own=[6], forced=[1], known=[10]))
    assert found == {"tokens": 10, "own": 0.6, "forced": 0.1, "entropy": 0.5, "spread": {5: 0.0}, "idle": [[5, 2]]}
    none = analysis.summary(counted([[0, 0]], [[0, 0]]))
    assert none["own"] is None and none["entropy"] is None


def test_a_real_pass_adds_up_and_draws(tmp_path):
    model = tiny.moe(top_k=2).train()
    routing.install(model, languages=["hau", "tha", "zho", "never"])
    x = tiny.ids(3, 20)
    language = torch.tensor([[0], [1], [2]]).expand(-1, 20)
    with routing.experts(model, torch.tensor([1, 3, -1])[language], language):
        model(x)
    counts = routing.statistics(model)
    rows = analysis.table(counts, ["a", "b", "c", "d"])
    assert {row["language"] for row in rows} == {"hau", "tha", "zho"} and {row["layer"] for row in rows} == {1, 2}
    for layer in (1, 2):
        for name in ("hau", "tha", "zho"):
            mine = [row for row in rows if (row["layer"], row["language"]) == (layer, name)]
            assert sum(row["free"] for row in mine) == pytest.approx(1, abs=1e-3)
            assert sum(row["used"] for row in mine) == pytest.approx(1, abs=1e-3)
            assert (mine[0]["own"] is None) == (name == "zho")
    for name in ("map.png", "map.svg"):
        analysis.heat_map(counts, ["a", "b", "c", "d"], tmp_path / name, title="languages and experts")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    drawing = (tmp_path / "map.svg").read_text()
    assert drawing.count("<image") >= 4, "two pictures for each of two layers"


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(Missing, match=r"pip install 'medcorpus\[report\]'"):
        analysis.heat_map(counted([[1, 1]], [[1, 1]]), ["a", "b"], tmp_path / "x.png")
