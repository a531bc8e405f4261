"""What the published rules count in lines, paragraphs and characters: utf-8 bytes, in place.

Three notions of a line are in use, and each rule keeps its own: what stands between `\\n` (FineWeb), between runs of
`\\n` (Gopher's repetition), and what `str.splitlines` gives (Gopher's quality, C4). White space is that of `str.strip`.
Lines and paragraphs are compared by 64-bit hashes of their bytes.
"""

from functools import cache
from unicodedata import category

import numpy as np
from numba import njit

from medcorpus.text.compiled import INNER
from medcorpus.text.nfc import decode
from medcorpus.text.rules.c4 import (
    BRACE,
    BREAKS,
    ENDS,
    LOREM,
    PUNCTUATION,
    SCRIPT,
    blank,
    ends_well,
    has_words,
    scan,
    sentences,
)
from medcorpus.text.stored import stored

LINES = (
    "chars",  # code points
    "newlines",
    "hashes",  # #
    "ellipses",  # ... and the one character
    "paragraphs",  # between \n\n
    "duplicate_paragraphs",
    "duplicate_paragraph_chars",
    "runs",  # between runs of \n
    "duplicate_runs",
    "duplicate_run_chars",
    "full_lines",  # between \n, not blank
    "ended_lines",  # their last character ends a sentence
    "short_lines",  # of at most 30 characters
    "duplicate_line_chars",
    "lines",  # of splitlines
    "bullet_lines",
    "ellipsis_lines",
    "c4_lines",  # left by C4's rules for lines
    "c4_sentences",  # in them
    "c4_banned",  # lines with lorem ipsum or {, among those that came that far
    "c4_open_lines",  # the same three without the rule that a line ends in . ? ! " or '
    "c4_open_sentences",
    "c4_open_banned",
)
(
    _CHARS, _NEWLINES, _HASHES, _ELLIPSES, _PARAGRAPHS, _DUPLICATE_PARAGRAPHS, _DUPLICATE_PARAGRAPH_CHARS, _RUNS,
    _DUPLICATE_RUNS, _DUPLICATE_RUN_CHARS, _FULL_LINES, _ENDED_LINES, _SHORT_LINES, _DUPLICATE_LINE_CHARS, _LINES,
    _BULLET_LINES, _ELLIPSIS_LINES, _C4_LINES, _C4_SENTENCES, _C4_BANNED, _C4_OPEN_LINES, _C4_OPEN_SENTENCES,
    _C4_OPEN_BANNED,
) = range(len(LINES))  # fmt: skip
_SHORT = 30  # characters

SENTENCE_ENDS = (
    (0x21, 0x21), (0x2E, 0x2E), (0x3F, 0x3F), (0x589, 0x589), (0x61D, 0x61F), (0x6D4, 0x6D4), (0x700, 0x702),
    (0x7F9, 0x7F9), (0x837, 0x837), (0x839, 0x839), (0x83D, 0x83E), (0x964, 0x965), (0x104A, 0x104B), (0x1362, 0x1362),
    (0x1367, 0x1368), (0x166E, 0x166E), (0x1735, 0x1736), (0x17D4, 0x17D6), (0x17D9, 0x17DA), (0x1803, 0x1803),
    (0x1809, 0x1809), (0x1944, 0x1945), (0x1AA8, 0x1AAB), (0x1B4E, 0x1B4F), (0x1B5A, 0x1B5B), (0x1B5E, 0x1B5F),
    (0x1B7D, 0x1B7F), (0x1C3B, 0x1C3C), (0x1C7E, 0x1C7F), (0x203C, 0x203D), (0x2047, 0x2049), (0x2CF9, 0x2CFB),
    (0x2E2E, 0x2E2E), (0x2E3C, 0x2E3C), (0x2E53, 0x2E54), (0x3002, 0x3002), (0xA4FF, 0xA4FF), (0xA60E, 0xA60F),
    (0xA6F3, 0xA6F3), (0xA6F7, 0xA6F7), (0xA876, 0xA877), (0xA8CE, 0xA8CF), (0xA92F, 0xA92F), (0xA9C8, 0xA9C9),
    (0xAA5D, 0xAA5F), (0xAAF0, 0xAAF1), (0xABEB, 0xABEB), (0xFE52, 0xFE52), (0xFE56, 0xFE57), (0xFF01, 0xFF01),
    (0xFF0E, 0xFF0E), (0xFF1F, 0xFF1F), (0xFF61, 0xFF61), (0x10A56, 0x10A57), (0x10F55, 0x10F59), (0x11047, 0x11048),
    (0x110BE, 0x110C1), (0x11141, 0x11143), (0x111C5, 0x111C6), (0x11238, 0x11239), (0x115C2, 0x115C3),
    (0x11641, 0x11642), (0x16AF5, 0x16AF5), (0x16B37, 0x16B38),
)  # fmt: skip
"""Characters that end a sentence: Sentence_Terminal of Unicode's PropList.txt, scripts in use and Khmer's ៖ ៙ ៚."""

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@cache
def ends() -> np.ndarray:
    """uint8 per code point: ENDS where it ends a sentence, PUNCTUATION where it is punctuation."""
    (table,) = stored("ends", _ends)
    return table


