"""`normal.normalise` and `normal.script_of` over the utf-8 of a column, in place: byte for byte what those two say.

What depends on Unicode comes from tables that are filled by asking Python itself, so both always speak of the
same version. Rows that are not in normal form C are told on the way and have to be composed first.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from medcorpus.text import nfc
from medcorpus.text.addresses import blank_addresses, may_be_address
from medcorpus.text.buffers import buffers, contiguous, strings
from medcorpus.text.compiled import INNER
from medcorpus.text.composing import composed
from medcorpus.text.lid import normal
from medcorpus.text.nfc import changes, decode, encode
from medcorpus.text.stored import stored

SCRIPTS = (*normal.script_names(), "Jpan", "Hans", "Hant")
"""Names behind the codes of `scripts`; code 0 stands for no letters of a known script."""

_LATN, _KANA, _HANI = (SCRIPTS.index(name) for name in ("Latn", "Kana", "Hani"))
_JPAN, _HANS, _HANT = (SCRIPTS.index(name) for name in ("Jpan", "Hans", "Hant"))

_WHITE = np.uint64(sum(1 << ord(char) for char in "\0\t\n\v\f\r\x1c\x1d\x1e "))
"""Where fastText parts words or `str.splitlines` lines, in ASCII; the latter also at U+0085, U+2028 and U+2029."""

NOT_NFC, _ADDRESS = -1, -2
"""In place of a size: the text is not in normal form C, or may have an address in it."""

# An entry of the table, uint32: what the character becomes, what is done with it, the script of what it becomes,
# whether that is a letter to str.isalpha, and whether the character needs a closer look.
_POINT, _KIND, _SCRIPT, _ALPHA, _SPECIAL = 0x1FFFFF, 21, 24, 30, 31
_SIMPLIFIED, _TRADITIONAL, _CASED, _IGNORABLE = 1, 2, 4, 8  # flags of the second table

_KEEP, _DIGIT, _BLANK, _DROP = normal.KEEP, normal.DIGIT, normal.BLANK, normal.DROP
_SIGMA, _FINAL_SIGMA, _DOTTED_I = 0x3A3, 0x3C2, 0x130


class Tables(NamedTuple):
    """What the kernels look up; all read-only."""

    entries: np.ndarray  # uint32 by code point: lower case, action, script
    flags: np.ndarray  # uint8 by code point
    scripts: np.ndarray  # uint8 by code point: script before lower()
    kinds: np.ndarray  # `nfc.tables`
    pairs: np.ndarray
    splits: np.ndarray


@cache
def tables() -> Tables:
    """Tables after this Python's Unicode version, all read-only."""
    return Tables(*stored("lines", _tables))


