"""How one field of a record is taken from a file: which columns, and the few declared changes on the way.

language: lang                                            a column
text:     {columns: [title, abstract]}                    several, one below the other
options:  {columns: [opa, opb, opc, opd]}                 several, as the options A, B, C, D
options:  {column: answers, key: aid, text: atext}        a list of objects of other names
options:  {value: ["yes", "no", "maybe"]}                 the same for every row
answer:   {column: label, as: index0}                     the number of an option, its text, its letter
turns:    {column: conversation, as: alternating}         question, answer, question, answer
language: {from: stem, split: "_", part: 1, map: {jp: ja}}   from the file's name
evidence: {column: answers, as: spans, base: 1, within: answer}
"""

import re
from pathlib import PurePosixPath
from typing import Any, Literal, Self

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from medcorpus.formats.base import MissingColumn, missing
from medcorpus.formats.rows import Rows
from medcorpus.formats.streams import SUFFIXES

FORMS = {
    "options": ("option_string", "list", "dict"),
    "answer": ("letter", "letters", "index0", "index1", "text"),
    "turns": ("alternating", "messages"),
    "evidence": ("spans",),
}
"""role -> what `as` may say of it; left out, the shape of the value tells."""


class Column(BaseModel):
    """Where a field comes from. A plain string is `column`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    column: str | None = Field(None, min_length=1)
    columns: tuple[str, ...] | None = Field(None, min_length=1)
    from_: Literal["name", "stem", "extension", "folder"] | None = Field(None, alias="from")
    value: str | tuple[str, ...] | None = None
    join: str | None = None
    pattern: str | None = None
    split: str | None = Field(None, min_length=1)
    part: int | None = None
    map: dict[str, str] | None = None
    as_: Literal["option_string", "list", "dict", "letter", "letters", "index0", "index1", "text", "alternating", "messages", "spans"] | None = Field(None, alias="as")  # fmt: skip # noqa: E501
    keys: tuple[str, ...] | None = None
    key: str | None = None
    text: str | None = None
    base: Literal[0, 1] = 0
    within: Literal["text", "question", "answer"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _short(self, inner: Any) -> Any:
        """What was written, so that a key says no more than the recipe."""
        made = {
            name: value for name, value in inner(self).items() if value is not None and (name, value) != ("base", 0)
        }
        return made["column"] if made.keys() == {"column"} else made

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
            if groups > 1:
                raise ValueError("a pattern has at most one group: the part that is taken")
        return pattern

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = [n for n in ("column", "columns", "from_", "value") if getattr(self, n) is not None]
        if len(origins) != 1:
            raise ValueError("say one of `column`, `columns`, `from` (the file's name) and `value`")
        if (self.split is None) != (self.part is None):
            raise ValueError("`split` and `part` (a number from 0; -1 is the last) go together")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The columns to read."""
        return self.columns or ((self.column,) if self.column else ())


