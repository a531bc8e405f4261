"""Compile kernels before the workers start: once on a machine, in parallel, and said.

Kernels are compiled when a stage is opened and kept on disk (`medcorpus.text` says where). Left to the workers, each
would compile the same ones at the same time, and nobody would know why nothing happens.
"""

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

from medcorpus.core import light
from medcorpus.core.log import event
from medcorpus.core.stage import Stage
from medcorpus.engine.early import leave_with_driver, template
from medcorpus.engine.plan import Step

_ROOM = (1 << 16) + 1  # words: just too many for a chunk of 512 KiB, so that half of one of 1 MiB stays free


def compile_kernels(steps: Iterable[Step]) -> None:
    """Open every stage among `steps` that compiles and has not been opened on this machine, and do what that leaves to
    later; in a process a core, each of which knows what it has compiled already.

    What a stage cannot find (a model) is not told here: the worker that opens it next will tell.
    """
    todo: dict[str, Step] = {}
    for step in steps:
        if step.cls.compiles and not _mark(step).exists():
            todo.setdefault(step.cls.name, step)
    if not todo:
        return
    started = time.monotonic()
    event(f"compiling the kernels of {', '.join(todo)}: some 10 seconds each, once on this machine")
    theirs, lifeline = mp.Pipe(duplex=False)
    pool = ProcessPoolExecutor(_cores(), template(), _prepare, (theirs, dict(os.environ)))
    try:
        work = [(name, pool.submit(_open, step)) for name, step in todo.items()]
        work += [(name, pool.submit(_warm, step)) for name, step in todo.items() if step.cls.warm is not Stage.warm]
        failed = {name for name, done in work if done.exception() is not None}
    except BaseException:
        lifeline.close()  # whoever still compiles ends now
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for end in (theirs, lifeline):
            end.close()
    for name in todo.keys() - failed:
        _mark(todo[name]).touch()
    event(f"kernels compiled in {time.monotonic() - started:.0f} s")


def _prepare(lifeline: Connection, environment: dict[str, str]) -> None:
    os.environ.update(environment)  # that of the template is as old as it is
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    leave_with_driver(lifeline)
    light.starting()
    light.arrow()
    light.compiler()
    from medcorpus.text.compiled import leave_inner_to_callers

    leave_inner_to_callers()


def _roomy(function: Callable[[Step], None]) -> Callable[[Step], None]:
    """`function`, whose frame asks for so much room that what it calls finds room behind it.

    CPython keeps the frames of Python functions in chunks of 16 KiB, and asks the system for one whenever a call does
    not fit into the last. numba recurses deeply and calls small functions a hundred thousand times; where these are the
    first that do not fit, each costs a mapping of memory (a second of two for one kernel of `langid`).
    """
    function.__code__ = function.__code__.replace(co_stacksize=_ROOM)
    return function


@_roomy
def _open(step: Step) -> None:
    stage = step.build()
    stage.open()
    stage.close()


@_roomy
def _warm(step: Step) -> None:
    step.build().warm()


def _mark(step: Step) -> Path:
    """There when the kernels of a stage are: beside them, so that both go together."""
    import medcorpus.text  # noqa: F401 (says where kernels are kept)

    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"compiled-{step.cls.name}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
