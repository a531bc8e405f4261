"""Which documents say the same, and which of each family stay: union-find and verification over arrays.

Rows are numbered in survivor order throughout: of two rows the one with the smaller number is the one to keep.

A *candidate* pair shares a band (or its whole text). It is *verified* when the true Jaccard similarity of the
shingles reaches the threshold and nothing speaks against it:

    strengths    the multisets of doses differ
    numbers      all words are the same and the numbers differ
    edges        short texts that begin or end with other words
    asks         what is asked differs
    languages    both are known and differ, and the texts are not equal token by token
    answers      both are known and differ: not a copy, but a contradiction, told as such

A *family* is a connected component of verified pairs. In it rows are visited in order and one is dropped only for
a row already kept with which its own verified similarity reaches the threshold.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from medcorpus.text.compiled import INNER

MOST_LEADERS = 64
"""Rows of one band that agree with none before them and that later rows are still compared with."""

_APART, _COPY, _CONTRADICTS = 0, 1, 2


@dataclass(frozen=True)
class Documents:
    """n rows in survivor order. Where `fixed`, a row stays whatever it resembles (it is in an index)."""

    whole: np.ndarray  # uint64, n x 2
    strengths: np.ndarray  # uint64; so are the next six
    numbers: np.ndarray
    words: np.ndarray
    edges: np.ndarray  # 0 for a text that is not short
    asks: np.ndarray  # 0 where nothing short is asked
    languages: np.ndarray  # 0 is unknown
    answers: np.ndarray  # 0 is none
    address: np.ndarray  # uint64: where the row's distinct shingles (uint32) lie in memory
    counts: np.ndarray  # int64: how many
    fixed: np.ndarray  # bool

    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the kernels take, in their order."""
        guards = (self.strengths, self.numbers, self.words, self.edges, self.asks, self.languages, self.answers)
        return self.whole, *guards, self.address, self.counts


