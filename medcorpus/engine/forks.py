"""How worker processes come to be: forked from one that has imported what all of them need, where that is safe.

Importing pyarrow, numba and the first stage takes a second of processor time. On Linux one process, the fork server of
`multiprocessing`, does it once for all workers; it has one thread and has opened nothing. Elsewhere libraries of the
system cannot be forked once they are loaded, and each worker starts from nothing.
"""

import multiprocessing as mp
import os
import sys
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

_SERVED = sys.platform == "linux"
_FIRST = "medcorpus.stages.ingest"  # with which a build begins


def context() -> Any:
    """The context of `multiprocessing` that workers are made in; the server starts to import meanwhile."""
    if not _SERVED:
        return mp.get_context("spawn")
    made = mp.get_context("forkserver")
    made.set_forkserver_preload(["medcorpus.engine.preload", _FIRST])
    # It would look for modules in the working folder first, where anything may lie. It shall find what we found.
    ours = {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return made
