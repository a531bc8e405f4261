"""Small record batches for tests: texts in, rows that conform to the schema out.

    batch = records(["Fever.", None], language="en", kind=["text", "qa"], quality_words=[1, 0])

A list (or Arrow array) is a column, anything else is the same value in every row. Columns that are not
part of the schema (scores of earlier stages) are put after it.
"""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from medcorpus.core.schema import RECORD, conform, record_id, with_columns

SOURCE = "test"


def records(texts: Iterable[str | None], **columns: Any) -> pa.RecordBatch:
    """One record per text. `id` is that of the real thing: source, locator ("doc-<row>") and text."""
    texts = list(texts)
    rows = len(texts)
    given = {name: _column(name, value, rows) for name, value in columns.items()}
    locators = given.get("locator") or pa.array([f"doc-{row}" for row in range(rows)], pa.string())
    sources = given.get("source") or pa.array([SOURCE] * rows, pa.string())
    keys = zip(sources.to_pylist(), locators.to_pylist(), texts, strict=True)
    ids = [record_id(source.encode(), locator.encode(), (text or "").encode()) for source, locator, text in keys]
    base = {
        "id": pa.array(ids, pa.string()),
        "kind": pa.array(["text"] * rows, pa.string()),
        "text": pa.array(texts, pa.string()),
        "source": sources,
        "locator": locators,
    }
    known = base | {name: array for name, array in given.items() if name in RECORD.names}
    batch = conform(pa.RecordBatch.from_pydict(known), RECORD)
    return with_columns(batch, {name: array for name, array in given.items() if name not in RECORD.names})


def _column(name: str, value: Any, rows: int) -> pa.Array:
    if isinstance(value, pa.Array):
        array = value
    else:
        values = value if isinstance(value, list) else [value] * rows
        array = pa.array(values, RECORD.field(name).type if name in RECORD.names else None)
    if len(array) != rows:
        raise ValueError(f"column {name} has {len(array)} values for {rows} texts")
    return array
