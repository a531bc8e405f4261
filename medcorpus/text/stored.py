"""Tables that are the same on every start: made once on a machine, then read from beside the compiled kernels.

They are filled by asking Python about every character, which takes a third of a second in each process. The folder is
named after the sources of this package (`medcorpus.text`) and is ours alone; the name of a file holds the version of
Unicode that was asked.
"""

import contextlib
import os
import unicodedata
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def stored(name: str, make: Callable[[], tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """What `make` returns, read-only. Where it cannot be kept it is made each time."""
    path = Path(os.environ["NUMBA_CACHE_DIR"]) / f"{name}-{unicodedata.unidata_version}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            made = tuple(file[key] for key in file.files)
    except (OSError, ValueError, zipfile.BadZipFile):
        made = make()
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{uuid.uuid4().hex}.npz")
            np.savez(partial, *made)
            partial.replace(path)
    for table in made:
        table.flags.writeable = False
    return made
