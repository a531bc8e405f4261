"""How well a score parts two classes."""

import numpy as np


def auc(wanted: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: chance that a wanted row scores above another, ties counting half (Mann-Whitney).

    Raises ValueError when a class is empty.
    """
    wanted = np.asarray(wanted, np.bool_)
    many, few = int(wanted.sum()), int((~wanted).sum())
    if not many or not few:
        raise ValueError("both classes are needed")
    _, place, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[place]
    return float((rank[wanted].sum() - many * (many + 1) / 2) / (many * few))


def best_recall(wanted: np.ndarray, score: np.ndarray, precision: float) -> tuple[float, float]:
    """(recall, threshold) of the lowest threshold that still has that precision; (0, inf) when none has."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(np.asarray(wanted, np.int64)[order])
    ranked = score[order]
    ends = np.append(ranked[1:] != ranked[:-1], True)  # a threshold takes all rows of one score or none
    good = np.flatnonzero(ends & (hits / np.arange(1, len(hits) + 1) >= precision))
    if not len(good):
        return 0.0, float("inf")
    return float(hits[good[-1]] / max(hits[-1], 1)), float(ranked[good[-1]])
