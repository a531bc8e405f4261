"""The run loop: for each unit, find what is missing, run it, check the sum, commit the manifest.

Nothing here remembers: what is done is what lies in the store. Kill it at any moment and run it again.
"""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from medcorpus.core import keys
from medcorpus.core.errors import Fatal, MedcorpusError, PartitionError
from medcorpus.core.manifest import Account, Manifest, Part, read_manifest, read_versions, write_manifest
from medcorpus.core.stage import Gather, Job, Source
from medcorpus.core.store import LocalStore, Store
from medcorpus.engine.early import Early
from medcorpus.engine.parts import read_note
from medcorpus.engine.plan import Plan, Step, Unit, units
from medcorpus.engine.pool import Pool
from medcorpus.engine.progress import Progress
from medcorpus.engine.warm import compile_kernels
from medcorpus.engine.worker import Result, Task


@dataclass
class StepReport:
    """Figures of one step in this run. Seconds are processor-bound wall time summed over workers."""

    id: str
    stage: str
    account: Account
    parts: int = 0
    ran: int = 0
    seconds: float = 0.0
    bytes: int = 0
    peak_mb: int = 0
    phases: dict[str, tuple[int, float]] = field(default_factory=dict)  # of a Gather: tasks run, seconds
    info: dict[str, Any] = field(default_factory=dict)


