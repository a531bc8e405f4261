"""Tokens of a document as hashes, in any script: one walk over the utf-8, each character decoded and looked up once.

Where words are set apart a token is a word: letters, marks and the digits that follow them (`b12`). Where they are not
(Han, kana, Thai, Lao, Khmer, Burmese, Tibetan) it is a grapheme: a letter with its marks. A number: digits with single
. , ٫ ٬ between them; `500mg` is a number and a word. A sign that turns a meaning around (+ < > = % ...). All else
separates. Case is folded, the digits of every script are ASCII ones; marks stay, for they part words in Thai, Khmer and
Hindi. What no reader sees (joiners, soft hyphens, tatweel) is passed over.
"""

import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit

from medcorpus.text import nfc
from medcorpus.text.compiled import INLINE, INNER
from medcorpus.text.measures import HAN_RANGES, UNSPACED_RANGES
from medcorpus.text.nfc import changes, decode
from medcorpus.text.stored import stored

_SEPARATOR, _LETTER, _MARK, _DIGIT, _LONE, _SIGN, _UNSEEN, _POINT, _LEAD = map(np.uint32, range(9))
_SIGNS = "+<>=±×÷≤≥≠≈¬−%‰°"
_POINTS = ".,٫٬"
_UNSEEN_CHARS = "\u00ad\u0640\u034f\u180e"
_MANY = np.uint32(0x110000)  # a folded value from here on stands for several code points
# An entry: what the character folds to, its kind, and whether normal form C has to look at it.
_FOLD, _KIND, _KINDS, _SPECIAL = np.uint32(0x1FFFFF), np.uint32(21), np.uint32(0xF), np.uint32(31)

_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64 (Steele et al. 2014)

NOT_NFC = -1
"""In place of a count."""

STRENGTH, NUMBER = np.uint8(1), np.uint8(2)
"""Marks of a token: it may be a strength by itself (CD4, 500); it is a number."""


class Tables(NamedTuple):
    """What the walk looks up; all read-only."""

    entries: np.ndarray  # uint32 by code point
    first: np.ndarray  # uint32 by byte: the entry of an ASCII character, _LEAD for what begins a longer one
    many: np.ndarray  # uint32, n x 3: sequences that folds from _MANY on stand for, 0 at the end
    kinds: np.ndarray  # the next three: `nfc.tables`
    pairs: np.ndarray
    splits: np.ndarray


@cache
def tables() -> Tables:
    """After this Python's Unicode version."""
    return Tables(*stored("tokens", _tables), *nfc.tables())


