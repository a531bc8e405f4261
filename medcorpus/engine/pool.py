"""Worker processes: start them, hand out tasks, hear progress, survive their deaths.

Each worker holds one end of a lifeline pipe; when the driver dies, however it dies, the pipe closes
and the worker leaves. A worker that dies (out of memory, a crash in native code) fails only the tasks it
held: they are tried once more, then reported.
"""

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from medcorpus.core.errors import MedcorpusError, PartitionError, Retryable
from medcorpus.engine.early import Early, Process, leave_with_driver
from medcorpus.engine.worker import Result, Task, Worker

_REPORT_EVERY = 0.2  # seconds between two progress messages of a task
IO_PARTS_IN_FLIGHT = 16


@dataclass(frozen=True)
class Heard:
    """Something a worker said: progress (rows, bytes), a result, or how a task failed."""

    task: Task
    rows: int = 0
    bytes: int = 0
    result: Result | None = None
    error: Exception | None = None


class Pool:
    """At most `size` processes, started when there is work for them, or ahead of it."""

    def __init__(self, root: str, size: int, early: Early | None = None):
        self.size = max(1, size)
        self._root = root
        self._early = early
        self._lifeline = early.lifeline if early else Pipe(duplex=False)
        self._workers: list[Process] = []

    def run(self, tasks: Sequence[Task], io: bool = False) -> Iterator[Heard]:
        """Do all tasks, in any order; yields what is heard. With `io`, one process takes them all."""
        groups = [list(tasks)] if io else [[task] for task in tasks]
        todo = deque(group for group in groups if group)
        tried: set[str] = set()
        while todo or any(worker.busy for worker in self._workers):
            for worker in self._idle(len(todo)):
                worker.give(self._root, todo.popleft())
            busy = [worker for worker in self._workers if worker.busy]
            ready = wait([w.pipe for w in busy] + [w.process.sentinel for w in busy])
            for worker in busy:
                if worker.pipe in ready:
                    yield from self._listen(worker, todo, tried)
                elif worker.process.sentinel in ready:
                    yield from self._bury(worker, todo, tried)

    def _idle(self, wanted: int) -> list[Process]:
        self._take_over()
        self._workers = [worker for worker in self._workers if worker.busy or worker.process.is_alive()]
        idle = [worker for worker in self._workers if not worker.busy]
        while len(idle) < wanted and len(self._workers) < self.size:
            worker = Process(self._lifeline[0])
            self._workers.append(worker)
            idle.append(worker)
        return idle[:wanted]

    def _take_over(self) -> None:
        if self._early:
            self._workers = self._early.workers()
            self._early = None
            while len(self._workers) > self.size:
                self._workers.pop().process.terminate()

    def _listen(self, worker: Process, todo: deque[list[Task]], tried: set[str]) -> Iterator[Heard]:
        try:
            key, what, value = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._bury(worker, todo, tried)
            return
        task = worker.busy[key]
        if what == "progress":
            yield Heard(task, rows=value[0], bytes=value[1])
            return
        del worker.busy[key]
        if what == "result":
            yield Heard(task, result=value)
        elif isinstance(value, Retryable) and key not in tried:
            tried.add(key)
            todo.append([task])
        else:
            yield Heard(task, error=value)

    def _bury(self, worker: Process, todo: deque[list[Task]], tried: set[str]) -> Iterator[Heard]:
        worker.process.join()
        code = worker.process.exitcode
        self._workers.remove(worker)
        for task in worker.busy.values():
            if task.key not in tried:
                tried.add(task.key)
                todo.append([task])
            else:
                how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
                yield Heard(
                    task,
                    error=PartitionError(
                        f"part {task.key}: the worker died twice ({how}); most often memory: try --workers 1"
                    ),
                )

    def close(self) -> None:
        """Stop every worker, busy or not. What they published stays."""
        self._take_over()
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self._workers.clear()
        for end in self._lifeline:
            end.close()


def work(pipe: Connection, lifeline: Connection) -> None:
    """A worker's life: take tasks until told to stop. Ctrl-C is the driver's to handle."""
    leave_with_driver(lifeline)
    worker: Worker | None = None
    lock = threading.Lock()

    def say(key: str, what: str, value: Any) -> None:
        with lock:
            pipe.send((key, what, value))

    while True:
        try:
            root, tasks = pipe.recv()
        except (EOFError, OSError):
            return
        worker = worker or Worker(root)
        asyncio.run(_do(worker, tasks, say))


async def _do(worker: Worker, tasks: list[Task], say: Any) -> None:
    """One task, or many io tasks side by side."""
    gate = asyncio.Semaphore(IO_PARTS_IN_FLIGHT)

    async def one(task: Task) -> None:
        async with gate:
            seen, last = [0, 0], time.monotonic()

            def progress(rows: int, size: int) -> None:
                nonlocal last
                seen[0] += rows
                seen[1] += size
                if time.monotonic() - last > _REPORT_EVERY:
                    say(task.key, "progress", tuple(seen))
                    seen[:], last = [0, 0], time.monotonic()

            try:
                result = await worker.run(task, progress)
                say(task.key, "progress", tuple(seen))
                say(task.key, "result", result)
            except Exception as error:  # everything goes to the driver, which decides
                say(task.key, "error", portable(error))

    await asyncio.gather(*(one(task) for task in tasks))


def portable(error: Exception) -> Exception:
    """An error that can be sent to the driver: house errors as they are, others as their traceback.

    Locals and data never travel: only the type and the places in the code, not the message, which may
    quote a row.
    """
    if isinstance(error, MedcorpusError):
        return error
    if isinstance(error, OSError):
        return OSError(error.errno, error.strerror, error.filename)
    places = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
    return MedcorpusError(f"{type(error).__name__} in a worker:\n{places}")
