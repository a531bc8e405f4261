"""Exam questions as tokens: what `evaluate` reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """A question: tokens of the prompt and of each option, position of the right one."""

    id: str
    language: str
    prompt: list[int]
    options: list[list[int]]
    right: int
    lengths: list[int]  # characters of each option, to compare options of different length; 1 for letters

    @property
    def size(self) -> int:
        """Tokens in its row: the last of a continuation predicts nothing."""
        return len(self.prompt) + sum(len(option) - 1 for option in self.options)


def write_items(items: Sequence[Item], path: Path) -> None:
    """One object a line."""
    path.write_text("".join(json.dumps(vars(item), ensure_ascii=False) + "\n" for item in items), encoding="utf-8")


def read_items(path: Path) -> list[Item]:
    """What `write_items` wrote."""
    with path.open(encoding="utf-8") as lines:
        return [Item(**json.loads(line)) for line in lines]
