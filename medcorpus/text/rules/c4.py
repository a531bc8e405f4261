"""Rules of C4 for lines, and the phrases, symbols and line breaks that a text is looked through for: utf-8 in place."""

import numpy as np
from numba import njit

from medcorpus.text.compiled import INNER
from medcorpus.text.nfc import decode

_LEAST_WORDS, _LONGEST = 3, 1000
LOREM, SCRIPT, POLICY, BRACE, BREAKS = 1, 2, 4, 8, 16
"""What `scan` finds: lorem ipsum, javascript, talk of policies and cookies, {, a line break other than \\n."""

ENDS, PUNCTUATION = 1, 2
"""Bits of `lines.ends`: the character ends a sentence, is of a Unicode category P."""

_BREAK, _LETTER, _MARK, _DIGIT, _JOIN, _CLASS = 1, 2, 5, 6, 10, 0x3F  # of `measures.classes`

_WATCHED = np.zeros(256, np.uint8)  # bytes at which `scan` stops: a rare letter of each phrase, the odd line break
_WATCHED[list(b"vVkKfFpP{#.\n\r\x0b\x0c\x1c\x1d\x1e\xc2\xe2")] = 1
_LOREM_IPSUM, _JAVASCRIPT, _TERMS = (np.array(list(p), np.uint8) for p in (b"lorem ipsum", b"javascript", b"terms of use"))  # fmt: skip # noqa: E501
_PRIVACY, _COOKIE, _USES, _USE_OF, _USE = (
    np.array(list(p), np.uint8)
    for p in (b"privacy policy", b"cookie policy", b"uses cookies", b"use of cookies", b"use cookies")
)
_EDIT, _NEEDED = (np.array(list(p), np.uint8) for p in (b"[edit]", b"[citation needed]"))


@njit(**INNER)
def blank(point):
    """Is it white space as `str.isspace` has it?"""
    if point <= 0x20:
        return point == 0x20 or 9 <= point <= 13 or 28 <= point <= 31
    if point < 0x85:
        return False
    if point < 0x2000:
        return point == 0x85 or point == 0xA0 or point == 0x1680
    return (
        point <= 0x200A or point == 0x2028 or point == 0x2029 or point == 0x202F or point == 0x205F or point == 0x3000
    )


@njit(**INNER)
def _reads(data, at, begin, end, phrase):
    """Does `phrase` (small letters and blanks) stand at `at`, whatever the case?"""
    if at < begin or at + len(phrase) > end:
        return False
    for which in range(len(phrase)):
        byte = data[at + which]
        if 0x41 <= byte <= 0x5A:
            byte |= 0x20
        if byte != phrase[which]:
            return False
    return True


@njit(**INNER)
def scan(data, begin, end):
    """(which phrases stand in data[begin:end], and BREAKS if a line break other than \\n does; #, ellipses, \\n)."""
    found = hashes = ellipses = newlines = 0
    after = begin  # three points in a row count once
    for at in range(begin, end):
        byte = data[at]
        if _WATCHED[byte] == 0:
            continue
        if byte == 0x2E:
            if at >= after and at + 2 < end and data[at + 1] == 0x2E and data[at + 2] == 0x2E:
                ellipses += 1
                after = at + 3
        elif byte == 0x0A:
            newlines += 1
        elif byte == 0xC2:
            found |= BREAKS if data[at + 1] == 0x85 else 0
        elif byte == 0xE2:
            if data[at + 1] == 0x80:
                ellipses += data[at + 2] == 0xA6
                found |= BREAKS if 0xA8 <= data[at + 2] <= 0xA9 else 0
        elif byte < 0x20:
            found |= BREAKS
        elif byte == 0x23:
            hashes += 1
        elif byte == 0x7B:
            found |= BRACE
        else:
            found |= _phrase(data, at, begin, end, byte | 0x20)
    return found, hashes, ellipses, newlines


@njit(**INNER)
def _phrase(data, at, begin, end, letter):
    """The phrase that the small letter at `at` belongs to."""
    if letter == 0x76:  # v
        if _reads(data, at - 2, begin, end, _JAVASCRIPT):
            return SCRIPT
        return POLICY if _reads(data, at - 3, begin, end, _PRIVACY) else 0
    if letter == 0x66:  # f
        return POLICY if _reads(data, at - 7, begin, end, _TERMS) else 0
    if letter == 0x70:  # p
        return LOREM if _reads(data, at - 7, begin, end, _LOREM_IPSUM) else 0
    if (
        _reads(data, at - 3, begin, end, _COOKIE)
        or _reads(data, at - 8, begin, end, _USES)
        or _reads(data, at - 10, begin, end, _USE_OF)
        or _reads(data, at - 7, begin, end, _USE)
    ):
        return POLICY
    return 0


