"""Worker processes, and how they start: before anything else is imported, so this module imports next to nothing.

What a worker needs (Python, Arrow, numba) takes a second of processor time, so on Linux one process, the template, does
that once and every worker is a copy of it (`multiprocessing`'s fork server). The driver itself is never forked: the
template holds nothing of it, and has one thread (and jemalloc's, which knows of copies), so that no lock is copied in
the middle of somebody's work. Elsewhere each worker starts from nothing.
"""

import contextlib
import multiprocessing as mp
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any


def template(modules: Sequence[str] = ()) -> Any:
    """Starts the template, unless it is there. Returns how processes start (a context of `multiprocessing`).

    `modules` are imported as well: those that most tasks will need.
    """
    if sys.platform != "linux":
        return mp.get_context("spawn")
    from multiprocessing import forkserver

    found = mp.get_context("forkserver")
    found.set_forkserver_preload(["medcorpus.engine.template", *modules])  # heeded once
    try:
        forkserver.ensure_running()
    except OSError:  # no folder for its socket, or one whose name is too long for one
        return mp.get_context("spawn")
    return found


class Early:
    """`size` workers on their way, which know neither the run nor the recipe; a Pool takes them over.

    To start a process is to wait for the template, so a thread does.
    """

    def __init__(self, size: int):
        self.lifeline = mp.Pipe(duplex=False)
        self._workers: list[Process] = []

        def start() -> None:
            with contextlib.suppress(OSError, EOFError):  # the pool will try again, and tell
                for _ in range(size):
                    self._workers.append(Process(self.lifeline[0]))

        self._thread = threading.Thread(target=start, daemon=True)
        self._thread.start()

    def workers(self) -> "list[Process]":
        """They, once they are there."""
        self._thread.join()
        return self._workers


class Process:
    """One worker process as the driver sees it; `busy` holds its tasks by key."""

    def __init__(self, lifeline: Connection):
        self.pipe, theirs = mp.Pipe()
        self.process = template().Process(target=_main, args=(theirs, lifeline, dict(os.environ)), daemon=True)
        for wait in (0.1, 1.0, None):
            try:
                self.process.start()
                break
            except (ConnectionError, EOFError):  # the template was killed just now; the next start makes another
                if wait is None:
                    raise
                time.sleep(wait)
        theirs.close()
        self.busy: dict[str, Any] = {}

    def give(self, root: str, tasks: list[Any]) -> None:
        """Hand out tasks of the run in the store `root`."""
        self.busy = {task.key: task for task in tasks}
        self.pipe.send((root, tasks))


def leave_with_driver(lifeline: Connection) -> None:
    """End this process when the driver is gone, however it went: the other end of the pipe closes with it."""

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _main(pipe: Connection, lifeline: Connection, environment: dict[str, str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)  # that of the template is as old as it is
    import medcorpus.engine.template  # noqa: F401 (already there in a copy of it)
    from medcorpus.engine.pool import work

    work(pipe, lifeline)
