"""Plain text and Markdown: one file is one row."""

from collections.abc import Iterator

import pyarrow as pa

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.formats.base import Chunk, Options, Span, failed
from medcorpus.formats.markup.markdown import columns
from medcorpus.formats.streams import BOM, Stream


def read_txt(span: Span, options: Options) -> Iterator[Chunk]:
    """Column `text`. Line ends become `\\n`."""
    outcome = _text(span)
    yield outcome if isinstance(outcome, Chunk) else Chunk(_row(text=outcome))


def read_md(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text`, `title` and those of the front matter: see `markdown`."""
    outcome = _text(span)
    yield outcome if isinstance(outcome, Chunk) else Chunk(_row(**columns(outcome)))


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
