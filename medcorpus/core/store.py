"""Where bytes lie: five operations (list, open, publish, delete, lock), local or any fsspec file system.

A published name appears whole or not at all. Local: temporary file beside it, fsync, rename; the lock
is `flock`, which the operating system frees when a process dies, however it dies. Object store: one
PUT; the lock is an object with a token that is checked again at every publish, so that a driver which
lost its lock can no longer commit.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

import pyarrow as pa

from medcorpus.core.errors import Locked
from medcorpus.core.writeback import writeback

_TEMPORARY = ".tmp-"


class Store(Protocol):
    """Names are POSIX paths relative to the root of the store."""

    root: str

    def list(self, prefix: str) -> dict[str, int]:
        """Sizes in bytes of the published names directly in the folder `prefix` (empty when absent)."""
        ...

    def open(self, name: str) -> pa.NativeFile:
        """The bytes of `name`, for random reading. Raises FileNotFoundError."""
        ...

    def publish(self, name: str, private: bool = False) -> contextlib.AbstractContextManager[IO[bytes]]:
        """A sink; when the block ends without error, `name` holds what was written, else nothing changed."""
        ...

    def delete(self, name: str) -> None:
        """Remove a name or everything below it; no error when there is nothing."""
        ...

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Hold the only right to run here. Raises Locked, saying who holds it."""
        ...

    def exists(self, name: str) -> bool:
        """Is `name` published?"""
        ...


def open_store(root: str) -> Store:
    """The store behind a folder or a URL such as `s3://bucket/runs/corpus`; `file://` is a folder."""
    scheme, there, path = root.partition("://")
    if not there or scheme in ("file", "local"):
        return LocalStore(path if there else root)
    return FsspecStore(root)


def holder() -> dict[str, Any]:
    """What the lock says about the process that holds it."""
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": started, "command": command}


def _locked(root: str, text: str | bytes) -> Locked:
    try:
        who = json.loads(text)
        what = f"process {who['pid']} on {who['host']}, since {who['started']}"
    except (ValueError, KeyError, TypeError):
        what = "another process"
    return Locked(f"{root} is locked by {what}; wait for it, or use another --out")


def _inside(name: str) -> PurePosixPath:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"not a name inside the store: {name}")
    return pure


def _not_all(name: str) -> None:
    if not _inside(name).parts:
        raise ValueError("that would delete the whole store")


