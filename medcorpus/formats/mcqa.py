"""Multiple-choice questions: options and answers as exam files write them.

Options are one string with `(A) ...` at the beginning of each option's line, a list of texts (keys A, B ...),
a list of `{key, text}` objects (or `label`), or an object `{"A": "text"}`; the latter three also as JSON.
Answers are keys: `B`, `(B)`, `ACE`, `A, C` or a list of keys. Anything else is a WrongShape.
"""

import contextlib
import json
import re
from string import ascii_uppercase
from typing import Any

_MARK = re.compile(r"^[ \t]*\(([A-Za-z0-9])\)[ \t]*", re.MULTILINE)
_BETWEEN = re.compile(r"[\s,;/()\[\]]+")


class WrongShape(ValueError):
    """Options or answers that are not of the shapes known: the name of the error, and a sentence."""


def item(question: str, options: str, answer: str | None, rationale: str | None) -> dict[str, Any]:
    """A value of `core.schema.MCQA`. No answer (null or empty) gives no answers. Raises WrongShape."""
    found = parse_options(options)
    return {
        "question": question,
        "options": [{"key": key, "text": text} for key, text in found],
        "answers": parse_answers(answer, [key for key, _ in found]),
        "rationale": rationale,
        "rationale_origin": None,
    }


def readable(item: dict[str, Any]) -> str:
    """The question, and below it one option on a line."""
    return "\n".join([item["question"], "", *(f"{o['key']}. {o['text']}" for o in item["options"])])


def parse_options(options: str) -> list[tuple[str, str]]:
    """(key, text) of each option. Raises WrongShape."""
    found = _from_json(options) if options.lstrip()[:1] in ("[", "{") else _from_string(options)
    keys = [key for key, _ in found]
    if len(found) < 2:
        raise WrongShape("options", "the options are not of a known shape, or fewer than two")
    if len(set(keys)) < len(keys):
        raise WrongShape("options", "two options have the same key")
    return found


def _from_string(options: str) -> list[tuple[str, str]]:
    marks = list(_MARK.finditer(options))
    if not marks or options[: marks[0].start()].strip():
        return []
    ends = [mark.start() for mark in marks[1:]] + [len(options)]
    return [(mark[1], options[mark.end() : end].strip()) for mark, end in zip(marks, ends, strict=True)]


def _from_json(options: str) -> list[tuple[str, str]]:
    try:
        value = json.loads(options)
    except ValueError:
        return []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif all(isinstance(one, dict) for one in value):
        pairs = [(one.get("key", one.get("label")), one.get("text")) for one in value]
    elif len(value) <= len(ascii_uppercase):
        pairs = list(zip(ascii_uppercase, value, strict=False))
    else:
        return []
    if not all(isinstance(key, str) and isinstance(text, str) for key, text in pairs):
        return []
    return [(key.strip(), text) for key, text in pairs]


def parse_answers(answer: str | None, keys: list[str]) -> list[str]:
    """The keys of the right options, in the order of the options. Raises WrongShape."""
    if answer is None or not answer.strip():
        return []
    text = answer.strip()
    if text.startswith("["):
        with contextlib.suppress(ValueError):
            text = ",".join(str(one) for one in json.loads(text))
    by_fold = {key.casefold(): key for key in keys}
    found: set[str] = set()
    for part in _BETWEEN.split(text):
        if not part:
            continue
        whole = by_fold.get(part.casefold())
        several = [whole] if whole else [by_fold.get(letter) for letter in part.casefold()]
        if None in several:
            raise WrongShape("answer", "the answer is not the key of an option")
        found.update(key for key in several if key)
    return [key for key in keys if key in found]
