"""Thousands of terms counted in one walk over the utf-8 of a column, on proper token boundaries in every script.

*Tokens.* In scripts that set words apart: a run of letters, combining marks and digits, lower case, in normal form
C. In Han, kana, Thai, Lao, Khmer, Burmese and Tibetan: each letter with its marks, so a term matches anywhere but
never inside a syllable sign. Invisible characters (soft hyphen, joiners) and the
vowel points of Hebrew and Arabic are not there, and every alef is one; everything else only parts
tokens, so "heart," holds `heart`, "COVID-19" is `covid 19`, and `l'hôpital` is `l hôpital`.

*Terms.* A term is one or more tokens in a row, whatever stands between them. A token that ends in `*` is a stem: it
stands for every token that begins so (`cardi*`: cardiology, cardiac). The last token of a Korean term is a stem by
itself, because particles are written on to the word. Where a token fits several stems it counts as the longest.

*Matches* do not overlap: at each place the longest term, from left to right. Several spellings of one term share
its number, so `distinct` counts things, not spellings.

How it is quick: a token is hashed while it is read; one bit each (16 KB) tells whether any term begins with it;
terms are a trie in one hash table, a node's key being made of its parent's and the next token's. Tokens are
compared by 64-bit hashes.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text import nfc
from medcorpus.text.buffers import buffers
from medcorpus.text.lid import normal
from medcorpus.text.nfc import changes, decode

MAX_TOKENS = 32
"""Longest term; in Thai or Chinese these are characters."""

_BLANK, _WORD, _CHAR, _MARK, _SKIP = range(5)
_POINT, _KIND, _SPECIAL = 0x1FFFFF, 21, 31
_SIGMA, _FINAL_SIGMA = 0x3C3, 0x3C2
_UNSPACED = ("Hani", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Bopo", "Yiii")

_VOWEL_POINTS = (  # and the sign that stretches an Arabic word
    (0x591, 0x5BE), (0x5BF, 0x5C0), (0x5C1, 0x5C3), (0x5C4, 0x5C6), (0x5C7, 0x5C8), (0x640, 0x641), (0x64B, 0x660),
    (0x670, 0x671),
)  # fmt: skip

_PRIME, _SEED = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xCBF29CE484222325)
_STEM = np.uint64(0x5851F42D4C957F2D)  # parts the hash of a stem from that of the same letters as a token
_STEP = np.uint64(0xD6E8FEB86659FD93)
_NONE = np.uint8(0)
_BITS = 17  # log2 of the first-token filter
_BLOCK = 4096  # tokens looked at in one go: they stay in the nearest caches
_LIVE = 8  # ways to read the tokens so far (each as itself or as a stem) that are followed


class Index(NamedTuple):
    """Terms made ready; all arrays are read-only."""

    first: np.ndarray  # uint8: bit for the top _BITS of the hash of each token that begins a term
    stems: np.ndarray  # uint8: the same for stems, empty when there is none
    keys: np.ndarray  # uint64: open addressing, 0 = free
    terms: np.ndarray  # int32 by slot: number of the term that ends here, -1: only a beginning, -2: a stem
    longest: int  # tokens
    size: int  # number of terms


class Counts(NamedTuple):
    """int64[n] each."""

    hits: np.ndarray  # matches
    distinct: np.ndarray  # different terms among them
    covered: np.ndarray  # characters (in normal form C) of the matches, with what is between their tokens
    chars: np.ndarray  # characters of the text

    @property
    def density(self) -> np.ndarray:
        """Share of characters inside a match, float32[n]; 0 for the empty text."""
        return (self.covered / np.maximum(self.chars, 1)).astype(np.float32)


def index(terms: Sequence[Iterable[str]]) -> Index:
    """An index of `terms`, each given by its spellings.

    Raises ValueError naming a spelling without a letter, with a `*` that does not end a token, or of more than
    MAX_TOKENS tokens. A spelling that two terms claim belongs to the first.
    """
    nodes: dict[int, int] = {}
    first, stems, longest = set(), set(), 1
    for number, spellings in enumerate(terms):
        for spelling in spellings:
            keys = []
            for token, stem in tokens(spelling):
                key = _key(token, stem)
                keys.append(key)
                if stem:
                    stems.add(key)
            if not 1 <= len(keys) <= MAX_TOKENS:
                raise ValueError(f"the term {spelling!r} has {len(keys)} words; 1 to {MAX_TOKENS} can be looked for")
            first.add(keys[0])
            longest = max(longest, len(keys))
            node = keys[0]
            for key in keys[1:]:
                nodes.setdefault(node, -1)
                node = int(_child(np.uint64(node), np.uint64(key)))
            if nodes.get(node, -1) == -1:
                nodes[node] = number
    stem_bits = _filter(stems) if stems else np.zeros(0, np.uint8)
    stem_bits.flags.writeable = False
    return Index(_filter(first), stem_bits, *_table(nodes, stems), longest, len(terms))


def tokens(term: str) -> list[tuple[str, bool]]:
    """The tokens of a term as the kernel sees them, and whether each is a stem. Raises ValueError as `index`."""
    lower = unicodedata.normalize("NFC", term)
    table, made, stems = classes(), [], []
    open_word = False
    for char in lower:
        entry = int(table[ord(char)])
        kind, point = entry >> _KIND & 7, chr(entry & _POINT)
        if (kind == _WORD and not open_word) or kind == _CHAR:
            made.append(point)
            stems.append(False)
        elif made and (kind == _WORD or (kind == _MARK and not stems[-1])):
            made[-1] += point
        elif char == "*":
            if not open_word:
                raise ValueError(f"the term {term!r} has a * that ends no word")
            stems[-1] = True
        open_word = kind in (_WORD, _MARK, _SKIP) and (open_word or kind == _WORD)
    if not any(char.isalpha() for token in made for char in token):
        raise ValueError(f"the term {term!r} has no letter")
    if made and "\uac00" <= made[-1][-1] <= "\ud7a3":
        stems[-1] = True
    return list(zip(made, stems, strict=True))


def count(array: pa.Array | pa.ChunkedArray, index: Index) -> Counts:
    """Matches of `index` in each row of a string column. A null counts as the empty text."""
    data, offsets, _ = buffers(array)
    tables = (_ascii(), classes(), *nfc.tables())
    found, doubtful = _count(data, offsets, tables, *index)
    rows = np.flatnonzero(doubtful)
    if len(rows):
        texts = array.take(pa.array(rows)).to_pylist()
        data, offsets, _ = buffers(pa.array([unicodedata.normalize("NFC", text) for text in texts], pa.large_string()))
        found[:, rows], _ = _count(data, offsets, tables, *index)
    return Counts(*found)


def _key(token: str, stem: bool) -> int:
    state = _SEED
    with np.errstate(over="ignore"):
        for char in token:
            state = (state ^ np.uint64(ord(char))) * _PRIME
        return int(state ^ _STEM) if stem else int(state)


def _filter(keys: set[int]) -> np.ndarray:
    bits = np.zeros(1 << _BITS, np.uint8)
    bits[[key >> 64 - _BITS for key in keys]] = 1
    made = np.packbits(bits, bitorder="little")
    made.flags.writeable = False
    return made


def _table(nodes: dict[int, int], stems: set[int]) -> tuple[np.ndarray, np.ndarray]:
    """Both the trie's nodes and the stems, found by key."""
    room = 16
    while room < 2 * (len(nodes) + len(stems)):
        room *= 2
    keys, values = np.zeros(room, np.uint64), np.full(room, -1, np.int32)
    for key, value in [*nodes.items(), *((key, -2) for key in stems if key not in nodes)]:
        slot = (key ^ key >> 32) & (room - 1)
        while keys[slot]:
            slot = (slot + 1) & (room - 1)
        keys[slot], values[slot] = key, value
    keys.flags.writeable = values.flags.writeable = False
    return keys, values


