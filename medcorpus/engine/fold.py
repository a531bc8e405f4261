"""Carry batches through the steps of one unit: isolate rows that break a stage, drop marked ones, count all.

A row that breaks a stage is found by halving the batch, goes to quarantine and never stops the others; its
text is in no message.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core.errors import MedcorpusError, RowError
from medcorpus.core.manifest import EXPANDED, QUARANTINE, REJECTS, Account
from medcorpus.core.schema import MAX_BATCH_BYTES
from medcorpus.core.stage import Decision, Expand, Stage, load
from medcorpus.engine.parts import PartWriter, Rejects
from medcorpus.engine.plan import Step


class Clock(dict[str, float]):
    """Seconds by step."""

    def __missing__(self, key: str) -> float:
        return 0.0


class Fold:
    """Carries batches through the steps of one unit and keeps the account of each."""

    def __init__(self, steps: list[tuple[Step, Stage]], clock: Clock):
        self.steps = steps
        self.rejects = Rejects({step.id: Account() for step, _ in steps})
        self.clock = clock

    async def through(self, batch: pa.RecordBatch, part: str, first: int, writer: PartWriter) -> None:
        """One batch from disk through all steps to the writer; `part`, `first` point back at its rows."""
        todo = [batch] if batch.nbytes <= MAX_BATCH_BYTES else _halves(batch)
        for piece in todo:
            rows = np.arange(first, first + piece.num_rows, dtype=np.int64)
            first += piece.num_rows
            for step, stage in self.steps:
                piece, rows = await self._step(step, stage, piece, rows, part)
            timed(self.clock, "write", writer.write, piece, rows)

    async def _step(
        self, step: Step, stage: Stage, batch: pa.RecordBatch, rows: np.ndarray, part: str
    ) -> tuple[pa.RecordBatch, np.ndarray]:
        account = self.rejects.accounts[step.id]
        before = languages(batch)
        account.rows_in.update(before)
        started = time.perf_counter()
        outcome = await _isolate(stage, batch)
        self.clock[step.id] += time.perf_counter() - started
        for index, error in outcome.broken:
            language = batch["language"][index].as_py()
            account.reject(QUARANTINE, language)
            self.rejects.add(
                id=batch["id"][index].as_py(), step=step.id, reason=QUARANTINE, language=language, part=part,
                row=int(rows[index]), locator=batch["locator"][index].as_py(),
                error=type(error).__name__, message=str(error) if isinstance(error, RowError) else "",
            )  # fmt: skip
        made, origin = outcome.batch, outcome.origin
        if isinstance(stage, Expand):
            self._count_expanded(step, account, batch, made, origin, outcome, rows, part)
        else:
            self._count_moved(account, batch, made, origin)
        rows = rows[origin]
        if stage.decides:
            made, rows = self._drop(step, stage, account, made, rows, part)
        account.rows_out.update(languages(made))
        return made, rows

    def _count_moved(self, account: Account, batch: pa.RecordBatch, made: pa.RecordBatch, origin: np.ndarray) -> None:
        was = pc.fill_null(batch["language"].take(pa.array(origin)), "und")
        now = pc.fill_null(made["language"], "und")
        changed = pc.not_equal(was, now)
        if pc.any(changed).as_py():
            account.moved_out.update(_counts(was.filter(changed)))
            account.moved_in.update(_counts(now.filter(changed)))

    def _count_expanded(self, step, account, batch, made, origin, outcome, rows, part) -> None:  # type: ignore[no-untyped-def]
        """Rows with a new id were created; rows whose id is gone left for the reason `expanded`."""
        kept = pc.equal(made["id"], batch["id"].take(pa.array(origin)))
        account.created.update(languages(made.filter(pc.invert(kept))))
        stays = np.zeros(batch.num_rows, bool)
        stays[origin[kept.to_numpy(zero_copy_only=False)]] = True
        stays[[index for index, _ in outcome.broken]] = True
        gone = np.flatnonzero(~stays)
        if len(gone):
            left = batch.take(pa.array(gone))
            account.reasons.setdefault(EXPANDED, Counter()).update(languages(left))
            self.rejects.add_batch(_reject_batch(left, step.id, EXPANDED, None, None, rows[gone], part))

    def _drop(
        self, step: Step, stage: Stage, account: Account, batch: pa.RecordBatch, rows: np.ndarray, part: str
    ) -> tuple[pa.RecordBatch, np.ndarray]:
        """Take marked rows out, once, with a pointer to where they still are."""
        marked = pc.is_valid(batch["drop_reason"])
        if not pc.any(marked).as_py():
            return batch, rows
        mask = marked.to_numpy(zero_copy_only=False)
        left = batch.filter(marked)
        for decision in stage.context.decisions:
            chosen = pc.equal(left["drop_reason"], decision.reason)
            if pc.any(chosen).as_py():
                these = left.filter(chosen)
                account.reasons.setdefault(decision.reason, Counter()).update(languages(these))
                numbers = rows[mask][chosen.to_numpy(zero_copy_only=False)]
                self.rejects.add_batch(
                    _reject_batch(these, step.id, decision.reason, decision, these["flags"], numbers, part)
                )
        return batch.filter(pc.invert(marked)), rows[~mask]


@dataclass
class Outcome:
    """A batch after a stage, where each of its rows came from, and the rows that broke the stage."""

    batch: pa.RecordBatch
    origin: np.ndarray
    broken: list[tuple[int, Exception]]


async def _isolate(stage: Stage, batch: pa.RecordBatch) -> Outcome:
    """Apply a stage; when it raises, halve the batch until the rows at fault stand alone."""
    try:
        made = stage.apply(batch)  # type: ignore[attr-defined]
        if stage.resources.kind == "io":
            made = await made
    except (MedcorpusError, MemoryError, OSError) as error:
        if not isinstance(error, RowError):
            raise
        problem: Exception = error
    except Exception as error:  # any other error belongs to a row until it is shown not to
        problem = error
    else:
        if isinstance(stage, Expand):
            made, parents = made
            return Outcome(made, parents.to_numpy(zero_copy_only=False), [])
        if made.num_rows != batch.num_rows:
            raise MedcorpusError(f"{stage.name}: a map must keep its rows ({batch.num_rows} in, {made.num_rows} out)")
        return Outcome(made, np.arange(batch.num_rows), [])
    if batch.num_rows == 0:
        # no row, so the message quotes none
        raise MedcorpusError(f"{stage.name} fails on an empty batch: {type(problem).__name__}: {problem}") from problem
    if batch.num_rows == 1:
        nothing = await _isolate(stage, batch.slice(0, 0))
        return Outcome(nothing.batch, np.empty(0, np.int64), [(0, problem)])
    half = batch.num_rows // 2
    one = await _isolate(stage, batch.slice(0, half))
    two = await _isolate(stage, batch.slice(half))
    joined = pa.Table.from_batches([one.batch, two.batch]).combine_chunks().to_batches()
    return Outcome(
        joined[0] if joined else one.batch,
        np.concatenate([one.origin, two.origin + half]),
        one.broken + [(index + half, error) for index, error in two.broken],
    )


def _reject_batch(
    rows: pa.RecordBatch, step: str, reason: str, decision: Decision | None, also: Any, numbers: np.ndarray, part: str
) -> pa.RecordBatch:
    """Rows of `rows` as REJECTS, with the score that the reason looked at."""
    n = rows.num_rows
    score = pa.nulls(n, pa.float64())
    if decision is not None:
        column = load(decision.stage).reasons[decision.reason].score
        if column and column in rows.schema.names and pa.types.is_primitive(rows.schema.field(column).type):
            score = rows[column].cast(pa.float64())
    columns: dict[str, pa.Array] = {
        "id": rows["id"],
        "step": pa.repeat(step, n),
        "reason": pa.repeat(reason, n),
        "also": pa.nulls(n, REJECTS.field("also").type) if also is None else also,
        "score": score,
        "language": rows["language"],
        "part": pa.repeat(part, n),
        "row": pa.array(numbers, pa.int64()),
        "locator": rows["locator"],
        "error": pa.nulls(n, pa.string()),
        "message": pa.nulls(n, pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in REJECTS.names], schema=REJECTS)


def languages(batch: pa.RecordBatch) -> dict[str, int]:
    """Rows by language; no language counts as `und`."""
    return _counts(pc.fill_null(batch["language"], "und"))


def _counts(array: pa.Array) -> dict[str, int]:
    counted = pc.value_counts(array)
    return dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))


def timed(clock: Clock, what: str, function: Any, *arguments: Any) -> Any:
    """Call `function` and put the seconds it took to the account of `what`."""
    started = time.perf_counter()
    try:
        return function(*arguments)
    finally:
        clock[what] += time.perf_counter() - started


def _halves(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """Pieces of at most MAX_BATCH_BYTES, copied: Arrow would pad a written slice with its neighbour's text."""
    if batch.num_rows < 2 or batch.nbytes <= MAX_BATCH_BYTES:
        return [batch.take(pa.array(np.arange(batch.num_rows)))]
    half = batch.num_rows // 2
    return _halves(batch.slice(0, half)) + _halves(batch.slice(half))
