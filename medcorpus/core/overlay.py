"""Parts that hold only what a step changed.

A Map adds a few columns and `select` takes rows away; to write the text once more, and to read it again, would be most
of what such a step costs. Its part holds the columns it wrote and, in `_row`, which rows of the part it was made from
(its *base*) they belong to; reading puts the two together, column by column. A base may be an overlay itself; the chain
ends at what a Source wrote, an Expand, or a step beyond which patients are protected: a part that may be published
stands on no private one. Whoever removes a part has to mind those that stand on it.
"""

import json
import posixpath
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa

from medcorpus.core import views

ROW = "_row"
_BASE, _NAMES = b"medcorpus.base", b"medcorpus.columns"

Open = Callable[[str], AbstractContextManager[Any]]
"""Opens the bytes of a name, to read."""


class Damaged(ValueError):
    """A part that cannot be read, by its name."""

    def __init__(self, name: str, problem: object):
        super().__init__(f"{name} is damaged ({problem})")
        self.name = name


def note(base: str, name: str, names: list[str], metadata: dict[bytes, bytes] | None) -> dict[bytes, bytes]:
    """Metadata of the overlay `name` over the part `base`, whose rows have the columns `names` when put together."""
    relative = posixpath.relpath(base, posixpath.dirname(name) or ".")
    return {**(metadata or {}), _BASE: relative.encode(), _NAMES: json.dumps(names).encode()}


def base_of(schema: pa.Schema, name: str) -> str | None:
    """The name of the part that the part `name` stands on; None for a part that stands alone."""
    relative = (schema.metadata or {}).get(_BASE)
    return None if relative is None else posixpath.normpath(posixpath.join(posixpath.dirname(name), relative.decode()))


def schema_of(open_: Open, name: str) -> pa.Schema:
    """Columns of the rows of a part, whether it is an overlay or not. Raises Damaged, and FileNotFoundError."""
    own = _own(open_, name)
    base = base_of(own, name)
    return own if base is None else _whole(own, _below(open_, base, name))


def read(
    open_: Open, name: str, columns: tuple[str, ...] = (), as_views: tuple[str, ...] = ()
) -> Iterator[pa.RecordBatch]:
    """Batches of a part; with `columns` only those, and no other is decompressed. String columns `as_views` come as
    `core.views` has them: nothing of them is copied.

    Raises FileNotFoundError, and Damaged for one that cannot be read or whose base is gone.
    """
    own = _own(open_, name)
    base = base_of(own, name)
    if base is None:
        for batch in _stream(open_, name, own, columns):
            yield views.viewed(batch, as_views)
        return
    whole = _whole(own, _below(open_, base, name))
    wanted = [field for field in whole if not columns or field.name in columns]
    if columns:
        wanted.sort(key=lambda field: columns.index(field.name))
    below = tuple(field.name for field in wanted if field.name not in own.names)
    under = _Rows(name, read(open_, base, below, as_views)) if below else None
    mine = tuple(field.name for field in wanted if field.name in own.names)
    metadata = whole.metadata if not columns else None
    schema = views.schema(pa.schema(wanted, metadata=metadata), as_views)
    for part in _stream(open_, name, own, (ROW, *mine)):
        batch = views.viewed(part, as_views)
        lower = under.take(batch[ROW].to_numpy()) if under else None
        arrays = [batch[field.name] if field.name in own.names else lower[field.name] for field in wanted]  # type: ignore[index]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _own(open_: Open, name: str) -> pa.Schema:
    try:
        with open_(name) as stream, pa.ipc.open_stream(stream) as reader:
            return reader.schema
    except (pa.ArrowInvalid, OSError) as error:
        _raise(name, error)


def _below(open_: Open, base: str, name: str) -> pa.Schema:
    try:
        return schema_of(open_, base)
    except FileNotFoundError as error:
        raise Damaged(name, f"the part it stands on is gone: {base}") from error


def _stream(open_: Open, name: str, schema: pa.Schema, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    fields = [schema.get_field_index(column) for column in columns]
    options = pa.ipc.IpcReadOptions(included_fields=fields or None)
    with open_(name) as stream, pa.ipc.open_stream(stream, options=options) as reader:
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (pa.ArrowInvalid, OSError) as error:
                _raise(name, error)
            yield batch


def _raise(name: str, error: Exception) -> NoReturn:
    """What the system says (a number) as it is; anything else is about what lies in the part."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    raise Damaged(name, error) from error


def _whole(own: pa.Schema, below: pa.Schema) -> pa.Schema:
    """Columns of an overlay put together with those of its base."""
    names = json.loads(own.metadata[_NAMES])
    fields = [own.field(name) if name in own.names else below.field(name) for name in names]
    return pa.schema(fields, metadata=below.metadata)


class _Rows:
    """Rows of a part by rising numbers, read once from front to end."""

    def __init__(self, name: str, batches: Iterator[pa.RecordBatch]):
        self._name, self._batches = name, batches
        self._batch: pa.RecordBatch | None = None
        self._first = self._end = 0

    def take(self, rows: np.ndarray) -> pa.RecordBatch:
        """The rows with the numbers `rows` (rising). Raises Damaged when there are not so many."""
        found = []
        at = 0
        while at < len(rows):
            while rows[at] >= self._end:
                self._batch = next(self._batches, None)
                if self._batch is None:
                    raise Damaged(self._name, "it has more rows than the part it stands on")
                self._first, self._end = self._end, self._end + self._batch.num_rows
            assert self._batch is not None
            stop = at + int(np.searchsorted(rows[at:], self._end))
            found.append(self._some(rows[at:stop] - self._first))
            at = stop
        return found[0] if len(found) == 1 else pa.concat_batches(found)

    def _some(self, numbers: np.ndarray) -> pa.RecordBatch:
        assert self._batch is not None
        if numbers[-1] - numbers[0] + 1 == len(numbers):
            return self._batch.slice(int(numbers[0]), len(numbers))
        if pa.string_view() in self._batch.schema.types:
            return views.take(self._batch, numbers)
        wanted = np.zeros(self._batch.num_rows, np.bool_)
        wanted[numbers] = True
        return self._batch.filter(pa.array(wanted))  # copies runs of rows, where `take` goes row by row
