"""The loader: a plan and its tokens become batches. Memory-mapped, vectorised, nothing in Python per token."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PADDING = -1
NO_TARGET = -100  # as everywhere in torch


@dataclass(frozen=True)
class Batch:
    """B rows of S tokens, numpy arrays [B, S].

    input_ids int64, 0 in padding. targets int64: the next token where it is of the same document and learnt, else
    NO_TARGET. position_ids int64, from 0 in every span. segment_ids int64: 0 for padding, else the number of the span
    in its row from 1. expert_ids, language_ids int64: -1 for none, and for padding.
    """

    input_ids: np.ndarray
    targets: np.ndarray
    position_ids: np.ndarray
    segment_ids: np.ndarray
    expert_ids: np.ndarray
    language_ids: np.ndarray


def table(stem: Path) -> dict[str, np.ndarray]:
    """Columns of a plan: from Arrow where pyarrow is there, else the same from `.npy`."""
    try:
        import pyarrow as pa
    except ImportError:
        saved = np.load(stem.with_suffix(".npy"), mmap_mode="r")
        return {name: saved[name] for name in saved.dtype.names}
    with pa.memory_map(str(stem.with_suffix(".arrow"))) as file, pa.ipc.open_file(file) as reader:
        read = reader.read_all()
        return {name: read[name].to_numpy() for name in read.column_names}


class Reader:
    """Rows of the plan `name` (plan, or heldout) in `folder`. Opening is cheap; tokens are read when asked for."""

    def __init__(self, folder: Path, name: str = "plan"):
        about: dict[str, Any] = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self.window: int = about["window"]
        self.languages: list[str] = about["languages"]
        self.rows_per_step: int = about["rows_per_step"]
        self.spans = table(folder / name)
        row = self.spans["row"]
        self.rows = int(row[-1]) + 1 if len(row) else 0
        self.steps = -(-self.rows // self.rows_per_step)
        self.first = np.searchsorted(row, np.arange(self.rows + 1))  # spans of row r: first[r] to first[r + 1]
        self._learnt = np.concatenate([[0], np.cumsum(self.spans["learnt"], dtype=np.int64)])[self.first]
        self._lengths = np.concatenate([[0], np.cumsum(self.spans["length"], dtype=np.int64)])[self.first]
        self.tokens = np.load(folder / "tokens.npy", mmap_mode="r")
        self.learnt = np.load(folder / "learnt.npy", mmap_mode="r")

    def rows_of(self, step: int) -> np.ndarray:
        """Rows of a step, on all devices together. Raises IndexError for a step that the plan does not have."""
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} is not in the plan, which has {self.steps}")
        return np.arange(step * self.rows_per_step, min((step + 1) * self.rows_per_step, self.rows))

    def count_learnt(self, rows: np.ndarray) -> int:
        """Learnt tokens in `rows`."""
        return int((self._learnt[rows + 1] - self._learnt[rows]).sum())

    def count(self, rows: np.ndarray) -> int:
        """Tokens in `rows`, without padding."""
        return int((self._lengths[rows + 1] - self._lengths[rows]).sum())

    def context(self) -> tuple[float, float]:
        """Tokens that a token sees on average, itself included; and the share of tokens that are learnt."""
        length = self.spans["length"].astype(np.float64)
        return float((length * (length + 1) / 2).sum() / length.sum()), float(self.spans["learnt"].sum() / length.sum())

    def micro_batches(self, step: int, size: int, rank: int = 0, world: int = 1) -> list[np.ndarray]:
        """The rows of a step that device `rank` of `world` works on, at most `size` at a time.

        Every device gets the same number of micro-batches; a short one is filled with the row -1, which is padding.
        """
        rows = self.rows_of(step)
        each = -(-len(rows) // world)
        mine = np.full(-(-each // size) * size, PADDING)
        mine[: len(rows[rank::world])] = rows[rank::world]
        return list(mine.reshape(-1, size))

    def batch(self, rows: np.ndarray) -> Batch:
        """The tokens of `rows` (int [B]; -1: a row of padding)."""
        begin = self.first[np.maximum(rows, 0)]
        counts = np.where(rows >= 0, self.first[np.maximum(rows, 0) + 1] - begin, 0)
        number = _ranges(counts)  # of each span within its row
        span = np.repeat(begin, counts) + number
        length = self.spans["length"][span].astype(np.int64)
        into = np.cumsum(length) - length
        into -= np.repeat(into[np.minimum(np.cumsum(counts) - counts, len(span) - 1)], counts) if len(span) else 0
        into += np.repeat(np.arange(len(rows)), counts) * self.window  # where each span begins in the batch
        position = _ranges(length)
        source = np.repeat(self.spans["start"][span], length) + position
        place = np.repeat(into, length) + position
        last = np.repeat(length - 1, length) == position  # predicts nothing
        following = np.where(last, source, source + 1)

        def spread(values: np.ndarray, dtype: Any, padding: int = 0) -> np.ndarray:
            flat = np.full(len(rows) * self.window, padding, dtype)
            flat[place] = values
            return flat.reshape(len(rows), self.window)

        def by_span(values: np.ndarray) -> np.ndarray:
            return np.repeat(values, length)

        learnt = self.learnt[following] & ~last
        return Batch(
            input_ids=spread(self.tokens[source], np.int64),
            targets=spread(np.where(learnt, self.tokens[following].astype(np.int64), NO_TARGET), np.int64, NO_TARGET),
            position_ids=spread(position, np.int64),
            segment_ids=spread(by_span(number + 1), np.int64),
            expert_ids=spread(by_span(self.spans["expert"][span]), np.int64, PADDING),
            language_ids=spread(by_span(self.spans["language"][span]), np.int64, PADDING),
        )


def _ranges(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... for each count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
