"""One task: read parts, fold stages over their batches, publish the rejects, then the part.

Publishing the part is the commit. A row that breaks a stage is found by halving the batch, goes to
quarantine and never stops the others; its text is in no message.
"""

import asyncio
import errno
import itertools
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core import keys
from medcorpus.core.errors import Fatal, MedcorpusError, RowError
from medcorpus.core.manifest import EXPANDED, QUARANTINE, REJECTS, Account, Part
from medcorpus.core.schema import MAX_BATCH_BYTES, RECORD, record_id
from medcorpus.core.stage import Bad, Decision, Expand, Gather, Job, Source, Stage, load
from medcorpus.core.store import LocalStore, Store, open_store
from medcorpus.engine.parts import PartRows, PartWriter, Rejects, part_schema, read_part
from medcorpus.engine.plan import Step

_OUT_OF_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@dataclass(frozen=True)
class Task:
    """Plain data: which phase, of which steps, from which parts, to which part."""

    phase: str  # read, map, emit, resolve, apply, job
    steps: tuple[Step, ...]
    out: str  # name of the part (a folder for a job)
    key: str  # its partition key
    rejects: str = ""
    inputs: tuple[str, ...] = ()  # names of parts
    input_parts: tuple[Part, ...] = ()
    spec: dict[str, Any] | None = None  # what the phase needs beside: a partition, a bucket range
    size: int = 0  # bytes it will read, for the order of work and for progress


@dataclass(frozen=True)
class Result:
    """What a finished task tells the driver."""

    key: str
    part: Part
    accounts: dict[str, Account]
    seconds: dict[str, float]  # by step, and "read" and "write"
    peak_mb: int
    info: dict[str, Any]


Progress = Callable[[int, int], None]  # rows, bytes since the last call
Made = tuple[Part, dict[str, Account], dict[str, Any]]  # a part, the accounts of its steps, a job's figures


class Clock(dict[str, float]):
    """Seconds by step."""

    def __missing__(self, key: str) -> float:
        return 0.0


