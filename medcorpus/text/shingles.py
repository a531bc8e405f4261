"""Shingles: what a document says, as a set of hashes, in any script. One walk over the utf-8, in place.

*Tokens.* Where words are set apart, a word: letters, marks and the digits that follow them (`b12`). Where they
are not (Han, kana, Thai, Lao, Khmer, Burmese, Tibetan) a grapheme: a letter with its marks. A number: digits with
single . , ٫ ٬ between them; `500mg` is a number and a word. A sign that turns a meaning around (+ < > = % ...). All
else separates. Before that: NFC, case folded, the digits of every script as ASCII ones; marks stay, for they
part words in Thai, Khmer and Hindi. What no reader sees (joiners, soft hyphens, tatweel) is passed over.

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

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from medcorpus.text.buffers import buffers, contiguous
from medcorpus.text.measures import HAN_RANGES, UNSPACED_RANGES
from medcorpus.text.nfc import decode, not_nfc

SCHEME = 1
"""Bumped when a text gives other hashes than before."""

_SEPARATOR, _LETTER, _MARK, _DIGIT, _LONE, _SIGN, _UNSEEN, _POINT = range(8)
_SIGNS = "+<>=±×÷≤≥≠≈¬−%‰°"
_POINTS = ".,٫٬"
_UNSEEN_CHARS = "\u00ad\u0640\u034f\u180e"
_MANY = 0x110000  # a folded value from here on stands for several code points

_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
_BASE = np.uint64(0xD6E8FEB86659FD93)
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64 (Steele et al. 2014)

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
    array = composed(array)
    data, offsets, _ = buffers(array)
    kinds, folds, many = tables()
    return Shingles(*_walk(data, offsets, kinds, folds, many, np.int64(width), np.uint64(seed), _units(seed)))


def composed(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The rows in normal form C; the array itself when all are."""
    array = contiguous(array)
    data, offsets, _ = buffers(array)
    doubtful = not_nfc(data, offsets)
    if not doubtful.any():
        return array
    mask = pa.array(doubtful)
    return pc.replace_with_mask(array, mask, pc.utf8_normalize(array.filter(mask), form="NFC"))


