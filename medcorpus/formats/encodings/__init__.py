"""Bytes -> text, whatever they were written in; and text that was read wrongly once, put right.

    tables    labels, upper halves, letters of languages
    codec     one way to decode for all encodings
    detect    which encoding: candidates decoded, the results judged as texts
    refuse    fonts of their own, Zawgyi
    mojibake  UTF-8 that was read as windows-1252 or windows-1251 and saved
    stream    a file that is not UTF-8 becomes UTF-8 as it is read

Order of trust: byte order mark, strict UTF-8, what was declared, the pattern of UTF-16, escape sequences,
detection. Plain functions; importing this package is light, the language model is loaded by the first
detection.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from medcorpus.formats.encodings.codec import Codec
from medcorpus.formats.encodings.tables import canonical

How = Literal["bom", "declared", "utf8", "detected"]

BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32le"),
    (b"\0\0\xfe\xff", "utf-32be"),
    (b"\xff\xfe", "utf-16le"),
    (b"\xfe\xff", "utf-16be"),
)
_ESCAPES = (
    (re.compile(rb"\x1b\$\)C"), "iso-2022-kr"),
    (re.compile(rb"\x1b(?:\$[@B]|\([JI]|\$\([DOPQ])"), "iso-2022-jp"),
    (re.compile(rb"~\{(?:[!-w][!-~])+~\}"), "hz-gb-2312"),
)
_CJK = ("Hani", "Hans", "Hant", "Jpan", "Kana", "Hang", "Bopo")
_WIDE = ("utf-16le", "utf-16be", "utf-32le", "utf-32be")
_HIDDEN = ("iso-2022-jp", "iso-2022-kr", "hz-gb-2312", *_WIDE)  # ASCII on the outside
_HEALTHY = 9
"""Characters of several bytes that are UTF-8, to each that is not: below, the file is in something else."""


class Undecodable(ValueError):
    """Bytes that give no text. `reason` is undecodable, invalid_utf8, font_encoding or zawgyi; `offset` a byte."""

    def __init__(self, reason: str, offset: int, message: str):
        super().__init__(message)
        self.reason, self.offset = reason, offset


@dataclass(frozen=True)
class Decoded:
    """A text, the encoding it was in (`tables.CODECS`), how that is known, and what was repaired, or None."""

    text: str
    charset: str
    how: How
    repaired: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The encoding of a file by its head."""

    charset: str
    how: How
    bom: int = 0  # bytes of the byte order mark


def decode(data: bytes, declared: str | None = None, hint: str | None = None) -> Decoded:
    """The text of a whole document.

    `declared` is the label of a header or a meta tag (one that nobody knows is passed over, and one that the
    bytes contradict gives way to detection); `hint` a language code (ISO 639-3). The byte order mark is taken
    off and mojibake repaired (see `mojibake.repair`). Raises Undecodable.
    """
    from medcorpus.formats.encodings.mojibake import repair

    text, verdict = text_of(data, declared, hint)
    mended = repair(text)
    return Decoded(mended[0] if mended else text, verdict.charset, verdict.how, mended[1] if mended else None)


def text_of(data: bytes, declared: str | None = None, hint: str | None = None) -> tuple[str, "Verdict"]:
    """As `decode`, but nothing is repaired: the mark is taken off, Zawgyi and fonts are refused."""
    verdict = judge(data, declared, hint) or _nothing(data)
    try:
        text = Codec(verdict.charset).decode(data[verdict.bom :] if verdict.bom else data)
    except UnicodeDecodeError as error:
        at = error.start + verdict.bom
        reason = "invalid_utf8" if verdict.charset == "utf-8" else "undecodable"
        raise Undecodable(reason, at, f"byte {at} of the file is not {verdict.charset}") from None
    refused(text, verdict)
    return text, verdict


def judge(head: bytes, declared: str | None = None, hint: str | None = None, whole: bool = True) -> Verdict | None:
    """The encoding of a document by `head`, its beginning or (`whole`) all of it; None when nothing fits.

    A file that is UTF-8 but for a few bytes is UTF-8, and damaged.
    """
    for mark, charset in BOMS:
        if head.startswith(mark):
            return Verdict(charset, "bom", len(mark))
    name = canonical(declared) if declared else None
    if head.isascii():
        if name in _HIDDEN and _fits(head, name, whole):
            return Verdict(name, "declared")
        return _hidden(head) or Verdict("utf-8", "utf8")
    good, bad = _sequences(head, whole)
    if not bad or name == "utf-8":
        return Verdict("utf-8", "utf8" if not bad else "declared")
    if name and _fits(head, name, whole):
        return Verdict(name, "declared")
    if good >= _HEALTHY * bad:
        return Verdict("utf-8", "utf8")
    if found := _hidden(head):
        return found
    if head.count(0) * 100 > len(head):
        return None  # neither text nor UTF-16
    from medcorpus.formats.encodings.detect import detect

    guess = detect(head if whole else head[: head.rfind(b"\n") + 1] or head, hint)
    return Verdict(guess.charset, "detected") if guess else None


