"""The seam between a file format and the rest: what a reader is given, and what it gives back.

A reader is a function `read(span, options) -> Iterator[Chunk]`. It streams: blocks of about `block_bytes`,
so that memory does not grow with the file. What is wrong with a row or with the rest of the file goes into
`Chunk.bad`, with its place and never with its text; an OSError of opening the file may simply be raised.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO, Literal, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core.errors import nearest
from medcorpus.core.stage import Bad

BLOCK = 8 << 20
"""Bytes read at a time: large enough for Arrow to run at full speed, small enough for many workers."""

MOST_IN_MEMORY = 512 << 20
"""A file that can only be read whole (a JSON document, parquet inside an archive) is refused above this."""

_NAME = re.compile(r"[\w.-]{1,40}")
_MOST_NAMES = 20

EMPTY = pa.RecordBatch.from_arrays([], names=[])


@dataclass(frozen=True)
class Span:
    """A file, or a range of it: bytes of a text file, row groups of parquet, batches of an Arrow file.

    `end` None means to the end. `first_line` is the number (from 1) of the line at byte `start`, `first_row`
    that (from 0) of the first row of an Arrow batch.
    """

    path: str
    start: int = 0
    end: int | None = None
    first_line: int = 1
    first_row: int = 0

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Span":
        """The span of one file in a partition's `spec` (see `partitions`)."""
        return cls(**{name: spec[name] for name in cls.__dataclass_fields__ if name in spec})


@dataclass(frozen=True)
class Options:
    """What a reader may be told. Each reader takes what concerns it.

    `wanted` are the columns (`lang`, or `meta.lang` for a nested one) that are mapped to record fields and
    `required` those without which a row is nothing: self-describing rows (jsonl) that lack one are bad.
    `looked_at` are those of `wanted` that are kept all the same. `keep` says what becomes of the other columns.
    `encoding` is the label of the encoding that files are in which are not UTF-8; None: it is detected.
    `records` says which parts of a document are rows, `sheet` which part of a workbook.
    """

    wanted: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    looked_at: tuple[str, ...] = ()
    keep: tuple[str, ...] | Literal["all", "none"] = "all"
    delimiter: str | None = None
    quoting: bool = True
    header: tuple[str, ...] | None = None
    encoding: str | None = None
    records: str | None = None
    sheet: str | None = None
    block_bytes: int = BLOCK

    @property
    def mapped(self) -> tuple[str, ...]:
        """The wanted columns that need not be kept."""
        return tuple(name for name in self.wanted if name not in self.looked_at)


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, with the file's own columns.

    `places` (string, one per row) says where in the file a row is: `L17` is a line counted from 1, `row=3`
    a row counted from 0; None when the file is one row. `bad` holds what could not be read, `locator` being
    the place alone. `extra`, when given, is the JSON of the columns that are not `wanted`; otherwise the
    mapping makes it out of the batch. `utf8` false: the strings of the batch still have to be checked.
    `charset` is the encoding that the file was in, None for UTF-8.
    """

    batch: pa.RecordBatch = field(default_factory=lambda: EMPTY)
    places: pa.Array | None = None
    bad: list[Bad] = field(default_factory=list)
    extra: pa.Array | None = None
    utf8: bool = True
    charset: str | None = None


class Reader(Protocol):
    """What every format provides."""

    def __call__(self, span: Span, options: Options) -> Iterator[Chunk]:
        """Rows of `span`, in order."""
        ...


def failed(place: str, error: str, message: str) -> Chunk:
    """A chunk that only says what is wrong."""
    return Chunk(bad=[Bad(place, error, message)])


def locators(chunk: Chunk, file: str) -> pa.Array:
    """Locator of each row of a chunk of `file`: `file#place`, or `file` when the file is one row."""
    if chunk.places is None:
        return pa.repeat(file, chunk.batch.num_rows)
    return pc.binary_join_element_wise(file, chunk.places, "#")


SEPARATOR = "!/"
"""Between an archive and the file in it: `leaflets.zip!/en/a.txt` is a path wherever a path is taken."""


class Damaged(OSError):
    """A member of an archive that cannot be read to its end."""


def open_bytes(path: str) -> BinaryIO:
    """A file, or a member of an archive, for reading; a file is unbuffered and can be sought in.

    Paths of data are utf-8 on disk, whatever the locale says.
    """
    if path.startswith("hf://"):
        from medcorpus.formats.containers.hub import open_remote

        return open_remote(path)
    if SEPARATOR in path:
        from medcorpus.formats.containers.archive import open_member, split

        if inside := split(path):
            return open_member(*inside)
    return open(path.encode(), "rb", buffering=0)  # noqa: PTH123


def open_random(path: str) -> pa.NativeFile:
    """A file mapped into memory, the bytes of a member of an archive, or a remote file. Raises OSError."""
    if path.startswith("hf://"):
        return pa.PythonFile(open_bytes(path), mode="r")
    if SEPARATOR in path:
        from medcorpus.formats.containers.archive import split

        if split(path):
            with open_bytes(path) as file:
                data = file.read(MOST_IN_MEMORY + 1)
            if len(data) > MOST_IN_MEMORY:
                raise OSError(0, f"it is larger than {MOST_IN_MEMORY >> 20} MB; unpack the archive first")
            return pa.BufferReader(data)
    return pa.memory_map(path)


def line_places(numbers: pa.Array) -> pa.Array:
    """`L<number>` for each line number."""
    return pc.binary_join_element_wise("L", numbers.cast(pa.string()), "")


def row_places(first: int, rows: int) -> pa.Array:
    """`row=<number>` for `rows` rows from number `first`."""
    numbers = pa.array(range(first, first + rows), pa.int64())
    return pc.binary_join_element_wise("row=", numbers.cast(pa.string()), "")


class MissingColumn(ValueError):
    """The file has no column of that name; the message names the nearest."""


@lru_cache(maxsize=256)
def missing(column: str, present: tuple[str, ...]) -> str:
    """`no column 'x'; the columns are a, b; did you mean 'a'?`.

    Only what looks like a name is shown: the "header" of a file without one is somebody's data.
    """
    shown = [name for name in present if _NAME.fullmatch(name)][:_MOST_NAMES]
    more = f" and {len(present) - len(shown)} more" if len(present) > len(shown) else ""
    return f"no column '{column}'; the columns are {', '.join(shown) or 'unnamed'}{more}{nearest(column, shown)}"


def json_text(value: Any) -> str:
    """Compact JSON, keys in the order they came; bytes as base64, what JSON does not know as it prints."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # integers beyond 64 bits
        return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
