"""What the published rules count in words and n-grams of words: utf-8 in place, then arrays of token hashes.

token   A word: letters, marks and numbers; where scripts set no words apart, Han and kana 2 characters each, Thai, Lao,
        Khmer, Burmese and Tibetan 4 (as in `measures`). A point, comma or apostrophe inside stays (`3.5`, `e.g`), the
        apostrophe beginning a token of its own (`don` `'t`). Any other character that is no white space is a token;
        a run of the same . or - is one.
n-gram  n tokens in a row, compared by 64-bit hashes. `top`: characters, blanks between included, of the most frequent
        one (of equal ones the first) times its occurrences. `repeated`: walking the tokens, n that were seen before
        count with their characters and are skipped (Rae et al. 2021, A1.1).

stop    Words that nearly every text of a language has; different ones are counted. Small letters only. Where blanks
        part words a stop word is a token; of Han and kana it is one character, of Thai, Lao, Khmer, Burmese and
        Tibetan three in a row, wherever they stand: tokens are cut there without knowing words. Of Hangul it is one
        syllable, as what every Korean text has are endings. `stop_table` makes lists ready.

An n-gram comes twice only where its first and its last n-1 tokens both do: so each n looks only at what n-1 left, and
in most texts nothing is left after 4.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numba import njit

from medcorpus.text.buffers import buffers
from medcorpus.text.compiled import INLINE, INNER
from medcorpus.text.measures import classes
from medcorpus.text.nfc import decode

WORDS = (
    "tokens",
    "words",  # tokens that are not only punctuation and symbols
    "word_chars",  # in them
    "alpha",  # tokens with a letter
    "stop_words",  # different ones
    "top_2",
    "top_3",
    "top_4",
    "repeated_5",
    "repeated_6",
    "repeated_7",
    "repeated_8",
    "repeated_9",
    "repeated_10",
)
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Those of Gopher (Rae et al. 2021, A1.1)."""
HANGUL = (0xAC00, 0xD7A3)
MOST_STOP_WORDS = 32
"""In one list: its table has twice as many slots, and a slot is a bit of what was seen."""

_SPACE, _BREAK, _LETTER, _HAN, _UNSPACED, _MARK, _DIGIT = range(7)  # of `measures.classes`
_JOIN, _CLASS = 10, 0x3F
_HAN_WORD, _UNSPACED_WORD, _ENDLESS = 2, 4, 1 << 60
_ALPHA, _WORD = 1, 2  # flags of a token
_LONGEST_GRAM = 10
_TOKENS, _WORDS, _WORD_CHARS, _ALPHAS, _STOPPED = range(5)
_TOP, _REPEATED = WORDS.index("top_2") - 2, WORDS.index("repeated_5") - 5
_ASCII = np.zeros(256, np.uint8)  # letters 1, digits 2
_ASCII[list(range(0x41, 0x5B)) + list(range(0x61, 0x7B))] = 1
_ASCII[list(range(0x30, 0x3A))] = 2
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_EARLIER = np.uint64(0xD6E8FEB86659FD93)  # another odd number: the words before count otherwise than the last
_HANGUL, _LAST_HANGUL = HANGUL
_SLOTS = 2 * MOST_STOP_WORDS
_NONE = np.zeros(_SLOTS, np.uint64)


def stop_table(lists: Sequence[Sequence[str]]) -> np.ndarray:
    """uint64[n, 64]: the hashes of n lists of at most MOST_STOP_WORDS words, each found by open addressing."""
    table = np.zeros((max(1, len(lists)), _SLOTS), np.uint64)
    for row, words in zip(table, lists, strict=False):
        if len(words) > MOST_STOP_WORDS:
            raise ValueError(f"{len(words)} stop words; a list holds at most {MOST_STOP_WORDS}")
        for word in words:
            state = 0
            for char in word:
                state = (state ^ ord(char)) * int(_PRIME) & 0xFFFFFFFFFFFFFFFF
            key = state ^ state >> 32
            slot = key % _SLOTS
            while row[slot] not in (0, key):
                slot = (slot + 1) % _SLOTS
            row[slot] = key
    return table


