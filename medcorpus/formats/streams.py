"""Bytes of a file, decompressed, in blocks of whole lines.

Compression is told by the first bytes of the file, not by its name: a `.jsonl` that is really gzip is
opened rightly, and so is a `.gz` that is not. A compressed file that breaks off gives everything before the
break, then says where it broke. A line above the row limit is skipped without being held in memory.
"""

import bz2
import lzma
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.core.stage import Bad
from medcorpus.formats.base import SEPARATOR, Chunk, Damaged, Span, failed, open_bytes

MAGIC = {
    "gzip": b"\x1f\x8b\x08",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bz2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
}
SUFFIXES = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2", ".xz": "xz"}
BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BZ2_BLOCK = (b"1AY&SY", b"\x17rE8P\x90")  # what follows "BZh9": a block, or the end of an empty file
_PYTHON = {"bz2": bz2.open, "xz": lzma.open}  # Arrow has no xz, and stops at an empty member of bz2
_BROKEN = (OSError, EOFError, lzma.LZMAError, pa.ArrowException)


def codec_of(head: bytes) -> str | None:
    """Name of the compression that the first 10 bytes of a file tell, or None."""
    for name, magic in MAGIC.items():
        if head.startswith(magic) and (name != "bz2" or head[4:10] in _BZ2_BLOCK):
            return name
    return None


