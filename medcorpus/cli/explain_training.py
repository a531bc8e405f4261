"""`medcorpus explain RUN "step 1234"` and `explain RUN ID` for a training: which documents a step saw, and when one was
seen. Both come from the plan, so they hold before, while and after the step is trained, on any number of devices."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from medcorpus.cli.show import print_json, table
from medcorpus.core.errors import RecipeError
from medcorpus.training.prepared import FILE, Prepared, Step
from medcorpus.training.reader import Reader

_STEP = re.compile(r"(?:(?P<tune>[\w-]+) )?step (?P<number>[\d,_]+)")
_ID = re.compile(r"[0-9a-f]{32}")


def folder_of(run: str) -> Path | None:
    """The folder of a training named by folder or name, if it is one."""
    return next((path for path in (Path(run), Path("runs") / run) if (path / FILE).exists()), None)


def explain(root: Path, what: str, limit: int, as_json: bool) -> None:
    """Print what is known of a step or a document. Raises RecipeError for anything else."""
    tunes = [step for step in Prepared(root).steps if step.stage == "tune"]
    asked = _STEP.fullmatch(what)
    if asked is not None:
        number = int(re.sub("[,_]", "", asked["number"]))
        wanted = [step for step in tunes if asked["tune"] in (None, step.id)]
        found = [(step, spans) for step in wanted if (spans := _of_step(step, number)) is not None]
        if not found:
            known = ", ".join(f"{step.id} 1 to {Reader(step.data).steps:,}" for step in tunes)
            raise RecipeError(f"there is no '{what}' (there are: {known})")
    elif _ID.fullmatch(what):
        found = [(step, spans) for step in tunes if (spans := _of_document(step, what))]
        if not found:
            raise RecipeError(f"no tune step of {root} saw the row {what}")
    else:
        raise RecipeError(f"'{what}': say 'step 12', '<tune step> step 12', or the id of a row")
    if as_json:
        print_json({"run": str(root), "tunes": [{"id": step.id, "spans": spans} for step, spans in found]})
        return
    for step, spans in found:
        columns = ["step", "row", "id", "kind", "source", "language", "expert", "from token", "tokens", "learnt"]
        title = f"{step.id}: {len(spans):,} spans of {len({span['id'] for span in spans}):,} documents"
        title += f", the first {limit}" if len(spans) > limit else ""
        table(title, columns, [[span[name] for name in columns] for span in spans[:limit]], right=columns[-2:])


def _of_step(step: Step, number: int) -> list[dict[str, Any]] | None:
    """The spans of a step, counted from 1 as the log counts; None when the plan has no such step."""
    reader = Reader(step.data)
    if not 1 <= number <= reader.steps:
        return None
    rows = reader.rows_of(number - 1)
    return _told(step, reader, np.arange(reader.first[rows[0]], reader.first[rows[-1] + 1]))


def _of_document(step: Step, id: str) -> list[dict[str, Any]]:
    reader, documents = Reader(step.data), _documents(step)
    places = np.flatnonzero(pa.compute.equal(documents["id"], id).to_numpy())
    return _told(step, reader, np.flatnonzero(np.isin(reader.spans["document"], places)))


def _documents(step: Step) -> pa.Table:
    with pa.memory_map(str(step.data / "documents.arrow")) as file, pa.ipc.open_file(file) as reader:
        return reader.read_all()


def _told(step: Step, reader: Reader, spans: np.ndarray) -> list[dict[str, Any]]:
    import json

    names = json.loads((step.data / "plan.json").read_text(encoding="utf-8"))["experts"]
    documents = _documents(step).take(pa.array(reader.spans["document"][spans]))
    told = documents.select(["id", "kind", "source", "language"]).to_pylist()
    begins = documents["start"].to_pylist()
    for line, begin, span in zip(told, begins, spans.tolist(), strict=True):
        values = {name: int(column[span]) for name, column in reader.spans.items()}
        line |= {
            "step": values["row"] // reader.rows_per_step + 1,
            "row": values["row"],
            "expert": names[values["expert"]] if values["expert"] >= 0 else None,
            "from token": values["start"] - begin,
            "tokens": values["length"],
            "learnt": values["learnt"],
        }
    return told