@cache
def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(kind of each code point, uint8; what it folds to, uint32; sequences that folds beyond _MANY stand for)."""
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
    for table in (kinds, folds, longest):
        table.flags.writeable = False
    return kinds, folds, longest


@cache
def _units(seed: int) -> np.ndarray:
    """Hashes of the first token of each unit, sorted."""
    texts = pa.array([f"{unit} ." for unit in UNITS.split()])
    data, offsets, _ = buffers(composed(texts))
    kinds, folds, many = tables()
    found = _first_tokens(data, offsets, kinds, folds, many, np.uint64(seed))
    found = np.unique(found[found != 0])
    found.flags.writeable = False
    return found


@njit(inline="always")
def _mix(word):
    word = (word ^ word >> np.uint64(30)) * _MIX1
    word = (word ^ word >> np.uint64(27)) * _MIX2
    return word ^ word >> np.uint64(31)


@njit(inline="always")
def _stir(state, point, folds, many):
    folded = folds[point]
    if folded < _MANY:
        return (state ^ np.uint64(folded)) * _MULTIPLY
    for which in range(3):
        if many[folded - _MANY, which]:
            state = (state ^ np.uint64(many[folded - _MANY, which])) * _MULTIPLY
    return state


@njit(nogil=True, inline="always")
def _token(data, at, end, kinds, folds, many, seed):
    """The token that begins at or after `at`: (hash, kind, where it ends, flags of what it may mean).

    Kind is _LETTER, _DIGIT, _LONE or _SIGN, or _SEPARATOR when there is none. Flag 1: it may be a strength.
    """
    while at < end:
        byte = data[at]
        if byte < 0x80:
            kind = kinds[byte]
            if kind == _SEPARATOR:
                at += 1
                continue
            point, size = np.int64(byte), 1
        else:
            point, size = decode(data, at)
            kind = kinds[point]
        if kind == _LETTER or kind == _MARK:  # noqa: SIM109 (compiled)
            state = _stir(seed, point, folds, many)
            length, digits = 1, False
            at += size
            while at < end:
                byte = data[at]
                if byte < 0x80:
                    kind = kinds[byte]
                    if kind != _LETTER:
                        if kind != _DIGIT:
                            break
                        digits = True
                    state = (state ^ np.uint64(folds[byte])) * _MULTIPLY
                    length += 1
                    at += 1
                    continue
                point, size = decode(data, at)
                kind = kinds[point]
                if kind == _LETTER or kind == _MARK or kind == _DIGIT:  # noqa: SIM109 (compiled)
                    digits |= kind == _DIGIT
                    state = _stir(state, point, folds, many)
                    length += 1
                elif kind != _UNSEEN:
                    break
                at += size
            return _mix(state), _LETTER, at, np.int64(digits and length <= 8)
        if kind == _LONE:
            state = _stir(seed, point, folds, many)
            at += size
            while at < end:
                point, size = decode(data, at)
                kind = kinds[point]
                if kind == _MARK:
                    state = _stir(state, point, folds, many)
                elif kind != _UNSEEN:
                    break
                at += size
            return _mix(state), _LONE, at, np.int64(0)
        if kind == _DIGIT:
            return _number(data, at, end, kinds, folds, seed)
        if kind == _SIGN:
            return _mix(_stir(seed, point, folds, many)), _SIGN, at + size, np.int64(0)
        at += size
    return np.uint64(0), _SEPARATOR, at, np.int64(0)


@njit(nogil=True)
def _number(data, at, end, kinds, folds, seed):
    """Digits, and single points between digits: see `_token`. 007 is 7; a comma counts as a point."""
    state = seed ^ np.uint64(0x6E756D)
    value, digits, points = np.int64(0), 0, 0
    while at < end:
        point, size = decode(data, at)
        kind = kinds[point]
        if kind == _DIGIT:
            figure = np.int64(folds[point]) - 48
            digits += 1
            if points == 0:
                value = min(value * 10 + figure, np.int64(1) << 40)
            if value or points:
                state = (state ^ np.uint64(48 + figure)) * _MULTIPLY
        elif kind == _POINT and at + size < end and kinds[decode(data, at + size)[0]] == _DIGIT:
            points += 1
            state = (state ^ np.uint64(46)) * _MULTIPLY
        elif kind != _UNSEEN:
            break
        at += size
    year = 1900 <= value < 2100
    bare = points == 1 or (points == 0 and digits <= 6 and value >= 32 and not year)
    return _mix(state), _DIGIT, at, np.int64(bare)


@njit(inline="always")
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
def _first_tokens(data, offsets, kinds, folds, many, seed):
    out = np.zeros(len(offsets) - 1, np.uint64)
    for row in range(len(out)):
        out[row] = _token(data, offsets[row], offsets[row + 1], kinds, folds, many, seed)[0]
    return out


@njit(cache=True, nogil=True)
def _walk(data, offsets, kinds, folds, many, width, seed, units):
    """See `Shingles`. Tokens first, then what is made of them: short loops, which the compiler does well."""
    rows = len(offsets) - 1
    whole = np.zeros((rows, 2), np.uint64)
    strengths = np.zeros(rows, np.uint64)
    numbers = np.zeros(rows, np.uint64)
    words = np.zeros(rows, np.uint64)
    edges = np.zeros(rows, np.uint64)
    tokens = np.zeros(rows, np.int32)
    starts = np.zeros(rows + 1, np.int64)
    values = np.empty(1024 + (offsets[rows] - offsets[0]) // 4, np.uint32)
    hashes = np.empty(4096, np.uint64)
    marks = np.empty(4096, np.uint8)
    seen = np.zeros(1 << 12, np.uint64)  # open addressing: number of the row in the upper half, shingle in the lower
    put = 0
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        most = end - at + 1  # a token is a byte at least
        if most > len(hashes):
            hashes = np.empty(2 * most, np.uint64)
            marks = np.empty(2 * most, np.uint8)
        count = _tokens(data, at, end, kinds, folds, many, seed, hashes, marks)
        tokens[row] = count
        if count:
            one, two = _whole(hashes, count, seed)
        else:
            one, two = _bytes(data, at, end, seed)
        whole[row, 0], whole[row, 1] = one, two
        strengths[row], numbers[row], words[row] = _figures(hashes, marks, count, seed, units)
        if _EDGE < count < SHORT:
            edge = seed
            for place in range(_EDGE):
                edge = (edge ^ hashes[place]) * _MULTIPLY
            for place in range(_EDGE):
                edge = (edge ^ hashes[count - 1 - place]) * _MULTIPLY
            edges[row] = _mix(edge)
        if count > width:  # else compared whole
            if put + count > len(values):
                grown = np.empty(2 * len(values) + count, np.uint32)
                grown[:put] = values[:put]
                values = grown
            if 2 * count > len(seen):
                seen = np.zeros(4 * len(seen) if 4 * len(seen) > 2 * count else _power(2 * count), np.uint64)
            put = _distinct(hashes, count, width, seed, np.uint64(row + 1), seen, values, put)
        starts[row + 1] = put
    return values[:put].copy(), starts, whole, strengths, numbers, words, edges, tokens


@njit(nogil=True)
def _power(least):
    room = 1
    while room < least:
        room *= 2
    return room


@njit(nogil=True)
def _tokens(data, at, end, kinds, folds, many, seed, hashes, marks):
    """Hashes of all tokens, and a mark for each: 2 for a number, 1 for what may be a strength by itself."""
    count = 0
    while True:
        hashed, kind, at, flag = _token(data, at, end, kinds, folds, many, seed)
        if kind == _SEPARATOR:
            return count
        hashes[count] = hashed
        marks[count] = np.uint8(flag | (2 if kind == _DIGIT else 0))
        count += 1


@njit(nogil=True)
def _whole(hashes, count, seed):
    one, two = seed, ~seed
    for place in range(count):
        one = (one ^ hashes[place]) * _MULTIPLY
        one ^= one >> np.uint64(32)
        two = (two + hashes[place]) * _BASE
        two ^= two >> np.uint64(31)
    return _mix(one + np.uint64(count)), _mix(two + np.uint64(count))


@njit(nogil=True)
def _bytes(data, at, end, seed):
    one, two = seed, ~seed
    for place in range(at, end):
        one = (one ^ np.uint64(data[place])) * _MULTIPLY
        one ^= one >> np.uint64(32)
        two = (two + np.uint64(data[place]) + np.uint64(1)) * _BASE
        two ^= two >> np.uint64(31)
    return _mix(one), _mix(two)


@njit(nogil=True)
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
                strengths += _mix(hashed + _BASE)
            continue
        numbers += _mix(hashed + _BASE)
        if place + 1 < count and _holds(units, hashes[place + 1]):
            strengths += _mix(hashed + hashes[place + 1] * _BASE)
        elif mark & 1:
            strengths += _mix(hashed)
    return strengths, numbers, _mix(said)


@njit(nogil=True)
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
        value = _mix(rolling + seed) >> np.uint64(32)
        entry = stamp << np.uint64(32) | value
        slot = value & mask
        while seen[slot] >> np.uint64(32) == stamp and seen[slot] != entry:
            slot = (slot + np.uint64(1)) & mask
        if seen[slot] != entry:
            seen[slot] = entry
            values[put] = np.uint32(value)
            put += 1
    return put
