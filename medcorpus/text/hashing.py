"""Fingerprints of documents for exact duplicates: a normal form, and MurmurHash3 over it, in place.

*Normal form.* NFC, then each run of white space becomes one space, then trimmed. Nothing else is touched:
case, digits, punctuation and combining marks stay, since "5 mg" and "50 mg", or two Thai words that differ in
a tone mark, are not the same. White space is the Unicode property White_Space (PropList.txt), 25 code points
among them U+00A0, U+3000 and U+2028; RE2's `\\s`, which Arrow offers, is ASCII only. U+200B (zero width space)
and U+FEFF do not have the property and stay.

*NFC only where needed.* The quick check of UAX 15 (section 9) tells most texts to be NFC already while
walking the bytes; the rest goes through Arrow. Code points that this Python does not know count as
doubtful, so the answer hangs on one Unicode version only, Arrow's.

*Hash.* MurmurHash3_x64_128 by Austin Appleby (public domain), the two halves as (h1, h2): 128 bits, so that
equal hashes mean equal texts (10^10 documents collide with a chance of 10^-19). It is no defence against
somebody who builds collisions on purpose.
"""

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from medcorpus.text.buffers import buffers, contiguous, strings

_C1 = np.uint64(0x87C37B91114253D5)
_C2 = np.uint64(0x4CF5AD432745937F)
_F1 = np.uint64(0xFF51AFD7ED558CCD)
_F2 = np.uint64(0xC4CEB9FE1A85EC53)

_DOUBTFUL = 255  # NFC_Quick_Check is No or Maybe; every other value is a canonical combining class


def hash128(array: pa.Array | pa.ChunkedArray, seed: int = 0) -> np.ndarray:
    """MurmurHash3_x64_128 of each row's utf-8 bytes: uint64[n, 2]. A null hashes as the empty text."""
    data, offsets, _ = buffers(array)
    return _murmur(data, offsets, np.uint64(seed))


