"""Sentences: where each begins, in the utf-8 of the column. White space after a sentence is its own.

An end is

stop      。 । ། ။ ። ։ ۔ ។ and their like, with the quotes and brackets that close behind; not before kana, which go on
          after a quotation (「痛い。」と言った), nor between letters of a short form (ڈی۔این۔اے)
! ?       in any width, before a blank, a letter of a script without blanks, or the end; not in quotes before a small
          letter
full stop before a blank and what may begin a sentence: not a small letter (unless it is pH or mRNA). Not after an
          initial, a title or short form (`abbreviations`), a number that counts an item or, in languages that write
          ordinals so, is one (`languages`); never inside 2.5, pH 7.4, e.g., who.int
...       before a capital or a letter without case
; :       in Greek and Armenian; two of ፡ or : in Ethiopic
shad      of Tibetan, doubled or after a syllable that does not tie clauses (དང ནས ཏེ ...)
blank     in Thai and Lao, which have no mark: after a closing particle, before an opening word, or once the sentence
          is long; not beside words that tie phrases, numbers, Latin letters or ๆ. A guess: see the floors of the tests
line      a paragraph always; a line, unless it has 40 characters or more and the next goes on with a small letter
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from medcorpus.core.languages import registry
from medcorpus.text.buffers import buffers
from medcorpus.text.compiled import INLINE, INNER
from medcorpus.text.nfc import decode
from medcorpus.text.segment import marks as table
from medcorpus.text.segment.marks import (
    ABJAD,
    BANG,
    BREAK,
    CLOSE,
    COLON,
    DASH,
    DIGIT,
    DOTS,
    FULL,
    JOIN,
    LAST,
    LETTER,
    LONE,
    LOWER,
    MARK,
    NUMBERED,
    OPEN,
    OTHER,
    PARAGRAPH,
    PRIME,
    QUOTE,
    ROMAN,
    SEED,
    SHAD,
    SPACE,
    STARTER,
    STOP,
    THAI,
    TIBETAN,
    TIED,
    TITLE,
    UPPER,
    WORDSPACE,
)  # fmt: skip
from medcorpus.text.segment.pieces import Pieces

_INNERS = tuple(map(ord, "'’ʼ/-‐‑־״׳"))  # inside a word when letters stand on both sides
_KANA = (0x3041, 0x3096)
_WRAPPED = 32  # characters, blanks aside, of a line that may have been broken by its width
_LONG = 70  # characters of Thai or Lao after which a blank counts as an end
_MIDDLE = 30  # after which it does before an opening word
_SHORT = 12  # and below which it never does
_FULL_STOP_EVERY = 400  # characters: text of Thai or Lao letters that has so many full stops ends sentences with them
_GA, _KA = 0x0F42, 0x0F40  # letters of Tibetan after which a blank stands for a shad
_NUMBER, _TAKES_NUMBER = 1, 2


def sentences(array: pa.Array | pa.ChunkedArray, languages: pa.Array | pa.ChunkedArray | None = None) -> Pieces:
    """The sentences of each row; a null has none.

    `languages` (codes of the registry, one a row, null where unknown) tells where `3.` may be an ordinal.
    """
    data, offsets, _ = buffers(array)
    ordinal = np.zeros(len(array), np.bool_)
    if languages is not None:
        known = pc.is_in(languages, pa.array(sorted(registry().ordinal_dot)))
        ordinal = np.array(pc.fill_null(known, False), np.bool_)
    kinds, folds = table.tables()
    hashes, flags = table.words()
    return Pieces(*_cut(data, offsets, ordinal, kinds, folds, hashes, flags, *table.phrases()))


@njit(**INLINE)
def _solid(kind):
    """Whether it is part of a word."""
    return UPPER <= kind <= DIGIT


@njit(**INNER)
def _stir(state, point):
    state = (state ^ np.uint64(point)) * PRIME
    return state ^ state >> np.uint64(32)


@njit(**INNER)
def _flags(hashes, flags, state):
    """The lists that hold a word."""
    place = np.searchsorted(hashes, state)
    return flags[place] if place < len(hashes) and hashes[place] == state else np.uint8(0)


@njit(**INNER)
def _closing(data, at, end, kinds, wide, opened):
    """(byte after the stops and closing marks that follow a stop, how many marks close, how many stops). After a
    `wide` stop, one of Chinese or Japanese, “ opens."""
    closes = stops = 0
    while at < end:
        point, size = decode(data, at)
        kind = kinds[point]
        if kind == FULL or kind == BANG or kind == DOTS or kind == STOP:  # noqa: SIM109 (compiled)
            stops += 3 if kind == DOTS else 1
        elif kind == CLOSE or (kind == QUOTE and not (wide and point == 0x201C)):
            closes += 1
        elif kind == SPACE and opened and at + size + 1 < end and decode(data, at + size)[0] == 0xBB:
            closes += 1  # « ... ! »
            size += 2
            opened = False
        else:
            break
        at += size
    return at, closes, stops


@njit(**INNER)
def _ahead(data, at, end, kinds, folds):
    """What comes after blanks, opening marks and dashes: (kind, hash of its word, whether it is like pH or mRNA,
    whether a blank comes first, whether a line ends before it). Kind is SPACE at the end of the row."""
    blank = line = False
    while at < end:
        point, size = decode(data, at)
        kind = kinds[point]
        if kind == SPACE:
            blank = True
        elif kind == BREAK or kind == PARAGRAPH:  # noqa: SIM109
            blank = line = True
        elif kind != OPEN and kind != QUOTE and kind != DASH and kind != CLOSE:
            break
        at += size
    if at >= end:
        return SPACE, SEED, False, blank, line
    first = kinds[decode(data, at)[0]]
    state, camel, length = SEED, False, 0
    while at < end and length < 24:
        point, size = decode(data, at)
        kind = kinds[point]
        if not _solid(kind) or kind == LONE:
            break
        camel |= length > 0 and first == LOWER and kind == UPPER
        state = _stir(state, folds[point])
        length += 1
        at += size
    return first, state, camel, blank, line


@njit(**INNER)
def _fits(data, at, begin, end, before, texts, starts, first, last):
    """Whether one of the phrases first to last stands right before (`before`) or at `at`."""
    for phrase in range(first, last):
        size = starts[phrase + 1] - starts[phrase]
        where = at - size if before else at
        if where < begin or where + size > end:
            continue
        same = True
        for byte in range(size):
            if data[where + byte] != texts[starts[phrase] + byte]:
                same = False
                break
        if same:
            return True
    return False


@njit(**INNER)
def _full_stops(data, begin, end, kinds):
    """Full stops behind words of six letters of Thai or Lao or more."""
    count = letters = 0
    at = begin
    while at < end:
        point, size = decode(data, at)
        kind = kinds[point]
        if kind == THAI:
            letters += 1
        elif kind != MARK:
            if kind == FULL and letters > 5:
                count += 1
            letters = 0
        at += size
    return count


@njit(**INNER)
def _ends_at_full_stop(word, tokens, stops, closes, after, ordinal, hashes, flags):
    """Whether a full stop between the word before it and what comes after is the end of a sentence.

    `word`: (is it right before, hash, letters, marks, digits, stops inside, kind of its first letter, whether that is
    Hangul, what the word before it was: a number, a word that takes one, or neither).
    """
    near, state, letters, marks, digits, inside, kind, hangul, before = word
    first, following, camel, blank, line = after
    if first == SPACE:
        return True
    if first == FULL or first == DOTS or first == COLON:  # noqa: SIM109 (compiled)
        return False
    if line:  # it says itself whether it ends a sentence
        return False
    if not blank:
        return near and first == LONE and kind == LONE and not closes
    if first == LOWER and not camel:
        return False
    if stops >= 3:
        return first != DIGIT
    if not near or closes:
        return True
    found = _flags(hashes, flags, state)
    starter = first == UPPER and _flags(hashes, flags, following) & STARTER != 0
    roman = found & ROMAN != 0 and kind == UPPER
    if tokens == 1 and ((letters + digits == 1 and marks == 0 and not hangul) or letters == 0 or found & ROMAN):
        return False  # 1. or a. of a list
    if found & TITLE and before != _NUMBER:
        return False
    if found & NUMBERED and first == DIGIT:
        return False
    if found & LAST and (letters > 1 or before == _NUMBER):
        return first != DIGIT
    if letters == 0:
        if inside > 0 or digits > 2:
            return True
        return first != DIGIT and (not ordinal or before == _TAKES_NUMBER or starter)
    if ordinal and roman:
        return False
    if kind == THAI:
        return letters > 5 and inside == 0
    if digits > 0 or hangul:
        return True
    if kind == ABJAD or kind == LETTER:  # noqa: SIM109 (compiled)
        return letters + marks > 1 and (inside == 0 or letters > 3 * (inside + 1))
    if letters == 1 and kind == LOWER and before == _NUMBER:
        return True  # 5 g.
    return starter if letters == 1 or (inside > 0 and letters <= 2 * (inside + 1)) else True


@njit(cache=True, nogil=True)
def _cut(data, offsets, ordinal, kinds, folds, hashes, flags, texts, phrases, lists):
    rows = len(offsets) - 1
    first = np.zeros(rows + 1, np.int64)
    starts = np.empty(1024, np.int64)
    put = 0
    for row in range(rows):
        begin, end = offsets[row], offsets[row + 1]
        most = put + (end - begin) // 2 + 2  # each but the last takes two bytes or more
        if most > len(starts):  # untouched pages cost nothing
            grown = np.empty(2 * most, np.int64)
            grown[:put] = starts[:put]
            starts = grown
        if end > begin:
            starts[put] = begin
            put += 1
        at = begin
        solid, tokens, chars, line_chars = False, 0, 0, 0  # in the open sentence, and line
        near, state, letters, marks, digits, inside, kind_of = False, SEED, 0, 0, 0, 0, OTHER  # the last word
        before = 0  # what the word before that was
        stopped = -1  # whether full stops end sentences of Thai or Lao here; not known yet
        last, last_kind, opened = np.int64(0), OTHER, False
        while at < end:
            point, size = decode(data, at)
            kind = kinds[point]
            here = at
            at += size
            ends = False
            if _solid(kind) or (kind == JOIN and near):
                if kind == LONE or not near or (kind_of == LONE and kind != MARK):
                    tokens += 1
                    if letters == 0:
                        before = _NUMBER if digits > 0 else 0
                    elif kind == LONE:
                        before = 0
                    else:
                        found = _flags(hashes, flags, state)
                        roman = found & ROMAN != 0 and kind_of == UPPER
                        before = _NUMBER if roman else _TAKES_NUMBER if found & NUMBERED else 0
                    state, letters, marks, digits, inside, kind_of = SEED, 0, 0, 0, 0, kind
                    near = True
                if kind == DIGIT:
                    digits += 1
                elif kind == MARK:
                    marks += 1
                elif kind != JOIN:
                    if letters == 0:
                        kind_of = kind
                    letters += 1
                if kind != JOIN:
                    state = _stir(state, folds[point])
                solid = True
                chars += 1
                line_chars += 1
                if kind != MARK and kind != JOIN:
                    last, last_kind = point, kind
                continue
            if kind == FULL:
                if near and kind_of != LONE and at < end and _solid(kinds[decode(data, at)[0]]):
                    state = _stir(state, np.int64(0x2E))  # inside a word or number
                    inside += 1
                    chars += 1
                    line_chars += 1
                    continue
                at, closes, stops = _closing(data, at, end, kinds, point > 0x3000, opened)
                after = _ahead(data, at, end, kinds, folds)
                word = (near, state, letters, marks, digits, inside, kind_of, 0xAC00 <= last <= 0xD7A3, before)
                ends = solid and _ends_at_full_stop(word, tokens, stops + 1, closes, after, ordinal[row], hashes, flags)
            elif kind == DOTS:
                at, closes, _ = _closing(data, at, end, kinds, False, opened)
                after = _ahead(data, at, end, kinds, folds)
                ends = solid and after[3] and not after[4] and UPPER <= after[0] <= TIBETAN and after[0] != LOWER
            elif kind == BANG or kind == STOP:  # noqa: SIM109
                at, closes, _ = _closing(data, at, end, kinds, point > 0x3000, opened)
                after = _ahead(data, at, end, kinds, folds)
                ends = solid
                if closes > 0 and (after[0] == LOWER or (at < end and _KANA[0] <= decode(data, at)[0] <= _KANA[1])):
                    ends = False
                elif kind == BANG and not after[3]:
                    ends = ends and (after[0] == LONE or after[0] == THAI or after[0] == TIBETAN)
                elif point == 0x06D4 and near and letters <= 3 and at < end and kinds[decode(data, at)[0]] == ABJAD:
                    ends = False
                elif point == 0x17D4 and at + 6 <= end and data[at + 1] == 0x9E and data[at + 2] == 0x9B:
                    ends = decode(data, at + 3)[0] != 0x17D4  # ។ល។ is et cetera
            elif kind == SHAD:
                shads = 1
                while at < end:
                    point, size = decode(data, at)
                    after_kind = kinds[point]
                    if after_kind == SHAD:
                        shads += 1
                    elif after_kind != CLOSE and not (
                        after_kind == SPACE and at + size < end and kinds[decode(data, at + size)[0]] == SHAD
                    ):
                        break
                    at += size
                ends = solid and (shads > 1 or _flags(hashes, flags, state) & TIED == 0)
            elif kind == WORDSPACE:
                if at < end and kinds[decode(data, at)[0]] == WORDSPACE:
                    at += 3
                    ends = solid
            elif kind == COLON:
                blank = at >= end or kinds[decode(data, at)[0]] <= PARAGRAPH
                if point == 0x3A:
                    ends = solid and blank and 0x0531 <= last <= 0x0587
                    if 0x1200 <= last <= 0x137F and at < end and data[at] == 0x3A:
                        at += 1
                        ends = solid
                else:
                    ends = solid and blank and (0x0370 <= last <= 0x03FF or 0x1F00 <= last <= 0x1FFF)
            elif point == 0x2D and near and kind_of == ABJAD:  # a full stop of Urdu, where no blank stands before it
                ends = at < end and kinds[decode(data, at)[0]] == SPACE
            elif kind == SPACE:
                if last_kind == THAI and near:
                    after = _ahead(data, here, end, kinds, folds)
                    if stopped < 0:
                        stopped = _full_stops(data, begin, end, kinds) * _FULL_STOP_EVERY * 3 >= end - begin
                    if after[0] == THAI and not after[4] and chars >= _SHORT and not stopped:
                        there = at
                        while kinds[decode(data, there)[0]] == SPACE:
                            there += decode(data, there)[1]
                        if _fits(data, here, begin, end, True, texts, phrases, lists[1], lists[2]):
                            ends = True
                        elif not _fits(data, here, begin, end, True, texts, phrases, 0, lists[0]) and not _fits(
                            data, there, begin, end, False, texts, phrases, lists[0], lists[1]
                        ):
                            ends = chars >= _LONG or (
                                chars >= _MIDDLE
                                and _fits(data, there, begin, end, False, texts, phrases, lists[2], lists[3])
                            )
                elif last_kind == TIBETAN and near and (last == _GA or last == _KA):  # noqa: SIM109
                    ends = chars >= _SHORT and _flags(hashes, flags, state) & TIED == 0
            elif kind == BREAK or kind == PARAGRAPH:  # noqa: SIM109
                lines = 0
                paragraph = kind == PARAGRAPH
                at = here
                while at < end:
                    point, size = decode(data, at)
                    kind = kinds[point]
                    if kind == BREAK:
                        lines += 1
                        if point == 0x0D and at + 1 < end and data[at + 1] == 0x0A:
                            size = 2
                    elif kind == PARAGRAPH:
                        paragraph = True
                    elif kind != SPACE:
                        break
                    at += size
                wrapped = line_chars >= _WRAPPED and at < end and kinds[point] == LOWER
                ends = solid and (lines > 1 or paragraph or not wrapped)
                line_chars = 0
            elif near and kind_of != LONE and at < end and _goes_on(point, kind_of, kinds[decode(data, at)[0]]):
                state = _stir(state, point)
                inside += point == 0x2C
                chars += 1
                line_chars += 1
                continue
            if kind == OPEN and point == 0xAB:
                opened = True
            elif kind == CLOSE and point == 0xBB:
                opened = False
            near = False
            if kind > PARAGRAPH:
                solid = True
                chars += 1
                line_chars += 1
                if kind != FULL:
                    last_kind = kind if kind != JOIN else last_kind
            if ends:
                while at < end:
                    point, size = decode(data, at)
                    if kinds[point] < SPACE or kinds[point] > PARAGRAPH:
                        break
                    if kinds[point] != SPACE:
                        line_chars = 0
                    at += size
                if at < end:
                    starts[put] = at
                    put += 1
                solid, tokens, chars, opened = False, 0, 0, False
                last, last_kind = np.int64(0), OTHER
        first[row + 1] = put
    out = np.empty(put + 1, np.int64)
    out[:put], out[put] = starts[:put], offsets[rows]
    return first, out


@njit(**INNER)
def _goes_on(point, kind, following):
    """Whether a mark that is no full stop stands inside a word or number: д-р, ዶ/ር, 7,4, מ"ג."""
    if point == 0x2C:
        return kind == DIGIT and following == DIGIT
    if point == 0x22:
        return kind == ABJAD and following == ABJAD
    for inner in _INNERS:
        if point == inner:
            return _solid(following)
    return False
