"""How well texts were labelled: F1, the worst confusions, by length, by script. Labels are `<language>_<Script>`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

LENGTHS = (0, 10, 20, 40, 80, 160, 320, 1 << 62)
"""Bounds of the buckets of length, in characters: a text of 10 is in the first, one of 11 in the second."""

_WORST = 30

Pairs = Sequence[tuple[str, str]]
"""(truth, said) of each text."""


def figures(pairs: Pairs) -> dict[str, Any]:
    """Lines, F1 by label, their unweighted mean, accuracy, and the 30 commonest (truth, said, lines) that differ.

    Only labels that are some text's truth have an F1; what is said wrongly counts against what was said. Raises
    ValueError when there is no text.
    """
    if not pairs:
        raise ValueError("no text to score")
    counts = Counter(pairs)
    true, named = Counter(truth for truth, _ in pairs), Counter(said for _, said in pairs)
    f1 = {label: round(2 * counts[label, label] / (true[label] + named[label]), 4) for label in sorted(true)}
    wrong = sorted((-n, *pair) for pair, n in counts.items() if pair[0] != pair[1])
    return {
        "lines": len(pairs),
        "macro_f1": round(sum(f1.values()) / len(f1), 4),
        "accuracy": round(sum(truth == said for truth, said in pairs) / len(pairs), 4),
        "f1": f1,
        "confusions": [[truth, other, -n] for n, truth, other in wrong[:_WORST]],
    }


def by_length(texts: Sequence[str], pairs: Pairs) -> list[dict[str, Any]]:
    """Lines, labels, macro-F1 and accuracy of the texts of each bucket of `LENGTHS` that has any, short ones first."""
    found = []
    for low, high in pairwise(LENGTHS):
        here = [pair for text, pair in zip(texts, pairs, strict=True) if low < max(len(text), 1) <= high]
        if here:
            name = f"{low + 1}-{high}" if high < LENGTHS[-1] else f"over {low}"
            found.append({"characters": name, **_short(here)})
    return found


def by_script(pairs: Pairs) -> dict[str, dict[str, Any]]:
    """The same for the texts of each script, most lines first; what is said in another script is wrong as well."""
    parts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair in pairs:
        parts[pair[0].rpartition("_")[2]].append(pair)
    return {script: _short(here) for script, here in sorted(parts.items(), key=lambda part: (-len(part[1]), part[0]))}


def _short(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    whole = figures(list(pairs))
    return {
        "lines": whole["lines"], "labels": len(whole["f1"]), "macro_f1": whole["macro_f1"],
        "accuracy": whole["accuracy"],
    }  # fmt: skip
