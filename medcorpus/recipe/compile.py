"""From a recipe to a plan: every item checked, inputs resolved, reasons bound, keys computed."""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medcorpus.core.errors import Missing, Problem, RecipeError, nearest
from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.core.params import role_of, variables
from medcorpus.core.schema import RECORD
from medcorpus.core.stage import Context, Decision, Stage, load, verb
from medcorpus.engine.plan import Plan, Step, with_keys
from medcorpus.jobs import JOBS, TRAINING
from medcorpus.recipe.load import SIBLINGS, Recipe
from medcorpus.stages import STAGES

_TOP = ("name", "languages", "data", "steps", "description")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # no dot: `--set <id>.<param>`
DATA = "data"  # id of the step that reads `data:`


@dataclass
class Compiled:
    """A plan, and what is legal but probably not meant."""

    plan: Plan
    languages: tuple[str, ...]
    warnings: list[Problem]


@dataclass
class _Item:
    """One item of `steps` while it is being checked."""

    index: int
    key: str
    id: str
    line: int
    cls: type[Stage] | None
    params: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    siblings: dict[str, Any] = field(default_factory=dict)


def registered() -> dict[str, str]:
    """Recipe key -> "module:Class" of every stage and job, in story order."""
    return {key: path for key, (path, _) in (STAGES | JOBS | TRAINING).items()}


def compile(recipe: Recipe, state: str, data_there: bool = True) -> Compiled:
    """Check everything and build the plan. Raises RecipeError with every problem found.

    Without `data_there`, a run of `data:` that is not there yet is a warning.
    """
    return _Compiler(recipe, state, data_there).compile()


