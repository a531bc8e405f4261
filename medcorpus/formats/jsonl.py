"""One JSON object per line.

Two ways through a block of lines, which agree on every row:

- `pyarrow.json` with an explicit schema, all strings, over the whole block. Types are never inferred: Arrow
  would turn a column of dates into timestamps, and differently in every block.
- line by line, for a block in which anything is unusual: a line that is no JSON, no object, no utf-8 or has
  a wanted key twice, a wanted column that is a number, a list or an object (it becomes its JSON), a required one
  that is missing. So one bad line costs that line alone, and its number is exact.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span, json_text, line_places, missing
from medcorpus.formats.encodings.stream import chunks
from medcorpus.formats.streams import Lines, Stream, line_blocks

_SPACE = b" \t\r"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows as string columns named as `options.wanted` (not empty); places are `L<line>`. See the module."""
    return chunks(span, options.encoding, lambda stream: _rows(stream, span, options))


def _rows(stream: Stream, span: Span, options: Options) -> Iterator[Chunk]:
    blocks = line_blocks(stream, span, options.block_bytes)
    for chunk in _ahead(blocks, options) if stream.packed else (_chunk(lines, options) for lines in blocks):
        if chunk.batch.num_rows or chunk.bad:
            yield chunk


def _chunk(lines: Lines, options: Options) -> Chunk:
    return _fast(lines, options) or _slow(lines, options)


def _ahead(blocks: Iterator[Lines], options: Options) -> Iterator[Chunk]:
    """The chunks, parsed by a thread one block ahead: a packed file is one task, and parsing holds no GIL."""
    with ThreadPoolExecutor(1, "parse") as pool:
        coming = None
        for lines in blocks:
            following = pool.submit(_chunk, lines, options)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()


# -- a whole block at once ----------------------------------------------------------------------


def _fast(lines: Lines, options: Options) -> Chunk | None:
    """The block through Arrow; None when a row of it needs a closer look."""
    data = lines.data
    schema = _schema(options.wanted)
    if not data or schema is None or b"\0" in data or not _is_utf8(data):
        return None
    begins, ends = _bounds(data)
    filled = np.flatnonzero(ends > begins)
    begins, ends = begins[filled], ends[filled]
    raw = np.frombuffer(data, np.uint8)
    if not len(filled) or (raw[begins] != ord("{")).any() or (raw[ends - 1] != ord("}")).any():
        return None  # so that below, as many objects as lines means one object on each
    try:
        table = pj.read_json(
            pa.BufferReader(data),
            pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
            pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):  # the latter: Arrow's own message is not utf-8
        return None
    if table.num_rows != len(filled):
        return None
    columns = [_column(table, path) for path in options.wanted]
    if any(columns[options.wanted.index(path)].null_count for path in options.required):
        return None
    numbers = pa.array(filled + lines.first, pa.int64())
    batch = pa.RecordBatch.from_arrays(columns, names=list(options.wanted))
    try:
        extra = _extra(data, begins, ends, options)
    except (ValueError, RecursionError):  # what Arrow takes and Python does not
        return None
    return Chunk(batch, line_places(numbers), lines.bad, extra)


