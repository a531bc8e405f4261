"""`medcorpus calibrate quality`: measure good text, derive limits (`jobs.calibrate_quality`), show what they keep."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.cli.calibrate import rows
from medcorpus.cli.show import print_json
from medcorpus.core.errors import Fatal
from medcorpus.core.schema import with_columns
from medcorpus.core.stage import Context
from medcorpus.jobs import calibrate_quality as job
from medcorpus.stages.quality import Quality
from medcorpus.text.rules import calibration
from medcorpus.text.rules.published import PUBLISHED

Kept = dict[str, dict[str, int]]
"""language -> rule set, `all` of SHOWN, `own` (our limits) or `rows` -> rows kept."""

SHOWN = ("gopher_repetition", "gopher_quality", "c4_open", "fineweb")
"""Rule sets in a table, those of FineWeb's recipe."""


def run(out: Path, reference: list[str], check: list[str], tail: float, tighten: bool, quantiles: Path | None) -> None:
    """Write OUT, and say what was written; with `check`, a table of rows kept as published and with OUT."""
    stage = Quality(Quality.Params(), Context("quality"))
    stage.open()
    try:
        measured, spread = measure(stage, rows(reference), tail)
        made = job.derive(measured, tail, tighten)
    except ValueError as error:
        raise Fatal(f"calibrate quality: {error}") from None
    counted = Counter(measured.language.tolist())
    how = {"tail": tail, "tighten": tighten, "texts": dict(sorted(counted.items()))}
    calibration.write(out, made, how)
    if quantiles:
        quantiles.parent.mkdir(parents=True, exist_ok=True)
        quantiles.write_text(json.dumps(spread, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if check:
        kept = [count(rows(check), given) for given in ("none", str(out.resolve()))]
        print(markdown({"": (kept[0], kept[1])}))
        return
    widened = Counter(name for limits in made.limits.values() for name in limits)
    print_json(
        {
            "what": "quality", "out": str(out), "texts": len(measured.language), "languages": len(made.limits),
            "with_stop_words": len(made.stop_words), "changed": dict(sorted(widened.items())),
        }
    )  # fmt: skip


def measure(stage: Quality, batches: Iterable[pa.RecordBatch], tail: float) -> tuple[job.Measured, dict[str, Any]]:
    """Figures of every text, whole and in passages, and the stop words; beside it the quantiles of whole texts."""
    names = [field.name for field in stage.writes]
    language: list[str] = []
    figures: dict[str, list[np.ndarray]] = {name: [] for name in names}
    whole: list[np.ndarray] = []
    stop_words = job.StopWords()
    for batch in batches:
        for part, first in _with_passages(batch):
            codes = part["language"].fill_null("und").to_pylist()
            language += codes
            stop_words.add(codes, part["text"])
            whole.append(np.full(part.num_rows, first))
            scored = stage.apply(part)
            for name in names:
                figures[name].append(scored[name].cast(pa.float64()).to_numpy(zero_copy_only=False))
    found = {name: np.concatenate(parts or [np.zeros(0)]) for name, parts in figures.items()}
    codes, first = np.array(language, str), np.concatenate(whole or [np.zeros(0, bool)])
    spread = job.report(codes[first], {name: values[first] for name, values in found.items()})
    plain = {name.removeprefix("quality_"): values for name, values in found.items()}
    return job.Measured(codes, plain, stop_words.lists(tail)), spread


def _with_passages(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """The texts as they are, then the long ones in pieces, as corpora hold both."""
    yield batch, True
    cut = [job.passages(text or "") for text in batch["text"].to_pylist()]
    parent = np.repeat(np.arange(len(cut)), [len(pieces) for pieces in cut])
    if len(parent):
        pieces = pa.array([piece for pieces in cut for piece in pieces], batch["text"].type)
        yield with_columns(batch.take(pa.array(parent)), {"text": pieces}), False


def count(batches: Iterable[pa.RecordBatch], given: str) -> Kept:
    """Rows kept by each published rule set and by all, by language, under `calibration: given`."""
    stage = Quality(Quality.Params(calibration=given), Context("quality"))
    stage.open()
    found: dict[str, Counter[str]] = {}
    for batch in map(stage.apply, batches):
        codes = np.array(batch["language"].fill_null("und").to_pylist(), str)
        every = np.ones(batch.num_rows, bool)
        kept = {"rows": every}
        for rules in PUBLISHED:
            drops = Quality.reasons[rules].drops(batch, stage.params, ())
            kept[rules] = ~pc.fill_null(drops, False).to_numpy(zero_copy_only=False)
        kept["all"] = np.logical_and.reduce([kept[rules] for rules in SHOWN])
        own = [Quality.reasons[name].drops(batch, stage.params, ()) for name in ("too_short", "low_quality")]
        kept["own"] = ~pc.fill_null(pc.or_(*own), False).to_numpy(zero_copy_only=False)
        for code in np.unique(codes):
            mine = found.setdefault(str(code), Counter())
            mine.update({name: int((rows & (codes == code)).sum()) for name, rows in kept.items()})
    return {code: dict(counts) for code, counts in sorted(found.items())}


def markdown(found: dict[str, tuple[Kept, Kept]]) -> str:
    """A table: percent of rows kept as published -> calibrated, by language and source; then by our own limits."""
    columns = (*SHOWN, "all")
    lines = [
        f"| source | language | rows | {' | '.join(columns)} | too_short, low_quality |",
        f"|---|---|--:|{'--:|' * (len(columns) + 1)}",
    ]
    for source, (before, after) in found.items():
        for code, counts in before.items():
            rows = counts["rows"]
            cells = [f"{counts[name] / rows:.0%} → {after[code][name] / rows:.0%}" for name in columns]
            lines.append(f"| {source} | {code} | {rows:,} | {' | '.join(cells)} | {counts['own'] / rows:.0%} |")
    return "\n".join(lines)
