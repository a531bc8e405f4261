"""Steps with keys, and the units they are cut into."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from medcorpus.core import keys
from medcorpus.core.manifest import rejects_folder, step_folder
from medcorpus.core.stage import Context, Stage, load, verb


@dataclass(frozen=True)
class Step:
    """One item of a recipe, ready to run. Plain data: it travels to workers as it is."""

    id: str
    stage: str  # "module:Class"
    params: dict[str, Any]  # all of them, as JSON values
    context: Context
    inputs: tuple[str, ...] = ()
    allow_empty: bool = False
    max_error_rate: float = 0.02
    key: str = ""
    private: bool = True
    line: int = 0

    def build(self) -> Stage:
        """The stage object, not yet opened."""
        cls = load(self.stage)
        return cls(cls.Params.model_validate(self.params), self.context)

    @property
    def cls(self) -> type[Stage]:
        """The stage's class."""
        return load(self.stage)

    @property
    def folder(self) -> str:
        """Where its parts lie, inside the run."""
        return step_folder(self.id, self.key, self.private)

    @property
    def rejects(self) -> str:
        """Where its rejects lie, inside the run."""
        return rejects_folder(self.id, self.key)


@dataclass(frozen=True)
class Unit:
    """Consecutive steps with one write at the end."""

    verb: str  # of its last step, except "map" for any run of Maps
    steps: tuple[Step, ...]

    @property
    def last(self) -> Step:
        """The step whose parts are written."""
        return self.steps[-1]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Ids of the steps whose parts are read."""
        return self.steps[0].inputs


@dataclass(frozen=True)
class Plan:
    """All steps of a recipe in an order in which each comes after its inputs."""

    name: str
    steps: tuple[Step, ...]

    @cached_property
    def by_id(self) -> dict[str, Step]:
        """Steps by id."""
        return {step.id: step for step in self.steps}

    def ancestors(self, step: str) -> list[str]:
        """Ids of every step that `step` depends on, nearest first."""
        found: list[str] = []
        queue = list(self.by_id[step].inputs)
        while queue:
            now = queue.pop(0)
            if now not in found:
                found.append(now)
                queue.extend(self.by_id[now].inputs)
        return found

    def until(self, step: str) -> "Plan":
        """Only `step` and what it needs."""
        keep = {step, *self.ancestors(step)}
        return Plan(self.name, tuple(s for s in self.steps if s.id in keep))


def with_keys(steps: list[Step]) -> tuple[Step, ...]:
    """Steps (in order) with their keys, and with `private` set: true until a step protects patients."""
    done: dict[str, Step] = {}
    for step in steps:
        stage = step.build()
        ups = [done[up] for up in step.inputs]
        key = keys.step_key(
            stage.name,
            stage.version,
            stage.params.data(),
            stage.resource_digests(),
            [vars(decision) for decision in step.context.decisions],
            [up.key for up in ups],
        )
        private = not stage.protects and (not ups or any(up.private for up in ups))
        done[step.id] = replace(step, key=key, private=private)
    return tuple(done.values())


def units(plan: Plan, cut_after: Collection[str] = ()) -> list[Unit]:
    """Cut the plan: a unit ends before `select`, a Gather or a Job, after a Source, an Expand or a costly
    stage, at every fork and join, and after the steps in `cut_after` (those already on disk).
    """
    consumers: dict[str, int] = {}
    for step in plan.steps:
        for up in step.inputs:
            consumers[up] = consumers.get(up, 0) + 1
    cut: dict[str, list[Step]] = {}  # id of the last step of an open or closed unit -> its steps
    order: list[list[Step]] = []
    for step in plan.steps:
        before = cut.get(step.inputs[0]) if len(step.inputs) == 1 else None
        if before is not None and _joins(before[-1], step) and consumers[before[-1].id] == 1:
            joined = before[-1].id not in cut_after
        else:
            joined = False
        if joined and before is not None:
            before.append(step)
            cut[step.id] = before
        else:
            cut[step.id] = [step]
            order.append(cut[step.id])
    return [Unit(_unit_verb(steps), tuple(steps)) for steps in order]


def _joins(before: Step, step: Step) -> bool:
    """May `step` run in the same pass as `before`, on batches that were never written?"""
    one, two = before.cls, step.cls
    return (
        verb(one) == "map"
        and not one.costly
        and verb(two) in ("map", "expand")
        and not two.decides
        and (one.resources.kind == "io") == (two.resources.kind == "io")
    )


def _unit_verb(steps: list[Step]) -> str:
    kind = verb(steps[-1].cls)
    return "map" if kind == "expand" else kind