@dataclass
class Families:
    """What is known so far of n rows."""

    documents: Documents
    threshold: float
    guard: bool = True  # whether figures, edges and what is asked keep two texts apart
    parent: np.ndarray = field(init=False)  # int64: union-find; a root is the smallest row of its family
    against: np.ndarray = field(init=False)  # int64: a row it contradicts, -1 for none

    def __post_init__(self) -> None:
        rows = len(self.documents.counts)
        self.parent = np.arange(rows)
        self.against = np.full(rows, -1)

    def join(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Verify and unite rows of equal `keys` (uint64, sorted). `rows` names them, in any order within a key."""
        same = np.zeros(len(keys) + 1, np.bool_)  # as the key before
        same[1:-1] = keys[1:] == keys[:-1]
        shared = same[1:] | same[:-1]
        keys, rows = keys[shared], rows[shared]
        order = np.lexsort((rows, keys))
        keys, rows = keys[order], rows[order]
        _join(
            keys, rows, self.parent, self.against, self.threshold, self.guard, self.documents.fixed,
            *self.documents.arrays(),
        )  # fmt: skip

    def survivors(self) -> "Survivors":
        """Visit every family in order."""
        roots = _roots(self.parent)
        sizes = np.bincount(roots, minlength=len(roots)).astype(np.int64)
        rows = np.flatnonzero(sizes[roots] > 1)
        rows = rows[np.argsort(roots[rows], kind="stable")]
        copy_of = np.full(len(roots), -1)
        similarity = np.zeros(len(roots), np.float32)
        _visit(
            rows, roots, copy_of, similarity, self.against, self.threshold, self.guard, self.documents.fixed,
            *self.documents.arrays(),
        )  # fmt: skip
        return Survivors(roots, sizes[roots], copy_of, similarity, self.against)


@dataclass(frozen=True)
class Survivors:
    """Of n rows: `family` is its first row, `size` how many it has, `copy_of` the row kept instead (-1: it stays)."""

    family: np.ndarray
    size: np.ndarray
    copy_of: np.ndarray
    similarity: np.ndarray  # float32, with `copy_of`
    against: np.ndarray  # a row that says otherwise, -1 for none

    def told(self) -> np.ndarray:
        """Rows of which there is something to say."""
        return np.flatnonzero((self.size > 1) | (self.against >= 0))


def warm() -> None:
    """Compile, or load, what joins families: two rows that are equal, so that their addresses are never followed."""
    hashes = [np.ones(2, np.uint64) for _ in range(8)]
    rows = Documents(
        np.ones((2, 2), np.uint64), *hashes, counts=np.ones(2, np.int64), fixed=np.zeros(2, np.bool_)
    )  # fmt: skip
    families = Families(rows, 0.5)
    families.join(np.ones(2, np.uint64), np.arange(2))
    families.survivors()


def merged(
    runs: list[tuple[np.ndarray, np.ndarray]], at_a_time: int = 1 << 24
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Runs of (sorted uint64 keys, rows) as sorted pieces of about `at_a_time`; equal keys share a piece."""
    total = sum(len(keys) for keys, _ in runs)
    pieces = -(-total // at_a_time)
    low = [0] * len(runs)
    for piece in range(1, pieces + 1):
        if piece < pieces:
            border = np.uint64((1 << 64) // pieces * piece)
            high = [int(np.searchsorted(keys, border)) for keys, _ in runs]
        else:
            high = [len(keys) for keys, _ in runs]
        keys = np.concatenate([keys[a:b] for (keys, _), a, b in zip(runs, low, high, strict=True)])
        rows = np.concatenate([rows[a:b] for (_, rows), a, b in zip(runs, low, high, strict=True)])
        low = high
        order = np.argsort(keys)
        yield keys[order], rows[order].astype(np.int64)


@intrinsic
def _pointer(typing, address):  # type: ignore[no-untyped-def]
    """The memory at `address` as uint32. Whoever has the address keeps the buffer alive."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint32)(types.uint64), code


@njit(**INNER)
def _find(parent, row):
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@njit(cache=True, nogil=True)
def _roots(parent):
    out = np.empty_like(parent)
    for row in range(len(parent)):
        out[row] = _find(parent, row)
    return out


@njit(**INNER)
def _note(row, address, counts, table, stamp):
    """Put the shingles of `row` into the table: slots of (stamp, shingle)."""
    count = counts[row]
    if 2 * count > len(table):
        room = len(table)
        while room < 2 * count:
            room *= 2
        table = np.zeros(room, np.uint64)
    mask = np.uint64(len(table) - 1)
    values = carray(_pointer(address[row]), count)
    for at in range(count):
        entry = stamp << np.uint64(32) | np.uint64(values[at])
        place = np.uint64(values[at]) & mask
        while table[place] >> np.uint64(32) == stamp:
            place = (place + np.uint64(1)) & mask
        table[place] = entry
    return table


@njit(**INNER)
def _shared(row, address, counts, table, stamp, least):
    """How many shingles of `row` are in the table; stops when `least` is out of reach."""
    mask = np.uint64(len(table) - 1)
    count = counts[row]
    values = carray(_pointer(address[row]), count)
    shared, may_miss = 0, count - least
    for at in range(count):
        entry = stamp << np.uint64(32) | np.uint64(values[at])
        place = np.uint64(values[at]) & mask
        while table[place] >> np.uint64(32) == stamp and table[place] != entry:
            place = (place + np.uint64(1)) & mask
        if table[place] == entry:
            shared += 1
        else:
            may_miss -= 1
            if may_miss < 0:
                return -1
    return shared


@njit(**INNER)
def _speaks_against(one, two, guard, strengths, numbers, words, edges, asks, languages):
    if languages[one] != languages[two] and languages[one] and languages[two]:
        return True
    if not guard:
        return False
    return (
        strengths[one] != strengths[two]
        or (words[one] == words[two] and numbers[one] != numbers[two])
        or (edges[one] != edges[two] and edges[one] and edges[two])
        or (asks[one] != asks[two] and asks[one] and asks[two])
    )


@njit(**INNER)
def _compare(
    one, two, noted, threshold, guard, table, stamp,
    whole, strengths, numbers, words, edges, asks, languages, answers, address, counts,
):  # fmt: skip
    """(verdict, similarity, whether `one` is noted in the table now, table)."""
    if whole[one, 0] == whole[two, 0] and whole[one, 1] == whole[two, 1]:
        similarity = 1.0
    else:
        fewer, more = min(counts[one], counts[two]), max(counts[one], counts[two])
        if fewer < threshold * more or fewer == 0:
            return _APART, 0.0, noted, table
        if _speaks_against(one, two, guard, strengths, numbers, words, edges, asks, languages):
            return _APART, 0.0, noted, table
        if not noted:
            table = _note(one, address, counts, table, stamp)
        noted = True
        # |A & B| >= threshold |A | B| means |A & B| >= threshold / (1 + threshold) (|A| + |B|)
        least = np.int64(np.floor(threshold / (1 + threshold) * (counts[one] + counts[two])))
        shared = _shared(two, address, counts, table, stamp, least)
        similarity = shared / (counts[one] + counts[two] - shared) if shared > 0 else 0.0
        if similarity < threshold:
            return _APART, similarity, noted, table
    if answers[one] and answers[two] and answers[one] != answers[two]:
        return _CONTRADICTS, similarity, noted, table
    return _COPY, similarity, noted, table


@njit(**INNER)
def _contradict(against, one, two):
    if against[one] < 0 or two < against[one]:
        against[one] = two
    if against[two] < 0 or one < against[two]:
        against[two] = one


@njit(cache=True, nogil=True)
def _join(
    keys, rows, parent, against, threshold, guard, fixed,
    whole, strengths, numbers, words, edges, asks, languages, answers, address, counts,
):  # fmt: skip
    table = np.zeros(1 << 12, np.uint64)
    stamp = np.uint64(0)
    first = 0
    while first < len(keys):
        last = first + 1
        while last < len(keys) and keys[last] == keys[first]:
            last += 1
        if last - first > 1:
            left = rows[first:last].copy()
            size = len(left)
            for _ in range(MOST_LEADERS):
                if size < 2:
                    break
                leader, noted, stays = left[0], np.bool_(False), 0  # no literal: see `shingles`
                stamp += np.uint64(1)
                for at in range(1, size):
                    row = left[at]
                    if _find(parent, row) == _find(parent, leader):
                        continue
                    if fixed[row] and fixed[leader]:  # an index keeps both, and nothing is asked of them
                        left[stays] = row
                        stays += 1
                        continue
                    verdict, _, noted, table = _compare(
                        leader, row, noted, threshold, guard, table, stamp,
                        whole, strengths, numbers, words, edges, asks, languages, answers, address, counts,
                    )  # fmt: skip
                    if verdict == _COPY:
                        one, two = _find(parent, leader), _find(parent, row)
                        parent[max(one, two)] = min(one, two)
                        if answers[row] or not answers[leader]:
                            continue
                        # without an answer it is also a copy of rows that contradict the leader
                    if verdict == _CONTRADICTS:
                        _contradict(against, leader, row)
                    left[stays] = row
                    stays += 1
                size = stays
        first = last


@njit(cache=True, nogil=True)
def _visit(
    rows, roots, copy_of, similarity, against, threshold, guard, fixed,
    whole, strengths, numbers, words, edges, asks, languages, answers, address, counts,
):  # fmt: skip
    """`rows` family by family, in order. Each row still there when its turn comes is kept and takes its copies out."""
    table = np.zeros(1 << 12, np.uint64)
    stamp = np.uint64(0)
    first = 0
    while first < len(rows):
        last = first + 1
        while last < len(rows) and roots[rows[last]] == roots[rows[first]]:
            last += 1
        left = rows[first:last].copy()
        size = len(left)
        while size > 1:
            kept, noted, stays = left[0], np.bool_(False), 0
            stamp += np.uint64(1)
            for at in range(1, size):
                row = left[at]
                verdict = _APART
                if not fixed[row]:
                    verdict, similar, noted, table = _compare(
                        kept, row, noted, threshold, guard, table, stamp,
                        whole, strengths, numbers, words, edges, asks, languages, answers, address, counts,
                    )  # fmt: skip
                if verdict == _COPY:
                    copy_of[row] = kept
                    similarity[row] = similar
                    continue
                if verdict == _CONTRADICTS:
                    _contradict(against, kept, row)
                left[stays] = row
                stays += 1
            size = stays
        first = last
