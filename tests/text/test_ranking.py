"""Areas under curves against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.text.ranking import auc, best_recall

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30)


@given(rows)
def test_auc_is_the_chance_to_rank_right(rows):
    wanted, score = np.array([w for w, _ in rows]), np.array([s for _, s in rows], float)
    if wanted.all() or not wanted.any():
        with pytest.raises(ValueError, match="both classes"):
            auc(wanted, score)
        return
    pairs = [(a > b) + (a == b) / 2 for w, a in rows if w for v, b in rows if not v]
    assert auc(wanted, score) == pytest.approx(sum(pairs) / len(pairs))


@given(rows, st.sampled_from([0.3, 0.5, 0.9, 1.0]))
def test_best_recall_tries_every_threshold(rows, precision):
    wanted, score = np.array([w for w, _ in rows]), np.array([s for _, s in rows], float)
    best = 0.0
    for threshold in set(score.tolist()):
        kept = score >= threshold
        if wanted[kept].mean() >= precision:
            best = max(best, wanted[kept].sum() / max(wanted.sum(), 1))
    recall, threshold = best_recall(wanted, score, precision)
    assert recall == pytest.approx(best)
    if np.isfinite(threshold):
        assert wanted[score >= threshold].mean() >= precision
