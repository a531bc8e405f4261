"""Write the dataset: Arrow shards that `datasets.load_from_disk` opens, a card, checksums.

Rows are ordered by id (a hash, so sources are well mixed), shards are uncompressed Arrow IPC streams that
can be memory-mapped, and no file holds a time: equal content gives equal bytes. Sorting spills to disk by
id prefix, so memory does not grow with the dataset.
"""

import hashlib
import io
import json
import queue
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core import views
from medcorpus.core.errors import Fatal
from medcorpus.core.params import Params
from medcorpus.core.schema import PHI
from medcorpus.core.stage import Job, Resources, Rows
from medcorpus.core.writeback import writeback
from medcorpus.text.buffers import buffers

BATCH_ROWS = 1000  # rows of a record batch, as `datasets` writes them: random access reads little
SPILL_BYTES = 128 << 20  # how much is sorted in memory at a time
MOST_BUCKETS = 512  # files open at once; above 64 GB a bucket grows instead
_LEFT_OUT = ("body", "drop_reason")
_TEXT = ("text",)  # nearly all bytes of a row: copied once, in its place in the shard


class ShardParams(Params):
    """What `shard` may be told."""

    format: Literal["arrow", "parquet"] = Field("arrow", description="Arrow shards for training, or Parquet files.")
    shard_mb: int = Field(256, ge=1, le=4096, description="A shard ends at about this many megabytes.")


class Shard(Job):
    """The last step of a build."""

    name, version, Params = "shard", 1, ShardParams
    reads = ("id", "text")
    resources = Resources(memory_mb=1500)
    links = {"dataset": "", "README.md": "README.md"}
    as_views = _TEXT

    def run(self, inputs: Rows, out: Path) -> dict[str, Any]:
        """Shards, `state.json`, `dataset_info.json`, `README.md`, `SHA256SUMS`."""
        tally: dict[str, Counter[str]] = {name: Counter() for name in TALLIED}
        in_order = (views.written(batch) for batch in _sorted(inputs, out / ".spill", tally))
        with closing(ahead(in_order)) as batches:
            sums = self._write(batches, out)
        languages = dict(sorted(tally["language"].items()))
        figures = {"rows": sum(tally["kind"].values()), "shards": len(sums), "languages": languages}
        if self.params.format == "arrow":
            _write_json(out / "state.json", _state(sums))
            _write_json(out / "dataset_info.json", {"citation": "", "description": "", "homepage": "", "license": ""})
        (out / "README.md").write_text(card(self.context.facts, tally, self.params.format), encoding="utf-8")
        sums |= {path.name: _sha256(path) for path in out.iterdir() if path.name not in sums}
        (out / "SHA256SUMS").write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
        return figures

    def _write(self, batches: Iterator[pa.RecordBatch], out: Path) -> dict[str, str]:
        """Shards, at least one; their names with the digests of their bytes."""
        suffix = self.params.format
        limit = self.params.shard_mb << 20
        shards: list[_Hashed] = []
        writer, size = None, 0
        for batch in batches:
            if writer is None or size >= limit:
                if writer is not None:
                    writer.close()
                    shards[-1].close()
                shards.append(_Hashed(out / f"data-{len(shards):05d}.{suffix}"))
                writer, size = _open_writer(shards[-1], batch.schema, suffix), 0
            writer.write_batch(batch)
            size += pa.ipc.get_record_batch_size(batch)  # not `nbytes`, which knows where the batch was cut from
        if writer is not None:
            writer.close()
            shards[-1].close()
        sums = {}
        for shard in shards:
            name = f"{shard.path.stem}-of-{len(shards):05d}.{suffix}"
            shard.path.rename(out / name)
            sums[name] = shard.digest.hexdigest()
        return sums


class _Hashed(io.RawIOBase):
    """A new file whose bytes are hashed on their way, while another thread makes the next."""

    def __init__(self, path: Path):
        self.path, self.digest = path, hashlib.sha256()
        self._file = path.open("wb", buffering=0)
        self._flushed = ExitStack()
        self._flushed.enter_context(writeback(self._file.fileno()))

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        self.digest.update(left)
        size = len(left)
        while left:
            left = left[self._file.write(left) :]
        return size

    def close(self) -> None:
        if not self.closed:
            with self._file:
                self._flushed.close()
        super().close()


