"""Words, also where no blanks part them.

`breaks` finds where words part inside runs of scripts without blanks, and nothing else: what a word is in the other
scripts every kernel knows by itself. How a script is cut:

dictionary  Han with kana, Thai, Lao, Khmer, Burmese: by ICU, or by clusters without it
syllables   Tibetan, whose tsheg parts syllables, one to three of which make a word: nothing to find
clusters    Yi, Javanese, Lanna, Han beyond U+FFFF: a character with its marks and what a virama ties to it

Each run is looked at alone, whatever stands around it: a text is cut alike in any batch.
"""

import unicodedata
from functools import cache
from operator import itemgetter

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.core.errors import Missing
from medcorpus.text.buffers import buffers
from medcorpus.text.measures import HAN_RANGES, UNSPACED_RANGES, classes
from medcorpus.text.nfc import decode
from medcorpus.text.segment.pieces import Pieces

_OUT, _DICTIONARY, _CLUSTERS, _GOES_ON, _TIES = range(5)
_LETTER, _HAN, _UNSPACED, _MARK, _DIGIT, _JOIN = 2, 3, 4, 5, 6, 10  # of `measures.classes`
_CLASS = 0x3F
_TIBETAN = (0x0F00, 0x0FFF)
_CLUSTER_RANGES = ((0xA000, 0xA4CF), (0xA980, 0xA9DF), (0x1A20, 0x1AAF))  # Yi, Javanese, Lanna
_AM = (0x0E33, 0x0EB3)  # vowels of Thai and Lao that are letters by category and part of what stands before
_BLOCK = 1 << 20  # bytes ICU sees at a time
_HINT = "words of scripts without blanks need ICU: pip install 'medcorpus[segment]'"


def words(array: pa.Array | pa.ChunkedArray, dictionary: bool = True) -> tuple[Pieces, np.ndarray]:
    """(pieces, bool for each: whether it is a word) of a string column; a null has none.

    A piece is a word (letters, marks and numbers; a point or apostrophe inside parts it) or what stands between two.
    Raises Missing when `dictionary` is asked for and ICU is not installed.
    """
    data, offsets, _ = buffers(array)
    first, starts, wordy = _pieces(data, offsets, classes(), breaks(array, dictionary))
    return Pieces(first, starts), wordy


def breaks(array: pa.Array | pa.ChunkedArray, dictionary: bool = True) -> np.ndarray:
    """int64, rising: offsets into the utf-8 of the column at which one word follows another without a gap.

    Only inside runs of scripts without blanks, never before a mark. Raises as `words` does.
    """
    data, offsets, _ = buffers(array)
    if not dictionary:
        return _clusters(data, offsets, _kinds(), False)
    breaker = _breaker()
    text, at, put = _runs(data, offsets, _kinds())
    found = [_clusters(data, offsets, _kinds(), True)]
    run = 0
    while run < len(at):
        after = max(run + 1, int(np.searchsorted(put, put[run] + _BLOCK)))
        begin, end = put[run], put[after] if after < len(put) else len(text)
        block = text[begin:end]
        segments = breaker(block.tobytes().decode(), "en").segments()
        ends = np.fromiter(map(itemgetter(1), segments), np.int64)  # in code points
        found.append(_placed(block, ends, at[run:after], put[run:after] - begin, _kinds()))
        run = after
    return np.sort(np.concatenate(found))


def name() -> str:
    """What cuts words, with versions: for the key of a step. Raises Missing when ICU is not installed."""
    _breaker()
    from importlib.metadata import version

    import icu4py

    return f"icu4py {version('icu4py')}, ICU {icu4py.icu_version}"


def _breaker():
    try:
        from icu4py.breakers import WordBreaker
    except ImportError:
        raise Missing(_HINT) from None
    return WordBreaker


@cache
def _kinds() -> np.ndarray:
    """uint8 per code point: which way its run is cut, or what it does to the one before."""
    known = classes() & _CLASS
    table = np.zeros(0x110000, np.uint8)
    table[(known == _HAN) | (known == _UNSPACED)] = _DICTIONARY
    for first, last in (*HAN_RANGES, *UNSPACED_RANGES, *_CLUSTER_RANGES):
        if first >= 0x20000:
            continue
        for point in range(first, last + 1):
            if unicodedata.combining(chr(point)) == 9:
                table[point] = _TIES
            elif unicodedata.category(chr(point))[0] == "M":
                table[point] = _GOES_ON
            elif (first, last) in _CLUSTER_RANGES and known[point] == _LETTER:
                table[point] = _CLUSTERS
    table[(known == _JOIN) | ((known == _MARK) & (table == _OUT))] = _GOES_ON
    # Whether ICU's binding counts these as one or two differs from version to version: it never sees one.
    table[0x10000:][table[0x10000:] == _DICTIONARY] = _CLUSTERS
    table[_TIBETAN[0] : _TIBETAN[1] + 1] = _OUT
    table[list(_AM)] = _GOES_ON
    table.flags.writeable = False
    return table


