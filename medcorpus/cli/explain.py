"""`medcorpus explain RUN ID`: follow one row through every step. Text is masked unless a person asks."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import typer

from medcorpus.cli.look import RunArgument, manifests, open_existing, read_plan
from medcorpus.cli.show import print_json
from medcorpus.core.errors import RecipeError
from medcorpus.core.manifest import EXPANDED, QUARANTINE, REJECTS
from medcorpus.core.store import LocalStore, Store
from medcorpus.engine.parts import read_part, read_rejects

_LONG = ("text", "body", "mcqa", "turns", "extra", "evidence", "title", "url")  # may quote a patient: masked
_SHOWN_CHARACTERS = 600
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass
class Event:
    """What happened to the row at one step."""

    step: str
    what: str  # made, seen, dropped, quarantined, expanded, kept
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Story:
    """Everything known of one row."""

    id: str
    events: list[Event]
    row: dict[str, Any] | None  # its last known state
    children: list[str]


def explain(
    run: RunArgument,
    what: Annotated[
        str,
        typer.Argument(
            help="A row's id, its locator (file#L17), a reason such as quarantine; of a training 'step 12'."
        ),
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help="Show the text unmasked: on a terminal, to its owner only.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows listed for a reason.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """The whole story of one row: where it came from, what every step saw in it, and why it was kept or left."""
    from medcorpus.cli.explain_training import explain as explain_training
    from medcorpus.cli.explain_training import folder_of

    if (training := folder_of(run)) is not None:
        explain_training(training, what, limit, json)
        return
    store = open_existing(run)
    if raw:
        _allow_raw(store)
    rejected = _rejects(store)
    reasons = sorted(set(rejected["reason"].to_pylist()))
    if what in reasons or what == QUARANTINE:
        _list(rejected.filter(pc.equal(rejected["reason"], what)), what, limit, json)
        return
    ids = _ids_at(store, rejected, what)
    if not ids:
        raise RecipeError(f"{store.root} has no row '{what}'; give an id, a locator, or one of: {', '.join(reasons)}")
    if len(ids) > 1 and not json:
        print(f"{len(ids)} rows stand at {what}; the first {min(limit, len(ids))}:\n")
    stories = [_story(store, rejected, id) for id in ids[:limit]]
    if json:
        print_json({"run": store.root, "rows": [_as_json(story, raw) for story in stories]})
        return
    for story in stories:
        _print(store, story, raw)


def _allow_raw(store: Store) -> None:
    """Unmasked text goes to a terminal, from a private folder that is ours, and nowhere else."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RecipeError("--raw shows patients' data: it needs a terminal, not a pipe, a file or a job")
    private = store.path("private") if isinstance(store, LocalStore) else None
    if private is None or not private.is_dir():
        raise RecipeError("--raw needs the run's private folder, and there is none (any more)")


def _rejects(store: Store) -> pa.Table:
    """Every rejected row of the committed parts."""
    done = manifests(store)
    tables = [REJECTS.empty_table()]
    for step in read_plan(store)["steps"]:
        if step["id"] in done:
            tables += [read_rejects(store, f"{step['rejects']}/{part.key}.arrow") for part in done[step["id"]].parts]
    return pa.concat_tables([table.replace_schema_metadata(None) for table in tables])


def _ids_at(store: Store, rejected: pa.Table, what: str) -> list[str]:
    """The ids meant by `what`: itself, or those of the rows at that locator."""
    column = "id" if _ID.fullmatch(what) else "locator"
    found = dict.fromkeys(rejected.filter(pc.equal(rejected[column], what))["id"].to_pylist())
    for _, name in _parts(store):
        for batch in read_part(store, name, ("id", column)):
            found |= dict.fromkeys(batch.filter(pc.equal(batch[column], what))["id"].to_pylist())
        if found and column == "id":
            break
    return list(found)


def _parts(store: Store) -> Iterator[tuple[dict[str, Any], str]]:
    """(step, name) of every committed part, in the order of the recipe."""
    done = manifests(store)
    for step in read_plan(store)["steps"]:
        if step["id"] in done:
            for part in done[step["id"]].parts:
                yield step, f"{step['folder']}/{part.key}.arrow"


def _story(store: Store, rejected: pa.Table, id: str) -> Story:
    seen: dict[str, dict[str, Any]] = {}
    children: dict[str, None] = {}
    for step, name in _parts(store):
        first = 0
        for batch in read_part(store, name, ("id", "parents")):
            at = pc.index(batch["id"], id).as_py()
            if at >= 0:
                seen[step["id"]] = _row(store, name, first + at) or {}
            first += batch.num_rows
            related = batch.filter(pc.is_valid(batch["parents"]))
            for child, parents in zip(related["id"].to_pylist(), related["parents"].to_pylist(), strict=True):
                if id in parents:
                    children[child] = None
    events, before = [], {}
    left = {row["step"]: row for row in rejected.filter(pc.equal(rejected["id"], id)).to_pylist()}
    for step in read_plan(store)["steps"]:
        name = step["id"]
        if name in seen:
            now = seen[name]
            new = {k: v for k, v in now.items() if v != before.get(k) and v is not None and k not in (*_LONG, "id")}
            events.append(Event(name, ("seen" if new else "passed") if before else "made", new))
            before = now
        if name in left:
            events.append(_left(store, step, left[name]))
            before = _pointed(store, left[name]) or before
    if place := _in_dataset(store, id):
        events.append(Event("dataset", "kept", {"place": place}))
    return Story(id, events, before or None, list(children))


