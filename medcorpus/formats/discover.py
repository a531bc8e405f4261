"""Patterns and folders -> files, each with its locator: the path from the source root.

The source root is the longest folder of a pattern without a wildcard (`data` in `data/**/*.jsonl`), so
moving a corpus changes no locator. Hidden files are skipped, symbolic links followed, and what cannot be
looked at is a file with an `error`, so that the others go on.

An archive stands for the files in it, as a folder does; `corpus.zip!/notes/*.txt` names some of them (there `*`
also crosses folders).
"""

import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from medcorpus.formats.base import SEPARATOR
from medcorpus.formats.containers import hub
from medcorpus.formats.containers.archive import Member, is_archive, members

_ABOUT = ("dataset_dict.json", "dataset_info.json", "dataset_infos.json")  # what `datasets` notes beside the data
_CARD = re.compile(rb"\A---\s*\n(?:.*\n)*?(?:configs|dataset_info|task_categories|size_categories|pretty_name):")
_WILD = re.compile(r"[*?[]")


class NothingFound(ValueError):
    """A pattern that matches no file."""


class SameLocator(ValueError):
    """Two files that would have the same locator."""


@dataclass(frozen=True)
class Found:
    """A file: `locator` is POSIX and NFC; `dataset` is true below a folder of records written by us or by
    `datasets.save_to_disk`; `named`, that a pattern is its very name; `error` says
    why it cannot be looked at.

    A member of an archive has `path` and `locator` like `a.zip!/b.txt`, the `digest` of its content, and, in a
    compressed tar, its place on the `tape` (locator of the archive, number).
    """

    locator: str
    path: str
    root: str
    size: int = 0
    identity: str = ""  # device, inode, size and mtime: equal means unchanged
    mtime_ns: int = 0
    dataset: bool = False
    named: bool = False
    error: str | None = None
    digest: str = ""
    tape: tuple[str, int] | None = None


Listing = Callable[[Found], list[Member]]


def list_members(file: Found) -> list[Member]:
    """What is in an archive. Raises OSError."""
    return members(file.path)


def find(patterns: list[str], base: str, listing: Listing = list_members) -> list[Found]:
    """All files that `patterns` (files, folders, globs with `**`; relative to `base`) name, by locator.

    A file that two patterns name counts once. Raises NothingFound for a pattern without a file, SameLocator
    for two files below different roots that would get the same record ids.
    """
    by_path: dict[str, Found] = {}
    by_locator: dict[str, Found] = {}
    for pattern in patterns:
        files = list(_expand(pattern, base, listing))
        if not files:
            where = "the Hub" if pattern.startswith(hub.SCHEME) else _root_of(pattern, base)[0]
            raise NothingFound(f"no file matches {pattern} (looked in {where})")
        for file in files:
            if file.path in by_path:
                continue
            other = by_locator.get(file.locator)
            if other and not (file.dataset and other.dataset):  # records bring their own ids and locators
                raise SameLocator(
                    f"{other.path} and {file.path} would have the same locator {file.locator}; "
                    "read their common parent folder, or use one step for each with its own `source`"
                )
            by_path[file.path] = by_locator[file.locator] = file
    return sorted(by_path.values(), key=lambda file: (file.locator, file.path))


def _expand(pattern: str, base: str, listing: Listing) -> Iterator[Found]:
    """The files a pattern names, and for an archive the files in it."""
    if pattern.startswith(hub.SCHEME):
        for file in hub.find(pattern):
            yield Found(file.locator, file.path, pattern, file.size, file.digest, digest=file.digest)
        return
    outer, separator, inner = pattern.partition(SEPARATOR)
    if separator and os.path.lexists(Path(_native(base), _native(pattern))):
        outer, inner = pattern, ""
    for file in _files(outer, base):
        if file.error or file.dataset or not (inner or is_archive(file.path)):
            yield file
        else:
            yield from _inside(file, inner, listing)


def _inside(archive: Found, pattern: str, listing: Listing) -> Iterator[Found]:
    """Members that match `pattern`; without one, all. What no reader knows is told by who reads, as in a folder."""
    try:
        listed = listing(archive)
    except OSError as error:
        yield replace(archive, error=_reason(error))
        return
    chosen = [m for m in listed if not m.name or not pattern or fnmatchcase(m.name, _nfc(pattern))]
    for member in chosen:
        end = f"{SEPARATOR}{member.name}" if member.name else ""
        yield replace(
            archive,
            locator=archive.locator + end,
            path=archive.path + end,
            size=member.size,
            identity=archive.identity + end,
            error=member.error,
            named=False,
            digest=member.digest,
            tape=(archive.locator, member.tape) if member.tape >= 0 else None,
        )
    if not chosen:
        what = f"no member matches {pattern}" if pattern else "it holds no files"
        yield replace(archive, error=what)


def _files(pattern: str, base: str) -> Iterator[Found]:
    path = Path(_native(base), _native(pattern))
    if path.is_dir():
        folder = path / "dataset" if (path / "dataset" / "state.json").exists() else path
        yield from _below(folder, folder, ())
    elif path.exists() or os.path.lexists(path):
        yield replace(_found(path, path.parent), named=True)
    else:
        root, parts = _root_of(_native(pattern), _native(base))
        seen = set()
        for found in _match(root, root, parts):
            if found.path not in seen:
                seen.add(found.path)
                yield found


def _root_of(pattern: str, base: str) -> tuple[Path, tuple[str, ...]]:
    """The longest leading folder without a wildcard, and the rest of the parts."""
    parts = Path(pattern).parts
    wild = next((i for i, part in enumerate(parts) if _WILD.search(part)), len(parts) - 1)
    return Path(base, *parts[:wild]), parts[wild:]


def _match(folder: Path, root: Path, parts: tuple[str, ...], above: tuple[tuple[int, int], ...] = ()) -> Iterator[Found]:  # fmt: skip # noqa: E501
    """Files below `folder` that match the glob `parts`."""
    part, rest = parts[0], parts[1:]
    if not _WILD.search(part):
        here = folder / part
        if rest:
            if here.is_dir():
                yield from _match(here, root, rest, above)
        elif here.is_file():
            yield _found(here, root)
        return
    entries = _entries(folder, root, above)
    if isinstance(entries, Found):
        yield entries
        return
    if not entries:
        return
    above = (*above, _id(folder))
    if part == "**" and rest:
        yield from _match(folder, root, rest, above[:-1])
    for entry in entries:
        if part == "**":
            if _is_folder(entry):
                yield from _match(Path(entry.path), root, parts, above)
            elif not rest:
                yield _found(Path(entry.path), root)
        elif fnmatchcase(_nfc(_utf8(entry.name)), _nfc(_utf8(part))):
            folder_too = _is_folder(entry)
            if not rest and not folder_too:
                yield _found(Path(entry.path), root)
            elif rest and folder_too:
                yield from _match(Path(entry.path), root, rest, above)


def _below(folder: Path, root: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
    """All files below a folder; of a folder of records, the files its index lists."""
    entries = _entries(folder, root, above)
    if isinstance(entries, Found):
        yield entries
        return
    if not entries:
        return
    above = (*above, _id(folder))
    listed = _listed(folder)
    for entry in entries:
        if listed is not None:
            if _utf8(entry.name) in listed:
                yield _found(Path(entry.path), root, dataset=True)
        elif _is_folder(entry):
            yield from _below(Path(entry.path), root, above)
        elif entry.name not in _ABOUT and not (entry.name == "README.md" and _is_card(entry.path)):
            yield _found(Path(entry.path), root)


def _is_card(path: str) -> bool:
    """Is it the card of a dataset, which speaks about the files beside it?"""
    try:
        with Path(path).open("rb") as file:
            return _CARD.search(file.read(1 << 14)) is not None
    except OSError:
        return False


def _entries(folder: Path, root: Path, above: tuple[tuple[int, int], ...]) -> list[os.DirEntry] | Found:
    """What is in a folder, by name, hidden entries left out; nothing when it is its own ancestor."""
    try:
        if _id(folder) in above:
            return []
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        return Found(_locator(folder, root), _utf8(str(folder)), _utf8(str(root)), error=_reason(error))


def _listed(folder: Path) -> set[str] | None:
    """Names of the data files of a dataset or of a step folder; None when it is neither."""
    try:
        if (state := folder / "state.json").exists():
            return {item["filename"] for item in json.loads(state.read_bytes())["_data_files"]}
        if (manifest := folder / "manifest.json").exists():
            return {f"{part[0]}.arrow" for part in json.loads(manifest.read_bytes())["parts"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return None


def _found(path: Path, root: Path, dataset: bool = False) -> Found:
    locator, name, base = _locator(path, root), _utf8(str(path)), _utf8(str(root))
    if name.encode() != os.fsencode(path):
        return Found(locator, name, base, error="its name is not utf-8")
    try:
        stat = path.stat()
    except OSError as error:
        return Found(locator, name, base, error=_reason(error))
    identity = f"{stat.st_dev}-{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}"
    return Found(locator, name, base, stat.st_size, identity, stat.st_mtime_ns, dataset)


def _locator(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix() if path != root else path.name
    return _nfc(_utf8(name))


def _native(text: str) -> str:
    """A name as this process's locale spells it, whatever that is; on disk names are utf-8."""
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def _utf8(name: str) -> str:
    """The inverse of `_native`, with escapes for what is not utf-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in circles
        return False


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _id(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
