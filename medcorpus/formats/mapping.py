"""A file's columns -> records.

Which column becomes which field is said once (`Mapping`, `columns.Column`); columns are taken by their exact name,
nothing is guessed. Rows that cannot be a record are told apart by whole-column tests and handed back as `Bad`, with
their place and never with their text.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core.languages import registry
from medcorpus.core.schema import CATEGORIES, EVIDENCE, MCQA, RECORD, TURN, conform
from medcorpus.core.stage import Bad
from medcorpus.formats import mcqa, turns
from medcorpus.formats.base import Chunk, MissingColumn, missing
from medcorpus.formats.columns import Column, Flag, flags, strings
from medcorpus.formats.mcqa import PLAIN, WrongShape
from medcorpus.formats.rows import Rows
from medcorpus.text.buffers import buffers

ROLES = {
    "text": ("text",),
    "qa": ("question", "answer"),
    "mcqa": ("question", "options", "answer", "rationale"),
    "dialogue": ("turns",),
}
"""kind -> the columns its readable text is made of."""

REQUIRED = {"text": ("text",), "qa": ("question", "answer"), "mcqa": ("question", "options"), "dialogue": ("turns",)}

TAKEN = ("language", "title", "url", "licence", "attribution", "split")
"""Fields that a column of the same name fills. Not `category`, `source` and `group`: too many files use
these words for something else."""

FIELDS = (*TAKEN, "category", "source", "group", "evidence")
"""Fields that a column may be mapped to, beside the roles of the kind."""


_READ = {"title", *(role for roles in ROLES.values() for role in roles)}
"""What people read, so that mojibake in it is repaired."""

NEVER_NULL = tuple(field.name for field in RECORD if not field.nullable)


@dataclass(frozen=True)
class Mapping:
    """What becomes of a file's columns.

    `columns` says where fields and roles come from: a column (`lang`, or `meta.lang` for a nested one), or a
    `Column` with more; None takes the columns named like TAKEN. `constants` fill a field where that gives nothing.
    `keep` names the columns that go to `extra` as JSON; "all" is every column that is not mapped. `flags` says
    which rows get which flag. `lenient`: only the columns of the kind have to be there.
    """

    source: str
    kind: str = "text"
    columns: "dict[str, Column] | dict[str, str] | None" = None
    constants: dict[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] | str = "all"
    flags: dict[str, Flag] = field(default_factory=dict)
    lenient: bool = False

    @cached_property
    def origins(self) -> dict[str, Column]:
        """Field or role -> where it comes from."""
        given = dict.fromkeys(TAKEN, "") if self.columns is None else self.columns
        own = {role: role for role in ROLES[self.kind]} | {name: path or name for name, path in given.items()}
        return {name: Column.model_validate(column) for name, column in own.items()}

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """Columns to read, each once."""
        names = [name for column in self.origins.values() for name in column.names]
        return tuple(dict.fromkeys([*names, *self.looked_at]))

    @cached_property
    def looked_at(self) -> tuple[str, ...]:
        """Columns that are read only for a flag, and stay in `extra`."""
        mapped = {name for column in self.origins.values() for name in column.names}
        return tuple(dict.fromkeys(flag.column for flag in self.flags.values() if flag.column not in mapped))

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Columns without which a row is nothing; of several options, some may be missing."""
        roles = REQUIRED[self.kind]
        return tuple(n for role in roles for n in self.origins[role].names if role != "options" or self._one(role))

    def _one(self, role: str) -> bool:
        return self.origins[role].columns is None

    def of_documents(self) -> "Mapping":
        """The mapping of files that are one row: their text, and what their names or their heads say.

        `columns` are those of tables; a document that lacks one is not wrong.
        """
        given = {} if self.columns is None else self.origins
        named = {name: c for name, c in given.items() if name not in ROLES[self.kind] and name != "evidence"}
        return replace(self, columns=dict.fromkeys(TAKEN, "") | named, flags={}, lenient=True)  # type: ignore[arg-type]


