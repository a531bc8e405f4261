"""What is seen while a run goes on: bars on a terminal, a line now and then elsewhere."""

import os
import sys
import time
from types import TracebackType
from typing import Any

from medcorpus.core.log import event

_EVERY = 30.0  # seconds between two plain progress lines


class Progress:
    """One line per unit. Counts rows, bytes and parts; on a terminal also a bar and the time left."""

    def __init__(self, quiet: bool = False, plain: bool = False):
        terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and "CI" not in os.environ
        self._bar: Any = None
        self._quiet = quiet
        self._rich = terminal and not plain and not quiet
        self._label = ""
        self._started = self._last = 0.0
        self._rows = self._bytes = self._parts = self._total = 0

    def __enter__(self) -> "Progress":
        if self._rich:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("[bold]{task.description:<20}"),
                BarColumn(bar_width=12),
                TextColumn("{task.fields[parts]:>9}"),
                TextColumn("{task.fields[rate]:>24}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, label: str, parts: int, size: int) -> None:
        """A unit begins: `parts` tasks, about `size` bytes to read."""
        self._label, self._total = label, parts
        self._started = self._last = time.monotonic()
        self._rows = self._bytes = self._parts = 0
        if self._bar is not None:
            self._task = self._bar.add_task(label, total=max(size, 1), parts=f"0/{parts}", rate="")
        else:
            self._say(f"{label}: {parts} part(s) to do", step=label, parts=parts)

    def tick(self, rows: int = 0, size: int = 0, parts: int = 0) -> None:
        """Work went on."""
        self._rows, self._bytes, self._parts = self._rows + rows, self._bytes + size, self._parts + parts
        if self._bar is not None:
            self._bar.update(self._task, advance=size, parts=f"{self._parts}/{self._total}", rate=self._rate())
        elif time.monotonic() - self._last > _EVERY:
            self._last = time.monotonic()
            self._say(f"{self._label}: {self._parts}/{self._total} parts, {self._rate()}")

    def end(self, summary: str, **fields: Any) -> None:
        """The unit is committed."""
        if self._bar is not None:
            total = self._bar.tasks[self._task].total
            self._bar.update(self._task, completed=total, rate=self._rate())
        else:
            self._say(f"{self._label}: {summary}", step=self._label, **fields)

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        return f"{self._rows / seconds:,.0f} rows/s {self._bytes / seconds / 1e6:,.0f} MB/s"

    def _say(self, message: str, **fields: Any) -> None:
        if not self._quiet:
            event(message, **fields)
