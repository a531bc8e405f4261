"""Pure kernels over Arrow buffers and strings: words, hashes, measures, masking. No recipe, no engine.

Kernels are compiled by numba and kept on disk. numba looks at the one file a kernel stands in: a helper
edited in *another* file leaves the caller's stale machine code in place, silently. So the folder is named
after a digest of all sources in this package, and an edit anywhere here starts an empty one. It is set
here because nothing in this package can be imported, nor pull in numba, before these lines have run.
Setting NUMBA_CACHE_DIR yourself is respected. Compiled code is loaded by unpickling, so a folder that
somebody else can write to is never used.
"""

import os
import stat
import sys
from hashlib import blake2b
from pathlib import Path


def _digest() -> str:
    """Digest of every source in this package, 16 hex digits."""
    total, folder = blake2b(digest_size=8), Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _usable(folder: Path) -> bool:
    """Whether `folder` is there, or could be made, is ours alone to write to, and can be written to."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return False
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return ours and not shared and os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def cache_folder() -> Path:
    """Where compiled kernels go: the user's cache, or a private temporary folder when that cannot be used."""
    name = f"numba-{_digest()}"
    root = os.environ.get("XDG_CACHE_HOME")
    if not root or not Path(root).is_absolute():  # the XDG specification tells to ignore relative paths
        root = os.path.expanduser("~/.cache")  # noqa: PTH111 (never raises, even without a home)
    folder = Path(root) / "medcorpus" / name
    if Path(root).is_absolute() and _usable(folder):
        return folder
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"medcorpus-{getattr(os, 'getuid', lambda: 0)()}" / name
    if _usable(folder) and _usable(folder.parent):
        return folder
    return Path(tempfile.mkdtemp(prefix="medcorpus-"))


if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(cache_folder())
    if "numba" in sys.modules:  # someone else was first: numba has read its environment already
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