class _Compiler:
    def __init__(self, recipe: Recipe, state: str, data_there: bool):
        self.recipe = recipe
        self.state = state
        self.data_there = data_there
        self.problems = list(recipe.problems)
        self.warnings: list[Problem] = []
        self.owners: dict[tuple[str, str], str] = {}  # (id of a select, reason) -> id of the step it looks at

    def problem(self, message: str, *path: str | int) -> None:
        self.problems.append(self.recipe.problem(message, *path))

    def warn(self, message: str, line: int) -> None:
        self.warnings.append(Problem(self.recipe.file, line, message))

    def compile(self) -> Compiled:
        value = self.recipe.value
        for key in value:
            if key not in _TOP:
                self.problem(f"unknown key '{key}'{nearest(key, list(_TOP))}", key)
        name = value.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.problem("`name` must be a word of letters, digits, '-', '_' and '.'", "name")
            name = "unnamed"
        languages = self._languages(value.get("languages"))
        items = self._items(value.get("steps"))
        if value.get("data"):
            items = [self._data_item(value["data"], items), *items]
        self._resolve_inputs(items)
        steps = [self._step(item, items, languages, name) for item in items if item.cls]
        self._look_at_order(items)
        if self.problems:
            raise RecipeError(self.problems)
        return Compiled(Plan(name, with_keys(steps)), languages, sorted(self.warnings))

    def _languages(self, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.problem("`languages` is a list of codes, such as [en, zh, sw]", "languages")
            return ()
        codes = []
        for index, label in enumerate(value):
            try:
                codes.append(registry().normalise(str(label)))
            except UnknownLanguage as error:
                self.problem(str(error), "languages", index)
        return tuple(sorted(set(codes)))

    def _items(self, value: Any) -> list[_Item]:
        if not isinstance(value, list) or not value:
            self.problem("`steps` is a list with one stage an item", "steps")
            return []
        items = [item for index, raw in enumerate(value) if (item := self._item(index, raw))]
        by_id: dict[str, _Item] = {}
        for item in items:
            if item.id in by_id:
                first = by_id[item.id]
                cure = "" if "id" in item.siblings else " (a stage used twice needs an `id` beside it)"
                self.problem(f"step id '{item.id}' is taken by line {first.line}{cure}", "steps", item.index)
            by_id.setdefault(item.id, item)
        return items

    def _item(self, index: int, raw: Any) -> _Item | None:
        if isinstance(raw, str):
            raw = {raw: None}
        if not isinstance(raw, dict):
            self.problem("a step is a map with one stage key", "steps", index)
            return None
        stages = [key for key in raw if key not in SIBLINGS]
        if len(stages) != 1:
            found = ", ".join(stages) or "none"
            self.problem(f"a step has ONE stage key (found: {found}); beside it only {', '.join(SIBLINGS)}", "steps", index)  # fmt: skip # noqa: E501
            return None
        key = stages[0]
        line = self.recipe.lines.at("steps", index, key)
        known = registered()
        cls: type[Stage] | None = None
        if key not in known:
            self.problem(f"unknown stage '{key}'{nearest(key, list(known))}", "steps", index, key)
        else:
            cls = load(known[key])
        params = raw[key]
        if params is not None and not isinstance(params, dict):
            self.problem(f"{key}: parameters are a map such as {{name: value}}", "steps", index, key)
            params = None
        siblings = {k: raw[k] for k in SIBLINGS if k in raw}
        id = siblings.get("id", key)
        if not isinstance(id, str) or not _ID.fullmatch(id):
            self.problem("`id` must be a word of letters, digits, '-' and '_'", "steps", index, "id")
            id = f"{key} {index}"  # clashes with no other
        rate = siblings.get("max_error_rate", 0)
        if type(rate) not in (int, float) or not 0 <= rate <= 1:
            self.problem("`max_error_rate` is a share from 0 to 1", "steps", index, "max_error_rate")
            del siblings["max_error_rate"]
        if not isinstance(siblings.get("allow_empty", False), bool):
            self.problem("`allow_empty` is true or false", "steps", index, "allow_empty")
        if misplaced := set(params or ()) & set(SIBLINGS) - set(cls.Params.model_fields if cls else ()):
            for name in sorted(misplaced):
                self.problem(f"`{name}` stands beside '{key}:', not inside its parameters", "steps", index, key, name)
                params = {k: v for k, v in params.items() if k != name}
        return _Item(index, key, id, line, cls, self._params(index, key, cls, params or {}), siblings=siblings)

    def _params(self, index: int, key: str, cls: type[Stage] | None, raw: dict[str, Any]) -> dict[str, Any]:
        """Checked parameters as JSON values; problems get the line of the very value."""
        if cls is None:
            return {}
        known = cls.Params.model_fields
        for name, value in raw.items():
            if name in known:
                self._look_at_variables(index, key, name, value, role_of(known[name]) == "place")
        try:
            return cls.Params.model_validate(raw).model_dump(mode="json")
        except ValidationError as error:
            for item in error.errors(include_url=False):
                path = tuple(part for part in item["loc"])
                name = ".".join(str(part) for part in path)
                if item["type"] == "extra_forbidden" and len(path) == 1:
                    message = f"{key}: unknown parameter '{path[0]}'{nearest(str(path[0]), list(known))}"
                elif item["type"] == "missing":
                    message = f"{key}: '{name}' is required"
                elif path:
                    message = f"{key}.{name}: {item['msg'].removeprefix('Value error, ')} (got {item['input']!r})"
                else:
                    message = f"{key}: {item['msg'].removeprefix('Value error, ')}"
                self.problem(message, "steps", index, key, *path)
            return {}

    def _look_at_variables(self, index: int, key: str, name: str, value: Any, allowed: bool) -> None:
        if isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                self._look_at_variables(index, key, name, inner, allowed)
        for variable, default in variables(value) if isinstance(value, str) else ():
            where = ("steps", index, key, name)
            if not allowed:
                self.problem(f"{key}.{name}: ${{{variable}}} may stand in paths and endpoints only", *where)
            elif variable not in os.environ and default is None:
                self.problem(f"{key}.{name}: the environment variable {variable} is not set", *where)

    def _data_item(self, value: Any, items: list[_Item]) -> _Item:
        """`data: [runs/corpus]` as the Source that it is."""
        paths = value if isinstance(value, list) else [value]
        folders = []
        for index, path in enumerate(paths):
            found = _run_folder(str(path))
            if found is None and not self.data_there:
                self.warn(
                    f"data: {path} is no finished run yet; run its recipe first", self.recipe.lines.at("data", index)
                )
                folders.append(str(path))
            elif found is None:
                self.problem(f"data: {path} is no finished run (no dataset in it); run its recipe first", "data", index)
            else:
                folders.append(str(found))
        cls = load(registered()["ingest"])
        if items and items[0].cls and verb(items[0].cls) == "source":
            self.problem("`data` is the first step's input, but the first step is a source; drop one of them", "data")
        for item in items:
            if item.id == DATA:
                self.problem(f"step id '{DATA}' is taken by the recipe's `data`", "steps", item.index)
        params = cls.Params.model_validate({"path": folders or ["."], "format": "record"}).model_dump(mode="json")
        return _Item(-1, "ingest", DATA, self.recipe.lines.at("data"), cls, params)

    def _resolve_inputs(self, items: list[_Item]) -> None:
        for position, item in enumerate(items):
            source = item.cls is not None and verb(item.cls) == "source"
            wanted = item.siblings.get("from")
            if source:
                if wanted is not None:
                    self.problem(f"{item.key} is a source and takes no input", "steps", item.index, "from")
            elif wanted is not None:
                item.inputs = self._named_inputs(wanted, items[:position], item, items)
            else:
                item.inputs = self._default_inputs(items[:position], item)

    def _named_inputs(self, wanted: Any, above: list[_Item], item: _Item, items: list[_Item]) -> tuple[str, ...]:
        """The steps that `from:` names."""
        names = wanted if isinstance(wanted, list) else [wanted]
        if not names or not all(isinstance(name, str) for name in names):
            self.problem("`from` is the id of a step above, or a list of them", "steps", item.index, "from")
            return ()
        known = {other.id: other for other in above}
        for name in names:
            if name in known:
                cls = known[name].cls
                if cls is not None and verb(cls) == "job":
                    self.problem(f"from: {name} wrote no rows that {item.key} can read", "steps", item.index, "from")
            elif any(name == other.id for other in items):
                self.problem(f"from: '{name}' is no step above; it stands further down", "steps", item.index, "from")
            else:
                close = nearest(name, list(known))
                self.problem(f"from: no step above is called '{name}'{close}", "steps", item.index, "from")
        return tuple(name for name in dict.fromkeys(names) if name in known)

    def _default_inputs(self, above: list[_Item], item: _Item) -> tuple[str, ...]:
        """The step before, or all Sources directly above."""
        if not above:
            if item.cls is None:  # unknown, and already named so: it may well be a source
                return ()
            self.problem(f"{item.key} has no input: begin with a source such as ingest, or name `data:`", "steps", item.index)  # fmt: skip # noqa: E501
            return ()
        before = above[-1]
        if before.cls is None:
            return (before.id,)
        if verb(before.cls) == "job" and item.cls is not None and verb(item.cls) != "job":
            self.problem(f"{item.key} cannot read what {before.id} wrote; say `from:`", "steps", item.index)
            return ()
        if verb(before.cls) == "job":
            return before.inputs
        if verb(before.cls) != "source":
            return (before.id,)
        sources = []
        for other in reversed(above):
            if other.cls is None or verb(other.cls) != "source":
                break
            sources.append(other.id)
        return tuple(reversed(sources))

    def _above(self, item: _Item, items: list[_Item]) -> list[_Item]:
        """Every step `item` depends on, nearest first."""
        by_id = {other.id: other for other in items}
        found: list[_Item] = []
        queue = list(item.inputs)
        while queue:
            now = by_id.get(queue.pop(0))
            if now is not None and now not in found and now is not item:
                found.append(now)
                queue.extend(now.inputs)
        return found

    def _step(self, item: _Item, items: list[_Item], languages: tuple[str, ...], name: str) -> Step:
        assert item.cls is not None
        above = self._above(item, items)
        columns = set(RECORD.names) | {f.name for other in above if other.cls for f in other.cls.writes}
        open_ended = any(other.params.get("format") in ("record", None) for other in above if other.key == "ingest")
        blind = any(other.cls is None for other in above)  # a stage nobody knows may write and declare anything
        for column in item.cls.reads:
            if column not in columns and not open_ended and not blind:
                self.problem(f"{item.key} reads the column '{column}', which no step above writes", "steps", item.index)
        decisions = self._bind(item, above, languages) if item.cls.decides else ()
        facts = {"name": name, "languages": list(languages)} if verb(item.cls) == "job" else {}
        context = Context(item.id, self._root(item), self.state, languages, decisions, facts)
        step = Step(
            id=item.id,
            stage=registered()[item.key],
            params=item.params,
            context=context,
            inputs=item.inputs,
            allow_empty=bool(item.siblings.get("allow_empty", False)),
            line=item.line,
        )
        rate = item.siblings.get("max_error_rate")
        return step if rate is None else replace(step, max_error_rate=float(rate))

    def _root(self, item: _Item) -> str:
        """The folder that a step's paths are relative to."""
        return str(Path.cwd()) if item.id == DATA and item.index < 0 else str(self.recipe.path.resolve().parent)

    def _bind(self, item: _Item, above: list[_Item], languages: tuple[str, ...]) -> tuple[Decision, ...]:
        """For each reason named: the nearest step above that declares it, and the limits it looks at."""
        bound = []
        drop = item.params.get("drop", ())
        for index, reason in enumerate(drop):
            if reason in drop[:index]:
                continue
            owner = next((other for other in above if other.cls and reason in other.cls.reasons), None)
            if owner is None or owner.cls is None:
                self._unbound(reason, above, "steps", item.index, item.key, "drop", index)
                continue
            rule = owner.cls.reasons[reason]
            if rule.languages and not self.recipe.value.get("languages"):
                where = ("steps", item.index, item.key, "drop", index)
                self.problem(f"select: '{reason}' needs the recipe's `languages`", *where)
            self.owners[item.id, reason] = owner.id
            try:
                limits = owner.cls.limits_of(reason, owner.params, self._root(item))
            except (RecipeError, Missing) as error:
                self.problem(str(error), "steps", owner.index, owner.key)
                continue
            path = registered()[owner.key]
            bound.append(Decision(str(reason), path, limits, languages if rule.languages else None))
        return tuple(bound)

    def _unbound(self, reason: str, above: list[_Item], *path: str | int) -> None:
        """Say why `reason` is no step's above."""
        owners = {declared: key for key, stage in registered().items() for declared in load(stage).reasons}
        if reason not in owners:
            offered = [declared for other in above if other.cls for declared in other.cls.reasons]
            close = nearest(reason, offered) or nearest(reason, list(owners))
            self.problem(f"select: reason '{reason}' is declared by no stage{close}", *path)
        elif all(other.cls for other in above):
            self.problem(f"select: reason '{reason}' is declared by {owners[reason]}, which is not above", *path)

    def _look_at_order(self, items: list[_Item]) -> None:
        """Warnings: a barrier that sees rows about to be dropped; a limit that nothing looks at."""
        named = {reason for item in items if item.key == "select" for reason in item.params.get("drop", ())}
        for item in items:
            if item.cls is None:
                continue
            above = self._above(item, items)
            if verb(item.cls) == "gather":
                since = []
                for other in above:
                    if other.cls is not None and other.cls.decides:
                        break
                    since.append(other)
                late = sorted({r for o in since if o.cls and verb(o.cls) == "map" for r in o.cls.reasons} & named)
                if late:
                    self.warn(f"{item.id} sees rows that are dropped later ({', '.join(late)}); put a select before it", item.line)  # fmt: skip # noqa: E501
            below = [other for other in items if item in self._above(other, items)]
            raw = self._raw(item)
            for reason, rule in item.cls.reasons.items():
                owners = [self.owners[o.id, reason] for o in below if (o.id, reason) in self.owners]
                given = ", ".join(sorted(set(rule.params) & set(raw)))
                if given and not owners:
                    self.warn(f"{item.id}: {given} has no effect, no select below names '{reason}'", item.line)
                elif given and item.id not in owners:
                    self.warn(f"{item.id}: {given} has no effect, '{reason}' looks at step {owners[0]}", item.line)

    def _raw(self, item: _Item) -> dict[str, Any]:
        if item.index < 0:
            return {}
        raw = self.recipe.value["steps"][item.index]
        params = raw.get(item.key) if isinstance(raw, dict) else None
        return params if isinstance(params, dict) else {}


def _run_folder(path: str) -> Path | None:
    """The dataset of a finished run named by folder or by name."""
    for candidate in (Path(path), Path("runs") / path):
        if (candidate / "dataset" / "state.json").exists():
            return (candidate / "dataset").resolve()
        if (candidate / "state.json").exists():
            return candidate.resolve()
    return None