@cache
def classes() -> np.ndarray:
    """uint32 per code point: what it is in lower case, its class, and whether normal form C needs a closer look."""
    points = np.arange(0x110000, dtype=np.uint32)
    kinds = np.full(0x110000, _BLANK, np.uint32)
    unspaced = np.isin(normal.script_table(), [normal.script_names().index(name) for name in _UNSPACED])
    for code in [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0100, 0xE01F0)]:
        char = chr(code)
        category = unicodedata.category(char)
        if category[0] == "L" or category[0] == "N":
            kinds[code] = _CHAR if unspaced[code] else _WORD
            lower = char.lower()
            points[code] = ord(lower[0])  # one letter stands for one, so U+0130 is i
        elif category[0] == "M":
            kinds[code] = _MARK
        elif category == "Cf":
            kinds[code] = _SKIP
    kinds[0x20000:0x323B0] = _CHAR
    points[_FINAL_SIGMA] = _SIGMA
    for begin, stop in _VOWEL_POINTS:
        kinds[begin:stop] = _SKIP
    points[[0x622, 0x623, 0x625, 0x671]] = 0x627  # alef, however it is written
    table = points | kinds << np.uint32(_KIND)
    table[(nfc.tables()[0] != 0) & (kinds != _SKIP)] |= np.uint32(1 << _SPECIAL)
    table.flags.writeable = False
    return table


