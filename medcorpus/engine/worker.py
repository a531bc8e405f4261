"""One task: read parts, do its phase, publish the rejects, then the part. Publishing the part is the commit."""

import asyncio
import contextlib
import errno
import itertools
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from medcorpus.core import keys, light
from medcorpus.core.errors import Fatal, MedcorpusError
from medcorpus.core.manifest import PRIVATE, Account, Part
from medcorpus.core.schema import RECORD, record_id
from medcorpus.core.stage import Bad, Expand, Gather, Job, Source, Stage
from medcorpus.core.store import LocalStore, Store, open_store
from medcorpus.engine.fold import Clock, Fold, languages, timed
from medcorpus.engine.parts import Over, PartRows, PartWriter, Rejects, part_schema, read_part
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
    spec: dict[str, Any] | None = None  # what the phase needs beside: a partition, where the decisions lie
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


class Worker:
    """Keeps opened stages between tasks, so that a model is loaded once per process."""

    def __init__(self, root: str):
        self.store: Store = open_store(root)
        self._stages: dict[str, Stage] = {}

    def stage(self, step: Step) -> Stage:
        """The opened stage of a step."""
        if step.id not in self._stages:
            if step.cls.compiles:
                light.kernels()
            stage = step.build()
            stage.open()
            self._stages[step.id] = stage
            light.started()
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
            account.created[bad.language or "und"] += 1
            account.reject(bad.reason, bad.language)
            rejects.add(
                id=bad.id or record_id(source.encode(), bad.locator.encode(), b""),
                step=step.id,
                reason=bad.reason,
                language=bad.language,
                locator=bad.locator,
                error=bad.error,
                message=bad.message,
            )

        with self.store.publish(task.out) as sink:
            writer = PartWriter(sink)
            started = time.perf_counter()
            for batch in stage.read(task.spec, reject):
                clock[step.id] += time.perf_counter() - started
                rows = languages(batch)
                account.created.update(rows)
                account.rows_out.update(rows)
                timed(clock, "write", writer.write, batch)
                progress(batch.num_rows, batch.nbytes)
                started = time.perf_counter()
            clock[step.id] += time.perf_counter() - started
            return self._finish(task, writer, rejects, clock)

    async def _map(self, task: Task, progress: Progress, clock: Clock) -> Made:
        fold = Fold([(step, self.stage(step)) for step in task.steps], clock)
        columns, over = self._over(task)
        with self.store.publish(task.out) as sink:
            writer = PartWriter(sink, over)
            for name in task.inputs:
                row = 0
                for batch in read_part(self.store, name, columns):
                    await fold.through(batch, _key_of(name), row, writer)
                    row += batch.num_rows
                    progress(batch.num_rows, batch.nbytes)
                    await asyncio.sleep(0)
            if writer.empty:
                # an empty batch sent through gives the part its columns
                empty = pa.RecordBatch.from_pylist([], schema=part_schema(self.store, task.inputs[0]))
                await fold.through(empty, "", 0, writer)
            return self._finish(task, writer, fold.rejects, clock)

    def _over(self, task: Task) -> tuple[tuple[str, ...], Over | None]:
        """(columns of the input to read, () for all; what its part is an overlay of).

        It is one where rows stay what they are and as private as they were; then columns that no stage of the unit
        looks at need not be read.
        """
        stages = [self.stage(step) for step in task.steps]
        whole = any(isinstance(stage, Expand) for stage in stages) or len(task.inputs) != 1
        if whole or task.out.startswith(PRIVATE) != task.inputs[0].startswith(PRIVATE):
            return (), None
        schema = part_schema(self.store, task.inputs[0])
        changed = frozenset(field.name for stage in stages for field in stage.writes)
        unread = set(stages[0].unread).intersection(*(stage.unread for stage in stages))
        columns = tuple(name for name in schema.names if name not in unread)
        return columns, Over(task.out, task.inputs[0], task.input_parts[0], schema, changed)

    def _finish(self, task: Task, writer: PartWriter, rejects: Rejects, clock: Clock) -> Made:
        """Close the part, check the sum, publish the rejects; the caller's `publish` then commits."""
        if writer.empty:
            writer.write(pa.RecordBatch.from_pylist([], schema=RECORD))
        timed(clock, "write", writer.close)
        for step, account in rejects.accounts.items():
            if gaps := account.gaps():
                raise MedcorpusError(f"step {step}, part {task.key}: rows do not add up: {gaps}")
        part = Part(task.key, writer.rows, writer.size)
        if task.rejects:
            rejects.publish(self.store, task.rejects, part)
        return part, rejects.accounts, {}

    async def _emit(self, task: Task, progress: Progress, clock: Clock) -> Made:
        """What a Gather keeps of one part."""
        step = task.steps[0]
        stage = self.stage(step)
        assert isinstance(stage, Gather)
        rows = 0

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for name in task.inputs:
                for batch in read_part(self.store, name):
                    rows += batch.num_rows
                    yield batch
                    progress(batch.num_rows, batch.nbytes)
            if not rows:
                yield pa.RecordBatch.from_pylist([], schema=part_schema(self.store, task.inputs[0]))

        table = timed(clock, step.id, stage.emit, batches())
        with self.store.publish(task.out) as sink, pa.ipc.new_file(sink, table.schema) as writer:
            timed(clock, "write", writer.write_table, table)
        return Part(task.key, rows, table.nbytes), {}, {}

    async def _resolve(self, task: Task, progress: Progress, clock: Clock) -> Made:
        """All decisions, sorted by part, with offsets and a digest for each part."""
        step = task.steps[0]
        stage = self.stage(step)
        assert isinstance(stage, Gather)
        with contextlib.ExitStack() as opened:
            parts = []
            for name in task.inputs:
                stream = opened.enter_context(self.store.open(name))
                parts.append(opened.enter_context(pa.ipc.open_file(stream)).read_all())
            decisions = timed(clock, step.id, stage.resolve, parts)
        progress(sum(part.rows for part in task.input_parts), task.size)
        decisions = decisions.select(["part", "row", *(f.name for f in stage.decision_fields)])
        decisions = decisions.sort_by([("part", "ascending"), ("row", "ascending")]).combine_chunks()
        at = decisions["part"].to_numpy()
        offsets = np.searchsorted(at, np.arange(len(task.inputs) + 1)).tolist()
        decisions = decisions.drop_columns(["part"])
        digests = [
            keys.digest(_content(decisions.slice(a, b - a))) if b > a else "" for a, b in itertools.pairwise(offsets)
        ]
        note = {b"offsets": json.dumps(offsets).encode(), b"digests": json.dumps(digests).encode()}
        decisions = decisions.replace_schema_metadata(note)
        with self.store.publish(task.out) as sink, pa.ipc.new_file(sink, decisions.schema) as writer:
            writer.write_table(decisions)
        return Part(task.key, decisions.num_rows, decisions.nbytes), {}, {}

    async def _apply(self, task: Task, progress: Progress, clock: Clock) -> Made:
        """The rows of one part with the decisions about them written down."""
        step = task.steps[0]
        stage = self.stage(step)
        assert isinstance(stage, Gather) and task.spec is not None
        with self.store.open(task.spec["decisions"]) as stream:
            table = pa.ipc.open_file(stream).read_all()
            offsets = json.loads(table.schema.metadata[b"offsets"])
        low, high = offsets[task.spec["part"]], offsets[task.spec["part"] + 1]
        decisions = table.slice(low, high - low).replace_schema_metadata(None)
        rows = decisions["row"].to_numpy()
        account = Account()
        columns, over = self._over(task)
        with self.store.publish(task.out) as sink:
            writer, first = PartWriter(sink, over), 0
            for batch in read_part(self.store, task.inputs[0], columns):
                low, high = np.searchsorted(rows, [first, first + batch.num_rows])
                mine = decisions.slice(low, high - low)
                mine = mine.set_column(0, "row", pa.array(rows[low:high] - first, pa.int64()))
                made = timed(clock, step.id, stage.apply, batch, mine)
                account.rows_in.update(languages(batch))
                account.rows_out.update(languages(made))
                numbers = np.arange(first, first + batch.num_rows)
                timed(clock, "write", writer.write, made, numbers)
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
        rows = PartRows(self.store, list(task.inputs), list(task.input_parts), stage.as_views)
        account = Account()

        class Counted:
            schema, num_rows, num_bytes = rows.schema, rows.num_rows, rows.num_bytes

            def batches(self) -> Any:
                for batch in rows.batches():
                    progress(batch.num_rows, batch.nbytes)
                    yield batch

        with self.store.publish_folder(task.out) as folder:
            info = timed(clock, step.id, stage.run, Counted(), folder)
            note = {"step": step.id, "key": task.key, "info": info}
            (folder / "job.json").write_bytes(keys.canonical(note))
        return Part(task.key, rows.num_rows, rows.num_bytes), {step.id: account}, info


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