class Worker:
    """Keeps opened stages between tasks, so that a model is loaded once per process."""

    def __init__(self, root: str):
        self.store: Store = open_store(root)
        self._stages: dict[str, Stage] = {}

    def stage(self, step: Step) -> Stage:
        """The opened stage of a step."""
        if step.id not in self._stages:
            stage = step.build()
            stage.open()
            self._stages[step.id] = stage
        return self._stages[step.id]

    async def run(self, task: Task, progress: Progress) -> Result:
        """Do one task. Raises MedcorpusError; anything else it raises is a bug or the machine's fault."""
        clock: Clock = Clock()
        try:
            phase = {
                "read": self._read,
                "map": self._map,
                "emit": self._emit,
                "resolve": self._resolve,
                "apply": self._apply,
                "job": self._job,
            }[task.phase]
            part, accounts, info = await phase(task, progress, clock)
        except OSError as error:
            if error.errno in _OUT_OF_ROOM:
                raise Fatal(
                    f"cannot write {self.store.root}/{task.out}: {error.strerror}; "
                    "free some room and run the same command again, finished parts are kept"
                ) from error
            raise
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1 << 20)
        return Result(task.key, part, accounts, dict(clock), peak, info)

    # -- phases ---------------------------------------------------------------------------------

    async def _read(self, task: Task, progress: Progress, clock: Clock) -> Made:
        step = task.steps[0]
        stage = self.stage(step)
        assert isinstance(stage, Source) and task.spec is not None
        account = Account()
        rejects = Rejects({step.id: account})

        def reject(bad: Bad) -> None:
            source = getattr(stage.params, "source", None) or step.id
            account.created["und"] += 1
            account.reject(QUARANTINE, None)
            rejects.add(
                id=record_id(source.encode(), bad.locator.encode(), b""),
                step=step.id,
                reason=QUARANTINE,
                locator=bad.locator,
                error=bad.error,
                message=bad.message,
            )

        with self.store.publish(task.out) as sink:
            writer = PartWriter(sink)
            started = time.perf_counter()
            for batch in stage.read(task.spec, reject):
                clock[step.id] += time.perf_counter() - started
                languages = _languages(batch)
                account.created.update(languages)
                account.rows_out.update(languages)
                _timed(clock, "write", writer.write, batch)
                progress(batch.num_rows, batch.nbytes)
                started = time.perf_counter()
            clock[step.id] += time.perf_counter() - started
            return self._finish(task, writer, rejects, clock)

    async def _map(self, task: Task, progress: Progress, clock: Clock) -> Made:
        fold = Fold(self, task, clock)
        with self.store.publish(task.out) as sink:
            writer = PartWriter(sink)
            for name in task.inputs:
                row = 0
                for batch in read_part(self.store, name):
                    await fold.through(batch, _key_of(name), row, writer)
                    row += batch.num_rows
                    progress(batch.num_rows, batch.nbytes)
                    await asyncio.sleep(0)
            if writer.empty:
                await fold.nothing(self.store, task, writer)
            return self._finish(task, writer, fold.rejects, clock)

    def _finish(self, task: Task, writer: PartWriter, rejects: Rejects, clock: Clock) -> Made:
        """Close the part, check the sum, publish the rejects; the caller's `publish` then commits."""
        if writer.empty:
            writer.write(pa.RecordBatch.from_pylist([], schema=RECORD))
        _timed(clock, "write", writer.close)
        for step, account in rejects.accounts.items():
            if gaps := account.gaps():
                raise MedcorpusError(f"step {step}, part {task.key}: rows do not add up: {gaps}")
        part = Part(task.key, writer.rows, writer.bytes)
        if task.rejects:
            rejects.publish(self.store, task.rejects, part)
        return part, rejects.accounts, {}

    async def _emit(self, task: Task, progress: Progress, clock: Clock) -> Made:
        """Emitted rows of one part, sorted by bucket, with the 257 offsets of the buckets."""
        step = task.steps[0]
        stage = self.stage(step)
        assert isinstance(stage, Gather)
        tables, row = [], 0
        for name in task.inputs:
            for batch in read_part(self.store, name):
                emitted = _timed(clock, step.id, stage.emit, batch)
                numbers = pa.array(np.arange(row, row + batch.num_rows, dtype=np.int64))
                tables.append(pa.Table.from_batches([emitted]).append_column("row", numbers))
                row += batch.num_rows
                progress(batch.num_rows, batch.nbytes)
        table = pa.concat_tables(tables) if tables else None
        if table is None:
            empty = pa.RecordBatch.from_pylist([], schema=part_schema(self.store, task.inputs[0]))
            table = pa.Table.from_batches([stage.emit(empty)]).append_column("row", pa.array([], pa.int64()))
        table = table.filter(pc.is_valid(table["bucket"]))
        buckets = table["bucket"].to_numpy()
        order = np.argsort(buckets, kind="stable")
        offsets = np.searchsorted(buckets[order], np.arange(257))
        table = table.take(pa.array(order)).combine_chunks()
        table = table.replace_schema_metadata({b"offsets": json.dumps(offsets.tolist()).encode()})
        with self.store.publish(task.out) as sink, pa.ipc.new_file(sink, table.schema) as writer:
            _timed(clock, "write", writer.write_table, table)
        return Part(task.key, table.num_rows, table.nbytes), {}, {}

    async def _resolve(self, task: Task, progress: Progress, clock: Clock) -> Made:
        """Decisions of one range of buckets, sorted by part, with offsets and a digest for each part."""
        step = task.steps[0]
        stage = self.stage(step)
        assert isinstance(stage, Gather) and task.spec is not None
        low, high = task.spec["low"], task.spec["high"]
        tables = []
        for number, name in enumerate(task.inputs):
            with self.store.open(name) as stream:
                table = pa.ipc.open_file(stream).read_all()
                offsets = json.loads(table.schema.metadata[b"offsets"])
                piece = table.slice(offsets[low], offsets[high] - offsets[low]).replace_schema_metadata(None)
                tables.append(piece.append_column("part", pa.array(np.full(len(piece), number, np.int32))))
        table = pa.concat_tables(tables).combine_chunks()
        progress(table.num_rows, table.nbytes)
        decisions = _timed(clock, step.id, stage.resolve, table).select(
            ["part", "row", *(f.name for f in stage.decision_fields)]
        )
        decisions = decisions.sort_by([("part", "ascending"), ("row", "ascending")]).combine_chunks()
        parts = decisions["part"].to_numpy()
        offsets = np.searchsorted(parts, np.arange(len(task.inputs) + 1)).tolist()
        decisions = decisions.drop_columns(["part"])
        digests = [
            keys.digest(_content(decisions.slice(a, b - a))) if b > a else ""
            for a, b in itertools.pairwise(offsets)
        ]
        note = {b"offsets": json.dumps(offsets).encode(), b"digests": json.dumps(digests).encode()}
        decisions = decisions.replace_schema_metadata(note)
        with self.store.publish(task.out) as sink, pa.ipc.new_file(sink, decisions.schema) as writer:
            writer.write_table(decisions)
        return Part(task.key, decisions.num_rows, decisions.nbytes), {}, {"digests": digests}

    async def _apply(self, task: Task, progress: Progress, clock: Clock) -> Made:
        """The rows of one part with the decisions about them written down."""
        step = task.steps[0]
        stage = self.stage(step)
        assert isinstance(stage, Gather) and task.spec is not None
        pieces = []
        for name in task.spec["decisions"]:
            with self.store.open(name) as stream:
                table = pa.ipc.open_file(stream).read_all()
                offsets = json.loads(table.schema.metadata[b"offsets"])
                low, high = offsets[task.spec["part"]], offsets[task.spec["part"] + 1]
                pieces.append(table.slice(low, high - low).replace_schema_metadata(None))
        decisions = pa.concat_tables(pieces).sort_by("row").combine_chunks()
        rows = decisions["row"].to_numpy()
        account = Account()
        with self.store.publish(task.out) as sink:
            writer, first = PartWriter(sink), 0
            for batch in read_part(self.store, task.inputs[0]):
                low, high = np.searchsorted(rows, [first, first + batch.num_rows])
                mine = decisions.slice(low, high - low)
                mine = mine.set_column(0, "row", pa.array(rows[low:high] - first, pa.int64()))
                languages = _languages(batch)
                account.rows_in.update(languages)
                account.rows_out.update(languages)
                _timed(clock, "write", writer.write, _timed(clock, step.id, stage.apply, batch, mine))
                first += batch.num_rows
                progress(batch.num_rows, batch.nbytes)
            if writer.empty:
                empty = pa.RecordBatch.from_pylist([], schema=part_schema(self.store, task.inputs[0]))
                writer.write(stage.apply(empty, decisions))
            return self._finish(task, writer, Rejects({step.id: account}), clock)

    async def _job(self, task: Task, progress: Progress, clock: Clock) -> Made:
        step = task.steps[0]
        stage = self.stage(step)
        assert isinstance(stage, Job)
        if not isinstance(self.store, LocalStore):
            raise Fatal(f"{step.id}: a job writes to a local run folder for now; {self.store.root} is remote")
        rows = PartRows(self.store, list(task.inputs), list(task.input_parts))
        account = Account()

        class Counted:
            schema, num_rows, num_bytes = rows.schema, rows.num_rows, rows.num_bytes

            def batches(self) -> Any:
                for batch in rows.batches():
                    progress(batch.num_rows, batch.nbytes)
                    yield batch

        with self.store.publish_folder(task.out) as folder:
            info = _timed(clock, step.id, stage.run, Counted(), folder)
            note = {"step": step.id, "key": task.key, "info": info}
            (folder / "job.json").write_bytes(keys.canonical(note))
        return Part(task.key, rows.num_rows, rows.num_bytes), {step.id: account}, info


