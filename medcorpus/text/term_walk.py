"""The walk of `terms` over the utf-8 of a column.

How it is quick: eight bytes are looked at together, and a word of ASCII letters is taken out of them whole, in lower
case, without a step for each letter; that is how far its hash is one of eights, from the first other letter on it
takes a step a letter. Then one bit each (16 KB, the nearest cache) tells whether any term begins with a token, and one
whether any goes on with it; only there the trie is asked. Stems are looked for letter by letter, but only as long as
what was read begins some stem. Characters are counted apart, by bytes that begin one.
"""

import numpy as np
from numba import njit

from medcorpus.text import nfc
from medcorpus.text.compiled import INLINE, INNER
from medcorpus.text.nfc import changes, decode

BLANK, WORD, CHAR, MARK, SKIP = range(5)
"""Classes of characters: parts tokens, of a word, a token by itself, goes with what is before it, is not there."""

POINT, KIND, SPECIAL = 0x1FFFFF, 21, 31
"""An entry of `terms.classes`: lower case, class, whether normal form C needs a closer look."""

BITS = 17
"""log2 of the bits of a filter."""

STEM = np.uint64(0x5851F42D4C957F2D)
"""Parts the hash of a stem from that of the same letters as a token."""

_PRIME, _SEED = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xCBF29CE484222325)
_STEP = np.uint64(0xD6E8FEB86659FD93)
_OTHER = -1
_BLOCK = 2048  # tokens looked at in one go: they stay in the nearest caches
_LIVE = 8  # ways to read the tokens so far (each as itself or as a stem) that are followed
_ONE, _HIGH, _LOW = np.uint64(1), np.uint64(0x8080808080808080), np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)
# Added to eight characters below 0x80, these set the high bit of those from a, past z, from 0 and past 9 on.
_A, _PAST_Z = np.uint64(0x1F1F1F1F1F1F1F1F), np.uint64(0x0505050505050505)
_0, _PAST_9 = np.uint64(0x5050505050505050), np.uint64(0x4646464646464646)


@njit(cache=True, nogil=True)
def child(node, key):
    """Key of the node under `node` that is reached by a token."""
    state = (node ^ node >> np.uint64(29)) * _STEP + key
    return (state ^ state >> np.uint64(32)) * _STEP


@njit(cache=True, nogil=True)
def hashed(points):
    """Hash of a token, given by its code points in lower case."""
    state, pending, size = _SEED, np.uint64(0), 0
    for point in points:
        state, pending, size = _append(state, pending, size, point)
    return _end(state, pending)


@njit(**INLINE)
def _mix(state, eight):
    state = (state ^ eight) * _PRIME
    return state ^ state >> np.uint64(32)


@njit(**INLINE)
def _end(state, pending):
    return _mix(state, pending) * _STEP


@njit(**INLINE)
def _append(state, pending, size, point):
    """A letter more: hash so far, ASCII bytes that are no eight yet, how many; _OTHER once there was another letter."""
    if size == _OTHER:
        return (state ^ np.uint64(point)) * _PRIME, pending, size
    if point >= 0x80:
        return (_mix(state, pending) ^ np.uint64(point)) * _PRIME, np.uint64(0), _OTHER
    pending |= np.uint64(point) << np.uint64(8 * size)
    return (_mix(state, pending), np.uint64(0), 0) if size == 7 else (state, pending, size + 1)


@njit(**INLINE)
def _eight(data, at, end):
    """The bytes data[at:at + 8], the lowest first, 0 from `end` on."""
    if at + 8 <= len(data):
        at = np.uint64(at)
        found = (
            np.uint64(data[at])
            | np.uint64(data[at + np.uint64(1)]) << np.uint64(8)
            | np.uint64(data[at + np.uint64(2)]) << np.uint64(16)
            | np.uint64(data[at + np.uint64(3)]) << np.uint64(24)
            | np.uint64(data[at + np.uint64(4)]) << np.uint64(32)
            | np.uint64(data[at + np.uint64(5)]) << np.uint64(40)
            | np.uint64(data[at + np.uint64(6)]) << np.uint64(48)
            | np.uint64(data[at + np.uint64(7)]) << np.uint64(56)
        )
        left = end - np.int64(at)
        return found if left >= 8 else found & ((_ONE << np.uint64(8 * left)) - _ONE)
    found = np.uint64(0)
    for which in range(min(end - at, 8)):
        found |= np.uint64(data[at + which]) << np.uint64(8 * which)
    return found