class LocalStore:
    """A folder. Folders below `private/` are made with mode 0700, their files with 0600."""

    def __init__(self, root: str | Path):
        self.root = str(root)
        self._root = Path(root)

    def path(self, name: str) -> Path:
        """Where `name` lies on disk. Raises ValueError for a name that leaves the store."""
        return self._root / _inside(name)

    def list(self, prefix: str) -> dict[str, int]:
        """See `Store`."""
        sizes = {}
        try:
            with os.scandir(self.path(prefix)) as entries:
                for entry in entries:
                    if _TEMPORARY not in entry.name:
                        with contextlib.suppress(FileNotFoundError):  # gone meanwhile, or a link to nothing
                            sizes[entry.name] = entry.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return dict(sorted(sizes.items()))

    def open(self, name: str) -> pa.NativeFile:
        """See `Store`. Memory-mapped."""
        path = self.path(name)
        if not path.stat().st_size:
            return pa.BufferReader(b"")
        return pa.memory_map(str(path))

    def exists(self, name: str) -> bool:
        """See `Store`."""
        return self.path(name).exists()

    def folder(self, name: str) -> Path:
        """The folder `name`, made when missing, closed to others below `private/`."""
        path = self._root
        path.mkdir(parents=True, exist_ok=True)
        private = False
        for part in PurePosixPath(name).parts:
            path = path / part
            private = private or part == "private"
            path.mkdir(mode=0o700 if private else 0o777, exist_ok=True)
        return path

    @contextlib.contextmanager
    def publish(self, name: str, private: bool = False) -> Iterator[IO[bytes]]:
        """See `Store`."""
        target = self.path(name)
        self.folder(str(PurePosixPath(name).parent))
        temporary = target.with_name(f"{target.name}{_TEMPORARY}{secrets.token_hex(4)}")
        mode = 0o600 if private or "private" in PurePosixPath(name).parts else 0o666
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "wb") as sink:  # noqa: PTH123 (from a descriptor)
                with writeback(descriptor):
                    yield sink
                    sink.flush()
                os.fsync(descriptor)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync(target.parent)

    @contextlib.contextmanager
    def publish_folder(self, name: str) -> Iterator[Path]:
        """An empty folder; it appears under `name` when the block ends without error."""
        parent = self.folder(str(PurePosixPath(name).parent))
        target = self.path(name)
        temporary = parent / f"{target.name}{_TEMPORARY}{secrets.token_hex(4)}"
        temporary.mkdir(mode=0o700 if "private" in PurePosixPath(name).parts else 0o777)
        try:
            yield temporary
            for path in (*temporary.rglob("*"), temporary):
                if "private" in PurePosixPath(name).parts:
                    path.chmod(0o700 if path.is_dir() else 0o600)
                sync(path)
            if target.exists():  # a half-made artefact cannot be here: a rename brought it, or nothing did
                shutil.rmtree(target)
            temporary.replace(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync(parent)

    def link(self, name: str, target: str) -> None:
        """Make the symbolic link `name` point at `target` (a name of this store), in one step."""
        path = self.path(name)
        temporary = path.with_name(f"{path.name}{_TEMPORARY}{secrets.token_hex(4)}")
        temporary.symlink_to(target)
        temporary.replace(path)

    def delete(self, name: str) -> None:
        """See `Store`."""
        _not_all(name)
        path = self.path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what a killed run left half written; only under the lock. Returns how many."""
        found = list(self._root.rglob(f"*{_TEMPORARY}*"))
        for path in found:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        return len(found)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """See `Store`."""
        self._root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _locked(self.root, os.read(descriptor, 4096)) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder()).encode(), 0)
            yield
        finally:
            os.close(descriptor)


def sync(path: Path) -> None:
    """Make the bytes of a file, or the renames in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FsspecStore:
    """Any fsspec file system. Whole objects only: a publish is buffered on local disk, then one PUT."""

    def __init__(self, root: str):
        from fsspec.core import url_to_fs

        self.root = root
        self._fs, self._base = url_to_fs(root)
        self._token: str | None = None

    def _path(self, name: str) -> str:
        return f"{self._base.rstrip('/')}/{_inside(name)}".removesuffix("/.")

    def list(self, prefix: str) -> dict[str, int]:
        """See `Store`."""
        folder = self._path(prefix)
        self._fs.invalidate_cache()  # other processes publish too
        try:
            found = self._fs.ls(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        sizes = {entry["name"].rstrip("/"): int(entry["size"] or 0) for entry in found}
        own = folder.lstrip("/")  # an object, or the marker of a folder, lists itself
        names = {path.rsplit("/", 1)[-1]: size for path, size in sizes.items() if path.lstrip("/") != own}
        return dict(sorted((name, size) for name, size in names.items() if _TEMPORARY not in name))

    def open(self, name: str) -> pa.NativeFile:
        """See `Store`."""
        return pa.PythonFile(self._fs.open(self._path(name), "rb"), mode="r")

    def exists(self, name: str) -> bool:
        """See `Store`."""
        self._fs.invalidate_cache()
        return bool(self._fs.exists(self._path(name)))

    @contextlib.contextmanager
    def publish(self, name: str, private: bool = False) -> Iterator[IO[bytes]]:
        """See `Store`. Raises Locked when the lock was taken over meanwhile."""
        import tempfile

        path = self._path(name)
        with tempfile.NamedTemporaryFile() as sink:
            yield sink
            sink.flush()
            self._check_token()
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self._fs.put_file(sink.name, path)  # not `open`: closing that after an error commits half an object

    def delete(self, name: str) -> None:
        """See `Store`."""
        _not_all(name)
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._path(name), recursive=True)

    def _check_token(self) -> None:
        if self._token is not None and self._holder().get("token") != self._token:
            raise Locked(f"{self.root}: the lock was taken over by another run; this one stops")

    def _holder(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._fs.cat_file(self._path(".lock"))))
        except (FileNotFoundError, ValueError):
            return {}

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """See `Store`. A lock left by a dead driver names it; delete `.lock` after making sure."""
        if found := self._holder():
            raise _locked(self.root, json.dumps(found))
        self._token = secrets.token_hex(16)
        try:
            self._fs.makedirs(self._base, exist_ok=True)
            self._fs.pipe_file(self._path(".lock"), json.dumps(holder() | {"token": self._token}).encode())
            self._check_token()
            yield
        finally:
            if self._holder().get("token") == self._token:
                self.delete(".lock")
            self._token = None
