"""How the figures of `quality` are spread over text that is known to be good, language by language.

A limit that is right for English cuts off Finnish words and Thai lines; a limit between the quantiles of good text in
the same language does not. The report holds the quantiles; which of them becomes a limit is for people to say.
"""

from typing import Any

import numpy as np

FEWEST = 50
"""Rows of a language from which quantiles are given."""

QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)


def report(language: np.ndarray, figures: dict[str, np.ndarray]) -> dict[str, Any]:
    """Quantiles of each of `figures` (n numbers, NaN for none) by `language` (n strings), 4 digits.

    Languages of fewer than FEWEST rows are counted under `too_few`. Raises ValueError when there is no row at all.
    """
    if not len(language):
        raise ValueError("there is no text to measure")
    codes, sizes = np.unique(language, return_counts=True)
    enough = {str(code) for code, size in zip(codes, sizes, strict=True) if size >= FEWEST}
    made: dict[str, Any] = {
        "rows": len(language),
        "quantiles": list(QUANTILES),
        "too_few": {str(code): int(size) for code, size in zip(codes, sizes, strict=True) if str(code) not in enough},
        "by_language": {},
    }
    for code in sorted(enough):
        rows = language == code
        spread = {}
        for name, values in figures.items():
            good = values[rows]
            good = good[~np.isnan(good)]
            if len(good):
                spread[name] = [round(float(one), 4) for one in np.quantile(good, QUANTILES)]
        made["by_language"][code] = {"rows": int(rows.sum()), "figures": spread}
    return made
