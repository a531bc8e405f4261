"""Text that is not copied before it is written: `string_view` columns, whose rows point into the memory of a part.

Rows can be left out, joined and put in order at 16 bytes each. Arrow turns strings into views and back; it takes no
rows of views yet (version 26), so numpy does. The layout of a view is Arrow's (Columnar Format, Variable-size Binary
View).
"""

import numpy as np
import pyarrow as pa

_VIEW = np.dtype([("size", "<i4"), ("head", "<u4"), ("buffer", "<i4"), ("at", "<i4")])


def viewed(batch: pa.RecordBatch, names: tuple[str, ...]) -> pa.RecordBatch:
    """The batch with its string columns `names` as views."""
    for at, field in enumerate(batch.schema):
        if field.name in names and field.type == pa.string():
            batch = batch.set_column(at, field.with_type(pa.string_view()), batch[at].cast(pa.string_view()))
    return batch


def schema(of: pa.Schema, names: tuple[str, ...]) -> pa.Schema:
    """The schema of `viewed` batches."""
    return viewed(pa.RecordBatch.from_pylist([], schema=of), names).schema


def take(batch: pa.RecordBatch, rows: np.ndarray) -> pa.RecordBatch:
    """The rows with the numbers `rows`, columns of views among them."""
    numbers = pa.array(rows)
    columns = [_taken(one, rows) if one.type == pa.string_view() else one.take(numbers) for one in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def written(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with strings again: the one copy."""
    for at, field in enumerate(batch.schema):
        if field.type == pa.string_view():
            batch = batch.set_column(at, field.with_type(pa.string()), batch[at].cast(pa.string()))
    return batch


def _taken(column: pa.Array, rows: np.ndarray) -> pa.Array:
    _, views, *data = column.buffers()
    picked = np.frombuffer(views, _VIEW)[column.offset : column.offset + len(column)][rows]
    valid = column.is_valid().take(pa.array(rows)).buffers()[1] if column.null_count else None
    return pa.Array.from_buffers(pa.string_view(), len(rows), [valid, pa.py_buffer(picked), *data])