class Runner:
    """Runs a plan in a store. One object, one run."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        workers: int | None = None,
        progress: Progress | None = None,
        early: Early | None = None,
    ):
        self.plan = plan
        self.store = store
        self.workers = workers or default_workers(plan)
        self.progress = progress or Progress(quiet=True)
        self.reports: dict[str, StepReport] = {}
        self._parts: dict[str, list[Part]] = {}
        self._pool = Pool(store.root, self.workers, early)
        self.wrote = self._compiled = False

    def run(self, until: str | None = None) -> dict[str, StepReport]:
        """Do what is missing. Raises MedcorpusError; everything committed before stays."""
        self._note_plan()
        try:
            for unit in self.units(until):
                self._unit(unit)
        finally:
            self._pool.close()
        if until is None:
            self._version()
        return self.reports

    def units(self, until: str | None = None) -> list[Unit]:
        """The units of the plan, cut also where an earlier run already wrote."""
        plan = self.plan.until(until) if until else self.plan
        written = [s.id for s in plan.steps if self.store.exists(f"{s.folder}/manifest.json")]
        return units(plan, written)

    def parts(self, step: str) -> list[Part]:
        """The parts of a step after `run`."""
        return self._parts[step]

    # -- units ----------------------------------------------------------------------------------

    def _unit(self, unit: Unit) -> None:
        if unit.verb == "gather":
            self._gather(unit)
        elif unit.verb == "job":
            self._job(unit)
        else:
            self._finish(unit, self._sources(unit) if unit.verb == "source" else self._maps(unit))

    def _sources(self, unit: Unit) -> list[Task]:
        step = unit.last
        source = step.build()
        assert isinstance(source, Source)
        tasks = [
            Task(
                "read", unit.steps, _part(step, key), key, _reject(step, key), spec=partition.spec, size=partition.size
            )
            for partition in source.partitions()
            for key in [keys.partition_key(step.key, [partition.digest])]
        ]
        return sorted(tasks, key=lambda task: task.key)

    def _maps(self, unit: Unit) -> list[Task]:
        tasks = []
        for name, part in self._inputs(unit.inputs):
            key = part.key
            for step in unit.steps:
                key = keys.partition_key(step.key, [key])
            last = unit.last
            tasks.append(
                Task("map", unit.steps, _part(last, key), key, _reject(last, key), (name,), (part,), size=part.bytes)
            )
        return tasks

    def _gather(self, unit: Unit) -> None:
        step = unit.last
        inputs = sorted(self._inputs(unit.inputs), key=lambda item: item[1].key)
        self._require(inputs, step)
        emits = [
            Task("emit", unit.steps, f"{step.folder}/emit-{key}.arrow", key, "", (name,), (part,), size=part.bytes)
            for name, part in inputs
            for key in [keys.partition_key(step.key, ["emit", part.key])]
        ]
        self._do(unit, f"{step.id} (emit)", emits)
        key = resolve_key(step, [task.key for task in emits])
        resolve = Task(
            "resolve",
            unit.steps,
            f"{step.folder}/resolve-{key}.arrow",
            key,
            inputs=tuple(task.out for task in emits),
            input_parts=tuple(part for _, part in inputs),
            size=sum(part.bytes for _, part in inputs),
        )
        self._do(unit, f"{step.id} (resolve)", [resolve])
        tasks = []
        for number, ((name, part), digest) in enumerate(zip(inputs, self._digests(resolve.out), strict=True)):
            key = keys.partition_key(step.key, [part.key, *filter(None, [digest])])
            spec = {"part": number, "decisions": resolve.out}
            tasks.append(
                Task("apply", unit.steps, _part(step, key), key, _reject(step, key), (name,), (part,), spec, part.bytes)
            )
        self._finish(unit, tasks)

    def _job(self, unit: Unit) -> None:
        step = unit.last
        inputs = self._inputs(unit.inputs)
        self._require(inputs, step)
        facts = keys.digest(step.context.facts)
        key = keys.partition_key(step.key, [*sorted(part.key for _, part in inputs), facts])
        out = f"{step.folder}/{key}"
        names, parts = tuple(name for name, _ in inputs), tuple(part for _, part in inputs)
        task = Task("job", unit.steps, out, key, "", names, parts, size=sum(part.bytes for part in parts))
        report = self._report(step)
        report.parts = 1
        if not self.store.exists(f"{out}/job.json"):
            self._do(unit, step.id, [task], check=False)
        with self.store.open(f"{out}/job.json") as stream:
            report.info = json.loads(stream.read())["info"]
        self._parts[step.id] = [Part(key, task_rows(parts), task.size)]
        if isinstance(self.store, LocalStore) and issubclass(step.cls, Job):
            for name, inside in step.cls.links.items():
                self._link(name, f"{out}/{inside}".rstrip("/"))

    def _link(self, name: str, target: str) -> None:
        assert isinstance(self.store, LocalStore)
        link = self.store.path(name)
        if not link.is_symlink() or os.readlink(link) != target:  # noqa: PTH115 (the text, not the path)
            self.store.link(name, target)
            self.wrote = True

    # -- running, collecting, committing ----------------------------------------------------------

    def _do(self, unit: Unit, label: str, tasks: list[Task], check: bool = True) -> dict[str, Result]:
        """Run those of `tasks` whose part is missing. Raises when one failed, after the others ended."""
        there = set(self.store.list(unit.last.folder)) if check else set()
        missing = [task for task in tasks if task.out.rsplit("/", 1)[-1] not in there]
        return self._perform(unit, label, missing)

    def _perform(self, unit: Unit, label: str, missing: list[Task]) -> dict[str, Result]:
        if not missing:
            return {}
        if not self._compiled:
            compile_kernels(self.plan.steps)
        self._compiled = self.wrote = True
        missing.sort(key=lambda task: -task.size)  # the longest first, so that workers end together
        io = unit.last.cls.resources.kind == "io"
        results: dict[str, Result] = {}
        failures: list[Exception] = []
        self.progress.start(label, len(missing), sum(task.size for task in missing))
        for heard in self._pool.run(missing, io=io):
            if heard.error is not None:
                if not isinstance(heard.error, PartitionError):
                    raise heard.error
                failures.append(heard.error)
            elif heard.result is not None:
                results[heard.task.key] = heard.result
                self._note(unit, heard.task.phase, heard.result)
                self.progress.tick(parts=1)
            else:
                self.progress.tick(heard.rows, heard.bytes)
        if failures:
            shown = "\n  ".join(str(error) for error in failures[:10])
            raise PartitionError(f"{label}: {len(failures)} of {len(missing)} parts failed:\n  {shown}")
        peak = max(result.peak_mb for result in results.values())
        self.progress.end(f"{len(results)} part(s) done, peak memory {peak} MiB a worker", peak_mb=peak)
        return results

    def _note(self, unit: Unit, phase: str, result: Result) -> None:
        for step in unit.steps:
            report = self._report(step)
            report.seconds += result.seconds.get(step.id, 0.0)
            report.peak_mb = max(report.peak_mb, result.peak_mb)
        last = self._report(unit.last)
        last.seconds += result.seconds.get("write", 0.0)
        last.ran += 1
        if unit.verb == "gather":
            ran, seconds = last.phases.get(phase, (0, 0.0))
            last.phases[phase] = (ran + 1, seconds + sum(result.seconds.values()))
        last.bytes += result.part.bytes

    def _finish(self, unit: Unit, tasks: list[Task]) -> None:
        """Run what is missing of the unit's parts, then commit its manifest."""
        last = unit.last
        there = set(self.store.list(last.folder))
        manifest = read_manifest(self.store, last.folder)
        wanted = [task.key for task in tasks]
        if manifest is None or [p.key for p in manifest.parts] != wanted or not _all_there(tasks, there):
            manifest = self._make(unit, tasks, there)
        for step in unit.steps:
            account = manifest.accounts[step.id]
            report = self._report(step)
            report.account, report.parts = account, len(manifest.parts)
            self._judge(step, account)
        self._parts[last.id] = list(manifest.parts)
        if write_manifest(self.store, last.folder, manifest):
            self.wrote = True

    def _make(self, unit: Unit, tasks: list[Task], there: set[str]) -> Manifest:
        last = unit.last
        notes: dict[str, tuple[Part, dict[str, Account]]] = {}
        for task in tasks:
            if f"{task.key}.arrow" in there and (note := read_note(self.store, task.rejects)):
                notes[task.key] = note
        missing = [task for task in tasks if task.key not in notes]
        for key, result in self._perform(unit, _label(unit), missing).items():
            notes[key] = (result.part, result.accounts)
        accounts = {step.id: Account() for step in unit.steps}
        for _, by_step in notes.values():
            for step, account in by_step.items():
                accounts[step].add(account)
        for step_id, account in accounts.items():
            if gaps := account.gaps():
                raise MedcorpusError(f"step {step_id}: rows do not add up: {gaps}")
        parts = tuple(notes[task.key][0] for task in tasks)
        stage = last.cls
        return Manifest(last.id, stage.name, stage.version, last.key, parts, accounts)

    def _judge(self, step: Step, account: Account) -> None:
        """The error budget, and the rule that a step which leaves nothing is an error."""
        if account.seen and account.quarantined / account.seen > step.max_error_rate:
            rate = account.quarantined / account.seen
            raise Fatal(
                f"step {step.id}: {account.quarantined:,} of {account.seen:,} rows are in quarantine ({rate:.1%}), "
                f"more than max_error_rate {step.max_error_rate:.1%}; see `medcorpus status {self.store.root}`, mend "
                f"the input or raise max_error_rate at this step"
            )
        if not step.allow_empty and not sum(account.rows_out.values()):
            raise Fatal(f"step {step.id}: no rows are left; say `allow_empty: true` at this step if that is right")

    def _require(self, inputs: list[tuple[str, Part]], step: Step) -> None:
        if not inputs:
            raise Fatal(f"step {step.id}: there is nothing to read")

    def _inputs(self, ids: Iterable[str]) -> list[tuple[str, Part]]:
        """Names and sizes of all parts of the steps `ids`, in their order."""
        found = [(_part(self.plan.by_id[up], part.key), part) for up in ids for part in self._parts[up]]
        if len({part.key for _, part in found}) < len(found):
            raise Fatal(f"steps {', '.join(ids)} bring the very same rows twice; drop one, or give it another `source`")
        return found

    def _digests(self, name: str) -> list[str]:
        with self.store.open(name) as stream:
            metadata = pa.ipc.open_file(stream).schema.metadata
        return list(json.loads(metadata[b"digests"]))

    def _report(self, step: Step) -> StepReport:
        if step.id not in self.reports:
            self.reports[step.id] = StepReport(step.id, step.cls.name, Account())
        return self.reports[step.id]

    def _note_plan(self) -> None:
        """plan.json: which steps this run consists of, for those who look at an unfinished one."""
        raw = keys.canonical({"name": self.plan.name, "steps": [describe(step) for step in self.plan.steps]})
        if self.store.exists("plan.json"):
            with self.store.open("plan.json") as stream:
                if stream.read() == raw:
                    return
        with self.store.publish("plan.json") as sink:
            sink.write(raw)

    def _version(self) -> None:
        """Write versions/<n>.json when this run differs from the last one."""
        steps = [
            describe(step)
            | {
                "parts": [part.key for part in self._parts.get(step.id, [])],
                "account": self.reports[step.id].account.to_json(),
                "info": self.reports[step.id].info,
            }
            for step in self.plan.steps
        ]
        digest = keys.digest(steps)
        versions = read_versions(self.store)
        last = max(versions, default=0)
        if last and versions[last]["digest"] == digest:
            return
        timing = {
            r.id: {"seconds": round(r.seconds, 3), "parts_run": r.ran, "peak_mb": r.peak_mb, "bytes": r.bytes}
            for r in self.reports.values()
        }
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = {"name": self.plan.name, "digest": digest, "finished": finished, "steps": steps, "timing": timing}
        with self.store.publish(f"versions/{last + 1}.json") as sink:
            sink.write(json.dumps(body, indent=1, ensure_ascii=False).encode())
        self.wrote = True


