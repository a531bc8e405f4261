"""Reading files in tests: one file through its reader, or a folder through `ingest`, as rows and what was bad."""

import json
from pathlib import Path
from typing import Any

import pytest

from medcorpus import formats
from medcorpus.core.stage import Bad, Context
from medcorpus.formats.base import Options, Span
from medcorpus.stages.ingest import Ingest, IngestParams

DATA = Path(__file__).parents[1].parent / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not here")


def read(format: str, path: Path, **options: Any) -> tuple[list[dict[str, Any]], list[Bad]]:
    """Rows of one file: its columns that are not null, `place` and `extra` (parsed)."""
    rows, bad = [], []
    for chunk in formats.reader(format)(Span(str(path)), Options(**options)):
        chunk.batch.validate(full=True)
        bad += chunk.bad
        for number, row in enumerate(chunk.batch.to_pylist()):
            row = {name: value for name, value in row.items() if value is not None}
            if chunk.places is not None:
                row["place"] = chunk.places[number].as_py()
            if chunk.extra is not None and chunk.extra[number].is_valid:
                row["extra"] = json.loads(chunk.extra[number].as_py())
            rows.append(row)
    return rows, bad


def ingest(root: Path, **params: Any) -> tuple[list[dict[str, Any]], list[Bad]]:
    """Records of all files that `params` name, relative to `root`."""
    stage = Ingest(IngestParams(**params), Context(step="s", root=str(root)))
    bad: list[Bad] = []
    rows: list[dict[str, Any]] = []
    for partition in stage.partitions():
        for batch in stage.read(json.loads(json.dumps(partition.spec)), bad.append):
            batch.validate(full=True)
            rows += batch.to_pylist()
    return rows, bad


def places(bad: list[Bad]) -> list[tuple[str, str]]:
    """Where and what, without the sentence."""
    return [(one.locator, one.error) for one in bad]