@njit(**INNER)
def _before_citations(data, begin, end):
    """The end of data[begin:end] without the citations there: [12], [], [edit], [citation needed]."""
    while end > begin and data[end - 1] == 0x5D:
        at = end - 2
        while at >= begin and 0x30 <= data[at] <= 0x39:
            at -= 1
        if at >= begin and data[at] == 0x5B:
            end = at
        elif end - 6 >= begin and _same(data, end - 6, _EDIT):
            end -= 6
        elif end - 17 >= begin and _same(data, end - 17, _NEEDED):
            end -= 17
        else:
            break
    return end


@njit(**INNER)
def _same(data, at, phrase):
    for which in range(len(phrase)):  # noqa: SIM110 (not a generator: this is compiled)
        if data[at + which] != phrase[which]:
            return False
    return True


@njit(**INNER)
def ends_well(data, begin, end):
    """C4: does the line end in . ? ! " or ', and not in three points? Citations do not count."""
    end = _before_citations(data, begin, end)
    if end == begin:
        return False
    byte = data[end - 1]
    if byte != 0x2E:
        return byte == 0x3F or byte == 0x21 or byte == 0x22 or byte == 0x27
    second = _before_citations(data, begin, end - 1)
    if second == begin or data[second - 1] != 0x2E:
        return True
    third = _before_citations(data, begin, second - 1)
    return third == begin or data[third - 1] != 0x2E


@njit(**INNER)
def has_words(data, begin, end):
    """C4: has the line three words or more, none of them longer than 1,000 characters?"""
    words = longest = size = 0
    short = not _may_be_long(data, begin, end)
    at = begin
    while at < end:
        byte = data[at]
        if 0x20 < byte < 0x80:
            size += 1
            at += 1
            continue
        point, step = decode(data, at)
        at += step
        if blank(point):
            words += size > 0
            longest = max(longest, size)
            size = 0
            if short and words == _LEAST_WORDS:
                return True
        else:
            size += 1
    return words + (size > 0) >= _LEAST_WORDS and max(longest, size) <= _LONGEST


@njit(**INNER)
def _may_be_long(data, begin, end):
    """Are there more than 1,000 bytes in a row without a space? Looks at a byte in a hundred."""
    at = begin
    while end - at > _LONGEST:
        after = at + _LONGEST
        while after > at and data[after] != 0x20:
            after -= 1
        if after == at:
            return True
        at = after
    return False


@njit(cache=True, nogil=True)
def sentences(data, begin, end, stops, table):
    """Sentences of a line without its citations: a new one begins at the first token that is no punctuation after a
    token that ends one. Tokens are those of `words`: a point inside a word (`3.5`, `e.g`) and one of several in a row
    (`...`) end nothing; any other character of `stops` does. A token of punctuation is one with a mark of `stops` or
    of a Unicode category P. `table`: `measures.classes`.
    """
    count, ended, at = 1, False, begin
    while at < end:
        byte = data[at]
        if byte == 0x5B:
            after = _after_citation(data, at, end)
            if after > at:
                at = after
                continue
        if byte < 0x80:
            if not ended and byte != 0x2E and byte != 0x21 and byte != 0x3F:
                at += 1
                continue
            point, step = np.int64(byte), 1
        else:
            point, step = decode(data, at)
        mark = stops[point]
        if mark & ENDS:
            ended = ended or point != 0x2E or _stands_alone(data, begin, at, end, table)
        elif ended and mark == 0 and table[point] & _CLASS > _BREAK:
            count += 1
            ended = False
        at += step
    return count


@njit(**INNER)
def _after_citation(data, at, end):
    """Where the citation that begins at `at` ends; `at` when none does."""
    after = at + 1
    while after < end and 0x30 <= data[after] <= 0x39:
        after += 1
    if after < end and data[after] == 0x5D:
        return after + 1
    if at + 6 <= end and _same(data, at, _EDIT):
        return at + 6
    return at + 17 if at + 17 <= end and _same(data, at, _NEEDED) else at


@njit(**INNER)
def _stands_alone(data, begin, at, end, table):
    """Is the point at `at` a token: none beside it, and not inside a word? Citations are looked through."""
    after = at + 1
    while after < end and data[after] == 0x5B:
        rest = _after_citation(data, after, end)
        if rest == after:
            break
        after = rest
    if after < end and data[after] == 0x2E:
        return False
    before = _before_citations(data, begin, at)
    if before > begin and data[before - 1] == 0x2E:
        return False
    if after == end:
        return True
    kind = table[decode(data, after)[0]] & _CLASS
    if kind != _LETTER and kind != _DIGIT:
        return True
    while before > begin:
        last = before - 1
        while last > begin and data[last] & 0xC0 == 0x80:
            last -= 1
        kind = table[decode(data, last)[0]] & _CLASS
        if kind != _MARK and kind != _JOIN:
            return kind != _LETTER and kind != _DIGIT
        before = _before_citations(data, begin, last)
    return True