def describe(step: Step) -> dict[str, Any]:
    """What is noted of a step: never its places, which may hold secrets."""
    shown = step.cls.Params.fields_with("data", "decision")
    return {
        "id": step.id,
        "stage": step.cls.name,
        "version": step.cls.version,
        "key": step.key,
        "folder": step.folder,
        "rejects": step.rejects,
        "inputs": list(step.inputs),
        "params": {name: step.params[name] for name in shown if name in step.params},
        "decisions": [vars(decision) for decision in step.context.decisions],
    }


def default_workers(plan: Plan) -> int:
    """As many processes as cores, or as fit into three quarters of the free memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    need = max((step.cls.resources.memory_mb for step in plan.steps), default=512)
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except (ValueError, OSError):
        return cores
    return max(1, min(cores, int(free * 0.75 / need)))


def resolve_key(step: Step, emits: list[str]) -> str:
    """Key of a Gather's decisions: hangs on places too, since that is where `resolve` may leave something."""
    stage = step.build()
    assert isinstance(stage, Gather)
    places = {name: step.params[name] for name in step.cls.Params.fields_with("place") if name in step.params}
    return keys.partition_key(step.key, ["resolve", keys.digest([places, stage.resolve_digests()]), *emits])


def task_rows(parts: Iterable[Part]) -> int:
    """Rows in `parts`."""
    return sum(part.rows for part in parts)


def _label(unit: Unit) -> str:
    return " > ".join(step.id for step in unit.steps)


def _part(step: Step, key: str) -> str:
    return f"{step.folder}/{key}.arrow"


def _reject(step: Step, key: str) -> str:
    return f"{step.rejects}/{key}.arrow"


def _all_there(tasks: list[Task], there: set[str]) -> bool:
    return all(f"{task.key}.arrow" in there for task in tasks)
