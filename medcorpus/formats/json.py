"""A JSON document: its records are the elements of a list, or the values of an object.

Which ones is said by a small path, `records`: names and `*` (every element), such as `exams.*.data`; `.` is the
document itself. Left out, it is the list that the document is, or the values of an object of objects, or else the
document itself. Columns are the members of the record, `qas.0.question` a nested one, and besides

    _key      the name or number of the record in what holds it
    _name     the nearest name above it, past numbers: of the list that holds it
    _value    the record itself, when it is no object
    _up.NAME  a member of the nearest object around it that has one of this name

Places are JSON pointers: `#/exams/3/data/0`. A document that is no JSON is bad with line and column. NaN and
Infinity are no JSON. A key that stands twice is told, where a record or a wanted column is lost by it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from medcorpus.core.errors import nearest
from medcorpus.core.stage import Bad
from medcorpus.formats.base import MOST_IN_MEMORY, Chunk, Options, Span, failed, json_text
from medcorpus.formats.jsonl import Twice, Wrong, as_text, pairs, walk
from medcorpus.formats.streams import BOM, Stream

_ROWS = 4096
_LONG_NUMBER = re.compile(rb"[:\[,\s]-?\d{19}")  # beyond 64 bits it would become a float
_STEP = re.compile(r"[^.]+")


@dataclass(frozen=True)
class _Found:
    """A record: where it is, the objects around it (outermost first), and itself; or what is wrong there."""

    pointer: str
    around: tuple[dict[str, Any], ...]
    value: Any
    key: str = ""
    name: str = ""
    bad: tuple[str, str] | None = None


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows as string columns named as `options.wanted`; places are JSON pointers. See the module."""
    document = _document(span)
    if isinstance(document, Chunk):
        yield document
        return
    rows: list[_Found] = []
    for found in _records(document, options.records):
        rows.append(found)
        if len(rows) == _ROWS:
            yield _chunk(rows, options)
            rows = []
    if rows:
        yield _chunk(rows, options)


def _document(span: Span) -> Any:
    """What the file says, or a Chunk with what is wrong with it."""
    with Stream(span.path) as stream:
        data = stream.read(MOST_IN_MEMORY + 1)
        if len(data) > MOST_IN_MEMORY:
            limit = MOST_IN_MEMORY >> 20
            return failed("", "too_large", f"the document is larger than {limit} MB; write one record a line (jsonl)")
        stream.read(1)
        if stream.broken:
            return failed("", "broken", stream.broken)
    data = data.removeprefix(BOM)
    if not data.strip():
        return failed("", "empty", "the file is empty")
    try:
        document = orjson.loads(data)
        return document if _is_faithful(data, document) else _slowly(data)
    except orjson.JSONDecodeError as error:
        try:
            data.decode()
        except UnicodeDecodeError as problem:
            return failed("", "invalid_utf8", f"byte {problem.start} of the file is not utf-8")
        return failed(f"L{error.lineno}", "invalid_json", f"not JSON at line {error.lineno}, column {error.colno}")
    except (ValueError, RecursionError):
        return failed("", "invalid_json", "a number is too long, or it is nested too deeply")


def _is_faithful(data: bytes, document: Any) -> bool:
    """Does the parsed document say all that was written: no key twice, no number cut?"""
    from medcorpus.formats.members import count_members  # numba: only where rows are read

    if _LONG_NUMBER.search(data):
        return False
    try:
        return count_members(data) == count_members(orjson.dumps(document))
    except TypeError:  # nested too deeply to be written
        return False


def _slowly(data: bytes) -> Any:
    return json.loads(data, object_pairs_hook=pairs)


# -- records ------------------------------------------------------------------------------------


def _records(document: Any, path: str | None) -> Iterator[_Found]:
    root = _Found("", (), document)
    if path is None:
        whole = isinstance(document, dict) and not (document and all(isinstance(v, dict) for v in document.values()))
        yield from [root] if whole or not isinstance(document, dict | list) else _each(root)
        return
    steps = _STEP.findall(path)
    none = True
    for found in _below(root, steps):
        none = False
        yield found
    if none:
        names = ", ".join(list(document)[:20]) if isinstance(document, dict) else "a list"
        yield _Found("", (), None, bad=("no_records", f"nothing at `records: {path}`; at the top: {names}"))


def _below(here: _Found, steps: list[str]) -> Iterator[_Found]:
    if here.bad:
        yield here
    elif not steps:
        yield from _each(here) if isinstance(here.value, list) else [here]
    elif steps[0] == "*":
        for one in _each(here):
            yield from _below(one, steps[1:])
    else:
        yield from _below(_member(here, steps[0]), steps[1:])


def _member(here: _Found, name: str) -> _Found:
    pointer = f"{here.pointer}/{_escape(name)}"
    if not isinstance(here.value, dict) or name not in here.value:
        hint = nearest(name, list(here.value)) if isinstance(here.value, dict) else ""
        return _Found(pointer, (), None, bad=("no_records", f"there is no '{name}' here{hint}"))
    if isinstance(here.value, Twice) and name in here.value.twice:
        return _Found(pointer, (), None, bad=("duplicate_key", "the key stands twice"))
    return _Found(pointer, (*here.around, here.value), here.value[name], name, name)


def _each(here: _Found) -> Iterator[_Found]:
    if isinstance(here.value, list):
        for number, value in enumerate(here.value):
            yield _Found(f"{here.pointer}/{number}", here.around, value, str(number), here.name)
    elif isinstance(here.value, dict):
        around = (*here.around, here.value)
        for name, value in here.value.items():
            pointer = f"{here.pointer}/{_escape(name)}"
            if isinstance(here.value, Twice) and name in here.value.twice:
                yield _Found(pointer, (), None, bad=("duplicate_key", "the key stands twice; the last is read"))
            yield _Found(pointer, around, value, name, name)
    else:
        yield _Found(here.pointer, (), None, bad=("no_records", "there is neither a list nor an object here"))


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


# -- columns ------------------------------------------------------------------------------------


def _chunk(found: list[_Found], options: Options) -> Chunk:
    rows: list[list[str | None]] = []
    places: list[str] = []
    extra: list[str | None] = []
    bad: list[Bad] = []
    for one in found:
        try:
            if one.bad:
                raise Wrong(*one.bad)
            record = one.value if isinstance(one.value, dict) else {"_value": one.value}
            rows.append([_column(one, record, path, options) for path in options.wanted])
        except Wrong as wrong:
            bad.append(Bad(one.pointer, *wrong.args))
            continue
        places.append(one.pointer)
        extra.append(_extra(record, options))
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(options.wanted))]
    batch = pa.RecordBatch.from_arrays(columns, names=list(options.wanted))
    return Chunk(batch, pa.array(places, pa.string()), bad, pa.array(extra, pa.string()))


def _column(one: _Found, record: dict[str, Any], path: str, options: Options) -> str | None:
    if path == "_key" and path not in record:
        return one.key
    if path == "_name" and path not in record:
        return one.name
    if path.startswith("_up."):
        for outer in reversed(one.around):
            if (here := walk(outer, path[4:])) is not Wrong:
                return as_text(here)
        record = {f"_up.{name}": None for outer in one.around for name in outer}
    return as_text(walk(record, path, path in options.required))


def _extra(record: dict[str, Any], options: Options) -> str | None:
    if options.keep == "none":
        return None
    if options.keep == "all":
        kept = {name: value for name, value in record.items() if name not in options.mapped}
    else:
        kept = {name: value for name, value in record.items() if name in options.keep}
    return json_text(kept) if kept and "_value" not in kept else None
