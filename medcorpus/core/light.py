"""Starting without what nobody asked for: a third of a process's start is libraries that others import on a guess.

pyarrow looks for pandas when it makes its first array from Python values, to recognise Series (0.3 s of processor
time); numba looks for scipy when it loads its first kernel, to offer linear algebra (as long). Neither is used here,
and each looks only once. So each is made to look while there is nothing to find. Only our own processes do this, the
command line and its workers: in somebody's notebook pyarrow goes on knowing pandas.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Hidden:
    """A finder that says of its modules that they are not installed."""

    def __init__(self, names: tuple[str, ...]):
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Inside, the packages `names` cannot be imported, unless they have been already."""
    finder = _Hidden(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def arrow() -> None:
    """Import pyarrow; it does not look for pandas again."""
    with absent("pandas"):
        import pyarrow as pa

        pa.array([None])


def kernels() -> None:
    """Import numba, ready to load kernels but not to compile any. Before any module with kernels.

    Before numba looks for a kernel on disk it makes ready to compile it (0.2 s), whether it finds it or not. The
    compiler does that as well, so here a kernel is only loaded.
    """
    with absent("scipy"):
        from numba.core import caching
        from numba.core.runtime.nrt import rtsys

    def load(self: Any, signature: Any, context: Any) -> Any:
        rtsys.initialize(context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(signature, context)

    if hasattr(caching.Cache, "_load_overload"):  # else a numba of another make, as quick as it is
        caching.Cache.load_overload = load  # type: ignore[method-assign]


def compiler() -> None:
    """Make numba ready to compile; it does not look for scipy again. Before any module with kernels."""
    with absent("scipy"):
        from numba.core.registry import cpu_target

        cpu_target.target_context.refresh()


def starting() -> None:
    """Do not look for garbage while a process starts: imports make many objects, and none of them goes.

    Nor start threads for linear algebra, of which there is none here: they wait for work by spinning.
    """
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def started() -> None:
    """Look again, but not at what is there by now."""
    gc.freeze()
    gc.enable()
