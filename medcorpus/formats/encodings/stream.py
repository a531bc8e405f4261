"""A file of lines that is not UTF-8 becomes UTF-8 as it is read, so that every fast reader stays as it is.

The encoding is judged once, by the beginning of the file; when that is ASCII, by the first bytes that are not.
From then on decoding is strict: what does not decode becomes a byte that UTF-8 never has, so that the reader
quarantines that line, with its number, and goes on. A file that is UTF-8, as almost all are, costs a look at
256 kB of it.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Span, failed, open_bytes
from medcorpus.formats.encodings import Undecodable, Verdict, judge, refused
from medcorpus.formats.encodings.codec import Codec
from medcorpus.formats.streams import Stream

HEAD = 1 << 18
"""Bytes that decide."""

_HIGH = re.compile(b"[\x80-\xff]")
_INVALID = "medcorpus.invalid"


def chunks(span: Span, declared: str | None, rows: Callable[[Stream], Iterator[Chunk]]) -> Iterator[Chunk]:
    """What `rows` makes of the lines of a file in UTF-8, each chunk with the encoding that the file was in.

    `declared` is the label of an encoding, which wins over detection.
    """
    with Utf8Stream(span, declared) as stream:
        try:
            for chunk in rows(stream):
                yield _told(chunk, stream.charset) if stream.charset else chunk
        except Undecodable as error:
            yield failed("", error.reason, str(error))


def _told(chunk: Chunk, charset: str) -> Chunk:
    bad = [
        Bad(one.locator, "undecodable", f"the line is not {charset}") if one.error == "invalid_utf8" else one
        for one in chunk.bad
    ]
    return replace(chunk, bad=bad, charset=charset)


class Utf8Stream(Stream):
    """A Stream whose bytes are UTF-8. `charset` is what the file is in, None as long as it is UTF-8.

    `read` raises Undecodable when no text can come of the file.
    """

    def __init__(self, span: Span, declared: str | None = None):
        super().__init__(span.path, span.start, span.end)
        self.charset: str | None = None
        self._declared = declared
        self._begun = self._settled = self._finished = False
        self._held = b""  # read to decide, not given yet
        self._decoder: Any = None
        if span.start:  # a range of a file: the file's beginning decides, as it does for the other ranges
            self._begun = True
            with open_bytes(span.path) as file:
                self._settle(file.read(HEAD), whole=False)

    def read(self, size: int) -> bytes:
        """About `size` bytes of UTF-8, then b"" at the end and where the data breaks off."""
        if not self._begun:
            self._begun = True
            self._held = self._more(max(size, HEAD))
            self._held = self._held[self._settle(self._held[:HEAD], whole=len(self._held) < HEAD) :]
        data = self._take(size)
        if not self._settled and not data.isascii():
            self._held = data + self._held
            at = _HIGH.search(self._held).start()  # type: ignore[union-attr]
            at = self._held.rfind(b"\n", 0, at) + 1
            self._held += self._more(max(0, HEAD + at - len(self._held)))
            self._settle(self._held[at : at + HEAD], whole=len(self._held) - at < HEAD)
            self._settled = True
            data = self._take(size)
        return data if self._decoder is None else self._converted(data, size)

    def _take(self, size: int) -> bytes:
        if not self._held:
            return super().read(size)
        data, self._held = self._held[:size], self._held[size:]
        return data

    def _more(self, size: int) -> bytes:
        pieces = []
        while size > 0 and (data := super().read(size)):
            pieces.append(data)
            size -= len(data)
        return b"".join(pieces)

    def _settle(self, head: bytes, whole: bool) -> int:
        """Judge the file by `head`; returns the bytes of its mark. Text that nothing fits is left to the reader."""
        verdict = judge(head, self._declared, whole=whole) or Verdict("utf-8", "utf8")
        self._settled = verdict.charset != "utf-8" or not head.isascii()
        if verdict.charset == "utf-8":
            return 0  # the reader takes off the mark
        self.charset = verdict.charset
        codecs.register_error(_INVALID, _invalid)
        self._decoder = Codec(verdict.charset).pieces(_INVALID)
        refused(Codec(verdict.charset).decode(head[verdict.bom :], "ignore"), verdict)
        return verdict.bom

    def _converted(self, data: bytes, size: int) -> bytes:
        """`data` in UTF-8; reads on while a character is open. b"" only at the end."""
        while True:
            self._finished = self._finished or not data
            text = self._decoder.decode(data, not data)
            if text or self._finished:
                return text.encode("utf-8", "surrogateescape")
            data = self._take(size)


def _invalid(error: UnicodeError) -> tuple[str, int]:
    """A lone 0xFF in the UTF-8 for what means nothing; a line end is never part of it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    line = error.object.find(b"\n", error.start + 1, error.end)
    return "\udcff", line if line > 0 else error.end
