"""Takedown: rows that may not be passed on, by id, and rows that were made from them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core.errors import Fatal, Missing
from medcorpus.core.stage import Bad

RETIRED = "retired"


def read_ids(paths: Iterable[tuple[str, Path]]) -> frozenset[str]:
    """Ids of files (name as it was given, path) with one id a line, `#` for comments.

    Raises Missing for a file that cannot be read, Fatal for a line of more than an id: a takedown that is not
    understood stops the run.
    """
    found: set[str] = set()
    for name, path in paths:
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Missing(f"the list of retired ids cannot be read: {error}") from None
        for number, line in enumerate(lines, 1):
            id = line.partition("#")[0].strip()
            if len(id.split()) > 1:
                raise Fatal(f"{name}:{number}: one id a line is expected")
            if id:
                found.add(id)
    return frozenset(found)


def hits(batches: Iterator[pa.RecordBatch], ids: frozenset[str]) -> list[str]:
    """Ids of the rows of `batches` that are among `ids`, or made from one that is; sorted."""
    wanted = pa.array(sorted(ids), pa.string())
    found: set[str] = set()
    for batch in batches:
        gone = pc.is_in(batch["id"], wanted).to_numpy(zero_copy_only=False).copy()
        parents = batch["parents"]
        of_retired = pc.is_in(pc.list_flatten(parents), wanted).to_numpy(zero_copy_only=False)
        gone[pc.list_parent_indices(parents).to_numpy()[of_retired]] = True
        found.update(batch["id"].filter(pa.array(gone)).to_pylist())
    return sorted(found)


def without(
    batch: pa.RecordBatch, retired: pa.Array, ids: frozenset[str], reject: Callable[[Bad], None]
) -> pa.RecordBatch:
    """The rows of `batch` whose id is not in `retired` (see `hits`); the others are told to `reject`."""
    gone = pc.is_in(batch["id"], retired)
    if not gone.true_count:
        return batch
    for row in batch.select(["id", "locator", "language"]).filter(gone).to_pylist():
        message = "its id is retired" if row["id"] in ids else "it was made from a retired row"
        reject(Bad(row["locator"], RETIRED, message, RETIRED, row["id"], row["language"]))
    return batch.filter(pc.invert(gone))
