"""What limits on `domain` would keep and lose, from text that is known to be medical and text that is not.

Recall by itself says little when one class is ten times the other, so precision is given twice: as the rows stand,
and as if both classes were equally many.
"""

from typing import Any

import numpy as np

from medcorpus.text.ranking import auc, best_recall

_POINTS = np.round(np.arange(0.05, 1.0, 0.05), 2)
FEWEST = 50
"""Rows of a language from which it has figures of its own."""


def report(
    medical: np.ndarray, language: np.ndarray, score: np.ndarray, mmedc: np.ndarray, *, precision: float = 0.95
) -> dict[str, Any]:
    """Curve, best threshold and the MMedC rule beside it, pooled and by language.

    `medical` (bool) is the truth, `mmedc` (bool) what that rule keeps, `score` in [0, 1]; all of n rows. `threshold`
    is the lowest one with the precision asked for, of balanced classes. Raises ValueError when a class is empty.
    """
    if medical.all() or not medical.any():
        raise ValueError("both medical and other text are needed")
    codes, sizes = np.unique(language, return_counts=True)
    return {
        "rows": len(medical),
        "medical": int(medical.sum()),
        "asked_precision": precision,
        "all": _figures(medical, score, mmedc, precision),
        "by_language": {
            str(code): _figures(medical[rows], score[rows], mmedc[rows], precision)
            for code, size in zip(codes, sizes, strict=True)
            if size >= FEWEST and (rows := language == code).any()
        },
        "curve": [{"min_score": float(point), **_kept(medical, score >= point)} for point in _POINTS],
    }


def _figures(medical: np.ndarray, score: np.ndarray, mmedc: np.ndarray, precision: float) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": len(medical), "medical": int(medical.sum())}
    found["at 0.5"] = _kept(medical, score >= 0.5)
    found["mmedc"] = _kept(medical, mmedc)
    if medical.any() and not medical.all():
        found["auc"] = round(auc(medical, score), 4)
        recall, threshold = best_recall(medical, score, precision)
        found["best"] = {"recall": round(recall, 4), "min_score": round(threshold, 4)} if recall else None
    return found


def _kept(medical: np.ndarray, kept: np.ndarray) -> dict[str, float | None]:
    """Precision (None: nothing kept), that of balanced classes, and recall (None: nothing medical)."""
    right, wrong = int((kept & medical).sum()), int((kept & ~medical).sum())
    recall = right / int(medical.sum()) if medical.any() else None
    false = wrong / int((~medical).sum()) if not medical.all() else None
    balanced = recall / (recall + false) if recall is not None and false is not None and recall + false else None
    return {
        "precision": round(right / (right + wrong), 4) if right + wrong else None,
        "balanced_precision": None if balanced is None else round(balanced, 4),
        "recall": None if recall is None else round(recall, 4),
        "false_positive_rate": None if false is None else round(false, 4),
    }