def to_records(
    chunk: Chunk, locators: pa.Array, mapping: Mapping, files: "str | pa.Array" = ""
) -> tuple[pa.RecordBatch, list[Bad]]:
    """The rows of a chunk as records (columns of RECORD), and what is wrong with the rest.

    `locators` has one per row; `files` is the locator of their file, or of the file of each. Raises
    MissingColumn when the file lacks a column that was asked for by the mapping, or one of the kind.
    """
    rows = Rows(chunk, locators)
    values: dict[str, pa.Array | None] = {}
    for name, column in mapping.origins.items():
        values[name] = strings(rows, column, files, name)
        if name in _READ and values[name] is not None:
            values[name] = rows.mended(values[name])
        asked = name in REQUIRED[mapping.kind] or (not mapping.lenient and bool((mapping.columns or {}).get(name)))
        if asked and values[name] is None and column.column:
            raise MissingColumn(missing(column.column, tuple(chunk.batch.schema.names)))
    for name in REQUIRED[mapping.kind]:
        rows.reject(values[name].is_null(), "null_text", f"the column for `{name}` is null")

    made = _CONTENT[mapping.kind](rows, values, mapping)
    rows.reject_nul(made["text"])
    if values.get("evidence") is not None:
        made["evidence"] = _evidence(rows, values, made["text"], mapping)
    for name in FIELDS:
        if name == "evidence":
            continue
        constant = mapping.source if name == "source" else mapping.constants.get(name)
        made[name] = _or_constant(values.get(name), constant, rows.count)
    made["language"] = rows.each_value(made["language"], "unknown_language", registry().normalise)
    made["category"] = rows.each_value(made["category"], "unknown_category", _category)
    made["extra"] = rows.others(set(mapping.wanted) - set(mapping.looked_at), mapping.keep)
    rows.reject_large(made["text"], made["extra"])
    made["flags"] = rows.flags(flags(rows, mapping.flags))
    made["charset"] = pa.repeat(pa.scalar(chunk.charset, pa.string()), rows.count)
    made["locator"] = rows.locators
    made["kind"] = pa.repeat(mapping.kind, rows.count)

    batch = rows.good(pa.RecordBatch.from_pydict(made))
    ids = record_ids(batch["source"], batch["locator"], batch["text"])
    return conform(batch.append_column("id", ids), RECORD), rows.bad


def as_records(chunk: Chunk, locators: pa.Array, schema: pa.Schema, constants: dict[str, str]) -> tuple[pa.RecordBatch, list[Bad]]:  # fmt: skip # noqa: E501
    """Rows that are records already, as columns of `schema`; nulls filled with `constants`.

    Raises ValueError when a column cannot be of its type.
    """
    rows = Rows(chunk, locators)
    for name in NEVER_NULL:
        if name not in chunk.batch.schema.names:
            raise MissingColumn(missing(name, tuple(chunk.batch.schema.names)))
        rows.reject(chunk.batch[name].is_null(), "null_field", f"the column `{name}` is null")
    if (text := rows.strings("text")) is not None:
        rows.reject_large(text)
    batch = conform(rows.good(chunk.batch), schema)
    for name, value in constants.items():
        at = schema.get_field_index(name)
        if batch.column(at).null_count:
            batch = batch.set_column(at, schema.field(at), pc.fill_null(batch.column(at), value))
    return batch, rows.bad


def record_ids(sources: pa.Array, locators: pa.Array, texts: pa.Array) -> pa.Array:
    """`core.schema.record_id` of every row."""
    data, offsets, _ = buffers(texts)
    text, ends = memoryview(data), offsets.tolist()
    heads = pc.binary_join_element_wise(sources, locators, "", "\0").cast(pa.binary()).to_pylist()
    made = []
    for row, head in enumerate(heads):
        content = blake2b(text[ends[row] : ends[row + 1]], digest_size=16).digest()
        made.append(blake2b(head + content, digest_size=16).hexdigest())
    return pa.array(made, pa.string())


def _plain(rows: Rows, values: dict[str, pa.Array], mapping: Mapping) -> dict[str, pa.Array]:
    return {"text": values["text"]}


