"""Limits of the quality rules by language, from text that is known to be good.

A limit that is right for English cuts off Finnish words and Thai lines. So, figure by figure and language by language:

1. The limit is the quantile beyond which the share `tail` of good text lies (least: the `tail` quantile, most: the
   1 - `tail`): the rule "10Tail" of FineWeb2 (Penedo et al. 2025, arXiv:2506.20920), with 1% in place of 10%. There one
   page in ten was a fair price; medical text in Hausa is too rare for it, and 26 rules each with a tail of their own
   add up. Mean and deviation, its other rule, is for bell curves; shares of repeated lines are 0 in most texts.
2. n rows of a language say little about their 1%: its quantile q is drawn to that of its script p,
   (n q + k p) / (n + k) with k = 1 / tail, the rows of which one is expected beyond the limit. p is the mean over
   the languages of the script with FEWEST rows or more, or over all languages where fewer than three have them.
   The laxer of this and q holds: others say what few rows have not shown, never that what they show is wrong. Thai
   lines end without a mark, whatever the mean of all languages is. A language with no text has p itself.
3. The published limit is only ever widened: a text stays when the language, or the publication, allows it. Prose that
   was edited shows what has to pass, not that lists and tables are bad. `tighten` leaves this out, for reference text
   of the very kind that will be filtered.
4. A limit that could never fire is off (null): shares end at 0 and 1, words at 100 letters on average.

Stop words are the words of most texts of a language: letters only, the most frequent by number of texts, and of these
as few (LEAST_WORDS to MOST_STOP_WORDS) as leave but the tail of texts of FROM_WORDS words without two of them, or
without one where that cannot be had, or as a last resort the share LOOSE. `text.rules.words` says what a word is where
blanks part none.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from medcorpus.core.languages import registry
from medcorpus.text.buffers import buffers
from medcorpus.text.lid.line import scripts
from medcorpus.text.measures import HAN_RANGES, UNSPACED_RANGES
from medcorpus.text.rules import words
from medcorpus.text.rules.calibration import Calibration
from medcorpus.text.rules.checks import POSSIBLE, Limit
from medcorpus.text.rules.published import FIGURES, PUBLISHED, SHORT

FEWEST = 50
"""Rows of a language from which quantiles are given, and a script's mean counts it."""
FEWEST_LANGUAGES = 3
"""Languages of a script from which it has a mean of its own."""
FROM_WORDS = 30
"""Words from which repetition is measured, as in `quality` (`repetition_from`)."""
LEAST_WORDS = 8
"""Stop words, as FineWeb2 has and Gopher (8)."""
ASKED = 2
"""Different stop words a text has to show (Rae et al. 2021, A1.1)."""
FEWEST_TEXTS = 25
"""Of FROM_WORDS words, from which stop words are told: the Declaration of Human Rights alone gives as many."""
LOOSE = 0.03
"""Share of texts that may be without any stop word where the tail cannot be met."""
RARE = 0.1
"""Share of a language's texts below which what is written in a script does not speak for it."""
PASSAGE = 250
"""Characters: 30 words and more in nearly every language."""
STEP = 1000
"""Ratios are rounded to one part of so many."""

QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)


class Measured(NamedTuple):
    """Reference text: figures of n rows, and the texts in which the stop words of each language were counted."""

    language: np.ndarray  # str[n]
    figures: dict[str, np.ndarray]  # float64[n] by figure of `published.FIGURES`
    stop_words: dict[str, tuple[list[str], int]]  # of `StopWords.lists`