@njit(**INLINE)
def _letters(eight):
    """(high bits of the bytes that are ASCII letters or digits, all bytes in lower case)."""
    low = eight & _LOW
    lower = low | _CASE
    found = (lower + _A) & ~(lower + _PAST_Z) | (low + _0) & ~(low + _PAST_9)
    return found & ~eight & _HIGH, lower


@njit(**INLINE)
def _before(marks):
    """(a mask of the bytes before the first of `marks`, which are high bits; how many). All, 8 when there is none."""
    mask = ((marks & (~marks + _ONE)) >> np.uint64(7)) - _ONE
    return mask, _how_many(mask & _HIGH)


@njit(**INLINE)
def _how_many(marks):
    """How many of the eight high bits are set."""
    return np.int64((marks >> np.uint64(7)) * np.uint64(0x0101010101010101) >> np.uint64(56))


@njit(**INLINE)
def _slot(key):
    return key ^ key >> np.uint64(32)


@njit(**INNER)
def _find(nodes, key):
    """Slot of `key`, or -1."""
    mask = np.uint64(len(nodes) - 1)
    slot = _slot(key) & mask
    while nodes[slot, 0] != 0:
        if nodes[slot, 0] == key:
            return np.int64(slot)
        slot = (slot + np.uint64(1)) & mask
    return -1


@njit(**INLINE)
def _marked(bits, key):
    top = key >> np.uint64(64 - BITS)
    return bits[top >> np.uint64(3)] >> (top & np.uint64(7)) & 1 != 0


@njit(**INLINE)
def _stem_of(read, stems, inside, nodes, stem):
    """(key of what was read as a stem if there is such a stem, else `stem`; whether a stem is or begins so)."""
    if not _marked(inside, read):
        return stem, False
    wanted = read ^ STEM
    return wanted if _marked(stems, wanted) and _find(nodes, wanted) >= 0 else stem, True


@njit(**INNER)
def _stems_in(lower, size, state, stems, inside, nodes, stem):
    """`_stem_of` after each of the first `size` bytes of `lower`."""
    for which in range(size):
        if which == 7:
            read = _end(_mix(state, lower), np.uint64(0))
        else:
            read = _end(state, lower & ((_ONE << np.uint64(8 * which + 8)) - _ONE))
        stem, alive = _stem_of(read, stems, inside, nodes, stem)
        if not alive:
            return stem, False
    return stem, True


