"""What a dialect says of its rows -> chunks of columns named like the fields of a record."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

import pyarrow as pa

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span, json_text
from medcorpus.formats.markup.tree import elements

_ROWS, _CHARS = 1024, 4 << 20
_FIELDS = ("title", "url", "language", "licence", "attribution", "group")


@dataclass(frozen=True)
class Row:
    """One row. `place` is where in the file it is, None when the file is one row; `text`, or `question` and
    `answer`; `group` counts within the file ("" is the file); `extra` what else is known of it.
    """

    place: str | None
    text: str | None = None
    question: str | None = None
    answer: str | None = None
    title: str | None = None
    url: str | None = None
    language: str | None = None
    licence: str | None = None
    attribution: str | None = None
    group: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def documents(span: Span, row: Callable[[Element], Row | None]) -> Iterator[Row | Bad]:
    """The row that `row` makes of the root of an XML file, or what is wrong with the file."""
    for found in elements(span):
        made = found if isinstance(found, Bad) else row(found.root)
        if made is not None:
            yield made


def chunks(rows: Iterable[Row | Bad], options: Options, kind: str = "text", none: str = "") -> Iterator[Chunk]:
    """`rows` in chunks of one `kind`. A row whose text is empty is bad (`null_text`).

    When there is neither a row nor anything bad, `none` says what was looked for.
    """
    roles = ("question", "answer") if kind == "qa" else ("text",)
    waiting: list[Row] = []
    bad: list[Bad] = []
    chars = 0
    something = False
    for row in rows:
        something = True
        if isinstance(row, Bad):
            bad.append(row)
            continue
        empty = [role for role in roles if not (getattr(row, role) or "").strip()]
        if empty:
            bad.append(Bad(row.place or "", "null_text", f"there is no {empty[0]}"))
            continue
        if row.place is None:
            yield _chunk([row], bad, options, kind, roles)
            bad = []
            continue
        waiting.append(row)
        chars += sum(len(getattr(row, role)) for role in roles)
        if len(waiting) >= _ROWS or chars > _CHARS:
            yield _chunk(waiting, bad, options, kind, roles)
            waiting, bad, chars = [], [], 0
    if not something:
        bad.append(Bad("", "no_rows", f"there is no {none} in the file"))
    if waiting or bad:
        yield _chunk(waiting, bad, options, kind, roles)


def _chunk(rows: list[Row], bad: list[Bad], options: Options, kind: str, roles: tuple[str, ...]) -> Chunk:
    columns = {name: pa.array([getattr(row, name) for row in rows], pa.string()) for name in (*roles, *_FIELDS)}
    places = [row.place for row in rows]
    return Chunk(
        pa.RecordBatch.from_pydict(columns),
        None if places == [None] else pa.array(places, pa.string()),
        bad,
        pa.array([_extra(row.extra, options) for row in rows], pa.string()),
        kind=kind,
    )


def _extra(values: dict[str, Any], options: Options) -> str | None:
    """What else is known of a row, as JSON, as far as it is to be kept; what is empty is not."""
    if options.keep == "none":
        return None
    kept = {n: v for n, v in values.items() if v not in (None, "", [], {}) and (options.keep == "all" or n in options.keep)}  # fmt: skip # noqa: E501
    return json_text(kept) if kept else None