def derive(measured: Measured, tail: float = 0.01, tighten: bool = False) -> Calibration:
    """Limits of every language of `measured`, of scripts and of everything. Raises ValueError without any row."""
    if not len(measured.language):
        raise ValueError("there is no text to measure")
    codes = sorted(set(measured.language.tolist()) - registry().pseudo)
    limits: dict[str, dict[str, Limit]] = {code: {} for code in codes}
    by_script: dict[str, dict[str, Limit]] = {_script(code): {} for code in codes}
    everywhere: dict[str, Limit] = {}
    rows = {code: np.flatnonzero(measured.language == code) for code in codes}
    long = measured.figures["gopher_words"] >= FROM_WORDS
    for name, published in {k: v for rules in PUBLISHED.values() for k, v in rules.items()}.items():
        if name == "gopher_stop_words":
            continue
        quantiles, sizes = _quantiles(measured.figures[name], rows, None if name in SHORT else long, published, tail)
        known = {code: q for code, q in quantiles.items() if sizes[code] >= FEWEST} or quantiles
        if not known:
            continue
        whole = np.mean(list(known.values()), axis=0)
        pools = {}
        for script in by_script:
            inside = [q for code, q in known.items() if _script(code) == script]
            pools[script] = np.mean(inside, axis=0) if len(inside) >= FEWEST_LANGUAGES else whole
            by_script[script][name] = _limit(name, pools[script], published, tighten)
        everywhere[name] = _limit(name, whole, published, tighten)
        for code in codes:
            pool, size = pools[_script(code)], sizes.get(code, 0)
            own = quantiles.get(code, pool)
            drawn = (size * own + pool / tail) / (size + 1 / tail)
            lax = np.array([min(own[0], drawn[0]), max(own[1], drawn[1])])
            limits[code][name] = _limit(name, lax, published, tighten)
    listed = {code: found for code, found in measured.stop_words.items() if code in limits}
    for code, found in limits.items():
        found["gopher_stop_words"] = (listed[code][1] if code in listed else None, None)
    for found in (*by_script.values(), everywhere):
        found["gopher_stop_words"] = (None, None)
    return Calibration(
        {code: _changed(found) for code, found in limits.items()},
        {script: _changed(found) for script, found in sorted(by_script.items())},
        _changed(everywhere),
        {code: found for code, (found, _) in listed.items()},
        FROM_WORDS,
    )