@cache
def _ascii() -> np.ndarray:
    """uint8 by byte: the letter or digit in lower case, 0 where a token ends, 0x80 where a longer character begins."""
    table = np.zeros(256, np.uint8)
    entries = classes()[:0x80]
    table[:0x80] = np.where(entries >> np.uint32(_KIND) == _WORD, entries & np.uint32(_POINT), 0)
    table[0x80:] = 0x80
    table.flags.writeable = False
    return table


@njit(cache=True, nogil=True)
def _child(node, key):
    state = (node ^ node >> np.uint64(29)) * _STEP + key
    return (state ^ state >> np.uint64(32)) * _STEP


@njit(cache=True, nogil=True)
def _find(keys, key):
    """Slot of `key`, or -1."""
    mask = np.uint64(len(keys) - 1)
    slot = (key ^ key >> np.uint64(32)) & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(slot)
        slot = (slot + np.uint64(1)) & mask
    return -1


@njit(cache=True, nogil=True)
def _marked(bits, key):
    top = key >> np.uint64(64 - _BITS)
    return bits[top >> np.uint64(3)] >> (top & np.uint64(7)) & 1 != 0


@njit(cache=True, nogil=True)
def _stem_of(state, stems, keys, stem):
    """The key of `state` read as a stem if there is such a stem, else `stem`."""
    key = state ^ _STEM
    return key if _marked(stems, key) and _find(keys, key) >= 0 else stem


