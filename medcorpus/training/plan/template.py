"""A record becomes pieces of text, each supervised or not.

Pieces are tokenised one by one, so that a prompt has in training the very tokens it has when the model is asked, and
no token straddles the border of what is learnt. Both templates end every answer with the stop token, supervised.
"""

import json
import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

Piece = tuple[str, bool]  # text, is it learnt
Turn = tuple[str, str]  # role, content
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Apollo:
    """`User:{question}\\nAssistant:{answer}<eos>`, each turn ended by the stop token, as Apollo and HuatuoGPT-II."""

    name = "apollo"
    digest = "apollo-1"

    def __init__(self, eos: str):
        self.eos = eos

    def prompt(self, turns: Sequence[Turn]) -> str:
        """What the model reads before it answers the last turn."""
        parts = [f"User:{text}\nAssistant:" if role == "user" else f"{text}{self.eos}" for role, text in turns]
        return "".join(parts)

    def pieces(self, turns: Sequence[Turn]) -> list[Piece]:
        """Prompt and answer in turn; answers are learnt."""
        made: list[Piece] = []
        for role, text in turns:
            made.append((f"User:{text}\nAssistant:", False) if role == "user" else (text + self.eos, True))
        return made


class Chat:
    """The model's own chat template (Jinja, in the sandbox and with the settings of transformers)."""

    name = "chat"

    def __init__(self, source: str, special: dict[str, str]):
        try:
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            raise ModuleNotFoundError("chat templates need jinja2: pip install 'medcorpus[train]'") from error

        def refuse(message: str) -> None:
            raise ValueError(f"the chat template refuses this conversation: {message}")

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])  # fmt: skip # noqa: E501
        environment.globals["raise_exception"] = refuse
        environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
        # TRL and transformers mark answers with `generation`; here borders are found by rendering, so it says nothing.
        source = _GENERATION.sub("", source)
        self._template = environment.from_string(source)
        self._special = special
        self._unsafe = tuple(token for token in special.values() if token)
        self.digest = "chat-1-" + blake2b(source.encode(), digest_size=8).hexdigest()

    def _render(self, turns: Sequence[Turn], ask: bool) -> str:
        messages = [{"role": role, "content": self._defused(text)} for role, text in turns]
        return self._template.render(messages=messages, add_generation_prompt=ask, **self._special)

    def _defused(self, text: str) -> str:
        """`text` in which no word of a record reads as a special token of the model."""
        for token in self._unsafe:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def prompt(self, turns: Sequence[Turn]) -> str:
        """What the model reads before it answers the last turn."""
        return self._render(turns, ask=True)

    def pieces(self, turns: Sequence[Turn]) -> list[Piece]:
        """Prompt and answer in turn; the last answer is learnt, and earlier ones where the template lets them stand.

        Some templates rewrite earlier answers once the talk goes on (Qwen3 drops their thoughts): learning these would
        teach what is never asked for. Raises ValueError for a template whose answer does not follow its prompt.
        """
        made: list[Piece] = []
        done = ""
        for index, (role, _) in enumerate(turns):
            if role != "assistant":
                continue
            prompt, full = self._render(turns[:index], ask=True), self._render(turns[: index + 1], ask=False)
            if not full.startswith(prompt):
                raise ValueError("the chat template gives an answer another prompt than the question")
            if not prompt.startswith(done):
                made, done = [], ""
            answer = full[len(prompt) :]
            kept = answer.rstrip("\n")
            made += [(prompt[len(done) :], False), (kept, True), (answer[len(kept) :], False)]
            done = full
        return [piece for piece in made if piece[0]]


Template = Apollo | Chat


def open_template(name: str, folder: Path) -> Template:
    """The template `chat` or `apollo` for the tokenizer in `folder` (tokenizer_config.json, chat_template.jinja).

    Raises ValueError when the tokenizer has no stop token, or `chat` is wanted and it has no template.
    """
    config: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    special = {k: _word(config.get(k)) for k in ("bos_token", "eos_token", "pad_token", "unk_token")}
    if not special["eos_token"]:
        raise ValueError(f"{folder}: the tokenizer names no eos_token, so no answer could end")
    if name == "apollo":
        return Apollo(special["eos_token"])
    file = folder / "chat_template.jinja"
    source = file.read_text(encoding="utf-8") if file.exists() else config.get("chat_template")
    if isinstance(source, list):  # several named ones
        source = next((one["template"] for one in source if one.get("name") == "default"), None)
    if not source:
        raise ValueError(f"{folder}: the tokenizer has no chat template; say `template: apollo`")
    return Chat(source, special)


def stop_token(folder: Path) -> str:
    """The token that ends a document, by the tokenizer in `folder`."""
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return _word(config.get("eos_token"))


def _word(token: Any) -> str:
    return (token.get("content") or "") if isinstance(token, dict) else (token or "")


def question(mcqa: dict[str, Any]) -> str:
    """An exam question as it is asked: the question, then its options, lettered in their order."""
    lines = [mcqa["question"] or ""]
    lines += [f"{letter}. {option['text']}" for letter, option in zip(LETTERS, mcqa["options"] or (), strict=False)]
    return "\n".join(lines)


def right(mcqa: dict[str, Any]) -> list[int]:
    """Positions of the right options."""
    keys = [option["key"] for option in mcqa["options"] or ()]
    return sorted(keys.index(key) for key in mcqa["answers"] or () if key in keys)


def turns_of(record: dict[str, Any], rationale: bool) -> list[Turn]:
    """The conversation in a record of kind qa, dialogue or mcqa; empty when it has no answer to learn from.

    An exam's answer is its letters ("A", or "A, C"), then, if `rationale`, the reason on the lines below.
    """
    if record["kind"] == "mcqa":
        mcqa = record["mcqa"] or {"question": "", "options": [], "answers": []}
        letters = [LETTERS[index] for index in right(mcqa)]
        if not letters or len(mcqa["options"]) > len(LETTERS):
            return []
        reason = f"\n{mcqa['rationale']}" if rationale and mcqa.get("rationale") else ""
        return [("user", question(mcqa)), ("assistant", ", ".join(letters) + reason)]
    turns = [(turn["role"], (turn["content"] or "").strip()) for turn in record["turns"] or ()]
    while turns and turns[-1][0] != "assistant":
        turns.pop()
    return turns if any(role == "user" for role, _ in turns) and turns[-1][1] else []