class Flag(BaseModel):
    """When a row gets a flag: its column is `equals`, or it is `filled` (not null, not empty) or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(min_length=1)
    equals: bool | int | str | None = None
    filled: bool | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if (self.equals is None) == (self.filled is None):
            raise ValueError("say one of `equals` and `filled`")
        return self


def strings(rows: Rows, column: Column, files: "str | pa.Array", role: str) -> pa.Array | None:
    """The values of a field, as strings; None when the file lacks the column. Raises MissingColumn."""
    if column.from_:
        array = _from_name(column.from_, files, rows.count)
    elif column.value is not None:
        value = column.value if isinstance(column.value, str) else orjson.dumps(column.value).decode()
        array = pa.repeat(pa.scalar(value), rows.count)
    elif column.columns:
        several = [(name, rows.strings(name)) for name in column.columns]
        for name, one in several:
            if one is None:
                raise MissingColumn(missing(name, tuple(rows.batch.schema.names)))
        array = (_as_list if role == "options" else _joined)([one for _, one in several], column)
    else:
        assert column.column is not None
        found = rows.strings(column.column)
        if found is None:
            return None
        array = _joined([found], column) if column.join is not None else found
    return _changed(array, column)


def _from_name(what: str, files: "str | pa.Array", count: int) -> pa.Array:
    if isinstance(files, str):
        return pa.repeat(pa.scalar(_part_of_name(what, files), pa.string()), count)
    return pa.array([_part_of_name(what, file) for file in files.to_pylist()], pa.string())


def _part_of_name(what: str, file: str) -> str | None:
    """`name` of `a.zip!/fr/x.v2.json.gz` is `x.v2.json.gz`, `stem` `x.v2`, `extension` `json`, `folder` `fr`."""
    path = PurePosixPath(file.replace("!/", "/"))
    if what == "name":
        return path.name
    if what == "folder":
        return path.parent.name or None
    if path.suffix.lower() in SUFFIXES:
        path = path.with_suffix("")
    return path.stem if what == "stem" else path.suffix[1:] or None


def _changed(array: pa.Array, column: Column) -> pa.Array:
    """After `pattern`, `split` and `map`, once for each distinct value."""
    if column.pattern is None and column.split is None and column.map is None:
        return array
    distinct = pc.unique(array)
    changed = pa.array([None if v is None else _change(v, column) for v in distinct.to_pylist()], pa.string())
    return changed.take(pc.index_in(array, distinct))


def _change(value: str, column: Column) -> str | None:
    if column.pattern is not None:
        match = re.search(column.pattern, value)
        if match is None:
            return None
        value = match[match.re.groups] or ""
    if column.split is not None and column.part is not None:
        parts = value.split(column.split)
        if not -len(parts) <= column.part < len(parts):
            return None
        value = parts[column.part]
    return (column.map or {}).get(value, value)


def _joined(arrays: list[pa.Array], column: Column) -> pa.Array:
    """One below the other; lists and objects as lines. Null where there is nothing at all."""
    join = "\n\n" if column.join is None else column.join
    made = []
    for values in zip(*(array.to_pylist() for array in arrays), strict=True):
        inner = "\n" if column.columns else join
        parts = [text for value in values if value and (text := inner.join(_lines(value)))]
        made.append(join.join(parts) if parts else None)
    return pa.array(made, pa.string())


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        if value[:1] in ("[", "{"):
            try:
                return _lines(orjson.loads(value))
            except orjson.JSONDecodeError:
                pass
        return [value] if value.strip() else []
    if isinstance(value, dict):
        value = list(value.values())
    return [line for one in value for line in _lines(one)] if isinstance(value, list) else _lines("" if value is None else str(value))  # fmt: skip # noqa: E501


def _as_list(arrays: list[pa.Array], column: Column) -> pa.Array:
    """The columns as a JSON list; null ones stay, so that each keeps its key."""
    rows = zip(*(array.to_pylist() for array in arrays), strict=True)
    return pa.array([orjson.dumps(list(row)).decode() for row in rows], pa.string())


def flags(rows: Rows, wanted: dict[str, Flag]) -> pa.Array | None:
    """The flags of each row. Raises MissingColumn."""
    if not wanted:
        return None
    marks = []
    for flag in wanted.values():
        array = rows.strings(flag.column)
        if array is None:
            raise MissingColumn(missing(flag.column, tuple(rows.batch.schema.names)))
        if flag.filled is not None:
            bare = pc.fill_null(pc.utf8_trim_whitespace(array), "")
            empty = pc.is_in(bare, pa.array(["", "[]", "{}"]))
            marks.append(pc.equal(empty, not flag.filled))
        else:
            text = orjson.dumps(flag.equals).decode() if isinstance(flag.equals, bool) else str(flag.equals)
            marks.append(pc.fill_null(pc.equal(array, text), False))
    columns = [mark.to_pylist() for mark in marks]
    names = list(wanted)
    found = [[n for n, on in zip(names, row, strict=True) if on] or None for row in zip(*columns, strict=True)]
    return pa.array(found, pa.list_(pa.string()))
