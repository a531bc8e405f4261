"""Shingles: what a document says, as a set of hashes, in any script. One walk over the utf-8, in place.

*Tokens.* `text.tokens`: words, numbers, signs, and graphemes where words are not set apart; after NFC.

*Shingles.* Each `width` tokens in a row, hashed to 64 bits, of which the upper 32 are kept, each value once. A
document of no more than `width` tokens has none that could be compared by halves: it counts as a whole.

*Whole.* 128 bits over the sequence of tokens: equal means Jaccard 1 and the same order. A text without tokens is
hashed by its bytes.

*Figures.* Two leaflets that differ in a dose are not the same leaflet. `strengths` is the multiset of what may be
one: numbers before a unit, words with digits in them (CD4, B12), numbers with a fraction, whole ones from 32 to
999,999 that are no year. `numbers` is the multiset of all numbers, `words` the sequence of everything else: equal
words with other numbers are another text however long. Multisets are sums of hashes.

*Edges.* A text of fewer than SHORT tokens is about what its first or last words say: "Ribavirin: recommended in the
guideline for" is not "Umifenovir: recommended in the guideline for", although shingles count a word at the edge less
than one inside. `edges` is a hash of the first and the last four tokens of such a text, 0 for longer ones.

Every hash is made from a seed and SCHEME; who compares hashes has to compare those first.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from medcorpus.text.buffers import buffers, contiguous
from medcorpus.text.compiled import INLINE, INNER
from medcorpus.text.composing import composed
from medcorpus.text.tokens import NOT_NFC, mix, tables, tokens

SCHEME = 1
"""Bumped when a text gives other hashes than before."""

_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_BASE = np.uint64(0xD6E8FEB86659FD93)

SHORT = 64
_EDGE = 4

UNITS = """
mg g kg mcg µg ug ng l dl cl ml µl ul mmol µmol umol nmol mol meq iu ui ie me u units unit mm cm m mmhg kcal kj ppm
tablet tablets tab tabs capsule capsules cap caps drop drops puff puffs dose doses ampoule ampoules vial vials
sachet sachets suppository suppositories spray sprays x times hourly weekly daily percent
tablette tablettes tabletten comprimé comprimés kapsel kapseln gélule gélules goutte gouttes tropfen comprimido
comprimidos cápsula cápsulas gotas gota compressa compresse capsule gocce fois mal vez veces vezes volte ml/min
мг г кг мкг мл л дл ед ме таблетка таблетки таблеток капсула капсулы капсул капли капель раз процент
ملغ مجم ملجم غ غم جم كجم مكغ مل لتر وحدة وحدات قرص أقراص حبة حبوب كبسولة كبسولات قطرة قطرات مرات مرة
מג גרם מל טבליה טבליות मिग्रा मिलीग्राम ग्राम मिली गोली गोलियां टैबलेट कैप्सूल बूंद बार মিগ্রা মিলি গ্রাম ট্যাবলেট
ሚግ ግራም ሚሊ ክኒን kwayoyi vidonge kidonge viên giọt lần tableta tablety tabletki tabletka kapsułka kapsułki tablett
밀리그램 그램 정 캡슐 방울 회 δισκία mg/kg mg/ml
毫 克 微 升 公 單 单 単 国 國 片 粒 滴 支 次 瓶 袋 丸 錠 包 枚 回 錠 度 ม ก ล ไ ไม เ แ ຫ ມ ກ ເ គ ម ល គ្រ មី មី មិ မ ဂ လ
"""
"""What may follow a dose, as first tokens: units, dose forms, times; first graphemes where words are not set apart.

