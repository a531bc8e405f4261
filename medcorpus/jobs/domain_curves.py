"""The curves of `calibrate domain` as a picture: ROC, and precision against recall, side by side.

MMedC's rule keeps or drops, so it is a point in both. Precision is that of equally many rows of both classes: then
the picture does not change with how much other text was given.
"""

from pathlib import Path
from typing import Any

import numpy as np

from medcorpus.core.errors import Missing
from medcorpus.text.ranking import auc

_WEAKEST = 6  # languages drawn besides all text: those of the smallest area, which one has to look at
_LIMIT = 0.5  # the default limit of `domain`


def points(wanted: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(false positive rate, recall) from none kept to all kept, one point for each different score.

    Raises ValueError when a class is empty.
    """
    if wanted.all() or not wanted.any():
        raise ValueError("both classes are needed")
    order = np.argsort(-score, kind="stable")
    ranked, truth = score[order], wanted[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # rows of one score are kept together
    wrong, right = np.cumsum(~truth)[ends] / (~truth).sum(), np.cumsum(truth)[ends] / truth.sum()
    return np.append(0.0, wrong), np.append(0.0, right)


def precision(wrong: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Precision of equally many rows of both classes, from false positive rate and recall; 1 where none is kept."""
    kept = wrong + right
    return np.where(kept > 0, right / np.where(kept > 0, kept, 1), 1.0)


def draw(
    out: Path, medical: np.ndarray, score: np.ndarray, mmedc: np.ndarray, language: np.ndarray, limited: np.ndarray,
    areas: dict[str, float],
) -> None:  # fmt: skip
    """Write the picture to `out` (PNG, SVG, PDF). Raises Missing without matplotlib.

    `medical` is the truth, `mmedc` what that rule keeps of the rows `limited` whose language it has limits for, all
    bool[n]; `areas` names the languages to choose from, with the area under their ROC curve.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Missing("the picture of the curves needs matplotlib: pip install 'medcorpus[report]'") from error
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    roc, both = figure.subplots(1, 2)

    def line(rows: np.ndarray, label: str, **style: Any) -> None:
        wrong, right = points(medical[rows], score[rows])
        roc.plot(wrong, right, label=label, **style)
        both.plot(right, precision(wrong, right), **style)

    def mark(rows: np.ndarray, kept: np.ndarray, label: str, **style: Any) -> None:
        right, wrong = kept[rows & medical].mean(), kept[rows & ~medical].mean()
        roc.scatter(wrong, right, label=label, zorder=3, **style)
        both.scatter(right, precision(wrong, right), zorder=3, **style)

    for number, code in enumerate(sorted(areas, key=areas.__getitem__)[:_WEAKEST]):
        line(language == code, f"{code}  {areas[code]:.3f}", color=f"C{number}", linewidth=0.9, alpha=0.8)
    everything = np.ones(len(medical), np.bool_)
    line(everything, f"all text  {auc(medical, score):.3f}", color="black", linewidth=2.2)
    mark(everything, score >= _LIMIT, f"score of {_LIMIT} or more, all text", color="black", s=45)
    if medical[limited].any() and not medical[limited].all():
        codes = " ".join(sorted(set(language[limited].tolist())))
        mark(limited, mmedc, f"MMedC's rule ({codes})", color="crimson", marker="X", s=70)
    roc.axline((0, 0), slope=1, color="0.8", linewidth=0.8, zorder=0)
    roc.set(title="ROC", xlabel="other text that is kept", ylabel="medical text that is kept (recall)")
    roc.legend(loc="lower right", fontsize=8, title="area under the curve; weakest languages", title_fontsize=8)
    both.set(title="precision and recall", xlabel="medical text that is kept (recall)")
    both.set_ylabel("precision, both classes equally many")
    for axes, lowest in ((roc, 0.0), (both, 0.5)):
        axes.set(xlim=(-0.02, 1.02), ylim=(lowest - 0.02, 1.02))
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
    texts, others = int(medical.sum()), int((~medical).sum())
    figure.suptitle(f"domain: {texts:,} medical texts, {others:,} others, {len(set(language.tolist()))} languages")
    figure.savefig(out, dpi=120, metadata={"Date": None} if out.suffix == ".svg" else None)
