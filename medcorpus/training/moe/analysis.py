"""Who works for whom: the routers' counters as a table, a heat map and a few numbers.

The paper's finding to look for is "Spread Out in the End": in the last layers, languages part ways and go to different
experts. Free choice and force are kept apart: `free` is the share of tokens whose best expert this is, `used` the
share of working slots, in which the forced ones are; `forced` the share of tokens whose expert would not have worked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medcorpus.core.errors import Missing
from medcorpus.training.moe.routing import Counts


def shares(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays [L, G, E], free and used: each language's row adds up to 1; NaN where it has no tokens."""
    tokens = np.where(counts.tokens > 0, counts.tokens, np.nan)[..., None]
    slots = counts.used.sum(axis=-1, keepdims=True)
    return counts.top1 / tokens, counts.used / np.where(slots > 0, slots, np.nan)


def table(counts: Counts, experts: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each layer, language and expert that was chosen or used; languages without tokens are left out.

    Keys: layer, language, expert, tokens (of the language), free, used (shares), own (share of tokens whose free
    choice is the language's expert, None without one), forced (share), entropy (mean, in nats; log E is even).
    """
    free, used = shares(counts)
    own = counts.own_share()
    rows = []
    for place, layer in enumerate(counts.layers):
        for group, language in enumerate(counts.languages):
            tokens = int(counts.tokens[place, group])
            for number, expert in enumerate(experts):
                if tokens and (counts.top1[place, group, number] or counts.used[place, group, number]):
                    rows.append(
                        {
                            "layer": layer,
                            "language": language,
                            "expert": expert,
                            "tokens": tokens,
                            "free": round(float(free[place, group, number]), 4),
                            "used": round(float(used[place, group, number]), 4),
                            "own": None if np.isnan(own[place, group]) else round(float(own[place, group]), 4),
                            "forced": round(float(counts.forced[place, group]) / tokens, 4),
                            "entropy": round(float(counts.entropy[place, group]) / tokens, 4),
                        }
                    )
    return rows


def summary(counts: Counts) -> dict[str, Any]:
    """Over all layers and languages: own (share of tokens with an expert that freely choose it first), forced, entropy.

    Also `spread` by layer: how much of the language is in the choice of expert, as mutual information of language and
    free choice divided by the entropy of languages (0: all go the same way, 1: the expert tells the language), and
    `idle`: experts [layer, expert] that no token used.
    """
    known, tokens = counts.known.sum(), counts.tokens.sum()
    return {
        "tokens": int(tokens) // max(1, len(counts.layers)),
        "own": float(counts.own.sum() / known) if known else None,
        "forced": float(counts.forced.sum() / known) if known else None,
        "entropy": float(counts.entropy.sum() / tokens) if tokens else None,
        "spread": {layer: spread(counts.top1[place]) for place, layer in enumerate(counts.layers)},
        "idle": [[counts.layers[place], int(e)] for place, e in np.argwhere(counts.used.sum(axis=1) == 0)],
    }


def spread(chosen: np.ndarray) -> float:
    """Normalised mutual information of language and expert for counts [G, E]; 0 with fewer than two languages."""
    joint = chosen / max(chosen.sum(), 1)
    language, expert = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    entropy = -np.sum(language[language > 0] * np.log(language[language > 0]))
    if entropy <= 0:
        return 0.0
    there = joint > 0
    return float(np.sum(joint[there] * np.log(joint[there] / (language * expert)[there])) / entropy)


def heat_map(counts: Counts, experts: Sequence[str], out: Path, title: str = "") -> None:
    """Draw free choice and use, languages down and experts across, a column of pictures for each layer (PNG, SVG, PDF).

    Raises Missing without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Missing("the heat map needs matplotlib: pip install 'medcorpus[report]'") from error
    present = [group for group, _ in enumerate(counts.languages) if counts.tokens[:, group].any()]
    names = [counts.languages[group] for group in present]
    columns, rows = len(counts.layers), max(1, len(present))
    wide = 1.2 + columns * max(2.2, 0.45 * len(experts))
    figure = Figure(figsize=(wide, 2.2 + 2 * max(1.2, 0.26 * rows)), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False, sharex=True, sharey=True)
    for line, (label, share) in enumerate(zip(("free first choice", "slots used"), shares(counts), strict=True)):
        for place, layer in enumerate(counts.layers):
            picture = axes[line, place]
            drawn = picture.imshow(share[place][present], vmin=0, vmax=1, cmap="viridis", aspect="auto")
            picture.set_title(f"layer {layer}: {label}", fontsize=9)
            picture.set_xticks(range(len(experts)), list(experts), rotation=60, ha="right", fontsize=8)
            picture.set_yticks(range(len(names)), names, fontsize=8)
    figure.colorbar(drawn, ax=axes, shrink=0.8, label="share of the language's tokens")
    figure.suptitle(title)
    figure.savefig(out, dpi=120, metadata={"Date": None} if out.suffix == ".svg" else None)