def normalised(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The normal form of each row (see above), a string column without nulls (large_string beyond 2 GiB).

    A null becomes the empty text.
    """
    array = contiguous(array)
    data, offsets, _ = buffers(array)
    doubtful = _not_nfc(data, offsets, _classes())
    rows = np.flatnonzero(doubtful)
    if len(rows):
        composed = pc.utf8_normalize(array.take(pa.array(rows)), form="NFC")
        other, other_offsets, _ = buffers(composed)
    else:
        other, other_offsets = data, offsets[:1]
    return strings(*_fold(data, offsets, other, other_offsets, doubtful))


@cache
def _classes() -> np.ndarray:
    """uint8 per code point: canonical combining class, or _DOUBTFUL where a text may change under NFC.

    Doubtful: it changes by itself (NFC_QC = No), it may combine with what stands before it (Maybe: the second
    of a primary composite, Hangul vowels and final consonants), or this Python does not know it.
    """
    table = np.zeros(0x110000, np.uint8)
    chars = [chr(point) for point in range(0x20000)]
    table[:0x20000] = np.fromiter(map(unicodedata.combining, chars), np.uint8)
    for char in chars:
        decomposition = unicodedata.decomposition(char)
        if decomposition and decomposition[0] != "<":
            if unicodedata.normalize("NFC", char) != char:
                table[ord(char)] = _DOUBTFUL
            elif " " in decomposition:
                table[int(decomposition.split()[1], 16)] = _DOUBTFUL
        elif unicodedata.category(char) == "Cn":
            table[ord(char)] = _DOUBTFUL
    table[0x1161:0x1176] = table[0x11A8:0x11C3] = _DOUBTFUL
    table[0x2F800:0x2FA20] = _DOUBTFUL  # compatibility ideographs; no other one above plane 1 decomposes
    table.flags.writeable = False
    return table


@njit(cache=True, nogil=True)
def _not_nfc(data, offsets, classes):
    """bool[n]: rows that fail the quick check of UAX 15. Nothing below U+0300 can fail it."""
    doubtful = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(doubtful)):
        at, end = offsets[row], offsets[row + 1]
        last = 0
        while at < end:
            lead = data[at]
            if lead < 0xCC:  # one byte below U+0080, two below U+0300
                at += 1 if lead < 0x80 else 2
                last = 0
                continue
            if lead < 0xE0:
                point = (np.int64(lead) & 0x1F) << 6 | (data[at + 1] & 0x3F)
                at += 2
            elif lead < 0xF0:
                point = (np.int64(lead) & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (data[at + 2] & 0x3F)
                at += 3
            else:
                point = (
                    (np.int64(lead) & 0x07) << 18
                    | (np.int64(data[at + 1]) & 0x3F) << 12
                    | (np.int64(data[at + 2]) & 0x3F) << 6
                    | (data[at + 3] & 0x3F)
                )
                at += 4
            kind = classes[point]
            if kind and (kind == _DOUBTFUL or kind < last):
                doubtful[row] = True
                break
            last = kind
    return doubtful


@njit(inline="always")
def _white(data, at):
    """Bytes of the white space character that begins at `at`, 0 when it is none."""
    lead = data[at]
    if lead < 0x80:
        return 1 if lead == 32 or 9 <= lead <= 13 else 0
    if lead == 0xC2:  # U+0085, U+00A0
        return 2 if data[at + 1] == 0x85 or data[at + 1] == 0xA0 else 0
    if lead == 0xE1:  # U+1680
        return 3 if data[at + 1] == 0x9A and data[at + 2] == 0x80 else 0
    if lead == 0xE2:
        second, third = data[at + 1], data[at + 2]
        if second == 0x80:  # U+2000..200A, U+2028, U+2029, U+202F
            return 3 if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0
        return 3 if second == 0x81 and third == 0x9F else 0  # U+205F
    if lead == 0xE3:  # U+3000
        return 3 if data[at + 1] == 0x80 and data[at + 2] == 0x80 else 0
    return 0


@njit(cache=True, nogil=True)
def _fold(data, offsets, other, other_offsets, doubtful):
    """White space folded and trimmed: (data, offsets). Row k of `other` stands for the k-th doubtful row."""
    out = np.empty(offsets[-1] - offsets[0] + other_offsets[-1] - other_offsets[0], np.uint8)
    out_offsets = np.zeros(len(offsets), np.int64)
    put, taken = 0, 0
    for row in range(len(doubtful)):
        if doubtful[row]:
            source, at, end = other, other_offsets[taken], other_offsets[taken + 1]
            taken += 1
        else:
            source, at, end = data, offsets[row], offsets[row + 1]
        begin = put
        while at < end:
            byte = source[at]
            if byte <= 32 or byte == 0xC2 or 0xE1 <= byte <= 0xE3:
                width = _white(source, at)
                if width:
                    at += width
                    if put > begin and out[put - 1] != 32:
                        out[put] = 32
                        put += 1
                    continue
            out[put] = byte
            put += 1
            at += 1
        if put > begin and out[put - 1] == 32:
            put -= 1
        out_offsets[row + 1] = put
    return out[:put], out_offsets


@njit(inline="always")
def _load(data, at):
    """Eight bytes, the lowest first; the compiler makes one load of it."""
    return (
        np.uint64(data[at])
        | np.uint64(data[at + 1]) << np.uint64(8)
        | np.uint64(data[at + 2]) << np.uint64(16)
        | np.uint64(data[at + 3]) << np.uint64(24)
        | np.uint64(data[at + 4]) << np.uint64(32)
        | np.uint64(data[at + 5]) << np.uint64(40)
        | np.uint64(data[at + 6]) << np.uint64(48)
        | np.uint64(data[at + 7]) << np.uint64(56)
    )


@njit(inline="always")
def _rotl(word, by):
    return word << np.uint64(by) | word >> np.uint64(64 - by)


@njit(inline="always")
def _mix(word):
    word ^= word >> np.uint64(33)
    word *= _F1
    word ^= word >> np.uint64(33)
    word *= _F2
    return word ^ word >> np.uint64(33)


@njit(cache=True, nogil=True)
def _murmur(data, offsets, seed):
    out = np.empty((len(offsets) - 1, 2), np.uint64)
    for row in range(len(out)):
        at, end = offsets[row], offsets[row + 1]
        size = np.uint64(end - at)
        h1 = h2 = seed
        while at + 16 <= end:
            h1 ^= _rotl(_load(data, at) * _C1, 31) * _C2
            h1 = (_rotl(h1, 27) + h2) * np.uint64(5) + np.uint64(0x52DCE729)
            h2 ^= _rotl(_load(data, at + 8) * _C2, 33) * _C1
            h2 = (_rotl(h2, 31) + h1) * np.uint64(5) + np.uint64(0x38495AB5)
            at += 16
        k1 = k2 = np.uint64(0)
        for back in range(end - 1, at - 1, -1):  # the tail, 0 to 15 bytes
            if back - at >= 8:
                k2 = k2 << np.uint64(8) | np.uint64(data[back])
            else:
                k1 = k1 << np.uint64(8) | np.uint64(data[back])
        h2 ^= _rotl(k2 * _C2, 33) * _C1
        h1 ^= _rotl(k1 * _C1, 31) * _C2
        h1 ^= size
        h2 ^= size
        h1 += h2
        h2 += h1
        h1 = _mix(h1)
        h2 = _mix(h2)
        h1 += h2
        h2 += h1
        out[row, 0] = h1
        out[row, 1] = h2
    return out