def _ends() -> tuple[np.ndarray]:
    table = np.zeros(0x110000, np.uint8)
    table[:0x20000] = [PUNCTUATION * (category(chr(point))[0] == "P") for point in range(0x20000)]
    for first, last in SENTENCE_ENDS:
        table[first : last + 1] |= ENDS
    return (table,)


@njit(**INNER)
def _last(data, begin, end):
    """Where the last code point of data[begin:end] begins."""
    at = end - 1
    while at > begin and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@njit(**INNER)
def _stripped(data, begin, end):
    """(begin, end) without the white space at both ends."""
    while begin < end:
        point, size = decode(data, begin)
        if not blank(point):
            break
        begin += size
    while end > begin:
        at = _last(data, begin, end)
        if not blank(decode(data, at)[0]):
            break
        end = at
    return begin, end


@njit(**INNER)
def _hash(data, begin, end):
    """64 bits of data[begin:end], never 0."""
    state = np.uint64(end - begin) * _PRIME
    at = begin
    while at + 8 <= end:
        word = np.uint64(0)
        for which in range(8):
            word |= np.uint64(data[at + which]) << np.uint64(8 * which)
        state = (state ^ word) * _PRIME
        state ^= state >> np.uint64(29)
        at += 8
    word = np.uint64(0)
    while at < end:
        word = word << np.uint64(8) | np.uint64(data[at])
        at += 1
    state = (state ^ word) * _PRIME
    state ^= state >> np.uint64(32)
    return state | np.uint64(1)


@njit(**INNER)
def _chars(data, begin, end):
    count = 0
    for at in range(begin, end):
        count += data[at] & 0xC0 != 0x80
    return count


@njit(**INNER)
def _again(seen, mask, key):
    """Whether `key` is in the table `seen` (0: empty slot), where it is put when not."""
    slot = (key >> np.uint64(20)) & mask
    while seen[slot] != 0:
        if seen[slot] == key:
            return True
        slot = (slot + np.uint64(1)) & mask
    seen[slot] = key
    return False


@njit(**INNER)
def _piece(data, begin, end, stops, table, marked, out):
    """One line of `splitlines`. `marked`: the document holds one of the phrases."""
    begin, end = _stripped(data, begin, end)
    out[_LINES] += 1
    if begin == end:
        return
    lead = data[begin]
    if lead == 0x2D or (lead == 0xE2 and data[begin + 1] == 0x80 and data[begin + 2] == 0xA2):
        out[_BULLET_LINES] += 1
    if end - begin >= 3:
        third, second, last = data[end - 3], data[end - 2], data[end - 1]
        points = third == 0x2E and second == 0x2E and last == 0x2E
        out[_ELLIPSIS_LINES] += points or (third == 0xE2 and second == 0x80 and last == 0xA6)
    if not has_words(data, begin, end):
        return
    closed = ends_well(data, begin, end)
    found = scan(data, begin, end)[0] & ~BREAKS if marked else 0
    if found & LOREM or (found & BRACE and not found & SCRIPT):
        out[_C4_OPEN_BANNED] += 1
        out[_C4_BANNED] += closed
    elif not found:
        many = sentences(data, begin, end, stops, table)
        out[_C4_OPEN_LINES] += 1
        out[_C4_OPEN_SENTENCES] += many
        if closed:
            out[_C4_LINES] += 1
            out[_C4_SENTENCES] += many


