"""Multiple-choice questions: options and answers as exam files write them.

Options are one string with `(A) ...` at the beginning of each option's line, a list of texts (keys A, B ...),
a list of `{key, text}` objects (or `label`, or names that the recipe gives), or an object `{"A": "text"}`; the
latter three also as JSON. Answers are keys: `B`, `(B)`, `ACE`, `A, C` or a list of keys; or, where the recipe says
so, numbers or texts of options. Anything else is a WrongShape.
"""

import contextlib
import json
import re
import unicodedata
from string import ascii_uppercase
from typing import Any

from medcorpus.formats.columns import Column

PLAIN = Column(column="-")
_MARK = re.compile(r"^[ \t]*\(([A-Za-z0-9])\)[ \t]*", re.MULTILINE)
_BETWEEN = re.compile(r"[\s,;/()\[\]]+")


class WrongShape(ValueError):
    """Options or answers that are not of the shapes known: the name of the error, and a sentence."""


def item(
    question: str,
    options: str,
    answer: str | None,
    rationale: str | None,
    how_options: Column = PLAIN,
    how_answer: Column = PLAIN,
) -> dict[str, Any]:
    """A value of `core.schema.MCQA`. No answer (null or empty) gives no answers. Raises WrongShape."""
    found = parse_options(options, how_options)
    return {
        "question": question,
        "options": [{"key": key, "text": text} for key, text in found],
        "answers": parse_answers(answer, found, how_answer.as_),
        "rationale": rationale,
        "rationale_origin": None,
    }


def readable(item: dict[str, Any]) -> str:
    """The question, and below it one option on a line."""
    return "\n".join([item["question"], "", *(f"{o['key']}. {o['text']}" for o in item["options"])])


def parse_options(options: str, how: Column = PLAIN) -> list[tuple[str, str]]:
    """(key, text) of each option. Raises WrongShape."""
    begins = options.lstrip()[:1]
    shape = {"[": "list", "{": "dict"}.get(begins, "option_string")
    if how.as_ and how.as_ != shape:
        raise WrongShape("options", f"the options are no {how.as_}")
    found = _from_string(options) if shape == "option_string" else _from_json(options, how)
    keys = [key for key, _ in found]
    if not found and options.strip() in ("", "[]", "{}"):
        raise WrongShape("no_options", "the question has no options")
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


def _from_json(options: str, how: Column) -> list[tuple[str, str]]:
    try:
        value = json.loads(options)
    except ValueError:
        return []
    pairs: list[tuple[Any, Any]]
    if isinstance(value, dict):
        pairs = list(value.items())
    elif value and all(isinstance(one, dict) for one in value):
        key, text = how.key or "key", how.text or "text"
        pairs = [(one.get(key, one.get("label")), one.get(text)) for one in value]
    elif len(value) <= len(how.keys or ascii_uppercase):
        pairs = list(zip(how.keys or ascii_uppercase, value, strict=False))
        if how.columns:  # a question with fewer options leaves the last columns empty
            pairs = [(key, text) for key, text in pairs if text is not None and text.strip()]
    else:
        return []
    if not all(isinstance(key, str | int) and isinstance(text, str) for key, text in pairs):
        return []
    return [(str(key).strip(), text) for key, text in pairs]


def parse_answers(answer: str | None, options: list[tuple[str, str]], form: str | None = None) -> list[str]:
    """The keys of the right options, in the order of the options. Raises WrongShape."""
    if answer is None or not answer.strip():
        return []
    several = _listed(answer)
    if form == "text":
        found = {key for one in several for key in _keys_of_text(one, options)}
    else:
        parts = [part for one in several for part in _BETWEEN.split(one) if part]
        if form in ("index0", "index1"):
            found = {_key_at(part, options, int(form[-1])) for part in parts}
        else:
            found = {key for part in parts for key in _keys_of(part, options)}
    if form == "letter" and len(found) > 1:
        raise WrongShape("answer", "the answer names several options")
    return [key for key, _ in options if key in found]


def _listed(answer: str) -> list[str]:
    """The items of a JSON list, else the answer itself."""
    text = answer.strip()
    if text.startswith("["):
        with contextlib.suppress(ValueError):
            value = json.loads(text)
            return [str(one) for one in value if one is not None]
    return [text]


def _keys_of(part: str, options: list[tuple[str, str]]) -> list[str]:
    """The option whose key it is, else the options whose keys its letters are."""
    by_fold = {key.casefold(): key for key, _ in options}
    fold = part.casefold()
    found = [by_fold[fold]] if fold in by_fold else [by_fold[letter] for letter in fold if letter in by_fold]
    if fold not in by_fold and len(found) < len(fold):
        raise WrongShape("answer", "the answer is not the key of an option")
    return found


def _key_at(part: str, options: list[tuple[str, str]], first: int) -> str:
    number = int(part) - first if part.isascii() and part.isdecimal() else -1
    if not 0 <= number < len(options):
        raise WrongShape("answer", "the answer is not the number of an option")
    return options[number][0]


def _keys_of_text(text: str, options: list[tuple[str, str]]) -> list[str]:
    found = [key for key, option in options if _plain(option) == _plain(text)]
    if len(found) != 1:
        raise WrongShape("answer", "the answer is the text of no option" if not found else "two options have its text")
    return found


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
