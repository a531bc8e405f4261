"""Parquet and Arrow files, with whatever columns they have.

The row of a place is counted from 0 in the whole file, as every tool that opens such files counts.
"""

from collections.abc import Iterator

import pyarrow as pa

from medcorpus.core import overlay
from medcorpus.core.schema import SCHEMA_KEY
from medcorpus.formats.base import Chunk, Options, Span, failed, open_bytes, open_random, row_places

RECORD_COLUMNS = ("id", "kind", "text", "source", "locator")
_MAX_ROWS = 4096
_BROKEN = (pa.ArrowException, OSError, ValueError)


def is_record(schema: pa.Schema) -> bool:
    """Does a file with this schema hold records already?"""
    return SCHEMA_KEY in (schema.metadata or {}) or set(RECORD_COLUMNS) <= set(schema.names)


def read_parquet(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows of the row groups `span.start` to `span.end`. A damaged row group is bad, the others go on."""
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(open_random(span.path))
    except _BROKEN as error:
        yield _broken(span.path, error, "parquet")
        return
    with file:
        groups = file.metadata.num_row_groups
        end = groups if span.end is None else span.end
        row = sum(file.metadata.row_group(group).num_rows for group in range(span.start))
        if not file.metadata.num_rows:
            yield failed("", "empty", "the file has no rows")
        columns = _columns(file.schema_arrow, options)
        for group in range(span.start, end):
            about = file.metadata.row_group(group)
            size = max(1, min(_MAX_ROWS, options.block_bytes * about.num_rows // max(about.total_byte_size, 1)))
            after = row + about.num_rows
            try:
                for batch in file.iter_batches(size, row_groups=[group], columns=columns, use_threads=False):
                    yield Chunk(batch, row_places(row, batch.num_rows), utf8=False)
                    row += batch.num_rows
            except _BROKEN:
                yield failed(f"row={row}", "broken", f"the row group is damaged; rows {row} to {after - 1} are lost")
            row = after


def read_arrow(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows of an Arrow IPC file (batches `span.start` to `span.end`) or stream."""
    if _is_empty(span.path):
        yield failed("", "empty", "the file is empty")
        return
    row = span.first_row
    try:
        with open_random(span.path) as source, open_arrow(source) as reader:
            if isinstance(reader, pa.ipc.RecordBatchFileReader):
                total = reader.num_record_batches
                end = total if span.end is None else span.end
                batches: Iterator[pa.RecordBatch] = (reader.get_batch(number) for number in range(span.start, end))
            elif overlay.base_of(reader.schema, span.path):  # a step of a run, which says only what it changed
                batches = overlay.read(open_random, span.path)
            else:
                batches = iter(reader)
            for batch in batches:
                for piece in pieces(batch, options.block_bytes):
                    yield Chunk(piece, row_places(row, piece.num_rows), utf8=False)
                    row += piece.num_rows
    except _BROKEN as error:
        yield _broken(span.path, error, "arrow") if row == span.first_row else _lost(row)
    else:
        if not row and not span.start:
            yield failed("", "empty", "the file has no rows")


def open_arrow(source: pa.NativeFile) -> "pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader":
    """The reader of an IPC file or stream. Raises ArrowInvalid for anything else."""
    magic = source.read(6)
    source.seek(0)
    return pa.ipc.open_file(source) if magic == b"ARROW1" else pa.ipc.open_stream(source)


def schema_of(path: str) -> pa.Schema | None:
    """Columns of a parquet or Arrow file, or None when it cannot be read."""
    import pyarrow.parquet as pq

    try:
        if _is_parquet(path):
            with open_random(path) as source:
                return pq.read_schema(source)
        with open_random(path) as source, open_arrow(source) as reader:
            schema = reader.schema
        return overlay.schema_of(open_random, path) if overlay.base_of(schema, path) else schema
    except _BROKEN:
        return None


def read_record(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows of a parquet or Arrow file that holds records."""
    return (read_parquet if _is_parquet(span.path) else read_arrow)(span, options)


def _is_parquet(path: str) -> bool:
    with open_bytes(path) as file:
        return file.read(4) == b"PAR1"


def pieces(batch: pa.RecordBatch, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """A batch in slices of at most 4,096 rows and about `most_bytes`."""
    if not batch.num_rows:
        return
    rows = max(1, min(_MAX_ROWS, most_bytes * batch.num_rows // max(batch.nbytes, 1)))
    for begin in range(0, batch.num_rows, rows):
        yield batch.slice(begin, rows)


def _columns(schema: pa.Schema, options: Options) -> list[str] | None:
    """The columns that have to be read; None for all."""
    if options.keep == "all" or not options.wanted or is_record(schema):
        return None
    tops = set(options.wanted) | {path.split(".")[0] for path in options.wanted}
    if options.keep != "none":
        tops |= set(options.keep)
    return [name for name in schema.names if name in tops] or None


def _is_empty(path: str) -> bool:
    with open_bytes(path) as file:
        return not file.read(1)


def _broken(path: str, error: Exception, format: str) -> Chunk:
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    if _is_empty(path):
        return failed("", "empty", "the file is empty")
    return failed("", "broken", f"not a {format} file, or one that breaks off before its end")


def _lost(row: int) -> Chunk:
    return failed(f"row={row}", "broken", f"the file breaks off; the rows before row {row} were read")
