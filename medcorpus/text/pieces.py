"""A few pieces out of each long text, evenly spread, without a Python object a text."""

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text.buffers import buffers, strings
from medcorpus.text.compiled import INNER


def pieces(array: pa.Array | pa.ChunkedArray, count: int, size: int) -> tuple[pa.Array, np.ndarray]:
    """`count` pieces of about `size` bytes of each text of `count * size` bytes or more: (pieces, int64 rows).

    Pieces of one row follow each other; the first and the last touch its ends. They begin and end at a white space
    near by, or else between two characters.
    """
    data, offsets, _ = buffers(array)
    rows = np.flatnonzero(np.diff(offsets) >= count * size)
    return strings(*_cut(data, offsets, rows, count, size)), rows


@njit(**INNER)
def _near(data, at, end):
    """The first white space from `at` on, at most 30 bytes away, else where the next character begins."""
    for ahead in range(30):
        if at + ahead >= end:
            return end
        if data[at + ahead] == 0x20 or data[at + ahead] == 0x0A:
            return at + ahead
    while at < end and data[at] & 0xC0 == 0x80:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _cut(data, offsets, rows, count, size):
    out = np.empty(len(rows) * count * (size + 64), np.uint8)
    out_offsets = np.zeros(len(rows) * count + 1, np.int64)
    put = 0
    for number in range(len(rows)):
        begin, end = offsets[rows[number]], offsets[rows[number] + 1]
        step = (end - begin - size) // max(count - 1, 1)
        for which in range(count):
            start = begin if which == 0 else _near(data, begin + which * step, end)
            stop = end if which == count - 1 else _near(data, start + size, end)
            stop = min(stop, start + size + 60)
            while stop < end and data[stop] & 0xC0 == 0x80:
                stop += 1
            for at in range(start, stop):
                out[put] = data[at]
                put += 1
            out_offsets[number * count + which + 1] = put
    return out[:put], out_offsets
