"""The one noun: the record, schema version 1.

`text` always holds the readable text, so that every text stage works on every `kind`. Stages may add
score columns named `<stage>_<metric>`; they come after the columns listed here. There are no map
types, because `datasets` refuses them.
"""

from collections.abc import Iterable
from hashlib import blake2b

import pyarrow as pa

SCHEMA_VERSION = 1
SCHEMA_KEY = b"medcorpus.schema"

KINDS = ("text", "mcqa", "qa", "dialogue")
CATEGORIES = (
    "book", "paper", "encyclopedia", "dialogue", "exam", "guideline", "web", "general", "math", "code",
)  # fmt: skip

MAX_BATCH_BYTES = 64 << 20
MAX_ROW_BYTES = 32 << 20
"""A row above this goes to quarantine, so that string offsets of a batch always fit 32 bits."""

LARGE = ("text", "body", "mcqa", "turns", "evidence", "extra")
"""Columns that hold what people wrote: nearly all of a record's bytes."""

OPTION = pa.struct([("key", pa.string()), ("text", pa.string())])
MCQA = pa.struct(
    [
        ("question", pa.string()),
        ("options", pa.list_(OPTION)),
        ("answers", pa.list_(pa.string())),  # keys of the right options; several where the exam says so
        ("rationale", pa.string()),
        ("rationale_origin", pa.string()),  # how it was made: human, or model and prompt digest
    ]
)
TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
EVIDENCE = pa.struct([("id", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("quote", pa.string())])
PHI_COUNT = pa.struct([("type", pa.string()), ("count", pa.int32())])
PHI = pa.struct([("action", pa.string()), ("version", pa.string()), ("counts", pa.list_(PHI_COUNT))])
RIGHTS = pa.struct([("signal", pa.string()), ("value", pa.string())])  # robots, tdm-reservation, ai.txt ...

RECORD = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("parents", pa.list_(pa.string())),
        pa.field("group", pa.string()),
        pa.field("language", pa.string()),
        pa.field("script", pa.string()),
        pa.field("language_score", pa.float32()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("locator", pa.string(), nullable=False),
        pa.field("category", pa.string()),
        pa.field("url", pa.string()),
        pa.field("title", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("attribution", pa.string()),
        pa.field("rights", pa.list_(RIGHTS)),
        pa.field("retrieved_at", pa.timestamp("us", tz="UTC")),
        pa.field("body", pa.binary()),
        pa.field("media_type", pa.string()),
        pa.field("charset", pa.string()),
        pa.field("mcqa", MCQA),
        pa.field("turns", pa.list_(TURN)),
        pa.field("evidence", pa.list_(EVIDENCE)),
        pa.field("phi", PHI),
        pa.field("split", pa.string()),
        pa.field("flags", pa.list_(pa.string())),
        pa.field("drop_reason", pa.string()),
        pa.field("extra", pa.string()),
    ],
    metadata={SCHEMA_KEY: str(SCHEMA_VERSION).encode()},
)


def record_id(source: bytes, locator: bytes, content: bytes) -> str:
    """Identity of a record: 16 bytes of blake2b over source name, locator and content digest, in hex.

    The locator is relative to the source root, so moving a corpus to another folder keeps every id.
    """
    digest = blake2b(content, digest_size=16).digest()
    return blake2b(b"\0".join((source, locator, digest)), digest_size=16).hexdigest()


def child_id(parent: str, part: str, content: bytes) -> str:
    """Identity of a row made from another one (a chunk, a translation): parent id, part name, content."""
    return record_id(parent.encode(), part.encode(), content)


def schema_with(fields: Iterable[pa.Field]) -> pa.Schema:
    """RECORD followed by the score columns of the stages so far, in the order they were added."""
    schema = RECORD
    for field in fields:
        at = schema.get_field_index(field.name)
        schema = schema.append(field) if at < 0 else schema.set(at, field)
    return schema


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """`batch` with exactly the columns of `schema`, in its order: missing ones null, others refused.

    Raises ValueError naming a column that `schema` does not have, whose type cannot be cast, or that may
    hold no nulls and does.
    """
    if unknown := set(batch.schema.names) - set(schema.names):
        raise ValueError(f"unknown columns: {', '.join(sorted(unknown))}")
    arrays = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        array = pa.nulls(batch.num_rows, field.type) if at < 0 else batch.column(at)
        if array.type != field.type:
            try:
                array = array.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise ValueError(f"column {field.name}: {array.type} is not {field.type}: {error}") from error
        if not field.nullable and array.null_count:
            raise ValueError(f"column {field.name} has {array.null_count} nulls")
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def with_columns(batch: pa.RecordBatch, columns: dict[str, tuple[pa.Field, pa.Array]] | dict[str, pa.Array]) -> pa.RecordBatch:  # fmt: skip # noqa: E501
    """`batch` with columns replaced or appended; values are arrays, or (field, array) to fix the type."""
    for name, value in columns.items():
        field, array = value if isinstance(value, tuple) else (pa.field(name, value.type), value)
        at = batch.schema.get_field_index(name)
        if at < 0:
            batch = batch.append_column(field, array)
        else:
            batch = batch.set_column(at, batch.schema.field(at), array)
    return batch