@njit(cache=True, nogil=True)
def _clusters(data, offsets, kinds, other_only):
    """Where clusters part inside runs; `other_only` leaves out scripts that have a dictionary."""
    out = np.empty(1024, np.int64)
    size = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        before, tied = _OUT, False
        while at < end:
            if data[at] < 0x80:
                before = _OUT
                at += 1
                continue
            point, step = decode(data, at)
            kind = kinds[point]
            if kind == _DICTIONARY or kind == _CLUSTERS:  # noqa: SIM109 (compiled)
                if before != _OUT and not tied and not (other_only and kind == _DICTIONARY and before == _DICTIONARY):
                    if size == len(out):
                        grown = np.empty(2 * size, np.int64)
                        grown[:size] = out
                        out = grown
                    out[size] = at
                    size += 1
                before, tied = kind, False
            elif kind == _OUT:
                before, tied = _OUT, False
            else:
                tied = kind == _TIES
            at += step
    return out[:size].copy()


@njit(cache=True, nogil=True)
def _runs(data, offsets, kinds):
    """(bytes of all runs, a line feed behind each, where each begins in `data`, and in these bytes)."""
    out = np.empty(1024, np.uint8)
    begins, places = np.empty(64, np.int64), np.empty(64, np.int64)
    put = count = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        start = -1
        while True:
            kind, step = _OUT, 1
            if at < end and data[at] >= 0x80:
                point, step = decode(data, at)
                if point < 0x10000:
                    kind = kinds[point]
            if kind == _DICTIONARY:
                if start < 0:
                    start = at
            elif start >= 0 and (kind == _OUT or kind == _CLUSTERS):  # noqa: SIM109
                if count == len(begins):
                    more, also = np.empty(2 * count, np.int64), np.empty(2 * count, np.int64)
                    more[:count], also[:count] = begins, places
                    begins, places = more, also
                if put + at - start + 1 > len(out):
                    grown = np.empty(2 * len(out) + at - start, np.uint8)
                    grown[:put] = out[:put]
                    out = grown
                begins[count], places[count] = start, put
                count += 1
                out[put : put + at - start] = data[start:at]
                put += at - start
                out[put] = 0x0A
                put += 1
                start = -1
            if at >= end:
                break
            at += step
    return out[:put].copy(), begins[:count].copy(), places[:count].copy()


@njit(cache=True, nogil=True)
def _placed(block, ends, begins, places, kinds):
    """Those of `ends` (code points of `block`) that lie inside a run, as offsets into the column."""
    out = np.empty(len(ends), np.int64)
    size = run = at = point = 0
    for end in ends:
        while point < end:
            at += decode(block, at)[1]
            point += 1
        while run + 1 < len(places) and places[run + 1] <= at:
            run += 1
        if at < len(block) and at > places[run] and block[at] != 0x0A and kinds[decode(block, at)[0]] == _DICTIONARY:
            out[size] = begins[run] + at - places[run]
            size += 1
    return out[:size].copy()


@njit(cache=True, nogil=True)
def _pieces(data, offsets, table, found):
    rows = len(offsets) - 1
    first = np.zeros(rows + 1, np.int64)
    starts = np.empty(1 + offsets[rows] - offsets[0], np.int64)  # untouched pages cost nothing
    wordy = np.empty(len(starts), np.bool_)
    put = cut = 0
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        script = -1  # 0: between words; 1: a word; 2, 3: a word of Han or kana, of a script without blanks
        while at < end:
            point, step = decode(data, at)
            kind = table[point] & _CLASS
            if kind == _LETTER or kind == _DIGIT:  # noqa: SIM109 (compiled)
                wanted = 1
            elif kind == _HAN:
                wanted = 2
            elif kind == _UNSPACED:
                wanted = 3
            elif kind == _MARK or kind == _JOIN:  # noqa: SIM109
                wanted = max(script, 0)
            else:
                wanted = 0
            while cut < len(found) and found[cut] < at:
                cut += 1
            if wanted != script or (cut < len(found) and found[cut] == at):
                starts[put], wordy[put] = at, wanted > 0
                put += 1
                script = wanted
            at += step
        first[row + 1] = put
    out = np.empty(put + 1, np.int64)
    out[:put], out[put] = starts[:put], offsets[rows]
    return first, out, wordy[:put].copy()