@njit(**INNER)
def _tokenise(data, at, end, have, tables, stems, inside, nodes, hashes, others, starts, stops):
    """Tokens of data[at:end] appended to the first `have`, until there is no more room: (at, have, splits).

    `at` is -1 when the text has to be composed first. `splits` are characters that are two in normal form C.
    """
    table, kinds, pairs, splits = tables
    stemmed = len(stems) > 0
    room, twice = len(hashes), 0
    while at < end and have < room:
        state, stem, alive = _SEED, np.uint64(0), stemmed
        pending, size, begin = np.uint64(0), 0, at
        starter, last = np.int64(-1), np.int64(0)
        if data[np.uint64(at)] < 0x80:
            eight = _eight(data, at, end)
            letters, lower = _letters(eight)
            if letters & np.uint64(0x80) == 0:
                at += _before(letters | eight & _HIGH)[1]
                continue
            while letters == _HIGH:
                if alive:
                    stem, alive = _stems_in(lower, 8, state, stems, inside, nodes, stem)
                state = _mix(state, lower)
                at += 8
                eight = _eight(data, at, end) if at < end else np.uint64(0)
                letters, lower = _letters(eight)
            mask, size = _before(~letters & _HIGH)
            pending = lower & mask
            if alive and size:
                stem, alive = _stems_in(lower, size, state, stems, inside, nodes, stem)
            at += size
            if at >= end or data[np.uint64(at)] < 0x80:
                put = np.uint64(have)
                hashes[put], others[put], starts[put], stops[put] = _end(state, pending), stem, begin, at
                have += 1
                at += 1
                continue
            starter = np.int64(data[at - 1])
            word, empty = True, False  # which may go on in other letters
            point, width = decode(data, at)
            entry = np.int64(table[point])
            kind = entry >> KIND & 7
        else:
            point, width = decode(data, at)
            entry = np.int64(table[point])
            kind = entry >> KIND & 7
            if kind != WORD and kind != CHAR:
                at += width
                continue
            word, empty = kind == WORD, True
        stop = at
        while True:  # tokens one after another
            while at < end:
                if word and entry >> KIND == WORD and not alive:  # the usual letter
                    state, pending, size = _append(state, pending, size, entry & POINT)
                    starter, last, empty = point, np.int64(0), False
                    at += width
                    stop = at
                    if at < end:
                        point, width = decode(data, at)
                        entry = np.int64(table[point])
                        kind = entry >> KIND & 7
                    continue
                if kind == BLANK or (kind <= CHAR and not empty and not (word and kind == WORD)):
                    break
                at += width
                if kind != SKIP:
                    empty = False
                    stop = at
                    if entry >> SPECIAL == 0:
                        starter, last = point, np.int64(0)
                        state, pending, size = _append(state, pending, size, entry & POINT)
                    else:
                        special = np.int64(kinds[point])
                        if special & nfc.SPLIT:
                            starter = np.int64(splits[point - nfc.FIRST_SPLIT, 0])
                            point = np.int64(splits[point - nfc.FIRST_SPLIT, 1])
                            last = np.int64(kinds[point]) & nfc.CLASS
                            twice += 1
                            state, pending, size = _append(state, pending, size, starter)
                            state, pending, size = _append(state, pending, size, point)
                        else:
                            if changes(point, special, starter, last, pairs):
                                return -1, have, twice
                            last = special & nfc.CLASS
                            starter = point if last == 0 else starter
                            state, pending, size = _append(state, pending, size, entry & POINT)
                    if alive and word:
                        stem, alive = _stem_of(_end(state, pending), stems, inside, nodes, stem)
                if at < end:
                    point, width = decode(data, at)
                    entry = np.int64(table[point])
                    kind = entry >> KIND & 7
            put = np.uint64(have)
            hashes[put], others[put], starts[put], stops[put] = _end(state, pending), stem, begin, stop
            have += 1
            if at >= end or have == room:
                break
            if kind == BLANK:
                at += width
                break
            state, stem, alive = _SEED, np.uint64(0), stemmed
            pending, size, begin = np.uint64(0), 0, at
            word, empty = kind == WORD, True
    return min(at, end), have, twice


@njit(**INNER)
def _firsts(hashes, others, until, first, nodes, found):
    """Tokens of the first `until` with which a term may begin into `found`; how many.

    Two short loops without a branch: the processor runs ahead, and brings in what of the trie will be asked for.
    """
    many = 0
    for which in range(until):
        found[np.uint64(many)] = which
        many += _marked(first, hashes[which]) | (others[which] != 0)
    kept, mask = 0, np.uint64(len(nodes) - 1)
    for number in range(many):
        which = found[number]
        found[np.uint64(kept)] = which
        kept += (nodes[_slot(hashes[which]) & mask, 0] != 0) | (others[which] != 0)
    return kept


@njit(**INLINE)
def _longest(i, have, hashes, later, nodes):
    """(number, tokens) of the longest term that begins at token `i`; -1, 0 when none does."""
    node, depth = hashes[i], 1
    best, length = np.int64(-1), 0
    while True:
        slot = _find(nodes, node)
        if slot < 0:
            return best, length
        number = np.int64(nodes[slot, 1])
        if number >= 0:
            best, length = number, depth
        if i + depth >= have:
            return best, length
        node = child(node, hashes[i + depth])
        if not _marked(later, node):
            return best, length
        depth += 1


