"""What a text must look like before a language model sees it, and its script: the slow, readable definition.

`normalise` is part of the model: our own model was trained on its output and is only right on it. Its
version enters the key of every step that identifies languages, so change it only together with a new
model file.
"""

import re
import unicodedata
from functools import cache

import numpy as np

NORMALISE_VERSION = 1
"""Version of `normalise`. `medcorpus-langid-<n>` files state in their card which one they need."""

KEEP, DIGIT, BLANK, DROP, SYMBOL = range(5)
"""What `normalise` does with a character: keep, run becomes 0, becomes a space, vanishes, own token."""

_WEB = re.compile(r"(?:https?://|ftp://|www\.)[!-~]+")
# Possessive, and started only where a run starts: linear on megabytes of base64, unlike the usual one.
_MAIL = re.compile(r"(?<![a-z0-9._%+-])[a-z0-9._%+-]++@[a-z0-9-]++(?:\.[a-z0-9-]++)+")


@cache
def character_classes() -> np.ndarray:
    """What happens to each code point in `normalise`: uint8, shape (0x110000,), values KEEP .. SYMBOL.

    Letters and combining marks are kept: without their marks Thai, Khmer, Burmese and Hindi fall apart.
    Both zero-width joiners are spelling in Persian and Hindi; the other invisible ones go, except
    ZERO WIDTH SPACE, which parts words in Thai and Khmer.
    """
    by_category = {"Nd": DIGIT, "Cc": BLANK, "Cs": BLANK, "Cf": DROP}
    by_group = {"L": KEEP, "M": KEEP, "Z": BLANK, "P": SYMBOL, "S": SYMBOL, "N": SYMBOL, "C": BLANK}
    table = np.full(0x110000, BLANK, np.uint8)  # unassigned and private use
    table[0x20000:0x31350] = KEEP  # Han extensions, spared the walk
    for code in [*range(0x20000), *range(0xE0000, 0xE0200)]:
        category = unicodedata.category(chr(code))
        table[code] = by_category.get(category, by_group[category[0]])
    table[[0x200C, 0x200D]] = KEEP
    table[0x200B] = BLANK
    return table


class _Rewriting(dict[int, "int | str | None"]):
    """What `str.translate` puts for a code point, filled as code points are met."""

    def __missing__(self, code: int) -> int | str | None:
        put = {KEEP: code, DIGIT: "0", BLANK: " ", DROP: None, SYMBOL: f" {chr(code)} "}
        self[code] = put[int(character_classes()[code])]
        return self[code]


_REWRITING = _Rewriting()
_ZEROS = re.compile("00+")


def normalise(text: str) -> str:
    """`text` as our own model wants to see it (version `NORMALISE_VERSION`), one line.

    In this order: NFC; lower case; URLs and e-mail addresses become a space (only their ASCII part, so
    that Chinese right after a URL survives); invisible characters go; runs of decimal digits of any
    script become `0`; each punctuation mark, symbol or other number is a token of its own; runs of
    white space, newlines and control characters are one space, none at the ends.
    """
    text = unicodedata.normalize("NFC", text).lower()
    if "://" in text or "www." in text:
        text = _WEB.sub(" ", text)
    if "@" in text:
        text = _MAIL.sub(" ", text)
    return " ".join(_ZEROS.sub("0", text.translate(_REWRITING)).split())


