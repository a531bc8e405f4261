"""What the walk of `sentences` looks up: the kind of each character, listed words, phrases of Thai and Lao."""

import unicodedata
from functools import cache

import numpy as np

from medcorpus.text.measures import BREAKS, HAN_RANGES, SPACES, UNSPACED_RANGES
from medcorpus.text.segment import abbreviations

OTHER, SPACE, BREAK, PARAGRAPH, UPPER, LOWER, LETTER, ABJAD, LONE, THAI, TIBETAN, MARK, DIGIT = range(13)
FULL, BANG, STOP, SHAD, DOTS, CLOSE, OPEN, QUOTE, DASH, WORDSPACE, COLON, JOIN = range(13, 25)

_STOPS = "。｡।॥։۔။៕።፧፨᠃᠉᙮꓿꘎꛳꛷꧉꩝꩞꩟᪨᪩᭞᭟᱾᱿𑁇𑁈߹។؟"
_BANGS = "!?！？‼⁇⁈⁉⸮"
_FULLS = ".．"
_SHADS = "།༎༏༐༑༔"
_CLOSES = ")]}）］｝」』】》〉〕〗〙»”’›﴾"
_OPENS = "([{（［｛「『【《〈〔〖〘«“‘„‚‹¿¡﴿"
_QUOTES = "\"'＂＇“"  # “ closes in German; as an opener it never follows a stop directly
_DASHES = "-–—―•·*"
PRIME = np.uint64(0x9E3779B97F4A7C15)
SEED = np.uint64(0x73656E74)
TITLE, NUMBERED, LAST, STARTER, ROMAN, TIED = (np.uint8(1 << bit) for bit in range(6))


@cache
def tables() -> tuple[np.ndarray, np.ndarray]:
    """(uint8 kind of each code point, uint32 its small letter)."""
    kinds = np.full(0x110000, OTHER, np.uint8)
    folds = np.arange(0x110000, dtype=np.uint32)
    named = {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER, "Lo": LETTER, "Lm": LETTER, "Cf": JOIN}
    named |= {"Mn": MARK, "Mc": MARK, "Me": MARK, "Nd": DIGIT, "Nl": DIGIT, "No": DIGIT}
    for point in range(0x20000):
        char = chr(point)
        kinds[point] = named.get(unicodedata.category(char), OTHER)
        small = char.lower()
        if len(small) == 1:
            folds[point] = ord(small)
    for ranges, letter in (
        (HAN_RANGES, LONE), (UNSPACED_RANGES, LONE), (((0x0E00, 0x0EFF),), THAI), (((0x0F00, 0x0FFF),), TIBETAN),
        (((0x0590, 0x06FF), (0x0750, 0x077F), (0x08A0, 0x08FF)), ABJAD), (((0xA000, 0xA4CF),), LONE),
    ):  # fmt: skip
        for first, last in ranges:
            block = kinds[first : last + 1]
            block[(block == LETTER) | (block == LONE) | (first >= 0x20000)] = letter
    for chars, kind in (
        (SPACES, SPACE), (BREAKS, BREAK), ("\u2029", PARAGRAPH), (_CLOSES, CLOSE), (_OPENS, OPEN),
        (_QUOTES, QUOTE), (_DASHES, DASH), (_STOPS, STOP), (_BANGS, BANG), (_FULLS, FULL),
        (_SHADS, SHAD), ("…⋯‥", DOTS), ("፡", WORDSPACE), (":;\u037e", COLON),
    ):  # fmt: skip
        kinds[[ord(char) for char in chars]] = kind
    kinds[0x10D0:0x1100][kinds[0x10D0:0x1100] == LOWER] = LETTER  # Georgian: its capitals begin no sentence
    for table in (kinds, folds):
        table.flags.writeable = False
    return kinds, folds


def _hashed(word: str) -> int:
    state = int(SEED)
    for char in word:
        state = ((state ^ ord(char)) * int(PRIME)) & (1 << 64) - 1
        state ^= state >> 32
    return state


@cache
def words() -> tuple[np.ndarray, np.ndarray]:
    """(uint64 hashes of all listed words, rising; uint8 in which lists each is)."""
    flags: dict[int, int] = {}
    for text, flag in (
        (abbreviations.TITLES, TITLE), (abbreviations.NUMBERED, NUMBERED), (abbreviations.LAST, LAST),
        (abbreviations.STARTERS, STARTER), (abbreviations.ROMAN, ROMAN), (abbreviations.TIBETAN_TIED, TIED),
    ):  # fmt: skip
        for word in text.split():
            flags[_hashed(word)] = flags.get(_hashed(word), 0) | int(flag)
    order = sorted(flags)
    found = np.array(order, np.uint64), np.array([flags[key] for key in order], np.uint8)
    for table in found:
        table.flags.writeable = False
    return found


@cache
def phrases() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(utf-8 of the Thai and Lao words end to end, where each begins, int64[4]: where each of the four lists ends)."""
    lists = [
        text.split()
        for text in (
            abbreviations.TIED_BEFORE, abbreviations.TIED_AFTER, abbreviations.CLOSERS, abbreviations.OPENERS,
        )
    ]  # fmt: skip
    said = [word.encode() for words in lists for word in words]
    starts = np.concatenate([[0], np.cumsum([len(word) for word in said])]).astype(np.int64)
    found = np.frombuffer(b"".join(said), np.uint8), starts, np.cumsum([len(words) for words in lists]).astype(np.int64)
    for table in found:
        table.flags.writeable = False
    return found