def _open_writer(sink: Any, schema: pa.Schema, suffix: str) -> Any:
    if suffix == "parquet":
        import pyarrow.parquet as pq

        return pq.ParquetWriter(sink, schema, compression="zstd")
    return pa.ipc.new_stream(sink, schema)


def _sorted(inputs: Rows, spill: Path, tally: dict[str, Counter[str]]) -> Iterator[pa.RecordBatch]:
    """All rows ordered by id, in batches of exactly BATCH_ROWS (the last one may be shorter), counted in `tally`."""
    keep = [name for name in inputs.schema.names if name not in _LEFT_OUT]
    schema = views.schema(pa.schema([inputs.schema.field(name) for name in keep]), _TEXT)
    batches = (views.viewed(batch.select(keep), _TEXT) for batch in inputs.batches())
    buckets = min(MOST_BUCKETS, max(1, -(-inputs.num_bytes // SPILL_BYTES)))
    if buckets == 1:
        tables: Iterable[pa.Table] = [pa.Table.from_batches(batches, schema)]
    else:
        tables = _spilled(batches, schema, int(buckets), spill, inputs.num_bytes // max(inputs.num_rows, 1))
    rest = None  # rows that did not fill a batch
    for table in tables:
        table = _protected(table.combine_chunks())  # from many pieces Arrow takes rows five times as slowly
        _count(table, tally)
        order = _order(table)
        at = 0
        if rest is not None:
            at = BATCH_ROWS - rest.num_rows
            rest = pa.concat_batches([rest, *_taken(table, order[:at])])
            if rest.num_rows < BATCH_ROWS:
                continue
            yield rest
            rest = None
        for start in range(at, len(order), BATCH_ROWS):
            for piece in _taken(table, order[start : start + BATCH_ROWS]):
                if piece.num_rows == BATCH_ROWS:
                    yield piece
                else:
                    rest = piece
    if rest is not None:
        yield rest
    elif not inputs.num_rows:  # a shard has its columns even then
        yield pa.RecordBatch.from_pylist([], schema=_protected(schema.empty_table()).schema)
    shutil.rmtree(spill, ignore_errors=True)


def _order(table: pa.Table) -> np.ndarray:
    """Row numbers by id, then text (which Arrow cannot sort as views; few rows share an id)."""
    order = pc.sort_indices(table["id"]).to_numpy().copy()
    ids = table["id"].combine_chunks().take(pa.array(order))
    same = pc.equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    shared = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(shared):
        few = views.written(_taken(table.select(["id", "text"]), order[shared])[0])
        order[shared] = order[shared][pc.sort_indices(few, [("id", "ascending"), ("text", "ascending")])]
    return order


def _taken(table: pa.Table, rows: np.ndarray) -> list[pa.RecordBatch]:
    """Those rows as one batch, or none. Copied, since Arrow pads the buffers of a slice with its neighbours' bytes."""
    return [views.take(batch, rows) for batch in table.to_batches()] if len(rows) else []


def _spilled(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, buckets: int, spill: Path, row_bytes: int
) -> Iterator[pa.Table]:
    """Rows scattered to `buckets` files by the first 8 digits of the id; each read back on its own."""
    spill.mkdir()
    strings = views.written(pa.RecordBatch.from_pylist([], schema=schema)).schema
    writers = [pa.ipc.new_stream(str(spill / str(bucket)), strings) for bucket in range(buckets)]
    for table in ahead(_gathered(batches, schema, row_bytes)):
        bucket = _prefix(table["id"]) * buckets >> 32
        order = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[order], np.arange(buckets + 1))
        for writer, start, stop in zip(writers, ends[:-1], ends[1:], strict=True):
            for batch in _taken(table, order[start:stop]):
                writer.write_batch(views.written(batch))
    for writer in writers:
        writer.close()
    for number in range(buckets):
        path = spill / str(number)
        with pa.memory_map(str(path)) as stream, pa.ipc.open_stream(stream) as reader:
            yield pa.Table.from_batches((views.viewed(batch, _TEXT) for batch in reader), schema)
        path.unlink()


def ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items, the next one made in a thread while this one is used: Arrow lets other threads run."""
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(item: Any, error: BaseException | None) -> bool:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put((item, error), timeout=0.1)
                return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
            put(None, StopIteration())
        except BaseException as error:  # raised where the items are used
            put(None, error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()


def _gathered(batches: Iterator[pa.RecordBatch], schema: pa.Schema, row_bytes: int) -> Iterator[pa.Table]:
    """Batches joined to tables of about SPILL_BYTES, so that buckets hold few pieces, however many there are."""
    waiting, size = [], 0
    for batch in batches:
        waiting.append(batch)
        size += batch.num_rows * row_bytes  # `nbytes` knows nothing of views
        if size >= SPILL_BYTES:
            yield pa.Table.from_batches(waiting, schema).combine_chunks()
            waiting, size = [], 0
    yield pa.Table.from_batches(waiting, schema).combine_chunks()


def _prefix(ids: pa.ChunkedArray) -> np.ndarray:
    """The first 8 hex digits of each id as a number below 2**32, which sorts as the ids do.

    Raises Fatal when an id is not hex: rows of another make, which `ingest` would have given ids.
    """
    data, offsets, _ = buffers(ids)
    if len(ids) and np.diff(offsets).min() < 8:
        raise Fatal("shard: an id is shorter than 8 hex digits")
    digits = _HEX[data[offsets[:-1, None] + np.arange(8)]]
    if (digits < 0).any():
        raise Fatal("shard: an id is not made of the digits 0-9 and a-f")
    return digits @ (16 ** np.arange(7, -1, -1))


_HEX = np.full(256, -1, np.int64)
_HEX[list(b"0123456789abcdef")] = range(16)


def _protected(table: pa.Table) -> pa.Table:
    """Rows that no `phi` step has seen say so: `phi.action` is `none`."""
    phi = table["phi"].combine_chunks()
    if not phi.null_count:
        return table
    none = pa.repeat(pa.scalar({"action": "none", "version": None, "counts": []}, PHI), len(table))
    at = table.schema.get_field_index("phi")
    return table.set_column(at, table.schema.field(at), pc.if_else(pc.is_valid(phi), phi, none))


TALLIED = ("language", "kind", "source", "category", "licence", "phi")


def _count(table: pa.Table, tally: dict[str, Counter[str]]) -> None:
    for name in TALLIED:
        column = table["phi"].combine_chunks().field("action") if name == "phi" else table[name]
        counted = pc.value_counts(pc.fill_null(column, "unknown" if name != "language" else "und"))
        tally[name].update({one["values"]: one["counts"] for one in counted.to_pylist()})


def _state(sums: dict[str, str]) -> dict[str, Any]:
    """What `datasets.load_from_disk` reads; the fingerprint, by which it caches, comes from the rows."""
    return {
        "_data_files": [{"filename": name} for name in sums],
        "_fingerprint": hashlib.blake2b("\n".join(sums.values()).encode(), digest_size=8).hexdigest(),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }


def card(facts: dict[str, Any], tally: dict[str, Counter[str]], format: str) -> str:
    """The dataset card: front matter the Hub reads, then what is inside."""
    import yaml

    from medcorpus.core.languages import registry

    rows = sum(tally["kind"].values())
    name = facts.get("name", "dataset")
    codes = [registry()[code].bcp47 for code in sorted(tally["language"]) if code in registry()]
    licences = sorted(tally["licence"])
    front = {
        "language": codes,
        "license": licences[0].lower() if len(licences) == 1 else "other",
        "size_categories": [next(label for limit, label in _SIZES if rows < limit)],
        "pretty_name": name,
    }
    lines = ["---", yaml.safe_dump(front, sort_keys=False, allow_unicode=True).rstrip(), "---", ""]
    lines += [f"# {name}", "", f"{rows:,} records in {len(codes)} languages, made by medcorpus.", ""]
    if set(tally["phi"]) - {"mask", "pseudonymise"}:
        lines += ["> **Warning: not checked for patient data.** The recipe has no `phi` step; do not publish this dataset.", ""]  # fmt: skip # noqa: E501
    if format == "arrow":
        lines += ["```python", "from datasets import load_from_disk", 'rows = load_from_disk("dataset")', "```", ""]
    for name in TALLIED:
        lines += [f"## By {name}", "", f"| {name} | records |", "|---|---:|"]
        lines += [
            f"| {_cell(key)} | {count:,} |"
            for key, count in sorted(tally[name].items(), key=lambda kv: (-kv[1], kv[0]))
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1 << 62, "100M<n<1B"),
)  # fmt: skip


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
