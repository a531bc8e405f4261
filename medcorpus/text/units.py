"""Lines and paragraphs as stretches of the buffer they stand in: where each begins, and text without some of them.

A line ends at a mandatory break of UAX 14 (`measures.BREAKS`; CR LF is one break), a paragraph at an empty line (with
nothing but white space) or U+2029. Every byte of a row belongs to one unit: the break and the empty lines after a
unit are its own, so that a unit taken out takes its gap along; empty lines before the first unit are the first's.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from medcorpus.text.buffers import buffers, contiguous, strings
from medcorpus.text.hashes import mixed
from medcorpus.text.measures import BREAKS, SPACES, counts
from medcorpus.text.nfc import decode
from medcorpus.text.shingles import shingles

_SPACE, _BREAK, _PARAGRAPH, _SOLID, _WORD = range(5)
_CR, _LF = 0x0D, 0x0A
_WIDTH = 32  # longer than most lines, so that few shingles are made in vain


@dataclass(frozen=True)
class Units:
    """Units of n rows: those of row i are `first[i]` to `first[i + 1]`, none for an empty text."""

    first: np.ndarray  # int64, n + 1
    starts: np.ndarray  # int64, one more than there are units: offsets into the utf-8 of the column
    chars: np.ndarray  # int32, code points that are no white space
    wordy: np.ndarray  # bool, whether it has a letter, mark or number

    @property
    def row(self) -> np.ndarray:
        """int32: the row of each unit."""
        return np.repeat(np.arange(len(self.first) - 1, dtype=np.int32), np.diff(self.first))

    def per_row(self, values: np.ndarray) -> np.ndarray:
        """int64[n]: the sum of whole numbers, one for each unit, over the units of a row."""
        total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
        return total[self.first[1:]] - total[self.first[:-1]]


def units(array: pa.Array | pa.ChunkedArray, paragraphs: bool = False) -> Units:
    """The lines, or paragraphs, of each row. A null has none."""
    data, offsets, _ = buffers(array)
    return Units(*_cut(data, offsets, _kinds(), paragraphs))


def said(
    array: pa.Array | pa.ChunkedArray, found: Units, seed: int = 1, apart: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(uint64: equal for units that say the same, int64: words) of the `units` of `array`.

    They say the same when their tokens (`shingles`) are the same: case, punctuation, white space and the script of
    digits make no difference, numbers do. Words are those of `measures`: 2 characters of Han, 4 of Thai are one.
    `apart` (uint64, one for each row): rows that differ in it have no equal units.
    """
    data, _, _ = buffers(array)
    cut = strings(data, found.starts)
    hashes = shingles(cut, _WIDTH, seed).whole[:, 0]
    return hashes if apart is None else _apart(hashes, apart[found.row]), counts(cut)["words"]


def without(array: pa.Array | pa.ChunkedArray, found: Units, gone: np.ndarray) -> pa.Array:
    """The rows without the units that `gone` (bool, one for each unit) marks, of the type of `array`.

    A row that loses some also loses white space at its ends; nothing is left of it when no letter, mark or number
    is. The others keep every byte, nulls stay null.
    """
    array = contiguous(array)
    data, _, _ = buffers(array)
    lost = found.per_row(gone) > 0
    if not lost.any():
        return array
    lost_all = lost & (found.per_row(found.wordy & ~gone) == 0)
    kept, offsets = _without(data, found.first, found.starts, gone | lost_all[found.row], lost)
    left = pc.utf8_trim_whitespace(strings(kept, offsets))
    return pc.replace_with_mask(array, pa.array(lost), left.cast(array.type))


@cache
def _kinds() -> np.ndarray:
    """uint8 per code point. All of U+20000 to U+3FFFF is Han, some not assigned yet; U+E0100 on: marks."""
    table = np.full(0x110000, _SOLID, np.uint8)
    table[[point for point in range(0x20000) if unicodedata.category(chr(point))[0] in "LMN"]] = _WORD
    table[0x20000:0x40000] = table[0xE0100:0xE01F0] = _WORD
    table[[ord(char) for char in SPACES]] = _SPACE
    table[[ord(char) for char in BREAKS]] = _BREAK
    table[0x2029] = _PARAGRAPH
    table.flags.writeable = False
    return table


@njit(cache=True, nogil=True)
def _cut(data, offsets, kinds, paragraphs):
    rows = len(offsets) - 1
    first = np.zeros(rows + 1, np.int64)
    starts = np.empty(1024, np.int64)
    chars = np.empty(1024, np.int32)
    wordy = np.empty(1024, np.bool_)
    put = 0
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        most = put + (end - at) // 2 + 1  # each unit but the last takes two bytes or more
        if most > len(chars):  # untouched pages cost nothing
            more, sizes, flags = (
                np.empty(2 * most, np.int64),
                np.empty(2 * most, np.int32),
                np.empty(2 * most, np.bool_),
            )
            more[:put], sizes[:put], flags[:put] = starts[:put], chars[:put], wordy[:put]
            starts, chars, wordy = more, sizes, flags
        start = line = at  # of the open unit, of the line
        solid, word, fresh, gap = 0, False, True, False  # fresh: the line has nothing yet; gap: a paragraph has ended
        while at < end:
            if data[at] < 0x80:
                point, size = np.int64(data[at]), 1
            else:
                point, size = decode(data, at)
            kind = kinds[point]
            at += size
            if kind >= _SOLID:
                if fresh and solid > 0 and (gap or not paragraphs):
                    starts[put], chars[put], wordy[put] = start, solid, word
                    put += 1
                    start, solid, word = line, 0, False
                fresh, gap = False, False
                solid += 1
                word |= kind == _WORD
            elif kind >= _BREAK:
                if point == _CR and at < end and data[at] == _LF:
                    at += 1
                gap = gap or fresh or kind == _PARAGRAPH
                line, fresh = at, True
        if end > offsets[row]:
            starts[put], chars[put], wordy[put] = start, solid, word
            put += 1
        first[row + 1] = put
    out = np.empty(put + 1, np.int64)
    out[:put] = starts[:put]
    out[put] = offsets[rows]
    return first, out, chars[:put].copy(), wordy[:put].copy()


@njit(cache=True, nogil=True)
def _apart(hashes, apart):
    out = np.empty(len(hashes), np.uint64)
    for unit in range(len(hashes)):
        out[unit] = mixed(hashes[unit] ^ apart[unit])
    return out


@njit(cache=True, nogil=True)
def _without(data, first, starts, gone, lost):
    """Bytes and offsets of the rows that lose something, without what they lose."""
    room, rows = 0, 0
    for row in range(len(lost)):
        if lost[row]:
            room += starts[first[row + 1]] - starts[first[row]]
            rows += 1
    out = np.empty(room, np.uint8)
    offsets = np.zeros(rows + 1, np.int64)
    put, done = 0, 0
    for row in range(len(lost)):
        if lost[row]:
            for unit in range(first[row], first[row + 1]):
                if not gone[unit]:
                    begin, end = starts[unit], starts[unit + 1]
                    out[put : put + end - begin] = data[begin:end]
                    put += end - begin
            done += 1
            offsets[done] = put
    return out[:put].copy(), offsets
