"""Plain text and Markdown: one file is one row."""

from collections.abc import Iterator

import pyarrow as pa

from medcorpus.formats.base import Chunk, Options, Span, failed
from medcorpus.formats.encodings import Undecodable, text_of
from medcorpus.formats.markup.markdown import columns
from medcorpus.formats.streams import whole


def read_txt(span: Span, options: Options) -> Iterator[Chunk]:
    """Column `text`. Line ends become `\\n`."""
    outcome = _text(span, options)
    yield outcome if isinstance(outcome, Chunk) else Chunk(_row(text=outcome[0]), charset=outcome[1])


def read_md(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text`, `title` and those of the front matter: see `markdown`."""
    outcome = _text(span, options)
    if isinstance(outcome, Chunk):
        yield outcome
    else:
        text, charset = outcome
        yield Chunk(_row(**columns(text)), charset=charset)


def _text(span: Span, options: Options) -> tuple[str, str | None] | Chunk:
    """(text of a file, its encoding or None for UTF-8), or what is wrong with it."""
    data = whole(span)
    if isinstance(data, Chunk):
        return data
    try:
        text, verdict = text_of(data, options.encoding)
    except Undecodable as error:
        if error.reason == "undecodable" and 0 in data:
            return failed("", "nul_byte", f"byte {data.index(0)} of the file is NUL")
        return failed("", error.reason, str(error))
    if "\0" in text:
        return failed("", "nul_byte", f"byte {data.index(0)} of the file is NUL")
    return text.replace("\r\n", "\n"), None if verdict.charset == "utf-8" else verdict.charset


def _row(**values: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name: pa.array([value], pa.string()) for name, value in values.items()})
