"""Reading and writing parts: Arrow IPC streams, whole or as overlays (`core.overlay`), rejects beside them.

Text is written once by a Source and from then on only what is new about it, so parts are not compressed: packing 1 GB
with LZ4 and unpacking it twice costs more than writing it, and what is mapped from the page cache needs no memory.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core import overlay, views
from medcorpus.core.errors import Fatal
from medcorpus.core.manifest import ACCOUNT_KEY, REJECTS, Account, Part
from medcorpus.core.store import Store


def read_part(
    store: Store, name: str, columns: tuple[str, ...] = (), as_views: tuple[str, ...] = ()
) -> Iterator[pa.RecordBatch]:
    """Batches of one part; with `columns` only those are decompressed, string columns `as_views` are not copied
    (`core.views`). Raises Fatal naming a damaged part."""
    with _whole(store):
        yield from overlay.read(store.open, name, columns, as_views)


def part_schema(store: Store, name: str) -> pa.Schema:
    """Columns of the rows of one part. Raises Fatal naming a damaged part."""
    with _whole(store):
        return overlay.schema_of(store.open, name)


@contextlib.contextmanager
def _whole(store: Store) -> Iterator[None]:
    try:
        yield
    except overlay.Damaged as error:
        raise Fatal(f"{store.root}/{error}; delete it and run again") from error


class PartWriter:
    """Writes batches of one schema to a sink; counts rows and bytes.

    `over`, if it is given, makes it write an overlay.
    """

    def __init__(self, sink: Any, over: "Over | None" = None):
        self._sink = sink
        self._over = over
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None
        self.rows = 0
        self.bytes = 0

    def write(self, batch: pa.RecordBatch, rows: np.ndarray | None = None) -> None:
        """Append a batch; the first one (it may be empty) fixes the schema. `rows` are their numbers in the base."""
        if self._over is not None:
            batch = self._over.laid(batch, np.arange(0) if rows is None else rows)
        if self._writer is None:
            self._schema = batch.schema
            self._writer = pa.ipc.new_stream(self._sink, batch.schema)
        elif batch.schema != self._schema:
            raise Fatal(f"a stage changed its columns between batches: {_difference(self._schema, batch.schema)}")
        if batch.num_rows:
            self._writer.write_batch(batch)
            self.rows += batch.num_rows
            self.bytes += batch.nbytes

    @property
    def empty(self) -> bool:
        """Has no schema been fixed yet?"""
        return self._writer is None

    def close(self) -> None:
        """Finish the stream."""
        if self._writer is not None:
            self._writer.close()

    @property
    def size(self) -> int:
        """Bytes of the rows in memory: of an overlay with a fair share of what it stands on."""
        base = self._over.base if self._over else None
        return self.bytes + (base.bytes * self.rows // max(base.rows, 1) if base else 0)


@dataclass(frozen=True)
class Over:
    """What an overlay is written over: the part `base`, called `below` with columns `schema`.

    `changed` are columns that may differ from it; others that a batch has are those of the base.
    """

    name: str
    below: str
    base: Part
    schema: pa.Schema
    changed: frozenset[str]

    def laid(self, batch: pa.RecordBatch, rows: np.ndarray) -> pa.RecordBatch:
        """What is written of a batch, whose rows have the numbers `rows` in the base."""
        new = [name for name in batch.schema.names if name not in self.schema.names]
        own = batch.select([name for name in batch.schema.names if name in self.changed or name in new])
        told = overlay.note(self.below, self.name, [*self.schema.names, *new], self.schema.metadata)
        return own.add_column(0, overlay.ROW, pa.array(rows, pa.int32())).replace_schema_metadata(told)


def _difference(one: pa.Schema | None, two: pa.Schema) -> str:
    before = set(map(str, one or []))
    return ", ".join(sorted(before.symmetric_difference(map(str, two))))


@dataclass
class Rejects:
    """Rows that left in one task, and the account of each step in it."""

    accounts: dict[str, Account]
    rows: list[dict[str, Any]] = field(default_factory=list)
    tables: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, **row: Any) -> None:
        """One row (see REJECTS)."""
        self.rows.append(row)

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Many rows at once, columns of REJECTS."""
        self.tables.append(batch)

    def publish(self, store: Store, name: str, part: Part) -> None:
        """Write them, with the accounts and the size of the part in the schema's metadata."""
        note = {
            "part": part.to_json(),
            "accounts": [[step, account.to_json()] for step, account in self.accounts.items()],
        }
        schema = REJECTS.with_metadata({ACCOUNT_KEY: json.dumps(note, sort_keys=True).encode()})
        batches = [batch.replace_schema_metadata(None) for batch in self.tables]
        if self.rows:
            batches.append(pa.RecordBatch.from_pylist(self.rows, schema=REJECTS))
        table = pa.Table.from_batches(batches, schema=REJECTS)
        if table.num_rows > 1:
            table = table.take(pc.sort_indices(table, [("part", "ascending"), ("row", "ascending"), ("locator", "ascending")]))  # fmt: skip # noqa: E501
        with store.publish(name) as sink, pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(table.replace_schema_metadata(schema.metadata))


def read_note(store: Store, name: str) -> tuple[Part, dict[str, Account]] | None:
    """Size and accounts of a finished part, from the rejects file `name`; None when it is not there."""
    try:
        with store.open(name) as stream, pa.ipc.open_stream(stream) as reader:
            note = json.loads(reader.schema.metadata[ACCOUNT_KEY])
    except FileNotFoundError:
        return None
    return Part(*note["part"]), {step: Account.from_json(account) for step, account in note["accounts"]}


def read_rejects(store: Store, name: str) -> pa.Table:
    """Rejected rows of one part (empty when there are none)."""
    with contextlib.suppress(FileNotFoundError), store.open(name) as stream, pa.ipc.open_stream(stream) as reader:
        return reader.read_all()
    return REJECTS.empty_table()


@dataclass
class PartRows:
    """What a Job reads: the parts of its input steps, one after the other (see `Rows`)."""

    store: Store
    names: list[str]
    parts: list[Part]
    as_views: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        schemas = [part_schema(self.store, name) for name in self.names]
        self.schema = pa.unify_schemas(schemas) if schemas else pa.schema([])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, with the columns of `schema` (null where a part lacks one), strings `as_views` as views."""
        schema = views.schema(self.schema, self.as_views)
        for name in self.names:
            for batch in read_part(self.store, name, as_views=self.as_views):
                if batch.schema.names != schema.names:
                    batch = pa.RecordBatch.from_arrays(
                        [
                            batch.column(f.name) if f.name in batch.schema.names else pa.nulls(batch.num_rows, f.type)
                            for f in schema
                        ],
                        schema=schema,
                    )
                yield batch

    @property
    def num_rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def num_bytes(self) -> int:
        """Arrow bytes in all parts."""
        return sum(part.bytes for part in self.parts)
