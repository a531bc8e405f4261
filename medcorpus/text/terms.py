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

How it is quick stands in `term_walk`, which reads the texts; here terms are made ready for it. They are a trie in one
hash table, a node's key being made of its parent's and the next token's. Tokens are compared by 64-bit hashes.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.text import nfc
from medcorpus.text.buffers import buffers, contiguous
from medcorpus.text.composing import composed
from medcorpus.text.lid import normal
from medcorpus.text.term_walk import (
    BITS,
    BLANK,
    CHAR,
    KIND,
    MARK,
    POINT,
    SKIP,
    SPECIAL,
    STEM,
    WORD,
    child,
    hashed,
    walk,
)

MAX_TOKENS = 32
"""Longest term; in Thai or Chinese these are characters."""

_SIGMA, _FINAL_SIGMA = 0x3C3, 0x3C2
_UNSPACED = ("Hani", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Bopo", "Yiii")

_VOWEL_POINTS = (  # and the sign that stretches an Arabic word
    (0x591, 0x5BE), (0x5BF, 0x5C0), (0x5C1, 0x5C3), (0x5C4, 0x5C6), (0x5C7, 0x5C8), (0x640, 0x641), (0x64B, 0x660),
    (0x670, 0x671),
)  # fmt: skip


class Index(NamedTuple):
    """Terms made ready; all arrays are read-only."""

    first: np.ndarray  # uint8: bit for the top BITS of the hash of each token that begins a term
    later: np.ndarray  # uint8: the same for the nodes of the trie behind those
    stems: np.ndarray  # uint8: the same for stems, empty when there is none
    inside: np.ndarray  # uint8: the same for all that stems begin with, read as tokens
    nodes: np.ndarray  # uint64 (slots, 2): open addressing, key (0 = free) and the number of the term that ends
    # there, as int64; -1: only a beginning, -2: a stem
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
    first, stems, inside, longest = set(), set(), set(), 1
    for number, spellings in enumerate(terms):
        for spelling in spellings:
            keys = []
            for token, stem in tokens(spelling):
                keys.append(_key(token, stem))
                if stem:
                    stems.add(keys[-1])
                    inside |= {_key(token[:size], False) for size in range(1, len(token) + 1)}
            if not 1 <= len(keys) <= MAX_TOKENS:
                raise ValueError(f"the term {spelling!r} has {len(keys)} words; 1 to {MAX_TOKENS} can be looked for")
            first.add(keys[0])
            longest = max(longest, len(keys))
            node = keys[0]
            for key in keys[1:]:
                nodes.setdefault(node, -1)
                node = int(child(np.uint64(node), np.uint64(key)))
            if nodes.get(node, -1) == -1:
                nodes[node] = number
    stem_bits = _filter(stems) if stems else np.zeros(0, np.uint8)
    stem_bits.flags.writeable = False
    later = _filter(set(nodes) - first)
    return Index(_filter(first), later, stem_bits, _filter(inside), _table(nodes, stems), longest, len(terms))


@lru_cache(maxsize=1 << 16)  # lists of languages of one script share their international terms
def tokens(term: str) -> tuple[tuple[str, bool], ...]:
    """The tokens of a term as the kernel sees them, and whether each is a stem. Raises ValueError as `index`."""
    lower = unicodedata.normalize("NFC", term)
    table, made, stems = classes(), [], []
    open_word = False
    for char in lower:
        entry = int(table[ord(char)])
        kind, point = entry >> KIND & 7, chr(entry & POINT)
        if (kind == WORD and not open_word) or kind == CHAR:
            made.append(point)
            stems.append(False)
        elif made and (kind == WORD or (kind == MARK and not stems[-1])):
            made[-1] += point
        elif char == "*":
            if not open_word:
                raise ValueError(f"the term {term!r} has a * that ends no word")
            stems[-1] = True
        open_word = kind in (WORD, MARK, SKIP) and (open_word or kind == WORD)
    if not any(char.isalpha() for token in made for char in token):
        raise ValueError(f"the term {term!r} has no letter")
    if made and "\uac00" <= made[-1][-1] <= "\ud7a3":
        stems[-1] = True
    return tuple(zip(made, stems, strict=True))


def count(array: pa.Array | pa.ChunkedArray, index: Index) -> Counts:
    """Matches of `index` in each row of a string column. A null counts as the empty text."""
    data, offsets, _ = buffers(array)
    tables = (classes(), *nfc.tables())
    found, doubtful = walk(data, offsets, tables, *index)
    found[3] += _characters(array)
    if doubtful.any():
        texts = composed(contiguous(array).filter(pa.array(doubtful)))
        data, offsets, _ = buffers(texts)
        found[:, doubtful], _ = walk(data, offsets, tables, *index)
        found[3, doubtful] += _characters(texts)
    return Counts(*found)


def _characters(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(pc.utf8_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)


@lru_cache(maxsize=1 << 18)
def _key(token: str, stem: bool) -> int:
    found = int(hashed(np.array([*map(ord, token)], np.int64)))
    return found ^ int(STEM) if stem else found


def _filter(keys: set[int]) -> np.ndarray:
    bits = np.zeros(1 << BITS, np.uint8)
    bits[[key >> 64 - BITS for key in keys]] = 1
    made = np.packbits(bits, bitorder="little")
    made.flags.writeable = False
    return made


def _table(nodes: dict[int, int], stems: set[int]) -> np.ndarray:
    """Both the trie's nodes and the stems, found by key."""
    room = 16
    while room < 2 * (len(nodes) + len(stems)):
        room *= 2
    table = np.zeros((room, 2), np.uint64)
    table[:, 1] = np.uint64(2**64 - 1)
    for key, value in [*nodes.items(), *((key, -2) for key in stems if key not in nodes)]:
        slot = (key ^ key >> 32) & (room - 1)
        while table[slot, 0]:
            slot = (slot + 1) & (room - 1)
        table[slot] = key, value & 2**64 - 1
    table.flags.writeable = False
    return table


@cache
def classes() -> np.ndarray:
    """uint32 per code point: what it is in lower case, its class, and whether normal form C needs a closer look."""
    points = np.arange(0x110000, dtype=np.uint32)
    kinds = np.full(0x110000, BLANK, np.uint32)
    unspaced = np.isin(normal.script_table(), [normal.script_names().index(name) for name in _UNSPACED])
    for code in [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0100, 0xE01F0)]:
        char = chr(code)
        category = unicodedata.category(char)
        if category[0] == "L" or category[0] == "N":
            kinds[code] = CHAR if unspaced[code] else WORD
            lower = char.lower()
            points[code] = ord(lower[0])  # one letter stands for one, so U+0130 is i
        elif category[0] == "M":
            kinds[code] = MARK
        elif category == "Cf":
            kinds[code] = SKIP
    kinds[0x20000:0x323B0] = CHAR
    points[_FINAL_SIGMA] = _SIGMA
    for begin, stop in _VOWEL_POINTS:
        kinds[begin:stop] = SKIP
    points[[0x622, 0x623, 0x625, 0x671]] = 0x627  # alef, however it is written
    table = points | kinds << np.uint32(KIND)
    table[(nfc.tables()[0] != 0) & (kinds != SKIP)] |= np.uint32(1 << SPECIAL)
    table.flags.writeable = False
    return table