def _tables() -> Tables:
    points = np.arange(0x110000, dtype=np.uint32)
    # Nothing above has a case; the last part are marks that lower() skips.
    plain = np.r_[0:0xD800, 0xE000:0x20000, 0xE0000:0xE0200]
    plain = plain[(plain != _SIGMA) & (plain != _DOTTED_I)]
    lower = points.copy()
    lower[plain] = _codes("".join(map(chr, plain)).lower())
    lower[_SIGMA], lower[_DOTTED_I] = ord("σ"), ord("i")
    lettered = np.zeros(0x110000, np.uint32)
    letters = [point for point in [*range(0xD800), *range(0xE000, 0x323B0)] if chr(point).isalpha()]
    lettered[letters] = 1
    entries = lower | normal.character_classes()[lower].astype(np.uint32) << np.uint32(_KIND)
    entries |= normal.script_table()[lower].astype(np.uint32) << np.uint32(_SCRIPT) | lettered[lower] << np.uint32(
        _ALPHA
    )
    kinds, pairs, splits = nfc.tables()
    entries[[_SIGMA, _DOTTED_I, *b"@:wW", *np.flatnonzero(kinds)]] |= np.uint32(1 << _SPECIAL)

    flags = np.zeros(0x110000, np.uint8)
    simplified, traditional = normal.han_forms()
    flags[0x3400:0xA000] = simplified * _SIMPLIFIED + traditional * _TRADITIONAL
    # lower() makes a sigma at the end of a word a final one; asking it tells what it thinks a word is made of.
    probes = _codes("".join(f"AΣ{chr(point)} AΣ{chr(point)}A " for point in plain).lower()).reshape(-1, 9)
    cased, goes_on = probes[:, 1] != _FINAL_SIGMA, probes[:, 5] != _FINAL_SIGMA
    flags[plain] |= (cased * _CASED + (goes_on & ~cased) * _IGNORABLE).astype(np.uint8)
    flags[[_SIGMA, _DOTTED_I]] = _CASED
    scripts = normal.script_table().copy()
    return Tables(entries, flags, scripts, kinds, pairs, splits)


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def normalised(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """`normal.normalise` of each row; a null is the empty text."""
    lines, doubtful = _lines(array)
    if not doubtful.any():
        return lines
    others, _ = _lines(composed(contiguous(array).filter(pa.array(doubtful))))
    return pc.replace_with_mask(lines, pa.array(doubtful), others.cast(lines.type))


def _lines(array: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    data, offsets, _ = buffers(array)
    out, out_offsets, doubtful = _normalised(data, offsets, tables())
    return strings(out, out_offsets), doubtful


def scripts(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """`normal.script_of` of each row, as an index into SCRIPTS (int64)."""
    data, offsets, _ = buffers(array)
    return _scripts(data, offsets, tables())


@njit(cache=True, nogil=True)
def _scripts(data, offsets, tables):
    found = np.zeros(len(offsets) - 1, np.int64)
    counts = np.zeros(64, np.int64)
    written, flags = tables.scripts, tables.flags
    for row in range(len(found)):
        at, end = offsets[row], offsets[row + 1]
        for place in range(len(counts)):
            counts[place] = 0
        simplified = traditional = 0
        while at < end:
            point, width = decode(data, at)
            at += width
            script = written[point]
            counts[script] += 1
            if script == _HANI and 0x3400 <= point < 0xA000:
                simplified += flags[point] & _SIMPLIFIED
                traditional += (flags[point] & _TRADITIONAL) >> 1
        found[row] = _dominant(counts, simplified, traditional)
    return found


@njit(**INNER)
def _dominant(counts, simplified, traditional):
    """Script of a text with `counts` letters of each script: the rules of `normal.script_of`."""
    han, kana = counts[_HANI], counts[_KANA]
    counts[0] = 0
    counts[_HANI] += kana
    counts[_KANA] = 0
    best = 0
    for script in range(len(counts)):
        if counts[script] > counts[best]:
            best = script
    if counts[best] == 0:
        return 0
    if best != _HANI:
        return best
    if kana * 50 > han + kana:
        return _JPAN
    if simplified * 20 >= han and simplified > 4 * traditional:
        return _HANS
    if traditional * 20 >= han and traditional > 4 * simplified:
        return _HANT
    return _HANI


@njit(**INNER)
def _ends_word(data, begin, at, end, flags):
    """Whether the sigma at `at` is a final one: a cased letter before it, none after it (SpecialCasing.txt)."""
    before = at
    while True:
        if before == begin:
            return False
        before -= 1
        while data[before] & 0xC0 == 0x80:
            before -= 1
        kind = flags[decode(data, before)[0]]
        if not kind & _IGNORABLE:
            break
    if not kind & _CASED:
        return False
    at += 2
    while at < end:
        point, width = decode(data, at)
        if not flags[point] & _IGNORABLE:
            return not flags[point] & _CASED
        at += width
    return True


@njit(**INNER)
def _closer(data, begin, at, end, point, flags, kinds, pairs, splits, starter, last):
    """(what `point` becomes, 0 for what its entry says; a second character or 0; starter and class so far).

    The class is NOT_NFC when the text is not, beyond what can be mended here.
    """
    kind = np.int64(kinds[point])
    first, second = np.int64(0), np.int64(0)
    if kind & nfc.SPLIT:
        first = np.int64(splits[point - nfc.FIRST_SPLIT, 0])
        second = np.int64(splits[point - nfc.FIRST_SPLIT, 1])
        starter = first
        point, kind, last = second, np.int64(kinds[second]), np.int64(0)
    elif point == _SIGMA:
        first = np.int64(_FINAL_SIGMA if _ends_word(data, begin, at, end, flags) else 0)
    elif point == _DOTTED_I:
        second = np.int64(0x307)
    if kind == 0:
        return first, second, point, np.int64(0)
    if first == 0 and changes(point, kind, starter, last, pairs):
        return first, second, starter, np.int64(NOT_NFC)
    last = kind & nfc.CLASS
    return first, second, point if last == 0 else starter, last


@njit(**INNER)
def _lowered(data, begin, end, tables, out):
    """Lower case of data[begin:end] into `out`; its size, or NOT_NFC."""
    entries, flags = tables.entries, tables.flags
    kinds, pairs, splits = tables.kinds, tables.pairs, tables.splits
    at, put = begin, 0
    starter, last = np.int64(-1), np.int64(0)
    while at < end:
        point, width = decode(data, at)
        lower, tail, starter, last = _closer(data, begin, at, end, point, flags, kinds, pairs, splits, starter, last)
        if last == NOT_NFC:
            return NOT_NFC
        put = encode(lower if lower else np.int64(entries[point]) & _POINT, out, put)
        if tail:
            put = encode(tail, out, put)
        at += width
    return put


@njit(**INNER)
def _tokens(data, begin, end, tables, out, clean):
    """data[begin:end] as tokens into `out`: (size, whether it has letters, script).

    `clean` says that it is lower case and without addresses; else the size may be NOT_NFC or _ADDRESS, each as
    soon as it shows.
    """
    entries, flags = tables.entries, tables.flags
    kinds, pairs, splits = tables.kinds, tables.pairs, tables.splits
    counts = np.zeros(64, np.int64)
    simplified = traditional = 0
    letters = np.int64(0)
    script, run = np.int64(0), 0  # letters of the same script one after another
    starter, last = np.int64(-1), np.int64(0)
    at, put = begin, 0
    gap = False  # a space is due
    while at < end:
        point, width = decode(data, at)
        entry = np.int64(entries[point])
        lower = entry & _POINT
        if entry >> _SPECIAL and not clean:
            if point < 0x80 and may_be_address(data, at, end):
                return _ADDRESS, False, 0
            other, tail, starter, last = _closer(
                data, begin, at, end, point, flags, kinds, pairs, splits, starter, last
            )
            if last == NOT_NFC:
                return NOT_NFC, False, 0
            if other:
                lower = other
        else:
            starter, last, tail = point, np.int64(0), np.int64(0)
        at += width
        kind = entry >> _KIND & 7
        if kind == _KEEP:
            if gap:
                out[put] = 0x20
                put += 1
                gap = False
            put = encode(lower, out, put)
            letters |= entry
            if entry >> _SCRIPT & 0x3F != script:
                counts[script] += run
                script, run = entry >> _SCRIPT & 0x3F, 0
            run += 1
            if script == _HANI and 0x3400 <= lower < 0xA000:
                simplified += flags[lower] & _SIMPLIFIED
                traditional += (flags[lower] & _TRADITIONAL) >> 1
            if tail:
                put = encode(tail, out, put)
                run += script != _LATN  # U+0307 belongs to no script
        elif kind == _BLANK:
            gap = put > 0
        elif kind == _DIGIT:
            if gap or put == 0 or out[put - 1] != 0x30:
                if gap:
                    out[put] = 0x20
                    put += 1
                    gap = False
                out[put] = 0x30
                put += 1
        elif kind != _DROP:
            if put > 0:
                out[put] = 0x20
                put += 1
            put = encode(lower, out, put)
            gap = True
    counts[script] += run
    return put, letters >> _ALPHA & 1 != 0, _dominant(counts, simplified, traditional)


@njit(**INNER)
def line(data, begin, end, tables, out, scratch):
    """`normal.normalise` of data[begin:end] into `out`: (size, whether it has letters, script).

    The size is NOT_NFC when the text has to be composed first. Both arrays take at least `room(end - begin)`. The text
    is copied before it is looked at: what is read is of the same type each time, and compiled once (data may not be
    written to, which is a type of its own).
    """
    _copy(data, begin, end, scratch)
    size, letters, script = _tokens(scratch, np.int64(0), end - begin, tables, out, np.bool_(False))
    if size != _ADDRESS:
        return size, letters, script
    _copy(data, begin, end, out)
    size = _lowered(out, np.int64(0), end - begin, tables, scratch)
    if size == NOT_NFC:
        return size, False, 0
    blank_addresses(scratch, size)
    return _tokens(scratch, np.int64(0), size, tables, out, np.bool_(True))


@njit(**INNER)
def _copy(data, begin, end, out):
    for at in range(begin, end):
        out[at - begin] = data[at]


@njit(**INNER)
def as_it_is(data, begin, end, entries, out):
    """What a model of others is shown of data[begin:end], single spaces between words: (size, whether it has letters).

    That is the text itself with its line breaks as spaces; `out` takes at least `room(end - begin)`.
    """
    at, put = begin, 0
    letters, after_space = False, True
    while at < end:
        byte, width = data[at], 1
        if byte <= 0x20:
            space = _WHITE >> np.uint64(byte) & np.uint64(1) != 0
        elif byte < 0x80:
            space = False
            letters = letters or entries[byte] >> np.uint32(_ALPHA) & np.uint32(1) != 0
        else:
            point, width = decode(data, at)
            space = point == 0x85 or point == 0x2028 or point == 0x2029
            letters = letters or entries[point] >> np.uint32(_ALPHA) & np.uint32(1) != 0
        if space:
            out[put] = 0x20
            put += not after_space
        else:
            for which in range(width):
                out[put + which] = data[at + which]
            put += width
        after_space = space
        at += width
    return put, letters


@njit(cache=True, nogil=True)
def room(size):
    """Bytes that the line of `size` bytes may need: U+023A takes two, three when lower; `!!` becomes `! !`; slack."""
    return 2 * size + 40


@njit(cache=True, nogil=True)
def _normalised(data, offsets, tables):
    """(data, offsets) of all lines and, as yet empty, rows that have to be composed first."""
    rows = len(offsets) - 1
    out, out_offsets = np.empty(room(offsets[rows] - offsets[0]), np.uint8), np.zeros(rows + 1, np.int64)
    doubtful = np.zeros(rows, np.bool_)
    scratch = np.empty(0, np.uint8)
    put = 0
    for row in range(rows):
        if room(offsets[row + 1] - offsets[row]) > len(scratch):
            scratch = np.empty(2 * room(offsets[row + 1] - offsets[row]), np.uint8)
        size, _, _ = line(data, offsets[row], offsets[row + 1], tables, out[put:], scratch)
        doubtful[row] = size == NOT_NFC
        put += max(size, 0)
        out_offsets[row + 1] = put
    return out[:put], out_offsets, doubtful
