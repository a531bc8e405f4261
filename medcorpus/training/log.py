"""What a tune step writes down as it goes: `log.jsonl`, one object a line, and TensorBoard where it is installed."""

import contextlib
import json
from pathlib import Path
from typing import Any


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last line cut short by a kill is left out."""
    lines = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
    return lines


class Log:
    """Appends to the log of a step that begins, or goes on, after `step` steps: later lines are of a lost attempt."""

    def __init__(self, folder: Path, step: int, enabled: bool = True):
        self._file = None
        self._board: Any = None
        if not enabled:
            return
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        kept = [line for line in read_log(path) if line["step"] <= step]
        path.write_text("".join(map(_line, kept)), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, line: dict[str, Any]) -> None:
        """One line; its numbers, nested ones under `a/b`, go to TensorBoard."""
        if self._file is None:
            return
        self._file.write(_line(line))
        self._file.flush()
        if self._board is not None:
            for name, value in _numbers("", line):
                self._board.add_scalar(name, value, line["step"])

    def close(self) -> None:
        """Close both."""
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()


def _line(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"


def _numbers(prefix: str, value: Any) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _numbers(f"{prefix}/{key}" if prefix else key, inner)]
    return [(prefix, value)] if isinstance(value, int | float) and prefix != "step" else []