@njit(**INNER)
def _longest_of_ways(i, have, hashes, others, first, later, nodes, live, grown):
    """`_longest` where tokens may be read as stems as well."""
    ways = 0
    if _marked(first, hashes[i]):
        live[0] = hashes[i]
        ways = 1
    if others[i] != 0 and _marked(first, others[i]):
        live[ways] = others[i]
        ways += 1
    best, length, depth = np.int64(-1), 0, 1
    while ways > 0:
        more = 0
        for way in range(ways):
            slot = _find(nodes, live[way])
            if slot < 0:
                continue
            number = np.int64(nodes[slot, 1])
            if number >= 0 and depth > length:
                best, length = number, depth
            if i + depth < have and more < _LIVE - 1:
                grown[more] = child(live[way], hashes[i + depth])
                more += _marked(later, grown[more])
                if others[i + depth] != 0:
                    grown[more] = child(live[way], others[i + depth])
                    more += _marked(later, grown[more])
        live, grown = grown, live
        ways = more
        depth += 1
    return best, length


@njit(**INLINE)
def _characters(data, begin, end):
    """Characters of data[begin:end]: its bytes but those that go on with one, eight at a time."""
    found = end - begin
    for at in range(begin, end, 8):
        eight = _eight(data, at, end)
        found -= _how_many(eight & ~(eight << _ONE) & _HIGH)
    return found


@njit(**INNER)
def _splits(data, at, end, kinds):
    """Characters of data[at:end] that are two in normal form C."""
    found = 0
    while at < end:
        point, width = decode(data, at)
        found += kinds[point] & nfc.SPLIT != 0
        at += width
    return found


@njit(cache=True, nogil=True)
def walk(data, offsets, tables, first, later, stems, inside, nodes, longest, size):
    """(int64[4, n] of `terms.Counts`, the last only what normal form C adds to it; rows to be composed first)."""
    rows = len(offsets) - 1
    out, doubtful = np.zeros((4, rows), np.int64), np.zeros(rows, np.bool_)
    room = _BLOCK + longest
    hashes, others = np.empty(room, np.uint64), np.empty(room, np.uint64)  # each token as itself, as a stem (0: none)
    starts, stops, firsts = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room + 1, np.int64)
    live, grown = np.empty(_LIVE, np.uint64), np.empty(_LIVE, np.uint64)
    seen = np.zeros(size, np.int64)
    stemmed = len(stems) > 0
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        have, twice, hits, distinct, covered = 0, 0, 0, 0, 0
        while True:
            at, have, more = _tokenise(
                data, at, end, have, tables, stems, inside, nodes, hashes, others, starts, stops
            )  # fmt: skip
            if at < 0:
                doubtful[row] = True
                break
            twice += more
            until = have - longest if at < end else have  # so that a match that begins before it is here whole
            after = 0
            for number in range(_firsts(hashes, others, until, first, nodes, firsts)):
                i = firsts[number]
                if i < after:
                    continue
                if stemmed:
                    best, length = _longest_of_ways(i, have, hashes, others, first, later, nodes, live, grown)
                else:
                    best, length = _longest(i, have, hashes, later, nodes)
                if best < 0:
                    continue
                hits += 1
                covered += _characters(data, starts[i], stops[i + length - 1])
                if twice:
                    covered += _splits(data, starts[i], stops[i + length - 1], tables[1])
                if seen[best] != row + 1:
                    seen[best] = row + 1
                    distinct += 1
                after = i + length
            if at >= end:
                break
            after = max(after, until)
            for which in range(after, have):  # what could still begin a match goes to the front
                hashes[which - after], others[which - after] = hashes[which], others[which]
                starts[which - after], stops[which - after] = starts[which], stops[which]
            have -= after
        if not doubtful[row]:
            out[0, row], out[1, row], out[2, row], out[3, row] = hits, distinct, covered, twice
    return out, doubtful
