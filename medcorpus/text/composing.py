"""Texts in normal form C: the algorithm of UAX 15 (section 1.3), told by Python's own tables, in one walk over utf-8.

What may stay is copied. A letter and the mark after it are joined on the spot, the usual case of a text that was typed
in parts. Only where that is not all (marks in another order, marks between the two, a letter that comes apart) what
lies between two letters is taken apart, put in order and joined anew.
"""

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text import nfc
from medcorpus.text.buffers import buffers, strings
from medcorpus.text.compiled import INLINE, INNER
from medcorpus.text.nfc import decode, encode, may_join, misplaced, together
from medcorpus.text.stored import stored

_SLOTS = 8192  # for about 2,100 characters
_MOST = 4  # characters that one is taken apart into
_LONGER = 3  # times as many bytes at most: U+1D160 in utf-8 (UAX 15, section 12.1)


def composed(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Each row of a string column in normal form C. A null becomes the empty text."""
    data, offsets, _ = buffers(array)
    return strings(*_composed(data, offsets, (*nfc.tables(), *_apart())))


@cache
def _apart() -> tuple[np.ndarray, ...]:
    """(uint32[slots, 1 + _MOST],): a character that normal form D takes apart and what it becomes, by open addressing.

    Hangul syllables are not there: nothing that stands behind one changes them but by being joined.
    """
    return stored("nfd", _make_apart)


def _make_apart() -> tuple[np.ndarray, ...]:
    table = np.zeros((_SLOTS, 1 + _MOST), np.uint32)
    for point in [*range(0xC0, 0xAC00), *range(0xD7A4, 0xD800), *range(0xE000, 0x20000), *range(0x2F800, 0x2FA20)]:
        parts = unicodedata.normalize("NFD", chr(point))
        if parts != chr(point):
            slot = point % _SLOTS
            while table[slot, 0]:
                slot = (slot + 1) % _SLOTS
            table[slot, : 1 + len(parts)] = [point, *map(ord, parts)]
    return (table,)


@njit(cache=True, nogil=True)
def _composed(data, offsets, tables):
    """(utf-8, offsets)."""
    kinds, pairs = tables[0], tables[1]
    rows = len(offsets) - 1
    out = np.empty(_LONGER * (offsets[rows] - offsets[0]), np.uint8)
    ends = np.zeros(rows + 1, np.int64)
    points = np.empty((2, 256), np.int64)
    for row in range(rows):
        at, end, put = offsets[row], offsets[row + 1], ends[row]
        starter, spot, last = np.int64(-1), put, np.int64(0)  # the last letter, which lies at out[spot]
        while at < end:
            point, width = decode(data, at)
            kind = np.int64(kinds[point])
            joined = together(starter, point, pairs) if may_join(kind, starter, last) else -1
            if kind & nfc.SPLIT or misplaced(kind, last) or joined == 0 or (joined > 0 and last != 0):
                begin = spot if _is_mark(point, kind) else put
                stop = _marks_end(data, at + width, end, kinds)
                most = _MOST * (stop - at + put - begin)
                if most > points.shape[1]:
                    points = np.empty((2, 2 * most), np.int64)
                size = _taken_apart(out, begin, put, points[0], 0, tables[3])
                size = _taken_apart(data, at, stop, points[0], size, tables[3])
                _in_order(points[0], size, kinds, points[1])
                size = _joined(points[1], size, kinds, pairs)
                put, at = begin, stop
                for which in range(size):
                    point = points[1, which]
                    last = np.int64(kinds[point]) & nfc.CLASS
                    if last == 0:
                        starter, spot = point, put
                    put = encode(point, out, put)
                continue
            at += width
            if joined > 0:
                starter, point, put = joined, joined, spot
            else:
                last = kind & nfc.CLASS
                if last == 0:
                    starter, spot = point, put
            put = encode(point, out, put)
        ends[row + 1] = put
    return out[: ends[rows]], ends


@njit(**INNER)
def _marks_end(data, at, end, kinds):
    """Where the marks that begin at `at` end."""
    while at < end:
        point, width = decode(data, at)
        if not _is_mark(point, kinds[point]):
            break
        at += width
    return at


@njit(**INLINE)
def _is_mark(point, kind):
    """Whether it stands behind a letter. Three of Tibetan have the class of a letter, and come apart into marks."""
    return kind & nfc.CLASS != 0 or point == 0xF73 or point == 0xF75 or point == 0xF81


@njit(**INNER)
def _taken_apart(data, at, end, points, size, apart):
    """Append the characters of data[at:end], each taken apart, to the `size` first of `points`; how many there are."""
    while at < end:
        point, width = decode(data, at)
        at += width
        slot = point % _SLOTS
        while apart[slot, 0] != 0 and apart[slot, 0] != point:
            slot = (slot + 1) % _SLOTS
        if apart[slot, 0] == 0:
            points[size] = point
            size += 1
        for which in range(1, 1 + _MOST):
            if apart[slot, which] != 0:
                points[size] = apart[slot, which]
                size += 1
    return size


@njit(**INNER)
def _in_order(points, size, kinds, out):
    """Marks by their class, between one letter and the next; those of a class as they stand.

    One pass a class, of which there are some fifty, so that a letter with a million marks takes no million passes.
    """
    at = put = 0
    while at < size:
        stop = at + 1
        while stop < size and kinds[points[stop]] & nfc.CLASS != 0:
            stop += 1
        least = np.int64(kinds[points[at]]) & nfc.CLASS
        for which in range(at, stop):
            least = min(least, np.int64(kinds[points[which]]) & nfc.CLASS)
        while least < 256:
            above = np.int64(256)
            for which in range(at, stop):
                found = np.int64(kinds[points[which]]) & nfc.CLASS
                if found == least:
                    out[put] = points[which]
                    put += 1
                elif least < found < above:
                    above = found
            least = above
        at = stop


@njit(**INNER)
def _joined(points, size, kinds, pairs):
    """Join in place what is in order; how many are left."""
    put, place = 0, 0
    starter, last = np.int64(-1), np.int64(0)
    for which in range(size):
        point = points[which]
        kind = np.int64(kinds[point])
        if may_join(kind, starter, last):
            joined = together(starter, point, pairs)
            if joined > 0:
                points[place] = starter = joined
                continue
        last = kind & nfc.CLASS
        if last == 0:
            starter, place = point, put
        points[put] = point
        put += 1
    return put
