"""Whether a text is in Unicode normal form C, exactly, told character by character while walking it.

The quick check of UAX 15 (section 9) answers "maybe" to every combining mark or vowel sign that is the second
half of some composed character: all of Bengali, Tamil, Burmese, and Yoruba or Vietnamese typed in parts. Here
that answer is settled on the spot, by asking whether it would compose with the starter before it. And letters
that normal form C takes apart, such as Hindi and Bengali ones with a dot below, can be taken apart on the way.
So only text that is written in parts for no good reason has to be taken out of its buffer.
"""

import unicodedata
from functools import cache

import numpy as np
from numba import njit

from medcorpus.text.compiled import INLINE, INNER
from medcorpus.text.stored import stored

CLASS = 0xFF
"""Combining class in an entry of `tables()[0]`."""

SPLIT = 0x400
"""Flag of an entry: in normal form C it is the two characters `tables()[2][point - FIRST_SPLIT]`."""

FIRST_SPLIT, _END_SPLIT = 0x900, 0x1000  # all scripts of India, and Tibetan

_MAYBE, _NO = 0x100, 0x200  # may compose with what is before it; never in NFC
_SLOTS = 8192  # for about 2,200 pairs
_L, _V, _T, _S = (0x1100, 0x1113), (0x1161, 0x1176), (0x11A8, 0x11C3), (0xAC00, 0xD7A4)  # Hangul, chapter 3.12


@cache
def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(uint16 per code point: class and flags; hash table of pairs that change; splits), of this Python's Unicode.

    A pair is three code points of 21 bits: two, and what they become. Besides what composes, pairs are a composed
    letter and a mark that belongs before one of its own, the third being 0: U+0112 (E with macron) and U+032D
    (circumflex below) become U+1E18 and a macron.
    """
    return stored("nfc", _tables)  # type: ignore[return-value]  # three of them


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kinds = np.zeros(0x110000, np.uint16)
    composed: list[tuple[int, int]] = []
    found: dict[tuple[int, int], int] = {}
    splits = np.zeros((_END_SPLIT - FIRST_SPLIT, 2), np.uint16)
    points = [*range(0xC0, 0x20000), *range(0x2F800, 0x2FA20)]  # the latter: compatibility ideographs
    chars = list(map(chr, points))
    kinds[points] = np.fromiter(map(unicodedata.combining, chars), np.uint16, len(chars))
    for point, char, decomposition in zip(points, chars, map(unicodedata.decomposition, chars), strict=True):
        if not decomposition or decomposition[0] == "<":
            continue
        if unicodedata.normalize("NFC", char) != char:
            kinds[point] |= _NO
            parts = [int(part, 16) for part in decomposition.split()]
            if FIRST_SPLIT <= point < _END_SPLIT and len(parts) == 2 and not unicodedata.combining(chr(parts[0])):
                kinds[point] |= SPLIT
                splits[point - FIRST_SPLIT] = parts
        else:
            first, second = (int(part, 16) for part in decomposition.split())
            found[first, second] = point
            composed.append((point, unicodedata.combining(unicodedata.normalize("NFD", char)[-1])))
    marks = {second: unicodedata.combining(chr(second)) for _, second in found}
    for point, last in composed:
        for mark, combining in marks.items():
            if 0 < combining < last and unicodedata.normalize("NFC", text := chr(point) + chr(mark)) != text:
                found.setdefault((point, mark), 0)
    pairs = np.zeros(_SLOTS, np.uint64)
    for (first, second), point in sorted(found.items()):
        slot = (first * 31 + second) % _SLOTS
        while pairs[slot]:
            slot = (slot + 1) % _SLOTS
        pairs[slot] = first << 42 | second << 21 | point
    for second in [*marks, *range(*_V), *range(*_T)]:
        kinds[second] |= _MAYBE
    return kinds, pairs, splits


@njit(**INNER)
def decode(data, at):
    """The code point that begins at `at`, and its bytes."""
    at = np.uint64(at)  # else numba looks in every access whether it is negative
    lead = np.int64(data[at])
    if lead < 0x80:
        return lead, 1
    second = np.int64(data[at + np.uint64(1)]) & 0x3F
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | second, 2
    third = np.int64(data[at + np.uint64(2)]) & 0x3F
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | second << 6 | third, 3
    return (lead & 0x07) << 18 | second << 12 | third << 6 | np.int64(data[at + np.uint64(3)]) & 0x3F, 4


@njit(**INNER)
def encode(point, out, put):
    """Write `point` at out[put]; where the next one goes."""
    if point < 0x80:
        out[put] = point
        return put + 1
    if point < 0x800:
        out[put] = 0xC0 | point >> 6
        out[put + 1] = 0x80 | point & 0x3F
        return put + 2
    if point < 0x10000:
        out[put] = 0xE0 | point >> 12
        out[put + 1] = 0x80 | point >> 6 & 0x3F
        out[put + 2] = 0x80 | point & 0x3F
        return put + 3
    out[put] = 0xF0 | point >> 18
    out[put + 1] = 0x80 | point >> 12 & 0x3F
    out[put + 2] = 0x80 | point >> 6 & 0x3F
    out[put + 3] = 0x80 | point & 0x3F
    return put + 4


@njit(**INNER)
def together(first, second, pairs):
    """What a starter and a character that is not blocked from it become (UAX 15, D117); -1 when they stay as they
    are, 0 when it is more than one character.
    """
    if _V[0] <= second < _V[1]:
        return _S[0] + ((first - _L[0]) * 21 + second - _V[0]) * 28 if _L[0] <= first < _L[1] else -1
    if _T[0] <= second < _T[1]:
        return first + second - _T[0] + 1 if _S[0] <= first < _S[1] and (first - _S[0]) % 28 == 0 else -1
    wanted = np.uint64(first << 21 | second)
    slot = (first * 31 + second) % _SLOTS
    while pairs[slot] != 0:
        if pairs[slot] >> np.uint64(21) == wanted:
            return np.int64(pairs[slot] & np.uint64(0x1FFFFF))
        slot = (slot + 1) % _SLOTS
    return -1


@njit(**INNER)
def changes(point, kind, starter, last, pairs):
    """Whether `point` makes a text change that was fine so far.

    `kind` is its entry in `tables()[0]`, `starter` the last code point of combining class 0 (-1 for none), `last`
    the class of the code point just before.
    """
    return misplaced(kind, last) or (may_join(kind, starter, last) and together(starter, point, pairs) >= 0)


@njit(**INLINE)
def misplaced(kind, last):
    """Whether a code point is never in normal form C, or not after a mark of the class `last`."""
    return kind & _NO != 0 or 0 < kind & CLASS < last


@njit(**INLINE)
def may_join(kind, starter, last):
    """Whether a code point may compose with something, and nothing blocks it from `starter`."""
    return kind & _MAYBE != 0 and starter >= 0 and (last == 0 or last < kind & CLASS)
