"""Worker processes that start before anything else is imported: they and the driver take most of a second for that.

So this module imports next to nothing. Early workers know neither the run nor the recipe; a Pool takes them over, and
the first task says which store it is for.
"""

import multiprocessing as mp
import signal
from multiprocessing.connection import Connection
from typing import Any

from medcorpus.core import light


class Early:
    """`size` workers on their way."""

    def __init__(self, size: int):
        context = mp.get_context("spawn")
        self.lifeline = context.Pipe(duplex=False)
        self.workers = [Process(context, self.lifeline[0], kernels=True) for _ in range(size)]


class Process:
    """One worker process as the driver sees it; `busy` holds its tasks by key."""

    def __init__(self, context: Any, lifeline: Connection, kernels: bool = False):
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_main, args=(theirs, lifeline, kernels), daemon=True)
        self.process.start()
        theirs.close()
        self.busy: dict[str, Any] = {}

    def give(self, root: str, tasks: list[Any]) -> None:
        """Hand out tasks of the run in the store `root`."""
        self.busy = {task.key: task for task in tasks}
        self.pipe.send((root, tasks))


def _main(pipe: Connection, lifeline: Connection, kernels: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    light.starting()
    from medcorpus.engine.pool import work

    work(pipe, lifeline, kernels)