Too many is safe: it only keeps two texts apart that differ in a number anyway.
"""


@dataclass(frozen=True)
class Shingles:
    """Of n documents: row i has the distinct shingles `values[offsets[i]:offsets[i + 1]]`, in order of appearance."""

    values: np.ndarray  # uint32
    offsets: np.ndarray  # int64, n + 1
    whole: np.ndarray  # uint64, n x 2
    strengths: np.ndarray  # uint64, 0 when there are none; so are the next two
    numbers: np.ndarray
    words: np.ndarray
    edges: np.ndarray
    tokens: np.ndarray  # int32


def shingles(array: pa.Array | pa.ChunkedArray, width: int = 5, seed: int = 1) -> Shingles:
    """Shingles of each row; a null counts as the empty text. `width` is at least 1."""
    if width < 1:
        raise ValueError(f"a shingle needs a token, not {width}")
    array = contiguous(array)
    made, doubtful, _ = _walked(array, width, seed, _units(seed))
    if not doubtful.any():
        return made
    others, _, _ = _walked(composed(array.filter(pa.array(doubtful))), width, seed, _units(seed))
    return _inserted(made, np.flatnonzero(doubtful), others)


def _walked(array: pa.Array, width: int, seed: int, units: np.ndarray) -> tuple[Shingles, np.ndarray, np.ndarray]:
    """(shingles, rows to be composed first, which are left empty, the first token of each row)."""
    data, offsets, _ = buffers(array)
    values, starts, said = _walk(data, offsets, tables(), np.int64(width), np.uint64(seed), units)
    found = Shingles(values, starts, said[:2].T, *said[2:6], said[6].astype(np.int32))
    return found, said[7] != 0, said[8]


def _inserted(made: Shingles, rows: np.ndarray, more: Shingles) -> Shingles:
    """`made` with `more` in those of its rows, which are empty."""
    counts, added = np.diff(made.offsets), np.diff(more.offsets)
    values = np.insert(made.values, np.repeat(made.offsets[rows], added), more.values)
    counts[rows] = added
    for name in ("whole", "strengths", "numbers", "words", "edges", "tokens"):
        getattr(made, name)[rows] = getattr(more, name)
    return replace(made, values=values, offsets=np.concatenate([[0], np.cumsum(counts)]))


@cache
def _units(seed: int) -> np.ndarray:
    """Hashes of the first token of each unit, sorted."""
    texts = pc.utf8_normalize(pa.array([f"{unit} ." for unit in UNITS.split()]), form="NFC")
    _, _, firsts = _walked(texts, 1, seed, _read_only(np.zeros(0, np.uint64)))
    return _read_only(np.unique(firsts[firsts != 0]))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@njit(**INLINE)
def _holds(sorted_values, value):
    low, high = 0, len(sorted_values)
    while low < high:
        middle = (low + high) >> 1
        if sorted_values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < len(sorted_values) and sorted_values[low] == value


@njit(cache=True, nogil=True)
def _walk(data, offsets, tables, width, seed, units):
    """(values, offsets, uint64[9, n]: the rest of `Shingles`, whether a row has to be composed first, its first token).

    Tokens first, then what is made of them: short loops, which the compiler does well. One array for all that is told
    of a row, and loops where a slice could be copied: numba takes a second to compile what could go wrong there.
    """
    rows = len(offsets) - 1
    said = np.zeros((9, rows), np.uint64)
    starts = np.zeros(rows + 1, np.int64)
    values = np.empty(1024 + (offsets[rows] - offsets[0]) // 4, np.uint32)
    hashes = np.empty(4096, np.uint64)
    marks = np.empty(4096, np.uint8)
    seen = np.zeros(1 << 12, np.uint64)  # open addressing: number of the row in the upper half, shingle in the lower
    put = np.int64(0)  # of the type that it will have: for a literal callees are compiled once more
    for row in range(rows):
        starts[row + 1] = put
        at, end = offsets[row], offsets[row + 1]
        most = end - at + 1  # a token is a byte at least
        if most > len(hashes):
            hashes = np.empty(2 * most, np.uint64)
            marks = np.empty(2 * most, np.uint8)
        count = tokens(data, at, end, tables, seed, hashes, marks)
        if count == NOT_NFC:
            said[7, row] = 1
            continue
        said[6, row] = count
        if count:
            said[0, row], said[1, row] = _whole(hashes, count, seed)
            said[8, row] = hashes[0]
        else:
            said[0, row], said[1, row] = _bytes(data, at, end, seed)
        said[2, row], said[3, row], said[4, row] = _figures(hashes, marks, count, seed, units)
        if _EDGE < count < SHORT:
            edge = seed
            for place in range(_EDGE):
                edge = (edge ^ hashes[place]) * _MULTIPLY
            for place in range(_EDGE):
                edge = (edge ^ hashes[count - 1 - place]) * _MULTIPLY
            said[5, row] = mix(edge)
        if count > width:  # else compared whole
            if put + count > len(values):
                grown = np.empty(2 * len(values) + count, np.uint32)
                for place in range(put):
                    grown[place] = values[place]
                values = grown
            if 2 * count > len(seen):
                seen = np.zeros(4 * len(seen) if 4 * len(seen) > 2 * count else _power(2 * count), np.uint64)
            put = _distinct(hashes, count, width, seed, np.uint64(row + 1), seen, values, put)
            starts[row + 1] = put
    return values[:put].copy(), starts, said


@njit(**INNER)
def _power(least):
    room = 1
    while room < least:
        room *= 2
    return room


@njit(**INNER)
def _whole(hashes, count, seed):
    one, two = seed, ~seed
    for place in range(count):
        one = (one ^ hashes[place]) * _MULTIPLY
        one ^= one >> np.uint64(32)
        two = (two + hashes[place]) * _BASE
        two ^= two >> np.uint64(31)
    return mix(one + np.uint64(count)), mix(two + np.uint64(count))


@njit(**INNER)
def _bytes(data, at, end, seed):
    one, two = seed, ~seed
    for place in range(at, end):
        one = (one ^ np.uint64(data[place])) * _MULTIPLY
        one ^= one >> np.uint64(32)
        two = (two + np.uint64(data[place]) + np.uint64(1)) * _BASE
        two ^= two >> np.uint64(31)
    return mix(one), mix(two)


@njit(**INNER)
def _figures(hashes, marks, count, seed, units):
    """(strengths, numbers, words) of a document."""
    strengths = numbers = np.uint64(0)
    said = seed
    for place in range(count):
        hashed, mark = hashes[place], marks[place]
        if mark < 2:
            said = (said ^ hashed) * _MULTIPLY
            said ^= said >> np.uint64(29)
            if mark:
                strengths += mix(hashed + _BASE)
            continue
        numbers += mix(hashed + _BASE)
        if place + 1 < count and _holds(units, hashes[place + 1]):
            strengths += mix(hashed + hashes[place + 1] * _BASE)
        elif mark & 1:
            strengths += mix(hashed)
    return strengths, numbers, mix(said)


@njit(**INNER)
def _distinct(hashes, count, width, seed, stamp, seen, values, put):
    """Append the shingles of a document to `values`, each once; where the next ones go."""
    top = np.uint64(1)  # _BASE ** width
    for _ in range(width):
        top *= _BASE
    room = 64  # only as much of the table as this row needs, so that short rows stay in the nearest cache
    while room < 2 * count:
        room *= 2
    mask = np.uint64(room - 1)
    rolling = np.uint64(0)
    for place in range(width - 1):
        rolling = rolling * _BASE + hashes[place]
    for place in range(width - 1, count):
        rolling = rolling * _BASE + hashes[place]
        if place >= width:
            rolling -= hashes[place - width] * top
        value = mix(rolling + seed) >> np.uint64(32)
        entry = stamp << np.uint64(32) | value
        slot = value & mask
        while seen[slot] >> np.uint64(32) == stamp and seen[slot] != entry:
            slot = (slot + np.uint64(1)) & mask
        if seen[slot] != entry:
            seen[slot] = entry
            values[put] = np.uint32(value)
            put += 1
    return put
