"""Compile kernels before the workers start: once on a machine, in parallel, and said.

Kernels are compiled when a stage is opened and kept on disk (`medcorpus.text` says where). Left to the workers, each
would compile the same ones at the same time, and nobody would know why nothing happens.
"""

import multiprocessing as mp
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from medcorpus.core import light
from medcorpus.core.log import event
from medcorpus.core.stage import Stage
from medcorpus.engine.plan import Step


def compile_kernels(steps: Iterable[Step]) -> None:
    """Open every stage among `steps` that compiles and has not been opened on this machine, each in a process, and
    what it leaves to later in another.

    What a stage cannot find (a model) is not told here: the worker that opens it next will tell.
    """
    todo = {step.cls.name: step for step in reversed(list(steps)) if step.cls.compiles and not _mark(step).exists()}
    if not todo:
        return
    started = time.monotonic()
    event(f"compiling the kernels of {', '.join(reversed(todo))}: some 10 seconds each, once on this machine")
    context = mp.get_context("spawn")
    waiting = [(step, _warm) for step in todo.values() if step.cls.warm is not Stage.warm]
    waiting += [(step, _open) for step in todo.values()]
    running: list[tuple[Step, SpawnProcess]] = []
    failed = set()
    while waiting or running:
        while waiting and len(running) < _cores():
            step, run = waiting.pop()
            running.append((step, context.Process(target=run, args=(step,))))
            running[-1][1].start()
        wait([process.sentinel for _, process in running])
        done = [(step, process) for step, process in running if process.exitcode is not None]
        failed |= {step.cls.name for step, process in done if process.exitcode}
        running = [pair for pair in running if pair not in done]
    for name in todo.keys() - failed:
        _mark(todo[name]).touch()
    event(f"kernels compiled in {time.monotonic() - started:.0f} s")


def _open(step: Step) -> None:
    with _quietly():
        stage = step.build()
        stage.open()
        stage.close()


def _warm(step: Step) -> None:
    with _quietly():
        step.build().warm()


@contextmanager
def _quietly() -> Iterator[None]:
    """A compiling process: what goes wrong in it shows in its exit code only."""
    light.starting()
    light.arrow()
    light.compiler()
    try:
        yield
    except Exception:
        sys.exit(1)


def _mark(step: Step) -> Path:
    """There when the kernels of a stage are: beside them, so that both go together."""
    import medcorpus.text  # noqa: F401 (says where kernels are kept)

    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"compiled-{step.cls.name}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
