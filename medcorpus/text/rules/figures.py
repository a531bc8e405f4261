"""The published quality rules of Gopher, C4 and FineWeb as figures: one call over a column of text.

    gopher   Rae et al. 2021 (arXiv:2112.11446), table A1 and section A1.1: repetition and quality
    c4       Raffel et al. 2020 (arXiv:1910.10683), section 2.2, and the code that made it (rules for lines, sentences)
    fineweb  Penedo et al. 2024 (arXiv:2406.17557), section 3.6

`counts` are whole numbers, so that a slow oracle can be compared exactly (`lines.LINES`, `words.WORDS` name
them); `figures` are the ratios that the published limits (`published.PUBLISHED`) are set on. Denominators are those of
datatrove, whose implementation most corpora of these names were made with: repetition is a share of all characters,
white space included. C4's rules for lines do not change the text here; they count what they would leave.
"""

from collections import namedtuple

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text.buffers import buffers
from medcorpus.text.measures import classes
from medcorpus.text.rules.lines import LINES, count_lines, ends
from medcorpus.text.rules.published import FIGURES
from medcorpus.text.rules.words import STOP_WORDS, WORDS, count_words, stop_table, walk

COUNTS = LINES + WORDS

_ENGLISH = stop_table([STOP_WORDS])
_ENGLISH.flags.writeable = False
_Work = namedtuple("_Work", "keys stamps counts ends places slots grams stamp")


def counts(
    array: pa.Array | pa.ChunkedArray, stops: np.ndarray = _ENGLISH, listed: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """int64[n] for each of COUNTS. A null counts as the empty text.

    `listed` (int64[n]) says which row of `stops` (a `words.stop_table`) holds the stop words of a text; the first, of
    all texts, when it is not given.
    """
    data, offsets, _ = buffers(array)
    listed = np.zeros(len(array), np.int64) if listed is None else listed
    stops, listed = stops.view(), listed.view()
    stops.flags.writeable = listed.flags.writeable = False
    return dict(zip(COUNTS, _count(data, offsets, classes(), ends(), stops, listed), strict=True))


def figures(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """float32[n] for each of FIGURES from what `counts` returned; 0 where there is nothing to divide by."""
    found = found | {"line_chars": found["chars"] - found["newlines"]}
    return {
        name: (found[part] / np.maximum(found[whole], 1) if whole else found[part]).astype(np.float32)
        for name, (part, whole) in FIGURES.items()
    }


@njit(cache=True, nogil=True)
def _count(data, offsets, table, line_ends, stops, listed):
    """int64[len(COUNTS), n]. Scratch is made for the longest document, once; untouched pages cost nothing."""
    rows = len(offsets) - 1
    lines, words = len(LINES), len(WORDS)
    out = np.zeros((rows, lines + words), np.int64)
    longest = 1
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = 16
    while room < 4 * (longest + 2):
        room *= 2
    seen = np.zeros(room, np.uint64)
    hashes, sizes, flags = np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.uint8)
    none = np.empty(0, np.int64)
    work = _Work(
        np.empty(room, np.uint64), np.zeros(room, np.int64), np.empty(room, np.int32), np.empty(longest + 1, np.int64),
        np.empty(longest, np.int64), np.empty(longest, np.int64), np.empty(longest, np.uint64), np.zeros(1, np.int64),
    )  # fmt: skip
    for row in range(rows):
        begin, end = offsets[row], offsets[row + 1]
        if begin == end:
            continue
        count_lines(data, begin, end, line_ends, table, seen, out[row, :lines])
        found, words_seen = walk(data, begin, end, table, hashes, sizes, flags, none, none, stops[listed[row]])
        count_words(found, words_seen, hashes, sizes, flags, work, out[row, lines:])
    return out.T