# Letters by code point, after the blocks of Unicode 15 (Blocks.txt). "Kana" stands for both kana.
_BLOCKS: dict[str, tuple[tuple[int, int], ...]] = {
    "Latn": (
        (0x41, 0x24F), (0x250, 0x2AF), (0x1D00, 0x1D25), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA722, 0xA787),
        (0xA78B, 0xA7FF), (0xAB30, 0xAB64), (0xFB00, 0xFB06), (0xFF21, 0xFF5A),
    ),
    "Grek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Cyrl": ((0x400, 0x52F), (0x1C80, 0x1C8F), (0xA640, 0xA69F)),
    "Armn": ((0x530, 0x58F), (0xFB13, 0xFB17)),
    "Hebr": ((0x590, 0x5FF), (0xFB1D, 0xFB4F)),
    "Arab": ((0x600, 0x6FF), (0x750, 0x77F), (0x870, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
    "Syrc": ((0x700, 0x74F), (0x860, 0x86F)),
    "Thaa": ((0x780, 0x7BF),),
    "Nkoo": ((0x7C0, 0x7FF),),
    "Deva": ((0x900, 0x97F), (0xA8E0, 0xA8FF)),
    "Beng": ((0x980, 0x9FF),),
    "Guru": ((0xA00, 0xA7F),),
    "Gujr": ((0xA80, 0xAFF),),
    "Orya": ((0xB00, 0xB7F),),
    "Taml": ((0xB80, 0xBFF),),
    "Telu": ((0xC00, 0xC7F),),
    "Knda": ((0xC80, 0xCFF),),
    "Mlym": ((0xD00, 0xD7F),),
    "Sinh": ((0xD80, 0xDFF),),
    "Thai": ((0xE00, 0xE7F),),
    "Laoo": ((0xE80, 0xEFF),),
    "Tibt": ((0xF00, 0xFFF),),
    "Mymr": ((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
    "Geor": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2F)),
    "Hang": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xFFA0, 0xFFDC)),
    "Ethi": ((0x1200, 0x139F), (0x2D80, 0x2DDF), (0xAB00, 0xAB2F)),
    "Cher": ((0x13A0, 0x13FF), (0xAB70, 0xABBF)),
    "Cans": ((0x1400, 0x167F), (0x18B0, 0x18FF)),
    "Khmr": ((0x1780, 0x17FF),),
    "Mong": ((0x1800, 0x18AF),),
    "Olck": ((0x1C50, 0x1C7F),),
    "Tfng": ((0x2D30, 0x2D7F),),
    "Kana": ((0x3041, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F)),
    "Bopo": ((0x3105, 0x312F), (0x31A0, 0x31BF)),
    "Hani": ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3134F)),
    "Yiii": ((0xA000, 0xA48C),),
    "Lisu": ((0xA4D0, 0xA4FF),),
    "Vaii": ((0xA500, 0xA63F),),
    "Java": ((0xA980, 0xA9DF),),
    "Mtei": ((0xAAE0, 0xAAFF), (0xABC0, 0xABFF)),
    "Adlm": ((0x1E900, 0x1E95F),),
    "Zyyy": ((0xAA, 0xAA), (0xB5, 0xB5), (0xBA, 0xBA)),  # ordinal and micro signs: letters of no script
}  # fmt: skip
_SCRIPTS = ("Zyyy", *(script for script in _BLOCKS if script != "Zyyy"))
_KANA, _HANI = _SCRIPTS.index("Kana"), _SCRIPTS.index("Hani")
_SLICE = 1 << 20  # characters looked at in one go: bounds memory on books


@cache
def script_table() -> np.ndarray:
    """Index into `script_names()` by code point: uint8, shape (0x110000,); 0 = not a letter of a script."""
    letters = character_classes() == KEEP
    table = np.zeros(0x110000, np.uint8)
    for script, blocks in _BLOCKS.items():
        for first, last in blocks:
            table[first : last + 1] = np.where(letters[first : last + 1], _SCRIPTS.index(script), 0)
    return table


def script_names() -> tuple[str, ...]:
    """Names behind `script_table`: ISO 15924, with `Zyyy` for "no letter" and `Kana` for both kana."""
    return _SCRIPTS


@cache
def han_forms() -> tuple[np.ndarray, np.ndarray]:
    """Which of U+3400..U+9FFF are written only in simplified, only in traditional Chinese.

    The two national standards are the list: a character of GB 2312 that Big5 lacks is simplified, one of
    Big5 that GB 2312 lacks is traditional; what both have or neither has says nothing.
    """

    def covered(codec: str) -> np.ndarray:
        return np.array([chr(c).encode(codec, "ignore") != b"" for c in range(0x3400, 0xA000)])

    mainland, taiwan = covered("gb2312"), covered("big5")
    return mainland & ~taiwan, taiwan & ~mainland


def script_of(text: str) -> str | None:
    """Script most letters of `text` are in (ISO 15924), None when it has no letters of a known script.

    Han with kana (more than one in 50, so that a borrowed の does not turn Chinese into Japanese) is
    `Jpan`. Han alone is `Hans` or `Hant` when at least 1 character in 20 exists in that form only and
    those are four times as many as of the other form, else `Hani`. A tie goes to the smaller code points.
    """
    table, counts = script_table(), np.zeros(len(_SCRIPTS), np.int64)
    forms = np.zeros(2, np.int64)
    for start in range(0, len(text), _SLICE):
        raw = text[start : start + _SLICE].encode("utf-32-le", "surrogatepass")
        codes = np.frombuffer(raw, np.uint32)
        found = np.bincount(table[codes], minlength=len(_SCRIPTS))
        counts += found
        if found[_HANI]:
            han = codes[(codes >= 0x3400) & (codes < 0xA000)] - 0x3400
            forms += [np.count_nonzero(form[han]) for form in han_forms()]
    counts[0] = 0
    han, kana = int(counts[_HANI]), int(counts[_KANA])
    counts[_HANI] += kana
    counts[_KANA] = 0
    best = int(counts.argmax())
    if not counts[best]:
        return None
    if best != _HANI:
        return _SCRIPTS[best]
    if kana * 50 > han + kana:
        return "Jpan"
    simplified, traditional = forms.tolist()
    if simplified * 20 >= han and simplified > 4 * traditional:
        return "Hans"
    return "Hant" if traditional * 20 >= han and traditional > 4 * simplified else "Hani"
