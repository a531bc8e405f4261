"""What no limit and no stop word may be: a rule that never fires, or drops every text, is a mistake that nobody sees.

Both are in configurations that large corpora were made with. Of FineWeb2's 1,929 languages 828 have a limit on the most
frequent n-gram above 1 and 64 one on repeated lines; words of 3,141 letters on average pass; 123 list stop words
without a letter (U+200B, a middle dot). A rule that is not wanted is switched off by null.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from medcorpus.core.errors import nearest
from medcorpus.text.rules.published import FIGURES

Limit = tuple[float | None, float | None]
"""Least and most that a text may have; None is off."""

_ROW = 32 * 2**20  # bytes: a row above that goes to quarantine, so that no count can be larger
_LONGEST_WORD = 100
"""Letters a word has on average in no language; a text beyond has no blanks, and other figures say so."""

POSSIBLE: dict[str, tuple[float, float]] = {name: (0, 1 if whole else _ROW) for name, (_, whole) in FIGURES.items()} | {
    "gopher_word_length": (0, _LONGEST_WORD),
    "fineweb_newlines": (0, _ROW),
}
"""figure -> (smallest, largest) value of a text. Shares end at 1: an n-gram that overlaps itself, or six dots in one
token, go beyond, but only in texts that are nothing else; newlines are not bounded by tokens."""


def limit_problem(figure: str, limit: Any, words: int | None = None) -> str | None:
    """What is wrong with a limit of a published figure, or None. `words`: how many stop words there are."""
    if figure not in POSSIBLE:
        return f"there is no such figure{nearest(figure, list(POSSIBLE))} ({', '.join(POSSIBLE)})"
    if not isinstance(limit, list | tuple) or len(limit) != 2:
        return f"a limit is [least, most], each a number or null, not {limit!r}"
    largest = words if figure == "gopher_stop_words" and words is not None else None
    return range_problem(*limit, *(POSSIBLE[figure][0], POSSIBLE[figure][1] if largest is None else largest))


def range_problem(least: Any, most: Any, smallest: float, largest: float) -> str | None:
    """What is wrong with a least and a most for a figure that lies between `smallest` and `largest`."""
    for value in (least, most):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            return f"{value!r} is no number; null switches a limit off"
        if value is not None and not math.isfinite(value):
            return f"{value} is no limit; null switches it off"
    if least is not None and least <= smallest:
        return f"least {least:g} can never fire, no text has less than {smallest:g}; null switches it off"
    if most is not None and most >= largest:
        return f"most {most:g} can never fire, no text has more than {largest:g}; null switches it off"
    if least is not None and least > largest:
        return f"least {least:g} drops every text, none has more than {largest:g}"
    if most is not None and most < smallest:
        return f"most {most:g} drops every text, none has less than {smallest:g}"
    if least is not None and most is not None and least > most:
        return f"least {least:g} is above most {most:g}: every text is dropped"
    return None


def limit_problems(limits: Mapping[str, Any], words: int | None = None) -> list[str]:
    """`figure: what is wrong` for each limit that is."""
    found = {name: limit_problem(name, limit, words) for name, limit in limits.items()}
    return [f"{name}: {problem}" for name, problem in found.items() if problem]


def stop_word_problems(words: Iterable[Any]) -> list[str]:
    """What is wrong with a list of stop words, one sentence each."""
    import unicodedata

    from medcorpus.text.rules.words import MOST_STOP_WORDS

    words = list(words)
    found = [f"{word!r} {problem}" for word in words if (problem := _word_problem(word))]
    seen: dict[str, str] = {}
    for word in words:
        same = unicodedata.normalize("NFC", str(word)).lower()
        if same in seen:
            found.append(f"{word!r} is there twice (as {seen[same]!r}); leave one out")
        seen.setdefault(same, str(word))
    if len(words) > MOST_STOP_WORDS:
        found.append(f"{len(words)} words; a list holds at most {MOST_STOP_WORDS}, the most frequent ones")
    return found


def _word_problem(word: Any) -> str | None:
    """Why no text can ever show this stop word."""
    import unicodedata

    import pyarrow as pa

    from medcorpus.text.rules.words import tokens

    if not isinstance(word, str) or not word.strip():
        return "is no word; leave it out"
    if not any(char.isalpha() for char in word):
        return "has no letter: punctuation is in menus and code too; leave it out"
    if word != word.lower():
        return f"has capitals, but stop words are compared as they stand; write {word.lower()!r}"
    if any(char.isspace() for char in word):
        return "holds a blank, but words are compared one by one; name its words"
    unit = unit_of(word)
    if unit is not None:
        if len(word) != unit:
            return f"has {len(word)} characters; in its script a stop word has {unit}"
        if not word[0].isalpha() or any(
            unicodedata.category(char)[0] not in "LM" or not unit_of(char) for char in word
        ):
            return "is not of letters of one script, beginning with a letter"
        return None
    ends, starts, stops = tokens(pa.array([word]))
    if ends[1] != 1 or stops[0] - starts[0] != len(word.encode()):
        parts = [word.encode()[a:b].decode() for a, b in zip(starts, stops, strict=True)]
        return f"is never one word of a text, it is cut into {', '.join(map(repr, parts))}"
    return None


def unit_of(word: str) -> int | None:
    """Characters of a stop word that is no token (Han, kana and Hangul 1, Thai and its like 3); None for others."""
    from medcorpus.text.measures import HAN_RANGES, UNSPACED_RANGES
    from medcorpus.text.rules.words import HANGUL

    for ranges, unit in (((*HAN_RANGES, HANGUL), 1), (UNSPACED_RANGES, 3)):
        if any(first <= ord(char) <= last for char in word for first, last in ranges):
            return unit
    return None
