"""The record: its identity, its columns, and that `datasets` can hold them."""

import re

import datasets
import pyarrow as pa
import pytest

from medcorpus.core.schema import (
    CATEGORIES,
    KINDS,
    RECORD,
    SCHEMA_KEY,
    SCHEMA_VERSION,
    child_id,
    conform,
    record_id,
    schema_with,
    with_columns,
)
from tests.records import records


def test_ids_never_change():
    """These are in users' datasets; they may never change."""
    assert record_id(b"pubmed", b"a/b.xml#1", "Fever. 发烧".encode()) == "2377cd1e72d176336715d1958a7eeea3"
    assert child_id("ab" * 16, "chunk=0", b"Fever.") == "df4f4089e147084c3dd11bc06c36b384"


def test_ids_follow_from_source_locator_and_content():
    one = record_id(b"s", b"l", b"c")
    assert re.fullmatch("[0-9a-f]{32}", one)
    others = [(b"t", b"l", b"c"), (b"s", b"m", b"c"), (b"s", b"l", b"d"), (b"", b"sl", b"c"), (b"sl", b"", b"c")]
    assert len({one, *(record_id(*other) for other in others)}) == 6
    assert child_id(one, "chunk=0", b"c") != child_id(one, "chunk=1", b"c")


def nested(kind: pa.DataType) -> list[pa.DataType]:
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    return [kind, *(deep for one in inner for deep in nested(one))]


def test_no_map_types():
    assert not [t for field in RECORD for t in nested(field.type) if pa.types.is_map(t)]


def test_datasets_can_hold_a_record():
    features = datasets.Features.from_arrow_schema(RECORD)
    assert list(features) == RECORD.names
    assert features.arrow_schema.field("mcqa").type == RECORD.field("mcqa").type


def test_what_the_design_promises_is_there():
    assert KINDS == ("text", "mcqa", "qa", "dialogue")
    assert len(set(CATEGORIES)) == 10
    assert RECORD.metadata[SCHEMA_KEY] == str(SCHEMA_VERSION).encode()
    assert len(set(RECORD.names)) == len(RECORD.names)
    assert [field.name for field in RECORD if not field.nullable] == ["id", "kind", "source", "locator"]


def test_schema_with_appends_and_replaces():
    score = pa.field("quality_words", pa.int32())
    schema = schema_with([score, pa.field("dedup_family", pa.string()), pa.field("quality_words", pa.int64())])
    assert schema.names == [*RECORD.names, "quality_words", "dedup_family"]
    assert schema.field("quality_words").type == pa.int64()
    assert schema.metadata == RECORD.metadata
    assert schema_with([]).equals(RECORD, check_metadata=True)


def small(**columns: list) -> pa.RecordBatch:
    base = {"id": ["a"], "kind": ["text"], "source": ["s"], "locator": ["l"]}
    return pa.RecordBatch.from_pydict(base | columns)


def test_conform_fills_orders_and_casts():
    batch = conform(small(text=["x"], language_score=[0.5], flags=pa.array([None], pa.null())), RECORD)
    assert batch.schema.equals(RECORD, check_metadata=True)
    assert batch["language_score"].type == pa.float32()
    assert batch["turns"].null_count == 1
    batch.validate(full=True)


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"colour": ["red"]}, "unknown columns: colour"),
        ({"language_score": ["high"]}, "column language_score"),
        ({"mcqa": ["A"]}, "column mcqa"),
        ({"kind": pa.array([None], pa.string())}, "column kind has 1 nulls"),
    ],
)
def test_conform_names_the_column_at_fault(columns, named):
    with pytest.raises(ValueError, match=named):
        conform(small(**columns), RECORD)


def test_conform_refuses_a_missing_key_column():
    with pytest.raises(ValueError, match="column id"):
        conform(pa.RecordBatch.from_pydict({"kind": ["text"], "source": ["s"], "locator": ["l"]}), RECORD)


def test_conform_of_nothing():
    batch = conform(pa.RecordBatch.from_pylist([], schema=pa.schema([])), RECORD)
    assert batch.num_rows == 0
    assert batch.schema == RECORD


def test_with_columns():
    batch = records(["a", "b"], language="eng")
    made = with_columns(
        batch,
        {
            "language": pa.array(["fra", None]),
            "new": pa.array([1, 2]),
            "typed": (pa.field("typed", pa.int8()), pa.array([1, 2], pa.int8())),
        },
    )
    assert made.schema.names == [*batch.schema.names, "new", "typed"]
    assert made["language"].to_pylist() == ["fra", None]
    assert made.schema.field("typed").type == pa.int8()
    assert made.schema.metadata == batch.schema.metadata
    assert batch["language"].to_pylist() == ["eng", "eng"], "the batch itself is left alone"


def test_with_columns_keeps_the_type_of_a_column():
    with pytest.raises((pa.ArrowInvalid, TypeError)):
        with_columns(records(["a"]), {"language_score": pa.array(["high"])})