class Fold:
    """Carries batches through the steps of one unit and keeps the account of each."""

    def __init__(self, worker: Worker, task: Task, clock: Clock):
        self.steps = [(step, worker.stage(step)) for step in task.steps]
        self.rejects = Rejects({step.id: Account() for step in task.steps})
        self.clock = clock

    async def through(self, batch: pa.RecordBatch, part: str, first: int, writer: PartWriter) -> None:
        """One batch from disk through all steps to the writer; `part`, `first` point back at its rows."""
        todo = [batch] if batch.nbytes <= MAX_BATCH_BYTES else _halves(batch)
        for piece in todo:
            rows = np.arange(first, first + piece.num_rows, dtype=np.int64)
            first += piece.num_rows
            for step, stage in self.steps:
                piece, rows = await self._step(step, stage, piece, rows, part)
            _timed(self.clock, "write", writer.write, piece)

    async def nothing(self, store: Store, task: Task, writer: PartWriter) -> None:
        """No batch came: send an empty one through, so that the part still has its columns."""
        batch = pa.RecordBatch.from_pylist([], schema=part_schema(store, task.inputs[0]))
        await self.through(batch, "", 0, writer)

    async def _step(
        self, step: Step, stage: Stage, batch: pa.RecordBatch, rows: np.ndarray, part: str
    ) -> tuple[pa.RecordBatch, np.ndarray]:
        account = self.rejects.accounts[step.id]
        before = _languages(batch)
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
        account.rows_out.update(_languages(made))
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
        account.created.update(_languages(made.filter(pc.invert(kept))))
        stays = np.zeros(batch.num_rows, bool)
        stays[origin[kept.to_numpy(zero_copy_only=False)]] = True
        stays[[index for index, _ in outcome.broken]] = True
        gone = np.flatnonzero(~stays)
        if len(gone):
            left = batch.take(pa.array(gone))
            account.reasons.setdefault(EXPANDED, Counter()).update(_languages(left))
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
                account.reasons.setdefault(decision.reason, Counter()).update(_languages(these))
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


def _languages(batch: pa.RecordBatch) -> dict[str, int]:
    """Rows by language; no language counts as `und`."""
    return _counts(pc.fill_null(batch["language"], "und"))


def _counts(array: pa.Array) -> dict[str, int]:
    counted = pc.value_counts(array)
    return dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))


def _timed(clock: Clock, what: str, function: Any, *arguments: Any) -> Any:
    started = time.perf_counter()
    try:
        return function(*arguments)
    finally:
        clock[what] += time.perf_counter() - started


def _halves(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """Pieces of at most MAX_BATCH_BYTES."""
    if batch.num_rows < 2 or batch.nbytes <= MAX_BATCH_BYTES:
        return [batch]
    half = batch.num_rows // 2
    return _halves(batch.slice(0, half)) + _halves(batch.slice(half))


def _key_of(name: str) -> str:
    """The pointer to a part: its name inside the run, without the suffix."""
    return name.removesuffix(".arrow")


def _content(table: pa.Table) -> str:
    """A value that is equal for equal rows, whatever slice of whatever table they came from."""
    sink = pa.BufferOutputStream()
    copied = table.take(pa.array(np.arange(len(table)))).combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_stream(sink, copied.schema) as writer:
        writer.write_table(copied)
    return blake2b(sink.getvalue(), digest_size=16).hexdigest()