def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first three."""
    kinds = np.zeros(0x110000, np.uint8)
    folds = np.arange(0x110000, dtype=np.uint32)
    many: list[tuple[int, ...]] = []
    chars = list(map(chr, range(0x20000)))
    by_category = dict.fromkeys(("Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "No"), _LETTER)
    by_category |= {"Mn": _MARK, "Mc": _MARK, "Me": _MARK, "Nd": _DIGIT, "Cf": _UNSEEN}
    kinds[:0x20000] = [by_category.get(category, _SEPARATOR) for category in map(unicodedata.category, chars)]
    for point, (char, folded) in enumerate(zip(chars, map(str.casefold, chars), strict=True)):
        if char == folded:
            continue
        if len(folded) > 1:
            folds[point] = _MANY + len(many)
            many.append(tuple(map(ord, folded)))
        else:
            folds[point] = ord(folded)
    digits = np.flatnonzero(kinds == _DIGIT)
    folds[digits] = [ord("0") + unicodedata.decimal(chr(point)) for point in digits]
    kinds[0xFE00:0xFE10] = kinds[0xE0100:0xE01F0] = kinds[0xE0001:0xE0080] = _UNSEEN  # variation selectors, tags
    kinds[0x200B] = _SEPARATOR  # zero width space, a word boundary in Thai and Khmer
    for first, last in (*HAN_RANGES, *UNSPACED_RANGES):
        block = kinds[first : last + 1]
        block[(block == _LETTER) | (first >= 0x20000)] = _LONE
    for chars, kind in ((_SIGNS, _SIGN), (_POINTS, _POINT), (_UNSEEN_CHARS, _UNSEEN)):
        kinds[[ord(char) for char in chars]] = kind
    longest = np.zeros((len(many), 3), np.uint32)
    for number, points in enumerate(many):
        longest[number, : len(points)] = points
    entries = kinds.astype(np.uint32) << _KIND | folds | (nfc.tables()[0] != 0).astype(np.uint32) << _SPECIAL
    first = entries[:256].copy()
    first[0x80:] = _LEAD << _KIND
    return entries, first, longest


@njit(**INLINE)
def mix(word):
    """The finaliser of splitmix64."""
    word = (word ^ word >> np.uint64(30)) * _MIX1
    word = (word ^ word >> np.uint64(27)) * _MIX2
    return word ^ word >> np.uint64(31)


@njit(**INLINE)
def _stir(state, entry, many):
    folded = entry & _FOLD
    if folded < _MANY:
        return (state ^ np.uint64(folded)) * _MULTIPLY
    for which in range(3):
        if many[folded - _MANY, which]:
            state = (state ^ np.uint64(many[folded - _MANY, which])) * _MULTIPLY
    return state


@njit(**INNER)
def tokens(data, begin, stop, tables, seed, hashes, marks):
    """Hashes (uint64) of all tokens of data[begin:stop], and their marks; how many there are, NOT_NFC for a text
    that has to be composed first.

    Both arrays need room for a token a byte. Places are unsigned: numba looks for negative ones in every access else.
    """
    entries, first, many, kinds, pairs, splits = tables
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    low, six = np.uint32(0x3F), np.uint32(6)
    at, end = np.uint64(begin), np.uint64(stop)
    count = 0
    inside = _SEPARATOR  # kind of the token that is being read: _LETTER, _LONE, or none
    state, length, digits = seed, 0, False
    starter, last = np.int64(-1), np.int64(0)  # what a mark that follows may compose with; the class of the last one
    while at < end:
        entry = first[data[at]]
        kind = entry >> _KIND
        size = one
        below = np.uint32(0)  # the mark below a letter that normal form C takes apart
        if kind != _LEAD:
            starter, last = np.int64(data[at]), np.int64(0)
        else:
            lead = np.uint32(data[at])
            point = lead & np.uint32(0x1F)
            if lead < 0xE0:
                point = point << six | np.uint32(data[at + one]) & low
                size = two
            elif lead < 0xF0:
                point = (lead & np.uint32(0xF)) << six | np.uint32(data[at + one]) & low
                point = point << six | np.uint32(data[at + two]) & low
                size = three
            else:
                point = (lead & np.uint32(0x7)) << six | np.uint32(data[at + one]) & low
                point = point << six | np.uint32(data[at + two]) & low
                point = point << six | np.uint32(data[at + three]) & low
                size = four
            entry = entries[point]
            if entry >> _SPECIAL:
                special = np.int64(kinds[point])
                if special & nfc.SPLIT:
                    starter, mark = np.int64(splits[point - nfc.FIRST_SPLIT, 0]), splits[point - nfc.FIRST_SPLIT, 1]
                    entry, below, last = entries[starter], entries[mark], np.int64(kinds[mark]) & nfc.CLASS
                    starter = starter if last else np.int64(mark)
                elif changes(np.int64(point), special, starter, last, pairs):
                    return NOT_NFC
                else:
                    last = special & nfc.CLASS
                    starter = starter if last else np.int64(point)
            else:
                starter, last = np.int64(point), np.int64(0)
            kind = entry >> _KIND & _KINDS
        if kind == _LETTER or (kind == _MARK and inside != _LONE):
            if inside != _LETTER:
                if inside != _SEPARATOR:
                    hashes[count], marks[count] = mix(state), 0
                    count += 1
                inside, state, length, digits = _LETTER, seed, 0, False
            state = _stir(state, entry, many)
            length += 1
        elif kind == _DIGIT and inside == _LETTER:
            state = (state ^ np.uint64(entry & _FOLD)) * _MULTIPLY
            length += 1
            digits = True
        elif kind == _MARK:
            state = _stir(state, entry, many)
        elif kind != _UNSEEN:
            if inside != _SEPARATOR:
                hashes[count], marks[count] = mix(state), STRENGTH if digits and length <= 8 else 0
                count += 1
                inside, digits = _SEPARATOR, False
            if kind == _LONE:
                inside, state = _LONE, _stir(seed, entry, many)
            elif kind == _DIGIT:
                hashes[count], marks[count], after = _number(data, np.int64(at), np.int64(end), entries, seed)
                count += 1
                at, starter, last = np.uint64(after), np.int64(-1), np.int64(0)  # nothing composes with a digit
                continue
            elif kind == _SIGN:
                hashes[count], marks[count] = mix(_stir(seed, entry, many)), 0
                count += 1
        if below:
            state = _stir(state, below, many)
            length += 1
        at += size
    if inside != _SEPARATOR:
        hashes[count], marks[count] = mix(state), STRENGTH if digits and length <= 8 else 0
        count += 1
    return count


@njit(**INLINE)
def _is_digit(data, at, entries):
    return entries[decode(data, at)[0]] >> _KIND & _KINDS == _DIGIT


@njit(**INNER)
def _number(data, at, end, entries, seed):
    """Digits, and single points between digits: (hash, mark, where it ends). 007 is 7; a comma counts as a point."""
    state = seed ^ np.uint64(0x6E756D)
    value, digits, points = np.int64(0), 0, 0
    while at < end:
        point, size = decode(data, at)
        kind = entries[point] >> _KIND & _KINDS
        if kind == _DIGIT:
            figure = np.int64(entries[point] & _FOLD) - 48
            digits += 1
            if points == 0:
                value = min(value * 10 + figure, np.int64(1) << 40)
            if value or points:
                state = (state ^ np.uint64(48 + figure)) * _MULTIPLY
        elif kind == _POINT and at + size < end and _is_digit(data, at + size, entries):
            points += 1
            state = (state ^ np.uint64(46)) * _MULTIPLY
        elif kind != _UNSEEN:
            break
        at += size
    year = 1900 <= value < 2100
    bare = points == 1 or (points == 0 and digits <= 6 and value >= 32 and not year)
    return mix(state), NUMBER | STRENGTH if bare else NUMBER, at
