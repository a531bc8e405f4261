"""Counts that tell prose from debris: one walk over the utf-8 of each document, in place.

`counts` returns whole numbers only, so that a slow oracle can be compared exactly; `shares` turns them into
the ratios that limits are set on. What the terms mean, in every script:

word        In scripts that set words apart: a run of letters, combining marks and numbers. A mark never ends
            a word (Hindi, Tamil, Arabic). Han and kana: every 2 characters of a run count as one, Thai, Lao,
            Khmer, Burmese and Tibetan: every 4, a rest counting as one; these are near the mean word lengths
            of the scripts, and repetition shows all the same because a repeated phrase is cut alike. Or, there,
            real words, where `breaks` says between which characters they part (`text.segment`).
letter      General categories L and M: what is left out of "letters" in Latin-minded tools is half of Thai.
number      N (Nd, and Nl, No: Ethiopic numbers, fractions).
symbol      S and the unassigned, private and control, plus # * @ \\ _ { }. Other punctuation is none.
space       White_Space, and U+200B. All shares are of code points that are no space.
line        Between line breaks, white space at its ends left out; empty ones do not count.
menu        Words in lines that list where one could go. Items lie between line breaks, | ¦ > • · » › and other
            arrows or bullets. One of 1 to 3 words counts when it has no number and no punctuation but & ' - /:
            sentences, options and doses are not like that. In a *bar*, a line with two or more of | ¦ > and at
            most 4 words an item, all items without a number count. A row of a table (its line begins with |)
            never does.
braced      Between a { and the } that closes it: style sheets, scripts, JSON.
repeated    As Gopher does (Rae et al. 2021, A1.1; datatrove's `find_all_duplicate`), n = 5: walking the words,
            five that were seen before count with all their characters and are skipped.

Words, lines and 5-grams are compared by 64-bit hashes: a collision can shift a share, never fail.
"""

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text.buffers import buffers
from medcorpus.text.compiled import INLINE, INNER
from medcorpus.text.nfc import decode
from medcorpus.text.stored import stored

_WALKED = (
    "chars",  # code points
    "solid",  # those that are no space
    "letters",
    "digits",
    "symbols",
    "words",
    "lines",
    "longest_run",  # of one character that is no space
    "braced",  # code points, braces included
    "menu_words",
)
_COMPARED = (
    "word_chars",
    "line_chars",
    "duplicate_line_chars",  # in lines seen before
    "top_count",  # occurrences of the most frequent word
    "repeated_chars",  # characters of words in repeated 5-grams
)
COUNTS = _WALKED + _COMPARED
_WIDTH, _SPLIT = len(COUNTS), len(_WALKED)
_WORDS, _LINES = _WALKED.index("words"), _WALKED.index("lines")

# Classes of code points; beside them two flags: the code point ends an item, or does so in a bar.
_SPACE, _BREAK, _LETTER, _HAN, _UNSPACED, _MARK, _DIGIT, _PUNCT, _SOFT, _SYMBOL, _JOIN, _OPEN, _CLOSE = range(13)
_ENDS, _BAR, _CLASS = 0x80, 0x40, 0x3F

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_NGRAM = 5
_BARE_WORDS, _BAR_WORDS, _BARS = 3, 4, 2
_HAN_WORD, _UNSPACED_WORD, _ENDLESS = 2, 4, 1 << 60  # characters a word

BREAKS = "\n\r\v\f\x85\u2028\u2029"  # mandatory breaks of UAX 14
SPACES = "\t \xa0\u1680\u202f\u205f\u3000\u200b" + "".join(map(chr, range(0x2000, 0x200B)))
_SOFT_CHARS = "&'’-‐‑/་༌፡"  # may stand inside a name; the last three part syllables and words
_SYMBOL_CHARS = "#*@\\_"
_ITEM_ENDS = "•·»›→►▸▶●■◆"
_BAR_CHARS = "|¦>"
HAN_RANGES = (
    (0x3005, 0x3007), (0x3041, 0x3096), (0x309D, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x312F), (0x31A0, 0x31BF),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F),
    (0x20000, 0x2FA1F), (0x30000, 0x323AF),
)  # fmt: skip
UNSPACED_RANGES = (  # Thai, Lao, Tibetan, Burmese with its extensions, Khmer
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0x1780, 0x17FF),
)  # fmt: skip