def refused(text: str, verdict: Verdict | None = None) -> None:
    """Raise Undecodable when the text is Zawgyi or drawn by a font of its own."""
    from medcorpus.formats.encodings import refuse

    if max(text, default="") >= "\u1000" and (at := refuse.zawgyi(text)) is not None:
        size = len(Codec(verdict.charset).encode(text[:at])) if verdict else at
        raise Undecodable("zawgyi", size, f"byte {size}: Burmese in Zawgyi, which is not Unicode")
    if refuse.font(text):
        raise Undecodable("font_encoding", 0, "letters that only a font of their own turns into the text")


def _nothing(data: bytes) -> Verdict:
    """What remains when nothing fits: a font of its own, or damage. Raises Undecodable."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        at = error.start
    else:
        at = 0
    text = data.translate(None, bytes([*range(9), *range(14, 32), 127]))
    high = len(text.translate(None, bytes(range(128))))
    from medcorpus.formats.encodings.refuse import font

    if font(Codec("windows-1252").decode(data)):
        raise Undecodable("font_encoding", 0, "letters that only a font of their own turns into the text")
    if len(text) == len(data) and high * 4 > len(data) > 200 and 30 > len(data) / (len(data.split()) or 1) > 1.5:
        raise Undecodable("font_encoding", at, f"byte {at}: words in no encoding known, so in a font of their own")
    raise Undecodable("undecodable", at, f"byte {at} of the file is in no encoding known")


def _hidden(head: bytes) -> Verdict | None:
    """UTF-16 and UTF-32 without a mark, by where their zero bytes are; encodings that escape, by the escapes."""
    if 0 in head:
        return _by_zeros(head)
    if b"\x1b" in head or b"~{" in head:
        for pattern, name in _ESCAPES:
            if pattern.search(head) and _fits(head, name, whole=False):
                return Verdict(name, "detected")
    return None


def _by_zeros(head: bytes) -> Verdict | None:
    """Blanks, line ends and digits have a zero byte beside them in every script."""
    size = len(head) // 4 * 4
    if size < 4:
        return None
    zeros = [head[at:size:4].count(0) / (size / 4) for at in range(4)]
    if zeros[2] > 0.9 and zeros[3] > 0.9:
        found = "utf-32le"
    elif zeros[0] > 0.9 and zeros[1] > 0.9:
        found = "utf-32be"
    else:
        low, high = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
        if max(low, high) < 0.05 or min(low, high) * 10 > max(low, high):
            return None
        found = "utf-16le" if high > low else "utf-16be"
    return Verdict(found, "detected") if _fits(head, found, whole=False) and _is_text(head, found) else None


def _is_text(head: bytes, name: str) -> bool:
    """Is it all of one script, with ASCII beside it? Bytes taken two by two are of all scripts there are."""
    from medcorpus.text.lid.normal import script_of

    text = Codec(name).decode(head[: 1 << 13], "ignore")
    scripts = Counter(script_of(char) or "" if char.isalpha() and char > "\x7f" else char < "\x80" for char in text)
    scripts["CJK"] = sum(scripts.pop(name, 0) for name in _CJK)
    plain = sum(char in "\t\r\n" or char >= " " for char in text)
    return len(text) >= 8 and plain == len(text) and scripts.pop(True, 0) + max(scripts.values()) > 0.9 * len(text)


def _fits(head: bytes, name: str, whole: bool) -> bool:
    """Does the head decode, but for a character that is cut at its end?"""
    try:
        Codec(name).pieces().decode(head, whole and name not in _WIDE)
    except UnicodeDecodeError:
        return False
    return True


def _sequences(head: bytes, whole: bool) -> tuple[int, int]:
    """(characters of several bytes, places that are not UTF-8)."""
    try:
        text = Codec("utf-8").pieces().decode(head, whole)
    except UnicodeDecodeError:
        text = head.decode("utf-8", "replace")
        bad = text.count("\ufffd") - head.count(b"\xef\xbf\xbd")
        return sum(char > "\x7f" for char in text) - bad, bad
    return 1, 0
