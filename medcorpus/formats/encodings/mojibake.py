"""UTF-8 that somebody read as windows-1252, Latin-1 or windows-1251 and saved as UTF-8: `Ã©` for é, `Рџ` for П.

A text is repaired only as a whole, and only when it can be undone: written in the wrong encoding it must be
UTF-8 to the last byte, and reading that wrongly again must give the very text. Almost no text that was never
broken passes even the first test.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from functools import cache

import numpy as np
import pyarrow as pa

from medcorpus.formats.encodings.tables import CODECS
from medcorpus.text.buffers import buffers

_PIECE = 1 << 16
_WRONG = ("windows-1252", "windows-1251")

# In each of the two: what a lead byte (C2..F4) and a byte that goes on (80..BF) look like.
_PAIRS = {
    "windows-1252": re.compile(
        "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]"
    ),
    "windows-1251": re.compile("[\u0412-\u0444][\u0080-\u00bf\u0401-\u040f\u0451-\u045f\u0490\u0491\u2013-\u2122]"),
}


# Two lead bytes side by side are no UTF-8, and nearly every word that was never broken has such a pair.
_SOUND = {"windows-1252": re.compile("[\u00c2-\u00f4]{2}"), "windows-1251": re.compile("[\u0412-\u0444]{2}")}


@cache
def _map(name: str) -> tuple[str, dict[int, int]]:
    """(characters of the 256 bytes, the inverse); open bytes are control characters, as programs have it."""
    chars = []
    for byte in range(256):
        try:
            chars.append(bytes([byte]).decode(CODECS[name]))
        except UnicodeDecodeError:
            chars.append(chr(byte))
    inverse = {ord(char): byte for byte, char in enumerate(chars)}
    for byte in range(0x80, 0xA0):  # read as Latin-1
        inverse.setdefault(byte, byte)
    return "".join(chars), inverse


def repair(text: str) -> tuple[str, str] | None:
    """(the text as it was, `utf-8 as windows-1252` or the like, ` twice` when so), or None: nothing to repair."""
    now, how, found = text, "", None
    for times in ("", " twice", " three times"):  # text that was broken more often than that is lost
        for name in (how,) if how else _WRONG:
            if (before := _undone(now, name)) is not None:
                now, how = before, name
                if _is_better(text, now):
                    found = now, f"utf-8 as {how}{times}"
                break
        else:
            break
    return found


def _undone(text: str, name: str) -> str | None:
    if _SOUND[name].search(text) or not _PAIRS[name].search(text):
        return None
    chars, inverse = _map(name)
    try:
        data, _ = codecs.charmap_encode(text, "strict", inverse)
        better = data.decode()
    except UnicodeError:
        return None
    if codecs.charmap_decode(data, "strict", chars)[0] != text and data.decode("latin-1") != text:
        return None  # a mixture: it could not be broken again the same way
    return better


def _is_better(text: str, better: str) -> bool:
    """Nothing in it that no text holds; and where one character alone speaks for the repair, it is one of three
    bytes and more, or a letter in a text that is not all capitals (`Ã` before a sign may then be meant)."""
    new = [char for char in better if char > "\x7f"]
    if any(unicodedata.category(char) in ("Cc", "Cn", "Co") for char in new):
        return False
    return len(new) > 1 or new[0] > "\u07ff" or (new[0].isalpha() and not text.isupper())


def pieces(data: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """(place, bytes) of `data` in overlapping pieces that stay in the cache: `bytes` finds faster than numpy."""
    for start in range(0, len(data), _PIECE):
        yield start, data[start : start + _PIECE + 3].tobytes()


def suspects(array: pa.Array) -> np.ndarray:
    """Rows (int64) of a string column that `repair` should look at; cheap, as almost every text is sound.

    None that was read as windows-1252 is missed; of those read as windows-1251, those that were Cyrillic, or
    Latin with accents or quotes.
    """
    data, offsets, _ = buffers(array)
    used = data[offsets[0] : offsets[-1]]
    western: list[int] = []
    cyrillic = []
    for start, piece in pieces(used):
        if b"\xc3" in piece:
            western += [start + match.start() for match in _WESTERN.finditer(piece)]
        if b"\xd0" in piece:
            first = max(0, start - 2)
            cyrillic.append(first + _cyrillic(used[first : start + len(piece)]))
    found = np.concatenate([np.array(western, np.int64), *cyrillic])
    return np.unique(np.searchsorted(offsets - offsets[0], found, "right") - 1)


# U+00C2..U+00F4 before a character that may stand for a byte from 80 to BF. The first byte is a literal, so that
# `re` leaps from one to the next.
_WESTERN = re.compile(b"\xc3[\x82-\xb4][\xc2\xe2\xc5\xc6\xcb]")


def _cyrillic(data: np.ndarray) -> np.ndarray:
    """Places of В, Г, Р or С before a character that may stand for a byte from 80 to BF, and of `вЂ`."""
    after = data[1:-2]
    lead = (after == 0xA0) | (after == 0xA1) | (after == 0x92) | (after == 0x93) | (after == 0x82)
    at = np.flatnonzero(lead & (data[:-3] == 0xD0))
    if not len(at):
        return at
    second, third = data[at + 2], data[at + 3]
    fits = (second == 0xC2) | (second == 0xE2) | (second == 0xD2)
    fits |= ((second == 0xD0) & (third < 0x90)) | ((second == 0xD1) & (third > 0x90) & (third < 0xA0))
    quote = (data[at + 1] == 0x82) & (at > 1) & (data[at - 1] == 0xB2)
    return at[np.where(data[at + 1] == 0x82, quote, fits)]
