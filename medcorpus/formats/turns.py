"""Dialogues and evidence as files write them.

Turns are a list of strings, question and answer in turn (`alternating`), or a list of messages with `role` and
`content` (also `from` and `value`, and the names that tools give to the two sides). Evidence is a list of objects
with a quote (`text` or `quote`) and the place where it begins (`answer_start` or `start`), as in SQuAD.
"""

import json
from typing import Any

from medcorpus.formats.mcqa import WrongShape

_ROLES = {
    "user": "user", "human": "user", "patient": "user", "question": "user", "input": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatbot": "assistant",
    "doctor": "assistant", "answer": "assistant", "output": "assistant",
    "system": "system",
}  # fmt: skip


def parse_turns(text: str, form: str | None = None) -> list[dict[str, str]]:
    """`[{role, content}]`, at least one of user and one of assistant. Raises WrongShape."""
    value = _list(text, "turns")
    if value and all(isinstance(one, str) for one in value) and form != "messages":
        if len(value) % 2:
            raise WrongShape("turns", f"{len(value)} turns: the last question has no answer")
        return [{"role": ("user", "assistant")[n % 2], "content": one} for n, one in enumerate(value)]
    if not value or form == "alternating" or not all(isinstance(one, dict) for one in value):
        raise WrongShape("turns", "the turns are not of a known shape")
    made = []
    for one in value:
        role = _ROLES.get(str(one.get("role", one.get("from"))).casefold())
        content = one.get("content", one.get("value"))
        if role is None or not isinstance(content, str):
            raise WrongShape("turns", "a turn has no known role, or no text")
        made.append({"role": role, "content": content})
    if not {"user", "assistant"} <= {turn["role"] for turn in made}:
        raise WrongShape("turns", "one side says nothing")
    return made


def readable(turns: list[dict[str, str]]) -> str:
    """What is said, turn below turn."""
    return "\n\n".join(turn["content"] for turn in turns)


def parse_spans(text: str, base: int, of: str, shift: int) -> list[dict[str, Any]]:
    """`[{id, start, end, quote}]`, counted from 0 in characters of the record's text.

    The file counts from `base` in `of`, which begins at `shift` in the text. Raises WrongShape when a quote
    does not stand where the file says.
    """
    made = []
    for number, one in enumerate(_list(text, "evidence")):
        quote = one.get("text", one.get("quote")) if isinstance(one, dict) else None
        start = one.get("answer_start", one.get("start")) if isinstance(one, dict) else None
        if not isinstance(quote, str) or not isinstance(start, int) or not quote:
            raise WrongShape("evidence", "the evidence is not of a known shape")
        begin = start - base
        if begin < 0 or of[begin : begin + len(quote)] != quote:
            raise WrongShape("evidence", f"quote {number} does not stand at the place given, counted from {base}")
        begin += shift
        made.append({"id": str(one.get("id", number)), "start": begin, "end": begin + len(quote), "quote": quote})
    return made


def _list(text: str, what: str) -> list[Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise WrongShape(what, f"the {what} are no list")
    return value
