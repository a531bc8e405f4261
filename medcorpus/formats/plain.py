"""Plain text and Markdown: one file is one row."""

import re
from collections.abc import Iterator

import pyarrow as pa

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.formats.base import Chunk, Options, Span, failed
from medcorpus.formats.streams import BOM, Stream

_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?:.*\n)*?---[ \t]*(?:\n|\Z)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")


def read_txt(span: Span, options: Options) -> Iterator[Chunk]:
    """Column `text`. Line ends become `\\n`."""
    outcome = _text(span)
    yield outcome if isinstance(outcome, Chunk) else Chunk(_row(text=outcome))


def read_md(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text` (the Markdown as it is) and `title` (its first heading, or null)."""
    outcome = _text(span)
    yield outcome if isinstance(outcome, Chunk) else Chunk(_row(text=outcome, title=heading(outcome)))


def heading(markdown: str) -> str | None:
    """The first heading (`# Title`, or a line underlined with === or ---) outside code fences, or None."""
    fence = None
    before = ""
    for line in _FRONT_MATTER.sub("", markdown, count=1).split("\n"):
        if mark := _FENCE.match(line):
            fence = None if fence == mark[1] else fence or mark[1]
        elif fence is None:
            if (found := _HEADING.fullmatch(line)) and (found[1] or "").strip():
                return found[1].strip()
            if before and _UNDERLINE.fullmatch(line):
                return before
        before = line.strip() if fence is None and not mark else ""
    return None


def _text(span: Span) -> str | Chunk:
    """The text of a file, or what is wrong with it."""
    with Stream(span.path) as stream:
        data = stream.read(MAX_ROW_BYTES + 1)
        if len(data) > MAX_ROW_BYTES:
            return failed("", "too_large", f"the file is larger than {MAX_ROW_BYTES >> 20} MB")
        stream.read(1)  # a break is known only after the last byte
        if stream.broken:
            return failed("", "broken", stream.broken)
    if not data:
        return failed("", "empty", "the file is empty")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return failed("", "invalid_utf8", f"byte {error.start} of the file is not utf-8")
    if "\0" in text:
        return failed("", "nul_byte", f"byte {data.index(0)} of the file is NUL")
    return text.removeprefix(BOM.decode()).replace("\r\n", "\n")


def _row(**values: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name: pa.array([value], pa.string()) for name, value in values.items()})