def _left(store: Store, step: dict[str, Any], row: dict[str, Any]) -> Event:
    """Why the row left at `step`."""
    details = {
        k: row[k] for k in ("score", "also", "part", "row", "locator", "error", "message") if row[k] not in (None, "")
    }
    if row["reason"] in (QUARANTINE, EXPANDED):
        return Event(step["id"], "quarantined" if row["reason"] == QUARANTINE else "expanded", details)
    limits = next((d for d in step["decisions"] if d["reason"] == row["reason"]), {})
    details = {"reason": row["reason"], "limits": limits.get("params"), "languages": limits.get("languages"), **details}
    pointed = _pointed(store, row) or {}
    details |= {k: v for k, v in pointed.items() if k.endswith("duplicate_of") and v}
    details["also"] = [reason for reason in details.get("also", []) if reason != row["reason"]]
    return Event(step["id"], "dropped", {k: v for k, v in details.items() if v not in (None, {}, [])})


def _pointed(store: Store, row: dict[str, Any]) -> dict[str, Any] | None:
    """The row a reject points at, as it was when it left."""
    if not row["part"] or row["row"] is None:
        return None
    return _row(store, f"{row['part']}.arrow", row["row"])


def _row(store: Store, name: str, number: int) -> dict[str, Any] | None:
    """One row of a part."""
    first = 0
    for batch in read_part(store, name):
        if number < first + batch.num_rows:
            return batch.slice(number - first, 1).to_pylist()[0]
        first += batch.num_rows
    return None


def _in_dataset(store: Store, id: str) -> str | None:
    if not isinstance(store, LocalStore):
        return None
    for path in sorted(store.path("dataset").glob("data-*.arrow")):
        with pa.memory_map(str(path)) as stream, pa.ipc.open_stream(stream) as reader:
            row = 0
            for batch in reader:
                at = pc.index(batch["id"], id).as_py()
                if at >= 0:
                    return f"{path.relative_to(store.root)} row {row + at}"
                row += batch.num_rows
    return None


def _list(rows: pa.Table, reason: str, limit: int, as_json: bool) -> None:
    from medcorpus.cli.show import table

    shown = rows.slice(0, limit).to_pylist()
    if as_json:
        print_json({"reason": reason, "rows": len(rows), "first": shown})
        return
    columns = ["id", "step", "language", "locator", "score", "error", "message"]
    table(f"{reason}: {len(rows):,} rows, the first {len(shown)}", columns, [[r[c] for c in columns] for r in shown])


def _shown(value: Any, raw: bool) -> Any:
    """`value` as it may be shown: masked unless `raw`, and not endless."""
    from medcorpus.text.masking import mask

    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, str):
        return value if raw else mask(value)
    if isinstance(value, list):
        return [_shown(one, raw) for one in value]
    if isinstance(value, dict):
        return {k: _shown(v, raw) for k, v in value.items()}
    return value


def _as_json(story: Story, raw: bool) -> dict[str, Any]:
    row = {k: _shown(v, raw) if k in _LONG else v for k, v in (story.row or {}).items() if v is not None}
    row.pop("retrieved_at", None)
    return {"id": story.id, "events": [vars(event) for event in story.events], "row": row, "children": story.children}


def _print(store: Store, story: Story, raw: bool) -> None:
    row = story.row or {}
    print(f"id       {story.id}")
    for name in ("source", "locator", "title", "licence", "group"):
        if row.get(name):
            print(f"{name:<9}{_shown(row[name], raw)}")
    if row.get("parents"):
        print(f"made of  {', '.join(row['parents'])}")
    width = max(len(event.step) for event in story.events) + 2
    for event in story.events:
        details = {
            k: v for k, v in event.details.items() if k not in ("source", "locator", "licence", "group", "parents")
        }
        facts = "  ".join(f"{k}={_fact(v)}" for k, v in details.items())
        mark = event.what.upper() if event.what in ("dropped", "quarantined", "kept") else event.what
        print(f"  {event.step:<{width}}{mark:<13}{facts}")
        if event.what == "dropped" and (
            survivor := next((v for k, v in details.items() if k.endswith("duplicate_of")), None)
        ):
            print(f"  {'':<{width}}{'':<13}the survivor: medcorpus explain {Path(store.root)} {survivor}")
    if story.children:
        print(f"became   {', '.join(story.children[:8])}{' ...' if len(story.children) > 8 else ''}")
    if row.get("text"):
        text = _shown(row["text"], raw)
        cut = f"\n... ({len(text):,} characters)" if len(text) > _SHOWN_CHARACTERS else ""
        print(f"text ({'RAW' if raw else 'masked'}):\n{text[:_SHOWN_CHARACTERS]}{cut}\n")


def _fact(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_fact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)