def _qa(rows: Rows, values: dict[str, pa.Array], mapping: Mapping) -> dict[str, pa.Array]:
    """The text is question and answer; so are the turns of user and assistant."""
    question, answer = values["question"], values["answer"]
    both = pa.concat_arrays([question, answer])
    order = np.arange(2 * rows.count).reshape(2, -1).T.ravel()  # question 0, answer 0, question 1 ...
    roles = pa.array(["user", "assistant"] * rows.count, pa.string())
    said = pa.StructArray.from_arrays([roles, both.take(pa.array(order))], fields=list(TURN))
    offsets = pa.array(np.arange(rows.count + 1, dtype=np.int32) * 2)
    return {
        "text": pc.binary_join_element_wise(question, answer, "\n\n"),
        "turns": pa.ListArray.from_arrays(offsets, said),
    }


def _mcqa(rows: Rows, values: dict[str, pa.Array], mapping: Mapping) -> dict[str, pa.Array]:
    """The text is the question and its options, one on a line."""
    how = [mapping.origins.get(name, PLAIN) for name in ("options", "answer")]
    texts, items = [], []
    names = ("question", "options", "answer", "rationale")
    columns = [pa.nulls(rows.count) if values[name] is None else values[name] for name in names]
    for row, (question, options, answer, rationale) in enumerate(zip(*(c.to_pylist() for c in columns), strict=True)):
        text = item = None
        if question is not None and options is not None:
            try:
                item = mcqa.item(question, options, answer, rationale, *how)
                text = mcqa.readable(item)
            except WrongShape as error:
                rows.reject_row(row, *error.args)
        texts.append(text)
        items.append(item)
    return {"text": pa.array(texts, pa.string()), "mcqa": pa.array(items, MCQA)}


def _dialogue(rows: Rows, values: dict[str, pa.Array], mapping: Mapping) -> dict[str, pa.Array]:
    """The text is what both sides say, turn below turn."""
    form = mapping.origins["turns"].as_
    texts: list[str | None] = []
    said: list[list[dict[str, str]] | None] = []
    for row, value in enumerate(values["turns"].to_pylist()):
        text = found = None
        if value is not None:
            try:
                found = turns.parse_turns(value, form)
                text = turns.readable(found)
            except WrongShape as error:
                rows.reject_row(row, *error.args)
        texts.append(text)
        said.append(found)
    return {"text": pa.array(texts, pa.string()), "turns": pa.array(said, pa.list_(TURN))}


_CONTENT = {"text": _plain, "qa": _qa, "mcqa": _mcqa, "dialogue": _dialogue}


def _evidence(rows: Rows, values: dict[str, pa.Array | None], texts: pa.Array, mapping: Mapping) -> pa.Array:
    """Where in the text the evidence stands. The file counts within the text, or within one part of it."""
    how = mapping.origins["evidence"]
    part = values.get(how.within or "text")
    within = texts if part is None else part
    made: list[list[dict] | None] = []
    spans = values["evidence"]
    assert spans is not None
    for row, (value, whole, text) in enumerate(
        zip(spans.to_pylist(), texts.to_pylist(), within.to_pylist(), strict=True)
    ):
        found = None
        if value is not None and text is not None and whole is not None:
            shift = len(whole) - len(text) if how.within == "answer" else 0  # question and answer: the answer ends it
            try:
                found = turns.parse_spans(value, how.base, text, shift)
            except WrongShape as error:
                rows.reject_row(row, *error.args)
        made.append(found)
    return pa.array(made, pa.list_(EVIDENCE))


def _or_constant(array: pa.Array | None, constant: str | None, rows: int) -> pa.Array:
    """`array` with `constant` where it is null or empty."""
    value = pa.scalar(constant, pa.string())
    if array is None:
        return pa.repeat(value, rows)
    empty = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(array), ""), True)
    return pc.if_else(empty, value, array)


def _category(label: str) -> str:
    if label not in CATEGORIES:
        raise ValueError(f"unknown category '{label[:40]}'; one of {', '.join(CATEGORIES)}")
    return label
