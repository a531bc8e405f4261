"""Limits and stop words by language, as `calibrate quality` writes them and `quality` reads them.

A file is JSON or YAML:

    kind: medcorpus quality limits
    version: 1
    from_words: 30                     # figures not in `published.SHORT` hold from so many words on
    limits:
      eng: {gopher_words: [12, 100000], fineweb_ended_lines: [null, null]}     # [least, most], null is off
    scripts: {Latn: {...}}             # for languages that have no line of their own
    all: {...}                         # for the rest, and for text whose language is not known
    stop_words: {eng: [the, of]}       # a language without a list is not asked for stop words

A figure that is not named keeps the limit it was published with. Other keys (`made`: how, from how many rows) are for
people.
"""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from medcorpus.core.errors import Missing, Problem, RecipeError, nearest
from medcorpus.core.keys import digest
from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.text.rules.checks import Limit, limit_problems, stop_word_problems
from medcorpus.text.rules.published import PUBLISHED

KIND, VERSION = "medcorpus quality limits", 1
_KEYS = ("kind", "version", "made", "from_words", "limits", "scripts", "all", "stop_words")
_ENGLISH = "eng"


@dataclass(frozen=True)
class Calibration:
    """A file as read and checked. Limits are figure -> (least, most)."""

    limits: dict[str, dict[str, Limit]]
    scripts: dict[str, dict[str, Limit]]
    everywhere: dict[str, Limit]
    stop_words: dict[str, list[str]]
    from_words: int

    @property
    def stop_words_digest(self) -> str:
        """Of what changes a column; limits change none."""
        return digest(self.stop_words)

    def only(self, rules: str) -> dict[str, Any]:
        """What the reason `rules` looks at, as JSON: part of the key of a `select`."""
        wanted = PUBLISHED[rules]
        keep = lambda limits: {name: list(limit) for name, limit in limits.items() if name in wanted}  # noqa: E731
        return {
            "from_words": self.from_words,
            "limits": {code: keep(limits) for code, limits in self.limits.items()},
            "scripts": {script: keep(limits) for script, limits in self.scripts.items()},
            "all": keep(self.everywhere),
            "listed": sorted(self.stop_words) if "gopher_stop_words" in wanted else [],
        }


def limits_for(bound: dict[str, Any], language: str | None) -> dict[str, Limit]:
    """The limits of a language out of what `Calibration.only` gave."""
    if language in bound["limits"]:
        return bound["limits"][language]
    known = registry().get(language or "")
    return bound["scripts"].get(known.scripts[0] if known else "", bound["all"])


@cache
def shipped() -> Calibration:
    """What comes with medcorpus; its card lies beside it."""
    return read(shipped_path())


def shipped_path() -> Path:
    """Where it lies."""
    return Path(__file__).resolve().parents[2] / "models" / "medcorpus-quality-1.json"


def read(path: Path) -> Calibration:
    """A file, checked. Raises Missing when it is not there and RecipeError with everything that is wrong in it."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        raise Missing(
            f"quality: there is no file {path}; `medcorpus calibrate quality {path} --reference FILES` writes one"
        ) from None
    return _read(path, seen.st_size, seen.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, size: int, changed: int) -> Calibration:
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else _yaml(text)
    except (ValueError, OSError) as error:
        raise RecipeError(f"quality: {path} cannot be read: {error}") from None
    trusted = path == shipped_path()  # a test checks it; kernels need not be loaded to say so again
    calibration, problems = check(data, words=not trusted)
    if calibration is None or problems:
        raise RecipeError([Problem(str(path), 0, problem) for problem in problems])
    return calibration


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def check(data: Any, words: bool = True) -> tuple[Calibration | None, list[str]]:
    """What a file says, and every problem in it; stop words are looked at when `words`."""
    if not isinstance(data, dict) or data.get("kind") != KIND:
        return None, [f"this is no file of limits: it must say `kind: {KIND}`"]
    if data.get("version") != VERSION:
        return None, [f"version {data.get('version')!r} of the file; this medcorpus reads {VERSION}"]
    problems = [f"unknown key '{key}'{nearest(str(key), list(_KEYS))}" for key in data if key not in _KEYS]
    parts = {key: data.get(key) or {} for key in ("limits", "scripts", "all", "stop_words")}
    for key, part in parts.items():
        if not isinstance(part, dict):
            return None, [*problems, f"{key}: a map, not {part!r}"]
    listed: dict[str, list[str]] = {}
    for label, given in parts["stop_words"].items():
        code = _language(label, "stop_words", problems)
        if not isinstance(given, list) or not given:
            problems.append(f"stop_words: {label}: a list with words in it; leave the language out when there are none")
        elif code:
            listed[code] = given
            problems += [f"stop_words: {label}: {one}" for one in (stop_word_problems(given) if words else ())]
    limits: dict[str, dict[str, Limit]] = {}
    for label, given in parts["limits"].items():
        code = _language(label, "limits", problems)
        limits[code or label] = _limits(given, f"limits: {label}", len(listed.get(code, ())) or None, problems)
    scripts = {name: _limits(given, f"scripts: {name}", None, problems) for name, given in parts["scripts"].items()}
    everywhere = _limits(parts["all"], "all", None, problems)
    least = data.get("from_words", 0)
    if type(least) is not int or least < 0:
        problems.append(f"from_words: a number of words, not {least!r}")
        least = 0
    return Calibration(limits, scripts, everywhere, listed, least), problems


def _language(label: Any, where: str, problems: list[str]) -> str:
    try:
        return registry().normalise(str(label))
    except UnknownLanguage as error:
        problems.append(f"{where}: {error}")
        return ""


def _limits(given: Any, where: str, words: int | None, problems: list[str]) -> dict[str, Limit]:
    if not isinstance(given, dict):
        problems.append(f"{where}: a map of figures, not {given!r}")
        return {}
    found = limit_problems(given, words)
    problems += [f"{where}: {one}" for one in found]
    return {} if found else {name: (least, most) for name, (least, most) in given.items()}


def write(path: Path, calibration: Calibration, made: dict[str, Any]) -> None:
    """Write a file, a language a line. Raises RecipeError naming what a reader would refuse."""
    data = {
        "kind": KIND, "version": VERSION, "made": made, "from_words": calibration.from_words,
        "limits": calibration.limits, "scripts": calibration.scripts, "all": calibration.everywhere,
        "stop_words": calibration.stop_words,
    }  # fmt: skip
    problems = check(json.loads(json.dumps(data)))[1]
    if problems:
        raise RecipeError([Problem(str(path), 0, problem) for problem in problems])
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        blocks = (f"{json.dumps(key)}: {_lines(value)}" for key, value in data.items())
        path.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")
    else:
        import yaml

        text = yaml.safe_dump(json.loads(json.dumps(data)), allow_unicode=True, sort_keys=False, width=120)
        path.write_text(text, encoding="utf-8")


def _lines(value: Any) -> str:
    """JSON with one entry of a map a line."""
    dumped = lambda one: json.dumps(one, ensure_ascii=False, separators=(",", ":"))  # noqa: E731
    if not isinstance(value, dict) or not value:
        return dumped(value)
    return "{\n" + ",\n".join(f" {dumped(key)}: {dumped(one)}" for key, one in value.items()) + "\n}"
