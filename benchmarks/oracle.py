"""Which documents are alike, exactly: Jaccard similarity of sets of shingles by an inverted index.

Two sets of similarity t and more share one of the |A| - ceil(t |A|) + 1 rarest elements of each (prefix filter:
Bayardo, Ma, Srikant 2007), whatever order says what is rare. Here: how often an element comes in all sets, from a
table of 2^26 counters (two elements that share one only cost time), then the element itself.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

_SLOTS = 1 << 26
_AT_ONCE = 1 << 24
"""Elements of the index in memory at a time: 32 bytes each."""

_PRIME = np.uint64(0x9E3779B97F4A7C15)


class Sets(NamedTuple):
    """Set i is `values[offsets[i]:offsets[i + 1]]`: unsigned integers, each once."""

    values: np.ndarray
    offsets: np.ndarray  # int64

    @classmethod
    def of(cls, rows: list[np.ndarray]) -> "Sets":
        """The sets of `rows`."""
        sizes = np.array([len(row) for row in rows], np.int64)
        values = np.concatenate(rows) if rows else np.empty(0, np.uint64)
        return cls(values.astype(np.uint64), np.concatenate(([0], np.cumsum(sizes))))

    def jaccard(self, one: int, two: int) -> float:
        """Similarity of two of them; 0 when one is empty."""
        first, second = (self.values[self.offsets[n] : self.offsets[n + 1]] for n in (one, two))
        shared = len(np.intersect1d(first, second, assume_unique=True))
        return shared / max(1, len(first) + len(second) - shared)


def alike(sets: Sets, least: float, asked: np.ndarray | None = None) -> np.ndarray:
    """int64[n, 2]: pairs (a, b), a < b, of similarity `least` and more: all, or those whose b is `asked` (bool).

    Every set is put into the order of the index, in place, so `values` may be a file mapped for writing. The index is
    made in passes, of _AT_ONCE elements or so each; beside it there is the table of 128 MiB.
    """
    if asked is None:
        asked = np.ones(len(sets.offsets) - 1, np.bool_)
    _order(sets.values, sets.offsets, _often(sets.values))
    sizes = np.diff(sets.offsets)
    kept = np.where(sizes, sizes - np.ceil(least * sizes - 1e-9).astype(np.int64) + 1, 0)
    passes = np.uint64(-(-int(kept.sum()) // _AT_ONCE) or 1)
    found = [np.empty((0, 2), np.int64)]
    for which in range(int(passes)):
        elements, owners, starts = _prefixes(sets.values, sets.offsets, kept, passes, np.uint64(which))
        order = np.argsort(elements, kind="stable")  # owners of one element stay in their order
        elements = elements[order]
        new = np.ones(len(elements), np.bool_)
        new[1:] = elements[1:] != elements[:-1]
        groups, place = np.flatnonzero(new).astype(np.int32), np.empty(len(order), np.int32)
        place[order] = np.cumsum(new, dtype=np.int32) - 1
        found.append(_pairs(sets.values, sets.offsets, starts, place, groups, owners[order], asked, least))
    return np.unique(np.concatenate(found), axis=0)


@njit(inline="always")
def _slot(value):
    return (np.uint64(value) * _PRIME) >> np.uint64(38)


@njit(cache=True)
def _often(values):
    counts = np.zeros(_SLOTS, np.uint16)
    for value in values:
        slot = _slot(value)
        if counts[slot] < 65535:
            counts[slot] += 1
    return counts


@njit(cache=True)
def _order(values, offsets, counts):
    for row in range(len(offsets) - 1):
        piece = values[offsets[row] : offsets[row + 1]]
        piece.sort()
        often = np.empty(len(piece), np.int64)
        for at in range(len(piece)):
            often[at] = counts[_slot(piece[at])]
        piece[:] = piece[np.argsort(often, kind="mergesort")]


@njit(cache=True)
def _prefixes(values, offsets, kept, passes, which):
    """(elements, their sets, where those of a set begin): of each set the `kept` first ones that this pass takes."""
    rows = len(offsets) - 1
    starts = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        taken = 0
        for at in range(offsets[row], offsets[row] + kept[row]):
            taken += _slot(values[at]) % passes == which
        starts[row + 1] = starts[row] + taken
    elements, owners = np.empty(starts[rows], values.dtype), np.empty(starts[rows], np.int32)
    put = 0
    for row in range(rows):
        for at in range(offsets[row], offsets[row] + kept[row]):
            if _slot(values[at]) % passes == which:
                elements[put], owners[put] = values[at], row
                put += 1
    return elements, owners, starts


@njit(cache=True)
def _pairs(values, offsets, starts, place, groups, owners, asked, least):
    rows = len(offsets) - 1
    met = np.full(rows, -1, np.int64)  # the last set that this one was a candidate of
    room = 16
    table, stamps = np.zeros(room, values.dtype), np.zeros(room, np.int64)
    out, count = np.empty((1024, 2), np.int64), 0
    for row in range(rows):
        if not asked[row]:
            continue
        size = offsets[row + 1] - offsets[row]
        while room < 2 * size:
            room *= 2
        if room > len(table):
            table, stamps = np.zeros(room, values.dtype), np.zeros(room, np.int64)
        mask = np.uint64(len(table) - 1)
        for at in range(offsets[row], offsets[row + 1]):
            slot = _slot(values[at]) & mask
            while stamps[slot] == row + 1:
                slot = (slot + np.uint64(1)) & mask
            table[slot], stamps[slot] = values[at], row + 1
        for at in range(starts[row], starts[row + 1]):
            for posting in range(groups[place[at]], len(owners)):
                other = owners[posting]
                if other >= row:
                    break
                if met[other] == row:
                    continue
                met[other] = row
                theirs = offsets[other + 1] - offsets[other]
                if min(size, theirs) < least * max(size, theirs):
                    continue
                needed = least / (1 + least) * (size + theirs) - 1e-6
                shared, may_miss = 0, theirs - needed
                for which in range(offsets[other], offsets[other + 1]):
                    slot = _slot(values[which]) & mask
                    while stamps[slot] == row + 1 and table[slot] != values[which]:
                        slot = (slot + np.uint64(1)) & mask
                    if stamps[slot] == row + 1:
                        shared += 1
                    else:
                        may_miss -= 1
                        if may_miss < 0:
                            break
                if shared >= least * (size + theirs - shared) - 1e-9:
                    if count == len(out):
                        grown = np.empty((2 * count, 2), np.int64)
                        grown[:count] = out
                        out = grown
                    out[count, 0], out[count, 1] = other, row
                    count += 1
    return out[:count]