def tokens(array: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(offsets of rows in what follows, first byte and byte after the last of each token), int64."""
    data, offsets, _ = buffers(array)
    return _all_tokens(data, offsets, classes())


@njit(cache=True, nogil=True)
def _all_tokens(data, offsets, table):
    rows = len(offsets) - 1
    total = offsets[rows] - offsets[0] + 1
    ends = np.zeros(rows + 1, np.int64)
    starts, stops = np.empty(total, np.int64), np.empty(total, np.int64)
    longest = 1
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    hashes, sizes, flags = np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.uint8)
    size = 0
    for row in range(rows):
        found = walk(
            data, offsets[row], offsets[row + 1], table, hashes, sizes, flags, starts[size:], stops[size:], _NONE
        )[0]
        size += found
        ends[row + 1] = size
    return ends, starts[:size], stops[:size]


@njit(**INNER)
def walk(data, begin, end, table, hashes, sizes, flags, starts, stops, listed):
    """Tokens of data[begin:end]: (how many, a bit for each stop word of `listed`, a row of `stop_table`, that is
    there). The arrays, one slot for each byte, receive hash, characters and flags of each token; `starts` and
    `stops` its bytes unless they are empty.
    """
    count, seen = 0, np.uint64(0)
    first, second = np.uint64(0), np.uint64(0)  # the two characters before, in Thai and its like
    script, limit, size, state, start, alpha = 0, _ENDLESS, 0, np.uint64(0), begin, False  # the word that is open
    at = begin
    while True:
        if at < end:
            byte = data[at]
            if byte < 0x80:
                point, step = np.int64(byte), 1
            else:
                point, step = decode(data, at)
            kind = np.int64(table[point]) & _CLASS
        else:
            point, step, kind = np.int64(0), 0, np.int64(_BREAK)
        if kind == _LETTER or kind == _DIGIT:  # noqa: SIM109 (a tuple is slower here)
            wanted = 1
        elif kind == _HAN:
            wanted = 2
        elif kind == _UNSPACED:
            wanted = 3
        elif kind == _MARK or kind == _JOIN:  # noqa: SIM109
            wanted = script
        elif (
            script == 1
            and (point == 0x2E or point == 0x2C or point == 0x27 or point == 0x2019)
            and _goes_on(data, at + step, end, table, point)
        ):
            wanted = 1 if point == 0x2E or point == 0x2C else 0
        else:
            wanted = 0
        if script != 0 and (wanted != script or (size >= limit and kind != _MARK and kind != _JOIN)):
            hashes[count], sizes[count], flags[count] = (
                state ^ state >> np.uint64(32),
                size,
                _WORD | (_ALPHA if alpha else 0),
            )
            if script == 1:
                seen |= _listed(listed, hashes[count])
            if len(starts):
                starts[count], stops[count] = start, at
            count += 1
            size, state = 0, np.uint64(0)
        if step == 0:
            return count, seen
        if wanted != 0:
            if size == 0:
                start, alpha = at, False
            if wanted != script:
                limit = _HAN_WORD if wanted == 2 else _UNSPACED_WORD if wanted == 3 else _ENDLESS
            if wanted == 2 or _HANGUL <= point <= _LAST_HANGUL:
                one = np.uint64(point) * _PRIME
                seen |= _listed(listed, one ^ one >> np.uint64(32))
            elif wanted == 3:
                if script != 3:
                    first, second = np.uint64(0), np.uint64(0)
                three = ((first * _PRIME ^ second) * _PRIME ^ np.uint64(point)) * _PRIME
                seen |= _listed(listed, three ^ three >> np.uint64(32))
                first, second = second, np.uint64(point)
            state = (state ^ np.uint64(point)) * _PRIME
            size += 1
            alpha = alpha or _LETTER <= kind <= _UNSPACED
            script = wanted
            at += step
            while wanted == 1 and at < end:  # most of most texts
                byte = data[at]
                if byte < 0x80:
                    if _ASCII[byte] == 0:
                        break
                    alpha = alpha or _ASCII[byte] == 1
                    point, step = np.int64(byte), 1
                else:
                    point, step = decode(data, at)
                    kind = np.int64(table[point]) & _CLASS
                    if (kind != _LETTER and kind != _MARK) or _HANGUL <= point <= _LAST_HANGUL:
                        break
                    alpha = alpha or kind == _LETTER
                state = (state ^ np.uint64(point)) * _PRIME
                size += 1
                at += step
            continue
        apostrophe = script == 1 and (point == 0x27 or point == 0x2019) and _goes_on(data, at + step, end, table, point)
        script = 0
        if apostrophe:
            script, limit, size, start, alpha = 1, _ENDLESS, 1, at, False
            state = np.uint64(point) * _PRIME
        elif kind > _BREAK:
            run = 1
            if point == 0x2E or point == 0x2D:
                while at + run < end and data[at + run] == point:
                    run += 1
            hashes[count], sizes[count], flags[count] = np.uint64(point + (run << 24)) * _PRIME, run, 0
            if len(starts):
                starts[count], stops[count] = at, at + step * run
            count += 1
            step *= run
        at += step


@njit(**INNER)
def _goes_on(data, at, end, table, point):
    """Does the word go on after a point or comma (letter after a letter, digit after a digit) or an apostrophe?"""
    if at >= end:
        return False
    after = np.int64(table[decode(data, at)[0]]) & _CLASS
    if point == 0x2C:
        return after == _DIGIT
    return after == _LETTER or (after == _DIGIT and point == 0x2E)


@njit(**INLINE)
def _listed(listed, key):
    """The bit of a stop word's hash, 0 when it is none."""
    slot = key & np.uint64(_SLOTS - 1)
    while listed[slot] != 0:
        if listed[slot] == key:
            return np.uint64(1) << slot
        slot = (slot + np.uint64(1)) & np.uint64(_SLOTS - 1)
    return np.uint64(0)


@njit(**INNER)
def count_words(count, seen, hashes, sizes, flags, work, out):
    """Counts of WORDS into `out` (int64) from what `walk` found; `hashes` is overwritten.

    `work`: (keys uint64, stamps int64, counts int32 of 2^n slots, more than twice as many as tokens; ends int64, places
    and slots int32 of a token each; a counter int64[1]).
    """
    for place in range(len(out)):
        out[place] = 0
    ends = work.ends
    ends[0] = 0
    for token in range(count):
        ends[token + 1] = ends[token] + sizes[token]
        if flags[token] & _WORD:
            out[_WORDS] += 1
            out[_WORD_CHARS] += sizes[token]
            out[_ALPHAS] += flags[token] & _ALPHA
    out[_TOKENS] = count
    while seen:
        out[_STOPPED] += 1
        seen &= seen - np.uint64(1)
    room = 16
    while room < 2 * count:
        room *= 2
    keys, stamps, counts = work.keys, work.stamps, work.counts
    mask = np.uint64(room - 1)
    places, slots, grams = work.places, work.slots, work.grams
    size = max(0, count - 1)
    for place in range(size):
        places[place] = place
        grams[place] = hashes[place]
    for width in range(2, _LONGEST_GRAM + 1):
        if count < width:
            return
        if width <= 4:  # the first one, once, unless one comes more often
            out[_TOP + width] = ends[width] + width - 1
        if size == 0:
            if width > 4:
                return
            continue
        work.stamp[0] += 1
        stamp = work.stamp[0]
        for which in range(size):
            place = places[which]
            key = (grams[place] * _EARLIER + hashes[place + width - 1]) * _PRIME
            key ^= key >> np.uint64(29)
            grams[place] = key
            slot = key & mask
            while stamps[slot] == stamp and keys[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            if stamps[slot] != stamp:
                keys[slot], stamps[slot], counts[slot] = key, stamp, 0
            counts[slot] += 1
            slots[which] = slot
        left = 0  # those that come twice
        best = 1
        for which in range(size):
            if counts[slots[which]] > 1:
                place, slot = places[which], slots[which]
                if counts[slot] > best:
                    best = counts[slot]
                    if width <= 4:
                        out[_TOP + width] = best * (ends[place + width] - ends[place] + width - 1)
                places[left], slots[left] = place, slot
                left += 1
        if width > 4:
            free = 0
            for which in range(left):
                place, slot = places[which], slots[which]
                if place < free:
                    continue
                if counts[slot] < 0:
                    out[_REPEATED + width] += ends[place + width] - ends[place]
                    free = place + width
                else:
                    counts[slot] = -1
        size = 0
        for which in range(left - 1):
            if places[which + 1] == places[which] + 1:
                places[size] = places[which]
                size += 1