@njit(**INNER)
def _pieces(data, begin, end, more, stops, table, marked, out):
    """The lines of `splitlines` in data[begin:end], which holds no \\n; `more`: a \\n follows."""
    at = start = begin
    while at < end:
        byte = data[at]
        size = 0
        if byte < 0x20:
            if byte == 0x0D or byte == 0x0B or byte == 0x0C or 0x1C <= byte <= 0x1E:
                size = 1
        elif byte == 0xC2 and data[at + 1] == 0x85:
            size = 2
        elif byte == 0xE2 and data[at + 1] == 0x80 and (data[at + 2] == 0xA8 or data[at + 2] == 0xA9):
            size = 3
        if size:
            _piece(data, start, at, stops, table, marked, out)
            at += size
            start = at
            if byte == 0x0D and at == end and more:
                return  # \r\n is one break
        else:
            at += 1
    if more or start < end:
        _piece(data, start, end, stops, table, marked, out)


@njit(**INNER)
def count_lines(data, begin, end, stops, table, seen, out):
    """Counts of LINES of the text data[begin:end] into `out` (int64). `stops`: `ends`; `table`: `measures.classes`.
    `seen`: uint64 scratch of 2^n slots, more than four times as many as the text has lines; it is left empty.
    """
    for place in range(len(out)):
        out[place] = 0
    found, out[_HASHES], out[_ELLIPSES], newlines = scan(data, begin, end)
    marked = found & ~BREAKS != 0
    out[_NEWLINES] = newlines
    room = 16
    while room < 4 * (newlines + 2):  # lines and paragraphs
        room *= 2
    mask = np.uint64(room - 1)
    first, last = _stripped(data, begin, end)
    start, paragraph = begin, first
    for line in range(newlines + 1):
        at = start
        more = line < newlines
        if more:
            while data[at] != 0x0A:
                at += 1
        else:
            at = end
        chars = _chars(data, start, at)
        out[_CHARS] += chars + more
        empty = at == start
        if empty and first < start < last:
            if data[start - 2] != 0x0A:  # the first empty line of a run; what stood before it is a paragraph
                _paragraph(data, paragraph, start - 1, seen, mask, out)
            paragraph = at + 1
        out[_RUNS] += not empty or start == begin or not more  # a run of \n at either end leaves an empty line there
        if not empty:
            hashed = _hash(data, start, at)
            again = _again(seen, mask, hashed)
            if again:
                out[_DUPLICATE_RUNS] += 1
                out[_DUPLICATE_RUN_CHARS] += chars
            left, right = _stripped(data, start, at)
            if left < right:
                out[_FULL_LINES] += 1
                out[_ENDED_LINES] += stops[decode(data, _last(data, start, at))[0]] & ENDS
                out[_SHORT_LINES] += chars <= _SHORT
                if again:
                    out[_DUPLICATE_LINE_CHARS] += chars
        if found & BREAKS:
            _pieces(data, start, at, more, stops, table, marked, out)
        elif more or start < at:
            _piece(data, start, at, stops, table, marked, out)
        start = at + 1
    if newlines and data[begin] == 0x0A and data[end - 1] == 0x0A:
        out[_DUPLICATE_RUNS] += 1  # the empty line at the end, after the one at the beginning
    if paragraph == first:
        out[_PARAGRAPHS] = 1  # alone: there is nothing to compare it with
    else:
        _paragraph(data, paragraph, last, seen, mask, out)
    seen[:room] = 0


@njit(**INNER)
def _paragraph(data, start, stop, seen, mask, out):
    out[_PARAGRAPHS] += 1
    if _again(seen, mask, ~_hash(data, start, stop) ^ np.uint64(1)):
        out[_DUPLICATE_PARAGRAPHS] += 1
        out[_DUPLICATE_PARAGRAPH_CHARS] += _chars(data, start, stop)