def _bounds(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where each line begins and ends, without its newline and carriage return."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    begins = np.concatenate([[0], ends[:-1] + 1])
    ends = ends - ((ends > begins) & (raw[ends - 1] == ord("\r")))
    return begins, ends


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    offsets = pa.py_buffer(np.array([0, len(data)], np.int32))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


@lru_cache(maxsize=64)
def _schema(wanted: tuple[str, ...]) -> pa.Schema | None:
    """All columns and nested fields wanted, as strings; None when one is wanted both whole and in parts."""
    tree: dict[str, Any] = {}
    for path in wanted:
        tree[path] = {}
        if "." in path:
            node = tree
            for part in path.split("."):
                node = node.setdefault(part, {})
    if any(path.startswith(f"{other}.") for path in wanted for other in wanted):
        return None

    def kind(node: dict[str, Any]) -> pa.DataType:
        return pa.struct([(name, kind(child)) for name, child in node.items()]) if node else pa.string()

    return pa.schema([(name, kind(node)) for name, node in tree.items()])


def _column(table: pa.Table, path: str) -> pa.Array:
    column = table[path]
    if "." in path and column.null_count:
        first, *rest = path.split(".")
        column = pc.coalesce(column, pc.struct_field(table[first], rest))
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


# -- line by line -------------------------------------------------------------------------------


class Wrong(Exception):
    """What is wrong with a line or record: the name of the error and a sentence without any of its text."""


def _slow(lines: Lines, options: Options) -> Chunk:
    bad = list(lines.bad)
    rows: list[list[str | None]] = []
    numbers, begins, ends = [], [], []
    begin = 0
    for number, raw in enumerate(lines.data.split(b"\n"), lines.first):
        at, begin = begin, begin + len(raw) + 1
        line = raw.strip(_SPACE)
        if not line:
            continue
        try:
            rows.append(_values(_parse(line), options))
        except Wrong as wrong:
            bad.append(Bad(f"L{number}", *wrong.args))
            continue
        numbers.append(number)
        begins.append(at + raw.index(b"{"))
        ends.append(begins[-1] + len(line))
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(options.wanted))]
    batch = pa.RecordBatch.from_arrays(columns, names=list(options.wanted))
    extra = _extra(lines.data, np.array(begins, np.int64), np.array(ends, np.int64), options)
    return Chunk(batch, line_places(pa.array(numbers, pa.int64())), bad, extra)


def _parse(line: bytes) -> dict[str, Any]:
    """The object on a line. Raises Wrong."""
    if b"\0" in line:
        raise Wrong("nul_byte", "the line holds a NUL byte")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Wrong("invalid_utf8", f"byte {error.start} of the line is not utf-8") from None
    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise Wrong("invalid_json", f"not JSON at character {error.pos + 1} of the line") from None
    except RecursionError:
        raise Wrong("invalid_json", "nested too deeply") from None
    except ValueError:  # an integer of more than 4,300 digits
        raise Wrong("invalid_json", "a number is too long") from None
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
        raise Wrong("not_an_object", f"the line is {kind}, not an object")
    if _SURROGATE.search(line):
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError:
            raise Wrong("invalid_unicode", "an escape \\uD800..\\uDFFF is half a character") from None
    return value


class Twice(dict[str, Any]):
    """An object that has the keys `twice` more than once."""

    twice: frozenset[str]


def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """`object_pairs_hook` of `json.loads`: a Twice where a key stands twice."""
    value = dict(items)
    if len(value) == len(items):
        return value
    value = Twice(value)
    seen: set[str] = set()
    value.twice = frozenset(key for key, _ in items if key in seen or seen.add(key))
    return value


def _values(value: dict[str, Any], options: Options) -> list[str | None]:
    """The wanted columns as strings. Raises Wrong when a required one is not there."""
    return [as_text(walk(value, path, path in options.required)) for path in options.wanted]


def as_text(value: Any) -> str | None:
    """What stands in a column, as a string: null, and nothing, is None; what is no string is its JSON."""
    if value is None or value is Wrong:
        return None
    return value if isinstance(value, str) else json_text(value)


def walk(value: dict[str, Any], path: str, required: bool = False) -> Any:
    """What stands at `path`; the class Wrong when nothing does. A key that is literally `path` comes first.

    Raises Wrong when nothing stands where something is `required`, and for a key on the way that stands there
    twice: which of the two is meant?
    """
    parts = path.split(".")
    here: Any = value
    for part in parts:
        if isinstance(here, Twice) and (part in here.twice or path in here.twice):
            raise Wrong("duplicate_key", "a column stands twice in the record")
        if isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            here = here.get(part, Wrong) if isinstance(here, dict) else Wrong
        if here is Wrong:
            break
    if len(parts) > 1 and (value.get(path) is not None or here is Wrong):
        here = value.get(path, Wrong)
    if here is Wrong and required:
        raise Wrong("missing_column", missing(path, tuple(value)))
    return here


# -- the other columns --------------------------------------------------------------------------


def _extra(data: bytes, begins: np.ndarray, ends: np.ndarray, options: Options) -> pa.Array | None:
    """JSON of the columns that are not wanted (or are asked for by name), in the order of the file."""
    if options.keep == "none":
        return None
    from medcorpus.formats.members import members  # numba: only where rows are read

    if options.keep == "all":
        return members(data, begins, ends, options.mapped, drop=True)
    return members(data, begins, ends, options.keep, drop=False)
