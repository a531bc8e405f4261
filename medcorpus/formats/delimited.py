"""Comma- and tab-separated values. Every column is read as strings.

A block is cut where a record ends, which a newline inside quotes is not. Two ways through it, which agree
on every row:

- Arrow over the whole block, when every quote stands where a well-formed field has one, so that the parity
  of quotes tells records apart, and every record has as many fields as the header.
- Python's `csv` record by record for any other block, so that one bad record costs that record alone.

Places are the line on which a record begins. With `quoting=False` a quote is a character like any other.
"""

import csv
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span, failed, line_places
from medcorpus.formats.encodings.stream import chunks
from medcorpus.formats.streams import Stream, line_blocks

_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_csv(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows of a comma-separated file."""
    return _read(span, options, options.delimiter or ",")


def read_tsv(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows of a tab-separated file."""
    return _read(span, options, options.delimiter or "\t")


@dataclass(frozen=True)
class _Shape:
    """How the file is written, and its columns (empty until the header has been read)."""

    delimiter: str
    quoting: bool
    columns: tuple[str, ...] = ()


def _read(span: Span, options: Options, delimiter: str) -> Iterator[Chunk]:
    shape = _Shape(delimiter, options.quoting, names(options.header or ()))
    return chunks(span, options.encoding, lambda stream: _rows(stream, span, options, shape))


def _rows(stream: Stream, span: Span, options: Options, shape: _Shape) -> Iterator[Chunk]:
    rest, first = b"", span.first_line
    for lines in line_blocks(stream, span, options.block_bytes):
        if lines.bad:  # a line was skipped: a record that was still open cannot go on after it
            if rest:
                yield from _consume(rest, first, shape, final=True)
                rest = b""
            yield Chunk(bad=lines.bad)
        if not rest:
            first = lines.first
        state = yield from _consume(rest + lines.data, first, shape, lines.last)
        if state is None:
            return
        rest, first, shape = state


def _consume(
    data: bytes, first: int, shape: _Shape, final: bool
) -> Generator[Chunk, None, tuple[bytes, int, _Shape] | None]:
    """All records that end in `data`; returns what is left over, its line, and the shape.

    A record that is still open is left for the next block, unless there is none (`final`) or the record is
    beyond the row limit: then its first line is bad and reading begins again on the next. Returns None when
    the file cannot be read at all.
    """
    while data:
        if not shape.columns:
            names, used, bad = _header(data, shape)
            if bad:
                yield Chunk(bad=[bad])
                return None
            shape = replace(shape, columns=names)
        else:
            chunk, used = _fast(data, first, shape) or _slow(data, first, shape)
            yield chunk
        first, data = first + data.count(b"\n", 0, used), data[used:]
        if not used and data:
            if not final and len(data) <= MAX_ROW_BYTES:
                break
            yield failed(f"L{first}", "unclosed_quote", f"a quote that opens on line {first} is never closed")
            first, data = first + 1, data[data.find(b"\n") + 1 or len(data) :]
    return data, first, shape


def _header(data: bytes, shape: _Shape) -> tuple[tuple[str, ...], int, Bad | None]:
    """Names of the columns and the bytes the header takes up (0 while it is still open)."""
    for _, used, fields in _records(data, shape):
        if fields is None or any(map(_SURROGATES.search, fields)):
            return (), used, Bad("", "header", "the first line is not a header: it is not utf-8, or not csv")
        if fields:
            return names(fields), used, None
    return (), 0, None


def names(fields: Sequence[str]) -> tuple[str, ...]:
    """Column names: trimmed, `column_3` for an empty one, `name_2` for one that is taken."""
    names: list[str] = []
    for number, field in enumerate(fields, 1):
        name = base = field.strip() or f"column_{number}"
        copy = 1
        while name in names:
            copy += 1
            name = f"{base}_{copy}"
        names.append(name)
    return tuple(names)


# -- a whole block at once ----------------------------------------------------------------------


def _fast(data: bytes, first: int, shape: _Shape) -> tuple[Chunk, int] | None:
    """(records, bytes they take up) through Arrow; None when a record needs a closer look."""
    if b"\0" in data or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return None
    raw = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(raw == _NEWLINE)
    if not data.endswith(b"\n"):
        newlines = np.append(newlines, len(data))
    ends = newlines
    if shape.quoting and b'"' in data:
        quotes = np.flatnonzero(raw == _QUOTE)
        if not _well_formed(raw, quotes, ord(shape.delimiter)):
            return None
        ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    if not len(ends):
        return Chunk(), 0
    begins = np.concatenate([[0], ends[:-1] + 1])
    used = min(int(ends[-1]) + 1, len(data))
    bare = ends - ((ends > begins) & (raw[ends - 1] == _RETURN))
    begins = begins[bare > begins]  # blank lines are no records
    if not len(begins):
        return Chunk(), used
    try:
        table = pacsv.read_csv(
            pa.BufferReader(pa.py_buffer(data).slice(0, used)),
            pacsv.ReadOptions(use_threads=False, block_size=used + 1, column_names=list(shape.columns)),
            pacsv.ParseOptions(
                delimiter=shape.delimiter, quote_char='"' if shape.quoting else False, newlines_in_values=True
            ),
            pacsv.ConvertOptions(column_types=dict.fromkeys(shape.columns, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    if table.num_rows != len(begins):
        return None
    numbers = pa.array(np.searchsorted(newlines, begins) + first, pa.int64())
    return Chunk(table.combine_chunks().to_batches()[0], line_places(numbers)), used


def _well_formed(raw: np.ndarray, quotes: np.ndarray, delimiter: int) -> bool:
    """Does every quote open a field, close one, or stand twice for itself?"""
    opening, closing = quotes[0::2], quotes[1::2]
    before = raw[opening[opening > 0] - 1]
    after = raw[closing[closing < len(raw) - 1] + 1]
    return bool(
        ((before == delimiter) | (before == _NEWLINE) | (before == _QUOTE)).all()
        and ((after == delimiter) | (after == _NEWLINE) | (after == _RETURN) | (after == _QUOTE)).all()
    )


# -- record by record ---------------------------------------------------------------------------


def _slow(data: bytes, first: int, shape: _Shape) -> tuple[Chunk, int]:
    """(records, bytes they take up) through Python's csv."""
    rows, numbers, bad, used = [], [], [], 0
    for line, used, fields in _records(data, shape):  # noqa: B007
        number = first + line
        if wrong := _wrong(fields, len(shape.columns)):
            bad.append(Bad(f"L{number}", *wrong))
        elif fields:
            rows.append(fields)
            numbers.append(number)
    columns = zip(*rows, strict=True) if rows else [[] for _ in shape.columns]
    batch = pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=list(shape.columns))
    return Chunk(batch, line_places(pa.array(numbers, pa.int64())), bad), used


def _wrong(fields: list[str] | None, columns: int) -> tuple[str, str] | None:
    """(error, message) about a record, or None. A blank line is no record, so nothing is wrong with it."""
    if fields is None:
        return "invalid_csv", "a carriage return stands alone outside quotes"
    if any("\0" in field for field in fields):
        return "nul_byte", "the record holds a NUL byte"
    if fields and len(fields) != columns:
        return "field_count", f"{len(fields)} fields instead of {columns}"
    if any(map(_SURROGATES.search, fields)):
        return "invalid_utf8", "the record is not utf-8"
    return None


def _records(data: bytes, shape: _Shape) -> Iterator[tuple[int, int, list[str] | None]]:
    """(line from 0, byte after it, fields) of every record that ends in `data`; fields None: not csv.

    What is not utf-8 comes out as surrogates.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    feed = _Feed(data)
    if not shape.quoting:
        for line, text in enumerate(feed):
            bare = text.removesuffix("\n").removesuffix("\r")
            yield line, feed.used, bare.split(shape.delimiter) if bare else []
        return
    reader = csv.reader(feed, delimiter=shape.delimiter)
    while True:
        line = feed.line
        try:
            fields: list[str] | None = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = None
        if feed.ended:  # it asked for one line more: a quote is open
            return
        yield line, feed.used, fields


class _Feed:
    """Lines of `data` for `csv`, counting how far it got."""

    def __init__(self, data: bytes):
        self._data = data
        self.used = self.line = 0
        self.ended = False

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if self.used == len(self._data):
            self.ended = True
            raise StopIteration
        begin = self.used
        self.used = self._data.find(b"\n", begin) + 1 or len(self._data)
        self.line += 1
        return self._data[begin : self.used].decode("utf-8", "surrogateescape")
