"""Find and read a recipe file; apply `--set`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medcorpus.core.errors import Problem, RecipeError, nearest
from medcorpus.core.shipped import shipped
from medcorpus.recipe.yaml_lines import Lines, read


@dataclass
class Recipe:
    """A recipe as written: values, lines, and where it lies."""

    path: Path
    value: dict[str, Any]
    lines: Lines
    problems: list[Problem]
    overridden: dict[tuple[str | int, ...], str] = field(default_factory=dict)  # path -> the `--set` that put it

    @property
    def file(self) -> str:
        """Its path as the user gave it."""
        return str(self.path)

    def problem(self, message: str, *path: str | int) -> Problem:
        """What is wrong at `path`, with the line, or the `--set`, that says so."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.overridden:
                return Problem(f"--set {self.overridden[path[:end]]}", 0, message)
        return Problem(self.file, self.lines.at(*path), message)


def find(name: str) -> Path:
    """The file behind RECIPE: a path, or (without suffix) the name of a shipped recipe.

    Raises RecipeError naming the shipped recipes.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise RecipeError(f"{name}: no such recipe file")
        return path
    known = shipped_recipes()
    if name in known:
        return shipped(f"recipes/{name}.yaml")
    raise RecipeError(f"no shipped recipe is called '{name}'{nearest(name, known)} (shipped: {', '.join(known)})")


def shipped_recipes() -> list[str]:
    """Names of the recipes that travel with the product."""
    return sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


def load(name: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read the recipe and apply overrides `<step id>.<param>=<yaml>` (or `languages=[...]`).

    Raises RecipeError when the file is no YAML map. Other problems are kept for `compile`.
    """
    path = find(name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError([Problem(str(path), 0, f"not UTF-8 (byte {error.start})")]) from error
    value, lines, problems = read(text, str(path))
    if not isinstance(value, dict):
        raise RecipeError([Problem(str(path), 1, "a recipe is a map with `name`, `languages` and `steps`")])
    recipe = Recipe(path, value, lines, problems)
    for override in overrides:
        _set(recipe, override)
    return recipe


def _set(recipe: Recipe, override: str) -> None:
    """Apply one `--set`; what is wrong with it becomes a problem."""

    def wrong(message: str) -> None:
        recipe.problems.append(Problem(f"--set {override}", 0, message))

    target, equals, raw = override.partition("=")
    if not equals:
        return wrong("write it as <step id>.<param>=<value>")
    try:
        value, _, _ = read(raw, "")
    except RecipeError as error:
        return wrong(error.problems[0].message)
    if "." not in target:
        if target not in ("languages", "name", "data"):
            return wrong("only languages, name and data can be set without a step id")
        recipe.value[target] = value
        recipe.overridden[(target,)] = override
        return None
    step, _, param = target.partition(".")
    steps = recipe.value.get("steps")
    items: list[Any] = steps if isinstance(steps, list) else []
    ids: dict[str, tuple[int, dict[str, Any], str]] = {}
    for index, item in enumerate(items):
        if isinstance(item, str):  # a bare `- langid` is `- langid:`
            item = items[index] = {item: None}
        key = next((k for k in item if k not in SIBLINGS), None) if isinstance(item, dict) else None
        if key is not None:
            ids.setdefault(str(item.get("id", key)), (index, item, key))
    if step not in ids:
        return wrong(f"no step is called '{step}'{nearest(step, list(ids))}")
    index, item, key = ids[step]
    if param in SIBLINGS and param not in ("id", "from"):
        item[param] = value
        recipe.overridden[("steps", index, param)] = override
    elif item[key] is None or isinstance(item[key], dict):  # anything else is a problem that `compile` names
        item[key] = {**(item[key] or {}), param: value}
        recipe.overridden[("steps", index, key, param)] = override
    return None


SIBLINGS = ("id", "from", "allow_empty", "max_error_rate")