def counts(array: pa.Array | pa.ChunkedArray, breaks: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """int64[n] for each of COUNTS. A null counts as the empty text: zeros.

    `breaks` (int64, rising, offsets into the utf-8 of the column): where a word ends that nothing else sets apart from
    the next, of `segment.words.breaks`; None: after 2 or 4 characters.
    """
    data, offsets, _ = buffers(array)
    known = breaks is not None
    found = np.append(breaks, _ENDLESS) if known else np.full(1, _ENDLESS, np.int64)
    return dict(zip(COUNTS, _count(data, offsets, classes(), found, known), strict=True))


def shares(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Ratios of what `counts` returned, float32[n], 0 where there is nothing to divide by."""

    def ratio(part: str, whole: str) -> np.ndarray:
        return (found[part] / np.maximum(found[whole], 1)).astype(np.float32)

    return {
        "letter_ratio": ratio("letters", "solid"),
        "digit_ratio": ratio("digits", "solid"),
        "symbol_ratio": ratio("symbols", "solid"),
        "mean_word_length": ratio("word_chars", "words"),
        "duplicate_lines": ratio("duplicate_line_chars", "line_chars"),
        "top_word": ratio("top_count", "words"),
        "repeated_ngrams": ratio("repeated_chars", "word_chars"),
        "braced": ratio("braced", "chars"),
        "menu": ratio("menu_words", "words"),
    }


@cache
def classes() -> np.ndarray:
    """uint8 per code point, from the general categories of this Python's Unicode version."""
    (table,) = stored("classes", _classes)
    return table


def _classes() -> tuple[np.ndarray]:
    table = np.full(0x110000, _SYMBOL, np.uint8)
    by_category = {"L": _LETTER, "M": _MARK, "N": _DIGIT, "P": _PUNCT, "S": _SYMBOL, "Z": _SPACE, "C": _SYMBOL}
    known = "".join(map(unicodedata.category, map(chr, range(0x20000))))
    table[:0x20000] = np.array([by_category[letter] for letter in known[::2]], np.uint8)
    joins = [point for point in range(0x20000) if known[2 * point : 2 * point + 2] == "Cf"]
    table[joins] = _JOIN
    table[0xE0001:0xE0080] = _JOIN  # tags
    table[0xE0100:0xE01F0] = _MARK  # variation selectors
    for ranges, kind in ((HAN_RANGES, _HAN), (UNSPACED_RANGES, _UNSPACED)):
        for first, last in ranges:
            block = table[first : last + 1]
            block[(block == _LETTER) | (first >= 0x20000)] = kind
    table[0x3007] = _HAN
    for chars, kind in (
        (SPACES, _SPACE), (BREAKS, _BREAK), (_SOFT_CHARS, _SOFT), (_SYMBOL_CHARS, _SYMBOL), ("{", _OPEN),
        ("}", _CLOSE),
    ):  # fmt: skip
        table[[ord(char) for char in chars]] = kind
    table[[ord(char) for char in BREAKS + _ITEM_ENDS + _BAR_CHARS]] |= _ENDS
    table[[ord(char) for char in _BAR_CHARS]] |= _BAR
    return (table,)


@njit(**INLINE)
def _stir(state, value):
    state = (state ^ np.uint64(value)) * _PRIME
    return state ^ state >> np.uint64(32)


@njit(cache=True, nogil=True)
def _count(data, offsets, table, breaks, known):
    """int64[_WIDTH, n]. Scratch is kept from one document to the next and only ever grows."""
    rows = len(offsets) - 1
    han_word, unspaced_word = (_ENDLESS, _ENDLESS) if known else (_HAN_WORD, _UNSPACED_WORD)
    broken = 0
    out = np.zeros((_WIDTH, rows), np.int64)
    word_hash, word_size = np.empty(0, np.uint64), np.empty(0, np.int32)
    line_hash, line_size = np.empty(0, np.uint64), np.empty(0, np.int32)
    keys, stamps, values = np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int32)
    for row in range(rows):
        at, end = offsets[row], offsets[row + 1]
        most = (end - at) // 2 + 1  # words, or lines: each but the first takes two bytes or more
        if most > len(word_hash):  # untouched pages cost nothing
            word_hash, word_size = np.empty(2 * most, np.uint64), np.empty(2 * most, np.int32)
            line_hash, line_size = np.empty(2 * most, np.uint64), np.empty(2 * most, np.int32)
        while breaks[broken] < at:  # the last one lies behind every row
            broken += 1
        found = _walk(
            data, at, end, table, word_hash, word_size, line_hash, line_size, breaks, broken, han_word, unspaced_word
        )
        words, lines = found[_WORDS], found[_LINES]
        room = 16
        while room < 2 * max(words, lines):
            room *= 2
        if room > len(keys):
            keys, stamps, values = np.empty(room, np.uint64), np.zeros(room, np.int64), np.empty(room, np.int32)
        # A short text uses the first slots only: they stay in the nearest cache.
        again = _repetition(
            word_hash[:words], word_size, line_hash[:lines], line_size, keys[:room], stamps, values, 3 * row
        )
        for which in range(_SPLIT):
            out[which, row] = found[which]
        for which in range(_WIDTH - _SPLIT):
            out[_SPLIT + which, row] = again[which]
    return out


@njit(**INNER)
def _walk(data, at, end, table, word_hash, word_size, line_hash, line_size, breaks, broken, han_word, unspaced_word):
    """One document: hash and size of each word and line into the scratch, the counts as a tuple."""
    words = lines = letters = digits = symbols = chars = spaces = 0
    run, longest, before = 0, 0, -1
    script, limit, size, state = 0, _ENDLESS, 0, np.uint64(0)  # the word that is open
    line_state, line_mark, line_chars, line_solid = np.uint64(0), np.uint64(0), 0, 0
    item_words, plain, numeric, menu = 0, True, False, 0
    line_words, line_bare, line_free, bars, grid = 0, 0, 0, 0, False
    depth, brace_from, braced = 0, 0, 0
    next_break = breaks[broken]
    while True:
        solid = line_chars
        while script == 1 and at < end and at != next_break:  # letters inside a word: most of most texts
            point, step = decode(data, at)
            entry = np.int64(table[point])
            if entry != _LETTER and entry != _MARK:
                break
            chars += 1
            letters += 1
            size += 1
            line_chars += 1
            state = (state ^ np.uint64(point)) * _PRIME
            line_state = (line_state ^ np.uint64(point)) * _PRIME
            run = run + 1 if point == before else 1
            longest = max(longest, run)
            before = point
            at += step
        if line_chars > solid:
            line_mark, line_solid = line_state, line_chars
        parts = at == next_break  # this code point begins a word
        if parts:
            broken += 1
            next_break = breaks[broken]
        if at < end:
            point, step = decode(data, at)
            at += step
            entry = np.int64(table[point])
            chars += 1
            last = False
        else:  # the end of the text ends word, item and line
            entry = np.int64(_BREAK | _ENDS)
            point = np.int64(-2)
            last = True
        kind = entry & _CLASS

        # --- words: which script this code point would be a word of, 0 when of none
        if kind == _LETTER:
            letters += 1
            wanted = 1
        elif kind == _HAN:
            letters += 1
            wanted = 2
        elif kind == _UNSPACED:
            letters += 1
            wanted = 3
        elif kind == _DIGIT:
            digits += 1
            numeric = True
            wanted = 1
        elif kind == _MARK:
            letters += 1
            wanted = script
        elif kind == _JOIN:
            wanted = script
        else:
            wanted = 0
        if script != 0 and (wanted != script or parts or (size >= limit and kind != _MARK and kind != _JOIN)):
            word_hash[words], word_size[words] = state ^ state >> np.uint64(32), size
            words += 1
            item_words += 1
            size, state = 0, np.uint64(0)
        if wanted != script:
            limit = han_word if wanted == 2 else unspaced_word if wanted == 3 else _ENDLESS
            script = wanted
        if wanted != 0 and kind != _JOIN:
            state = (state ^ np.uint64(point)) * _PRIME
            size += 1

        # --- the other classes
        if kind == _SPACE:
            spaces += 1
        elif kind == _PUNCT:
            plain = plain and entry & _ENDS != 0
        elif kind >= _SYMBOL and kind != _JOIN:
            symbols += 1
            if kind == _OPEN:
                if depth == 0:
                    brace_from = chars
                depth += 1
            elif kind == _CLOSE and depth > 0:
                depth -= 1
                if depth == 0:
                    braced += chars - brace_from + 1

        # --- items, lines, runs
        if entry & _ENDS:
            line_words += item_words
            if not numeric:
                line_free += item_words
                if plain and item_words <= _BARE_WORDS:
                    line_bare += item_words
            item_words, plain, numeric = 0, True, False
            if entry & _BAR:
                if line_chars == 0:
                    grid = True
                bars += 1
        if kind == _BREAK:
            if not grid:
                bar = bars >= _BARS and line_words <= _BAR_WORDS * (bars + 1)
                menu += line_free if bar else line_bare
            line_words, line_bare, line_free, bars, grid = 0, 0, 0, 0, False
            if line_solid > 0:
                line_hash[lines], line_size[lines] = line_mark ^ line_mark >> np.uint64(32), line_solid
                lines += 1
            line_state, line_chars, line_solid = np.uint64(0), 0, 0
            if last:
                break
            spaces += 1
            before = -1
        elif kind == _SPACE:
            if line_chars > 0:
                line_state = (line_state ^ np.uint64(point)) * _PRIME
                line_chars += 1
            before = -1
        else:
            line_state = (line_state ^ np.uint64(point)) * _PRIME
            line_chars += 1
            line_mark, line_solid = line_state, line_chars  # as far as the last code point that is no space
            run = run + 1 if point == before else 1
            longest = max(longest, run)
            before = point
    return chars, chars - spaces, letters, digits, symbols, words, lines, longest, braced, menu


@njit(**INNER)
def _repetition(word_hash, word_size, line_hash, line_size, keys, stamps, values, stamp):
    """What comes again, as a tuple. `stamp` and the three after it are used for this document only."""
    mask = np.uint64(len(keys) - 1)
    words, lines = len(word_hash), len(line_hash)

    stamp += 1
    top, word_chars = 0, 0
    for word in range(words):
        word_chars += word_size[word]
        slot = _slot(keys, stamps, stamp, mask, word_hash[word])
        if stamps[slot] != stamp:
            keys[slot], stamps[slot], values[slot] = word_hash[word], stamp, 0
        values[slot] += 1
        top = max(top, values[slot])

    stamp += 1
    repeated, word = 0, 0
    while word + _NGRAM <= words:
        state = np.uint64(0)
        for more in range(_NGRAM):
            state = _stir(state, word_hash[word + more])
        slot = _slot(keys, stamps, stamp, mask, state)
        if stamps[slot] == stamp:
            for more in range(_NGRAM):
                repeated += word_size[word + more]
            word += _NGRAM
        else:
            keys[slot], stamps[slot] = state, stamp
            word += 1

    stamp += 1
    line_chars, duplicate = 0, 0
    for line in range(lines):
        line_chars += line_size[line]
        slot = _slot(keys, stamps, stamp, mask, line_hash[line])
        if stamps[slot] == stamp:
            duplicate += line_size[line]
        else:
            keys[slot], stamps[slot] = line_hash[line], stamp
    return word_chars, line_chars, duplicate, top, repeated


@njit(**INLINE)
def _slot(keys, stamps, stamp, mask, key):
    """Where `key` is, or would go: open addressing, slots of other stamps being empty."""
    slot = (key ^ key >> np.uint64(29)) & mask
    while stamps[slot] == stamp and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot
