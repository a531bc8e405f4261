"""Files inside zip and tar archives: which there are, and their bytes. Nothing is unpacked to disk.

A member is named by a path like any other: `leaflets.zip!/en/a.txt`. `base.open_bytes` understands such paths,
so every reader reads members. Names are normalised (`/` between folders, no `..`, NFC); hidden members and
folders are left out, links too: what they point to is a member of its own.

A zip and a plain tar are read at random. A compressed tar is a *tape*: its members are to be read in the order in
which they lie, and then it is inflated once.
"""

import io
import os
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import lru_cache
from hashlib import blake2b
from lzma import LZMAError
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from medcorpus.formats.base import SEPARATOR, Damaged, open_bytes

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ENCRYPTED, _NAME_IS_UTF8 = 0x1, 0x800

BOMB_BYTES, BOMB_RATIO = 1 << 30, 200
"""More than this, and more than so many times the packed size, is taken for a bomb: text packs 3 to 20 times."""

_READ = 4 << 20
_HELD = 32 << 20  # a member of a tape is kept in memory up to this size, because a reader may open it twice
_FIRST = 16  # enough to tell a compression
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)  # fmt: skip # noqa: E501


@dataclass(frozen=True)
class Member:
    """A file in an archive. `tape` is its position in a compressed tar, else -1; `error` says why it is not read.

    The one without a name is the archive itself, when something is wrong with it.
    """

    name: str
    size: int = 0
    digest: str = ""
    tape: int = -1
    error: str | None = None

    def to_json(self) -> list[Any]:
        """All fields, in order."""
        return list(astuple(self))


def is_archive(name: str) -> bool:
    """Does a file name say that it is an archive?"""
    return name.lower().endswith(_ZIP + _TAR)


def members(path: str) -> list[Member]:
    """What is in the archive `path`, each with a digest: one reading pass. Raises OSError."""
    listed = _zip_members(path) if _is_zip(path) else _tar_members(path)
    try:
        return list(listed)
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno:
            raise
        return [Member("", error="it is not an archive, or a damaged one")]


def open_member(path: str, name: str) -> BinaryIO:
    """The bytes of a member, for reading forwards. Raises OSError; reading raises Damaged where it breaks off."""
    stat = os.stat(path.encode())  # noqa: PTH116
    identity = (path, stat.st_size, stat.st_mtime_ns)
    try:
        if _is_zip(path):
            archive, infos = _zip(*identity)
            return _Member(archive.open(infos[name]))
        index = _tar_index(*identity)
        if index is None:
            return _Member(_tape(*identity).open(name))
        return _Member(_Part(open_bytes(path), *index[name]))
    except KeyError:
        raise OSError(0, f"the archive has no member {name}") from None
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise OSError(0, "the member is damaged") from None


class _Member(io.RawIOBase):
    """A member with one kind of error, `tell` even where the archive has none, and a way back to its first bytes."""

    def __init__(self, file: Any):
        self._file = file
        self._at = 0
        self._first = self._again = b""

    def read(self, size: int = -1) -> bytes:
        """See RawIOBase. Raises Damaged."""
        if self._again:
            data = self._again if size < 0 else self._again[:size]
            self._again = self._again[len(data) :]
            if size >= 0:
                self._at += len(data)
                return data
            self._at += len(data)
            return data + self.read()
        try:
            data = self._file.read(size)
        except _BROKEN as error:
            raise Damaged(str(error)) from None
        if not self._at:
            self._first = data[:_FIRST] if len(data) <= _FIRST else b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """To the beginning, while no more than a first few bytes have been read. Raises OSError."""
        if offset or whence or self._at > len(self._first):
            raise io.UnsupportedOperation("a member is read forwards")
        self._again, self._at = self._first, 0
        return 0

    def tell(self) -> int:
        """Bytes read."""
        return self._at

    def readable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class _Names:
    """Normalised names, each once: a second `a.txt` is `2~a.txt`."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def of(self, raw: str) -> str | None:
        """The name of a member, None for a hidden one. To be called for every file in turn."""
        raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\\", "/")
        parts = [part for part in unicodedata.normalize("NFC", raw).split("/") if part not in ("", ".", "..")]
        if not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            return None
        name = "/".join(parts)
        self._seen[name] += 1
        copy = self._seen[name]
        return name if copy == 1 else str(PurePosixPath(name).with_name(f"{copy}~{parts[-1]}"))


# -- zip ----------------------------------------------------------------------------------------


def _is_zip(path: str) -> bool:
    return path.lower().endswith(_ZIP)


@lru_cache(maxsize=4)
def _zip(path: str, size: int, mtime: int) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    archive = zipfile.ZipFile(os.fsdecode(path.encode()))
    names = _Names()
    infos = {}
    for info in archive.infolist():
        if not info.is_dir() and (name := names.of(_zip_name(info))):
            infos[name] = info
    return archive, infos


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Names without the utf-8 flag are utf-8 all the same in most archives of today."""
    if not info.flag_bits & _NAME_IS_UTF8:
        try:
            return info.filename.encode("cp437").decode()
        except UnicodeError:
            pass
    return info.filename


def _zip_members(path: str) -> Iterator[Member]:
    """The digest is that of the packed bytes: nothing has to be inflated to know what changed."""
    stat = os.stat(path.encode())  # noqa: PTH116
    _, infos = _zip(path, stat.st_size, stat.st_mtime_ns)
    if sum(info.compress_size for info in infos.values()) > stat.st_size:
        yield Member("", error="its members overlap: it is a bomb, or damaged")
        return
    with open_bytes(path) as file:
        for name, info in infos.items():
            if error := _zip_error(name, info):
                yield Member(name, error=error)
                continue
            file.seek(info.header_offset)
            head = file.read(30)
            if len(head) < 30:
                yield Member(name, error="the member is damaged")
                continue
            file.seek(sum(struct.unpack("<HH", head[26:])), os.SEEK_CUR)
            sink = blake2b(struct.pack("<HI", info.compress_type, info.CRC), digest_size=16)
            left = info.compress_size
            while left and (data := file.read(min(left, _READ))):
                sink.update(data)
                left -= len(data)
            yield Member(name, info.file_size, sink.hexdigest())


def _zip_error(name: str, info: zipfile.ZipInfo) -> str | None:
    if is_archive(name):
        return "an archive in an archive is not read; unpack it first"
    if info.flag_bits & _ENCRYPTED:
        return "the member is encrypted"
    if info.compress_type not in _METHODS:
        return f"the member is packed by method {info.compress_type}, which is not known"
    if info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
        return f"the member unpacks to more than {BOMB_RATIO} times its size"
    return None


# -- tar ----------------------------------------------------------------------------------------


def _tar_members(path: str) -> Iterator[Member]:
    from medcorpus.formats.streams import Stream

    packed = os.stat(path.encode()).st_size  # noqa: PTH116
    names = _Names()
    with Stream(path) as stream:
        tar = _tar(stream)
        number, given = 0, 0
        while True:
            try:
                info = tar.next()
            except tarfile.TarError:
                yield Member("", error=f"the archive breaks off after {number} members")
                return
            if info is None:
                break
            tar.members = []  # it would remember every one
            if not info.isreg() or (name := names.of(info.name)) is None:
                continue
            number += 1
            given += info.size
            if given > max(BOMB_BYTES, BOMB_RATIO * packed):
                yield Member("", error=f"the archive unpacks to more than {BOMB_RATIO} times its size")
                return
            position = number if stream.codec else -1
            if is_archive(name) or info.issparse():
                what = "a sparse file" if info.issparse() else "an archive in an archive"
                yield Member(name, info.size, tape=position, error=f"{what} is not read; unpack it first")
                continue
            sink, left = blake2b(digest_size=16), info.size
            file = tar.extractfile(info)
            try:
                while file and left and (data := file.read(min(left, _READ))):
                    sink.update(data)
                    left -= len(data)
            except tarfile.TarError:
                pass
            error = f"the archive breaks off in this member, {left:,} bytes before its end" if left else None
            yield Member(name, info.size, sink.hexdigest(), position, error)
            if error:
                return
        if stream.broken:
            yield Member("", error=f"{stream.broken}; {number} members were found")
        elif not number and not tar.offset:
            yield Member("", error="it is not an archive, or an empty one")


def _tar(stream: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape")


@lru_cache(maxsize=4)
def _tar_index(path: str, size: int, mtime: int) -> dict[str, tuple[int, int]] | None:
    """Name -> (offset, size) of the members of a plain tar; None for a compressed one."""
    from medcorpus.formats.streams import codec_of

    with open_bytes(path) as file:
        if codec_of(file.read(10)):
            return None
        file.seek(0)
        index, names = {}, _Names()
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            try:
                while info := tar.next():
                    tar.members = []
                    if info.isreg() and (name := names.of(info.name)):
                        index[name] = (info.offset_data, info.size)
            except tarfile.TarError:
                pass  # the listing has said so
        return index


class _Part(io.RawIOBase):
    """A range of a file."""

    def __init__(self, file: BinaryIO, start: int, size: int):
        file.seek(start)
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


@lru_cache(maxsize=2)
def _tape(path: str, size: int, mtime: int) -> "_Tape":
    return _Tape(path)


class _Tape:
    """A compressed tar, wound forwards to one member after the other, and back only when that is asked for."""

    def __init__(self, path: str):
        self._path = path
        self._name = ""
        self._held: bytes | None = None
        self._wind_back()

    def _wind_back(self) -> None:
        from medcorpus.formats.streams import Stream

        self._stream = Stream(self._path)
        self._tar = _tar(self._stream)
        self._names = _Names()

    def open(self, name: str) -> Any:
        """A member, valid until the next is opened. Raises KeyError."""
        if name == self._name and self._held is not None:
            return io.BytesIO(self._held)
        info = self._seek(name)
        if info is None:
            self._stream.close()
            self._wind_back()
            info = self._seek(name)
        if info is None:
            raise KeyError(name)
        self._name, self._held = name, None
        file: Any = self._tar.extractfile(info)
        if info.size > _HELD:
            return file
        self._held = file.read()
        return io.BytesIO(self._held)

    def _seek(self, name: str) -> tarfile.TarInfo | None:
        while info := self._tar.next():
            self._tar.members = []
            if info.isreg() and self._names.of(info.name) == name:
                return info
        return None


def split(path: str) -> tuple[str, str] | None:
    """(archive, member) of a path like `a.zip!/b.txt`; None for the path of a file."""
    at = path.find(SEPARATOR)
    while at >= 0:
        if is_archive(path[:at]) and os.path.isfile(path[:at].encode()):  # noqa: PTH113
            return path[:at], path[at + len(SEPARATOR) :]
        at = path.find(SEPARATOR, at + 1)
    return None