@njit(cache=True, nogil=True)
def _tokenise(data, at, end, chars, have, tables, stems, keys, hashes, others, starts, stops):
    """Tokens of data[at:end] appended to the first `have`, until there is no more room: (at, chars, have).

    `at` is -1 when the text has to be composed first. `chars` counts code points up to `at`.
    """
    ascii_, table, kinds, pairs, splits = tables
    stemmed = len(stems) > 0
    room = len(hashes)
    starter, last = np.int64(-1), np.int64(0)
    while at < end and have < room:
        letter = ascii_[data[at]]
        state, stem = _SEED, np.uint64(0)
        begin = chars
        if letter == 0:
            at += 1
            chars += 1
            continue
        if letter < 0x80:  # a word in ASCII, so far
            before = at
            while 0 < letter < 0x80:
                state = (state ^ np.uint64(letter)) * _PRIME
                if stemmed:
                    stem = _stem_of(state, stems, keys, stem)
                at += 1
                letter = ascii_[data[at]] if at < end else _NONE
            chars += at - before
            if letter == 0:
                hashes[have], others[have], starts[have], stops[have] = state, stem, begin, chars
                have += 1
                continue
            starter, last = np.int64(data[at - 1]), np.int64(0)
            word, stop = True, chars
        else:
            point, width = decode(data, at)
            kind = np.int64(table[point]) >> _KIND & 7
            if kind != _WORD and kind != _CHAR:
                at += width
                chars += 1
                starter = np.int64(-1)
                continue
            word, stop = kind == _WORD, chars
        empty = stop == begin
        while at < end:
            point, width = decode(data, at)
            entry = np.int64(table[point])
            kind = entry >> _KIND & 7
            if kind == _BLANK or (kind <= _CHAR and not empty and not (word and kind == _WORD)):
                break
            at += width
            chars += 1
            if kind == _SKIP:
                continue
            empty = False
            stop = chars
            if entry >> _SPECIAL == 0:
                starter, last = point, np.int64(0)
                state = (state ^ np.uint64(entry & _POINT)) * _PRIME
            else:
                special = np.int64(kinds[point])
                if special & nfc.SPLIT:
                    starter = np.int64(splits[point - nfc.FIRST_SPLIT, 0])
                    point = np.int64(splits[point - nfc.FIRST_SPLIT, 1])
                    last = np.int64(kinds[point]) & nfc.CLASS
                    chars += 1
                    stop = chars
                    state = (state ^ np.uint64(starter)) * _PRIME
                    state = (state ^ np.uint64(point)) * _PRIME
                else:
                    if changes(point, special, starter, last, pairs):
                        return -1, chars, have
                    last = special & nfc.CLASS
                    starter = point if last == 0 else starter
                    state = (state ^ np.uint64(entry & _POINT)) * _PRIME
            if stemmed and word:
                stem = _stem_of(state, stems, keys, stem)
        hashes[have], others[have], starts[have], stops[have] = state, stem, begin, stop
        have += 1
    return at, chars, have


@njit(cache=True, nogil=True)
def _longest(i, have, hashes, others, first, keys, terms, live, grown):
    """(number, tokens) of the longest term that begins at token `i`; -1, 0 when none does."""
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
            slot = _find(keys, live[way])
            if slot < 0:
                continue
            if terms[slot] >= 0 and depth > length:
                best, length = np.int64(terms[slot]), depth
            if i + depth < have and more < _LIVE - 1:
                grown[more] = _child(live[way], hashes[i + depth])
                more += 1
                if others[i + depth] != 0:
                    grown[more] = _child(live[way], others[i + depth])
                    more += 1
        live, grown = grown, live
        ways = more
        depth += 1
    return best, length


@njit(cache=True, nogil=True)
def _count(data, offsets, tables, first, stems, keys, terms, longest, size):
    """(int64[4, n] of Counts, rows to be composed first)."""
    rows = len(offsets) - 1
    out, doubtful = np.zeros((4, rows), np.int64), np.zeros(rows, np.bool_)
    room = _BLOCK + longest
    hashes, others = np.empty(room, np.uint64), np.empty(room, np.uint64)  # each token as itself, as a stem (0: none)
    starts, stops = np.empty(room, np.int64), np.empty(room, np.int64)  # in characters
    live, grown = np.empty(_LIVE, np.uint64), np.empty(_LIVE, np.uint64)
    seen = np.zeros(size, np.int64)
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        have, chars, hits, distinct, covered = 0, 0, 0, 0, 0
        while True:
            at, chars, have = _tokenise(data, at, end, chars, have, tables, stems, keys, hashes, others, starts, stops)
            if at < 0:
                doubtful[row] = True
                break
            until = have - longest if at < end else have  # so that a match that begins before it is here whole
            i = 0
            while i < until:
                if others[i] == 0 and not _marked(first, hashes[i]):
                    i += 1
                    continue
                best, length = _longest(i, have, hashes, others, first, keys, terms, live, grown)
                if best < 0:
                    i += 1
                    continue
                hits += 1
                covered += stops[i + length - 1] - starts[i]
                if seen[best] != row + 1:
                    seen[best] = row + 1
                    distinct += 1
                i += length
            if at >= end:
                break
            for which in range(i, have):  # what could still begin a match goes to the front
                hashes[which - i], others[which - i] = hashes[which], others[which]
                starts[which - i], stops[which - i] = starts[which], stops[which]
            have -= i
        out[0, row], out[1, row], out[2, row], out[3, row] = hits, distinct, covered, chars
    return out, doubtful
