"""`medcorpus check RECIPE` and `medcorpus stages [NAME]`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from medcorpus.cli.show import print_json, table
from medcorpus.core.errors import RecipeError, nearest


def check(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="<step id>.<param>=<yaml>, or languages=[..].")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Find every problem of a recipe, with file, line and the nearest right name. Runs nothing, writes nothing."""
    from medcorpus.cli.build import open_run
    from medcorpus.recipe.compile import DATA
    from medcorpus.recipe.load import load

    compiled, _ = open_run(load(recipe, tuple(set_ or ())), None, Path(), data_there=False)
    later = any("is no finished run yet" in warning.message for warning in compiled.warnings)
    steps = [
        {
            "id": step.id, "stage": step.cls.name, "from": list(step.inputs), "key": step.key, "private": step.private,
            "notes": [] if step.id == DATA and later else step.build().notes(),
        }
        for step in compiled.plan.steps
    ]  # fmt: skip
    if json:
        warnings = [str(warning) for warning in compiled.warnings]
        print_json({"name": compiled.plan.name, "languages": compiled.languages, "steps": steps, "warnings": warnings})
        return
    rows = [
        [s["id"], s["stage"], ", ".join(s["from"]), s["key"][:8], s["private"], "; ".join(s["notes"])] for s in steps
    ]
    table(f"{compiled.plan.name}: no problems", ["step", "stage", "from", "key", "private", "notes"], rows)
    for warning in compiled.warnings:
        print(f"warning: {warning}")


def stages(
    name: Annotated[str | None, typer.Argument(help="Show this one in full.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Every stage and job, its parameters and its reasons: the same declaration a recipe is checked against."""
    from medcorpus.jobs import JOBS, TRAINING
    from medcorpus.stages import STAGES

    known = STAGES | JOBS | TRAINING
    if name is not None and name not in known:
        raise RecipeError(f"no stage is called '{name}'{nearest(name, list(known))}")
    described = [describe(key) for key in ([name] if name else known)]
    if json:
        print_json({"stages": described})
    elif name is None:
        rows = [[d["name"], d["verb"], d["summary"], ", ".join(d["reasons"])] for d in described]
        table("", ["stage", "verb", "what it does", "reasons to drop"], rows)
        print("medcorpus stages NAME shows every parameter")
    else:
        (one,) = described
        print(f"{one['name']} ({one['verb']}, version {one['version']}): {one['summary']}\n\n{one['doc']}\n")
        columns = ["parameter", "default", "type", "kind", "meaning"]
        table("", columns, [[p["name"], p["default"], p["type"], p["role"], p["meaning"]] for p in one["params"]])
        if one["reasons"]:
            table("", ["reason", "drops a row when"], one["reasons"].items())
        if one["figures"]:
            table("", list(one["figures"][0]), [list(row.values()) for row in one["figures"]])
        if one["writes"]:
            print("writes: " + ", ".join(one["writes"]))


def describe(key: str) -> dict[str, Any]:
    """Everything a person may want to know of a stage, from its one declaration. README's tables use it."""
    import inspect

    from medcorpus.core.params import role_of
    from medcorpus.core.stage import load, verb
    from medcorpus.jobs import JOBS, TRAINING
    from medcorpus.stages import STAGES

    path, summary = (STAGES | JOBS | TRAINING)[key]
    cls = load(path)
    params = [
        {
            "name": name,
            "default": "required" if field.is_required() else _default(field.get_default(call_default_factory=True)),
            "type": _type(field.annotation),
            "role": role_of(field),
            "meaning": field.description or "",
        }
        for name, field in cls.Params.model_fields.items()
    ]
    return {
        "name": key,
        "verb": verb(cls),
        "version": cls.version,
        "summary": summary,
        "doc": inspect.cleandoc(inspect.getmodule(cls).__doc__ or ""),
        "params": params,
        "reasons": {name: reason.description for name, reason in cls.reasons.items()},
        "figures": cls.figures(),
        "reads": list(cls.reads),
        "writes": [field.name for field in cls.writes],
    }


def _default(value: Any) -> str:
    import json

    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=list)


def _type(annotation: Any) -> str:
    text = getattr(annotation, "__name__", None) if not hasattr(annotation, "__args__") else None
    text = text or str(annotation).replace("typing.", "").replace("NoneType", "None")
    return text.removesuffix(" | None") if text.endswith(" | None") else text