def _quantiles(
    values: np.ndarray, rows: dict[str, np.ndarray], long: np.ndarray | None, published: Limit, tail: float
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """(quantiles for least and most, rows) of each language that has rows; the side that is not limited is 0."""
    quantiles, sizes = {}, {}
    for code, mine in rows.items():
        found = values[mine if long is None else mine[long[mine]]]
        if len(found):
            low = np.quantile(found, tail, method="lower") if published[0] is not None else 0.0
            high = np.quantile(found, 1 - tail, method="higher") if published[1] is not None else 0.0
            quantiles[code], sizes[code] = np.array([low, high]), len(found)
    return quantiles, sizes


def _limit(name: str, drawn: np.ndarray, published: Limit, tighten: bool) -> Limit:
    """Least and most, ratios rounded outwards and counts to the nearest, null where no text could be beyond."""
    smallest, largest = POSSIBLE[name]
    if FIGURES[name][1]:
        low, high = np.floor(round(drawn[0] * STEP, 6)) / STEP, np.ceil(round(drawn[1] * STEP, 6)) / STEP
    else:
        low, high = np.round(drawn)
    least: float | None = None
    most: float | None = None
    if published[0] is not None:
        least = float(low) if tighten else min(float(low), published[0])
    if published[1] is not None:
        most = float(high) if tighten else max(float(high), published[1])
    least = None if least is not None and least <= smallest else least
    most = None if most is not None and most >= largest else most
    return (_short(least), _short(most))


def _short(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value


def _changed(limits: dict[str, Limit]) -> dict[str, Limit]:
    """Those that are not as published."""
    published = {name: limit for rules in PUBLISHED.values() for name, limit in rules.items()}
    return {name: limit for name, limit in limits.items() if limit != published[name]}


def _script(code: str) -> str:
    return registry()[code].scripts[0]


class StopWords:
    """Counts in how many texts of a language, script by script, each word is."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, int], Counter[str]] = {}
        self._long: dict[tuple[str, int], list[frozenset[str]]] = {}

    def add(self, language: Iterable[str], texts: pa.Array) -> None:
        """All texts say which words are frequent, those of FROM_WORDS words or more how many of them are needed."""
        ends, starts, stops = words.tokens(texts)
        whole = buffers(texts)[0].tobytes()
        keys = zip(language, scripts(texts).tolist(), strict=True)
        for row, (key, text) in enumerate(zip(keys, texts.to_pylist(), strict=True)):
            cut = {whole[starts[at] : stops[at]].decode() for at in range(ends[row], ends[row + 1])}
            found = frozenset(_units(cut, text or ""))
            self._counted.setdefault(key, Counter()).update(found)
            if ends[row + 1] - ends[row] >= FROM_WORDS:
                self._long.setdefault(key, []).append(found)

    def lists(self, tail: float) -> dict[str, tuple[list[str], int]]:
        """The stop words of each language, and how many different ones a text has to show.

        Left out is a language with fewer than FEWEST_TEXTS texts, or in which not even one word can be asked for. As
        with limits, few texts are helped out: one more than the tail may fail.
        """
        made = {}
        for code in sorted({code for code, _ in self._long} - registry().pseudo):
            texts = {key: found for key, found in self._long.items() if key[0] == code}
            least = max(FEWEST_TEXTS, RARE * sum(map(len, texts.values())))
            orders = [self._order(key) for key in sorted(texts) if len(texts[key]) >= least]
            counted = [text for found in texts.values() if len(found) >= least for text in found]
            if orders and (found := _fewest(orders, counted, tail)):
                made[code] = found
        return made

    def _order(self, key: tuple[str, int]) -> list[str]:
        counted = self._counted[key]
        return sorted(counted, key=lambda word: (-counted[word], word))[: words.MOST_STOP_WORDS]


def _fewest(orders: list[list[str]], texts: list[frozenset[str]], tail: float) -> tuple[list[str], int] | None:
    """The first so many words of each of `orders` that let all but the tail of `texts` show ASKED of them, or one."""
    shown = sum(np.cumsum([[word in text for word in order] for text in texts], axis=1) for order in orders)
    sizes = slice(LEAST_WORDS - 1, words.MOST_STOP_WORDS // len(orders))
    for asked, share in ((ASKED, tail), (1, tail), (1, LOOSE)):
        enough = (shown < asked).sum(0)[sizes] <= share * len(texts) + 1
        if enough.any():
            size = LEAST_WORDS + int(enough.argmax())
            return list(dict.fromkeys(word for order in orders for word in order[:size])), asked
    return None


_SINGLE, _UNSPACED = (
    re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in ranges)}]+")
    for ranges in ((*HAN_RANGES, words.HANGUL), UNSPACED_RANGES)
)


def _units(cut: Iterable[str], text: str) -> Iterable[str]:
    """What may be a stop word in a text: see `words`."""
    for token in cut:
        if not (_SINGLE.match(token) or _UNSPACED.match(token)) and _lettered(token) and token == token.lower():
            yield token
    for pattern, unit in ((_SINGLE, 1), (_UNSPACED, 3)):
        for run in pattern.findall(text):
            yield from filter(_lettered, (run[at : at + unit] for at in range(len(run) - unit + 1)))


def _lettered(word: str) -> bool:
    """Does it begin with a letter, and hold letters and marks only?"""
    return word[0].isalpha() and all(unicodedata.category(char)[0] in "LM" for char in word)


def passages(text: str) -> list[str]:
    """A text of many lines in pieces of whole lines, PASSAGE characters or more; none when it is one piece."""
    pieces: list[str] = []
    for line in text.splitlines():
        if pieces and len(pieces[-1]) < PASSAGE:
            pieces[-1] += "\n" + line
        elif line.strip():
            pieces.append(line)
    return pieces if len(pieces) > 1 else []


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
