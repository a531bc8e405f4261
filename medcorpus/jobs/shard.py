"""Write the dataset: Arrow shards that `datasets.load_from_disk` opens, a card, checksums.

Rows are ordered by id (a hash, so sources are well mixed), shards are uncompressed Arrow IPC streams that
can be memory-mapped, and no file holds a time: equal content gives equal bytes. Sorting spills to disk by
id prefix, so memory does not grow with the dataset.
"""

import hashlib
import json
import os
import queue
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.errors import Fatal
from medcorpus.core.params import Params
from medcorpus.core.schema import PHI
from medcorpus.core.stage import Job, Resources, Rows
from medcorpus.text.buffers import buffers

BATCH_ROWS = 1000  # rows of a record batch, as `datasets` writes them: random access reads little
SPILL_BYTES = 128 << 20  # how much is sorted in memory at a time
MOST_BUCKETS = 512  # files open at once; above 64 GB a bucket grows instead
_LEFT_OUT = ("body", "drop_reason")


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

    def run(self, inputs: Rows, out: Path) -> dict[str, Any]:
        """Shards, `state.json`, `dataset_info.json`, `README.md`, `SHA256SUMS`."""
        tally: dict[str, Counter[str]] = {name: Counter() for name in TALLIED}
        with closing(ahead(_sorted(inputs, out / ".spill"))) as batches:
            sums = self._write(_tallied(batches, tally), out)
        languages = dict(sorted(tally["language"].items()))
        figures = {"rows": sum(tally["kind"].values()), "shards": len(sums), "languages": languages}
        if self.params.format == "arrow":
            _write_json(out / "state.json", _state(sums))
            _write_json(out / "dataset_info.json", {"citation": "", "description": "", "homepage": "", "license": ""})
        (out / "README.md").write_text(card(self.context.facts, tally, self.params.format), encoding="utf-8")
        for path in sorted(out.iterdir()):
            sums.setdefault(path.name, _sha256(path))
        (out / "SHA256SUMS").write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
        return figures

    def _write(self, batches: Iterator[pa.RecordBatch], out: Path) -> dict[str, str]:
        """Shards, at least one; their names with the digests of their bytes."""
        suffix = self.params.format
        limit = self.params.shard_mb << 20
        paths: list[Path] = []
        writer, size = None, 0
        for batch in batches:
            if writer is None or size >= limit:
                if writer is not None:
                    writer.close()
                paths.append(out / f"data-{len(paths):05d}.{suffix}")
                writer, size = _open_writer(paths[-1], batch.schema, suffix), 0
            writer.write_batch(batch)
            size += pa.ipc.get_record_batch_size(batch)  # not `nbytes`, which knows where the batch was cut from
        if writer is not None:
            writer.close()
        names = [f"{path.stem}-of-{len(paths):05d}.{suffix}" for path in paths]
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # hashing lets other threads run
            made = [path.rename(out / name) for path, name in zip(paths, names, strict=True)]
            return dict(zip(names, threads.map(_sha256, made), strict=True))


def _open_writer(path: Path, schema: pa.Schema, suffix: str) -> Any:
    if suffix == "parquet":
        import pyarrow.parquet as pq

        return pq.ParquetWriter(path, schema, compression="zstd")
    return pa.ipc.new_stream(str(path), schema)


def _sorted(inputs: Rows, spill: Path) -> Iterator[pa.RecordBatch]:
    """All rows ordered by id, in batches of exactly BATCH_ROWS (the last one may be shorter)."""
    keep = [name for name in inputs.schema.names if name not in _LEFT_OUT]
    schema = pa.schema([inputs.schema.field(name) for name in keep])
    buckets = min(MOST_BUCKETS, max(1, -(-inputs.num_bytes // SPILL_BYTES)))
    if buckets == 1:
        tables = [pa.Table.from_batches([batch.select(keep) for batch in inputs.batches()], schema)]
    else:
        tables = _spilled(inputs, keep, schema, int(buckets), spill)
    rest = None  # rows that did not fill a batch
    for table in tables:
        table = _protected(table.combine_chunks())  # from many pieces Arrow takes rows five times as slowly
        order = pc.sort_indices(table, [("id", "ascending"), ("text", "ascending")])
        at = 0
        if rest is not None:
            at = BATCH_ROWS - rest.num_rows
            rest = pa.concat_batches([rest, *_taken(table, order.slice(0, at))])
            if rest.num_rows < BATCH_ROWS:
                continue
            yield rest
            rest = None
        for start in range(at, len(order), BATCH_ROWS):
            for piece in _taken(table, order.slice(start, BATCH_ROWS)):
                if piece.num_rows == BATCH_ROWS:
                    yield piece
                else:
                    rest = piece
    if rest is not None:
        yield rest
    elif not inputs.num_rows:  # a shard has its columns even then
        yield pa.RecordBatch.from_pylist([], schema=_protected(schema.empty_table()).schema)
    shutil.rmtree(spill, ignore_errors=True)


def _taken(table: pa.Table, rows: pa.Array) -> list[pa.RecordBatch]:
    """Those rows as one batch, or none. Copied, since Arrow pads the buffers of a slice with its neighbours' bytes."""
    return table.take(rows).combine_chunks().to_batches()


def _spilled(inputs: Rows, keep: list[str], schema: pa.Schema, buckets: int, spill: Path) -> Iterator[pa.Table]:
    """Rows scattered to `buckets` files by the first 8 digits of the id; each read back on its own."""
    spill.mkdir()
    writers = [pa.ipc.new_stream(str(spill / str(bucket)), schema) for bucket in range(buckets)]
    for table in ahead(_gathered(inputs.batches(), keep, schema)):
        bucket = _prefix(table["id"]) * buckets >> 32
        order = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[order], np.arange(buckets + 1))
        table = table.take(pa.array(order))
        for writer, start, stop in zip(writers, ends[:-1], ends[1:], strict=True):
            if stop > start:
                writer.write_table(table.slice(start, stop - start))
    for writer in writers:
        writer.close()
    for number in range(buckets):
        path = spill / str(number)
        with pa.memory_map(str(path)) as stream, pa.ipc.open_stream(stream) as reader:
            yield reader.read_all()
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


def _gathered(batches: Iterator[pa.RecordBatch], keep: list[str], schema: pa.Schema) -> Iterator[pa.Table]:
    """Batches joined to tables of about SPILL_BYTES, so that buckets hold few pieces, however many there are."""
    waiting, size = [], 0
    for batch in batches:
        waiting.append(batch.select(keep))
        size += batch.nbytes
        if size >= SPILL_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, size = [], 0
    yield pa.Table.from_batches(waiting, schema)


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


def _tallied(batches: Iterator[pa.RecordBatch], tally: dict[str, Counter[str]]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for name in TALLIED:
            column = batch["phi"].field("action") if name == "phi" else batch[name]
            counted = pc.value_counts(pc.fill_null(column, "unknown" if name != "language" else "und"))
            keys, counts = counted.field(0).to_pylist(), counted.field(1).to_pylist()
            tally[name].update(dict(zip(keys, counts, strict=True)))
        yield batch


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