class Stream:
    """The decompressed bytes of a file, or of a byte range of a file that is not compressed.

    `broken` is None, or a sentence about where the compressed data breaks off; it is known once `read` has
    returned b"". Raises OSError when the file cannot be opened.
    """

    def __init__(self, path: str, start: int = 0, end: int | None = None):
        self.path = path
        self.broken: str | None = None
        self._left = None if end is None else end - start
        self._given = 0
        self._step: int | None = None  # None: healthy; else how little is read at a time to reach the break
        self._open()
        if start:
            self._raw.seek(start)

    def _open(self) -> None:
        self._raw: Any = open_bytes(self.path)
        try:
            self.codec = codec_of(self._raw.read(10))
        except Damaged:
            self.codec, self.broken = None, "the packed data is damaged near byte 0"
            self._file = self._raw
            return
        self._raw.seek(0)
        if self.codec is None:
            self._file = self._raw
        elif self.codec in _PYTHON:
            self._file = _PYTHON[self.codec](self._raw)
        else:
            self._file = pa.CompressedInputStream(pa.PythonFile(self._raw, mode="r"), self.codec)

    @property
    def packed(self) -> bool:
        """Does reading cost more than copying?"""
        return self.codec is not None or SEPARATOR in self.path

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end and where the data breaks off, then b""."""
        if self._left is not None:
            size = min(size, self._left)
            self._left -= size
        pieces = []
        while size and (data := self._some(size)):
            pieces.append(data)
            size -= len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _some(self, size: int) -> bytes:
        if self.broken:
            return b""
        try:
            data = self._file.read(size if self._step is None else min(size, self._step))
        except _BROKEN as error:
            if self.codec is None and not isinstance(error, Damaged):
                raise
            return self._salvage(size, error)
        self._given += len(data)
        return data

    def _salvage(self, size: int, error: Exception) -> bytes:
        """Read again up to what was given so far, then on in ever smaller steps until the very break."""
        if self._step == 1:
            kind = "breaks off" if _is_cut(error) else "is damaged"
            place = f"{self._raw.tell()} of the compressed file" if self.codec else str(self._given)
            self.broken = f"the {self.codec or 'packed'} data {kind} near byte {place}"
            return b""
        self._step = 1 << 12 if self._step is None else 1
        self.close()
        self._open()
        left = self._given
        try:
            while left and (data := self._file.read(min(left, 1 << 16))):
                left -= len(data)
        except _BROKEN:
            left = -1
        if left:  # what could be read before cannot be read again
            self.broken = f"the {self.codec or 'packed'} data is damaged near byte {self._given} of the content"
            return b""
        return self._some(size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_cut(error: Exception) -> bool:
    return isinstance(error, EOFError) or "runcated" in str(error)


def head(path: str, size: int) -> bytes:
    """The first `size` decompressed bytes, fewer when the file is shorter or breaks off."""
    pieces = []
    with Stream(path) as stream:
        while size and (data := stream.read(size)):
            pieces.append(data)
            size -= len(data)
    return b"".join(pieces)


def whole(span: Span) -> bytes | Chunk:
    """All bytes of a file that is one row, or what is wrong with it."""
    with Stream(span.path, span.start, span.end) as stream:
        data = stream.read(MAX_ROW_BYTES + 1)
        if len(data) > MAX_ROW_BYTES:
            return failed("", "too_large", f"the file is larger than {MAX_ROW_BYTES >> 20} MB")
        stream.read(1)  # a break is known only after the last byte
        if stream.broken:
            return failed("", "broken", stream.broken)
    return data or failed("", "empty", "the file is empty")


def ahead(stream: Stream, size: int) -> Iterator[bytes]:
    """The blocks of a stream. Packed ones are inflated by a thread, one block ahead: it holds no GIL while it works."""
    if not stream.packed:
        yield from iter(lambda: stream.read(size), b"")
        return
    with ThreadPoolExecutor(1, "inflate") as pool:
        coming = pool.submit(stream.read, size)
        while data := coming.result():
            coming = pool.submit(stream.read, size)
            yield data
            del data


@dataclass(frozen=True)
class Lines:
    """Whole lines: `data` begins with line number `first` and ends with a newline or the file.

    `bad` holds what was skipped before, or after, these lines. `last` is true for the end of the span.
    """

    data: bytes
    first: int
    bad: list[Bad] = field(default_factory=list)
    last: bool = False


def line_blocks(stream: Stream, span: Span, size: int) -> Iterator[Lines]:
    """The lines of a stream in blocks of about `size` bytes, the byte order mark taken off.

    The last block, and only it, is marked `last`; it may hold no data. An empty file, a line above
    MAX_ROW_BYTES (`too_large`) and a break in compressed data (`broken`) are told in `bad`.
    """
    line = span.first_line
    held: list[bytes] = []  # the beginning of a line whose end has not come yet
    length = 0
    skipping = False
    begun = span.start > 0
    for data in ahead(stream, size):
        if not begun:
            begun = True
            if data.startswith(_UTF16):
                yield Lines(b"", line, [Bad("", "encoding", "the file is UTF-16, not UTF-8")], last=True)
                return
            data = data.removeprefix(BOM)
        if skipping:
            at = data.find(b"\n") + 1
            if not at:
                continue
            skipping, line, data = False, line + 1, data[at:]
        cut = data.rfind(b"\n") + 1
        if cut:
            at = data.find(b"\n") + 1
            bad = []
            if length + at > MAX_ROW_BYTES:
                bad.append(_too_large(line))
                line, whole = line + 1, data[at:cut]
            else:
                whole = b"".join([*held, data[:cut]])
            yield Lines(whole, line, bad)
            line += whole.count(b"\n")
            held, length, data = [], 0, data[cut:]
        if data:
            held.append(data)
            length += len(data)
        if length > MAX_ROW_BYTES:
            yield Lines(b"", line, [_too_large(line)])
            held, length, skipping = [], 0, True
    if stream.broken:
        message = f"{stream.broken}; the lines before line {line} were read"
        yield Lines(b"", line, [Bad(f"L{line}", "broken", message)], last=True)
    elif not begun:
        yield Lines(b"", line, [Bad("", "empty", "the file is empty")], last=True)
    else:
        yield Lines(b"".join(held), line, last=True)


def _too_large(line: int) -> Bad:
    return Bad(f"L{line}", "too_large", f"line {line} is longer than {MAX_ROW_BYTES >> 20} MB")
