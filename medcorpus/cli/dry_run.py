"""`build --dry-run`: what is cached, what would run, and why. Writes nothing."""

from typing import Any

from medcorpus.cli.show import print_json, table
from medcorpus.core import keys
from medcorpus.core.manifest import read_manifest, read_versions
from medcorpus.core.stage import Source
from medcorpus.engine.local import Runner, describe, resolve_key


def show(plan: Any, store: Any, until: str | None, as_json: bool) -> None:
    """Print one line a step."""
    lines = forecast(plan, store, until)
    if as_json:
        print_json({"run": store.root, "steps": lines})
        return
    rows = [
        [line["id"], line["parts"], line["cached"], line["to_run"], line["why"], "; ".join(line["notes"])]
        for line in lines
    ]
    numbers = ["parts", "cached", "to run"]
    table(f"plan for {store.root}", ["step", "parts", "cached", "to run", "why", "notes"], rows, right=numbers)


def forecast(plan: Any, store: Any, until: str | None) -> list[dict[str, Any]]:
    """For each unit: parts known, cached, to run, and why. None where it depends on rows not yet made."""
    versions = read_versions(store)
    before = {step["id"]: step for step in versions[max(versions)]["steps"]} if versions else {}
    known: dict[str, list[str] | None] = {}
    lines = []
    for unit in Runner(plan, store, 1).units(until):
        step = unit.last
        made = _parts(unit, known, store, plan)
        there = set(store.list(step.folder))
        cached = None if made is None else sum(f"{key}.arrow" in there or key in there for key in made)
        to_run = None if made is None or cached is None else len(made) - cached
        known[step.id] = made
        lines.append(
            {
                "id": " > ".join(s.id for s in unit.steps),
                "parts": None if made is None else len(made),
                "cached": cached,
                "to_run": to_run,
                "why": _why(unit, before, to_run),
                "notes": [note for s in unit.steps for note in s.build().notes()],
            }
        )
    return lines


def _parts(unit: Any, known: dict[str, list[str] | None], store: Any, plan: Any) -> list[str] | None:
    """Partition keys of a unit, as far as they can be told without running anything."""
    step = unit.last
    if unit.verb == "source":
        source = step.build()
        assert isinstance(source, Source)
        return sorted(keys.partition_key(step.key, [part.digest]) for part in source.partitions())
    inputs = [known.get(up) for up in unit.inputs]
    if any(one is None for one in inputs):
        return None
    flat = [key for one in inputs if one for key in one]
    if unit.verb == "map":
        for each in unit.steps:
            flat = [keys.partition_key(each.key, [key]) for key in flat]
        return flat
    if unit.verb == "job":
        return [keys.partition_key(step.key, [*sorted(flat), keys.digest(step.context.facts)])]
    manifest = read_manifest(store, step.folder)  # a Gather: its keys hang on decisions
    emits = [keys.partition_key(step.key, ["emit", key]) for key in sorted(flat)]
    wanted = {f"resolve-{resolve_key(step, emits)}.arrow", *(f"emit-{key}.arrow" for key in emits)}
    if manifest and len(manifest.parts) == len(flat) and wanted <= set(store.list(step.folder)):
        return [part.key for part in manifest.parts]
    return None


def _why(unit: Any, before: dict[str, Any], to_run: int | None) -> str:
    if to_run == 0:
        return "cached"
    reasons = []
    for step in unit.steps:
        old = before.get(step.id)
        if old is None:
            reasons.append(f"{step.id} is new")
        elif old["key"] != step.key:
            now = describe(step)
            changed = sorted(
                k for k in {*old["params"], *now["params"]} if old["params"].get(k) != now["params"].get(k)
            )
            if changed:
                reasons.append(f"{step.id}: {', '.join(changed)} changed")
            elif old["version"] != now["version"]:
                reasons.append(f"{step.id}: version {old['version']} -> {now['version']}")
            elif old["decisions"] != keys_of(now["decisions"]):
                reasons.append(f"{step.id}: limits or languages changed")
            else:
                reasons.append("a step above changed, or a model")
    if to_run is None:
        return "; ".join(reasons) or "hangs on rows that are still to be made"
    return "; ".join(reasons) or ("new input" if before else "first run")


def keys_of(decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Decisions as they look after JSON (tuples become lists)."""
    import json

    return json.loads(json.dumps(decisions))
