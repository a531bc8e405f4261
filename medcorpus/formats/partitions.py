"""Files -> shares of work that stay the same when other files come, go or are reordered.

Small files are grouped by a hash of their locator: a group is a leaf of the binary trie over the hash bits,
split while it is too large. So adding a file touches one group. A big file is a share of its own, or
several: jsonl by ranges of lines, parquet by row groups, Arrow files by batches. A compressed tar is one share,
so that it is inflated once.

Digests of files that have not changed are remembered by device, inode, size and mtime. As in git's index, a
file written within the last two seconds is not remembered: it may change again without its mtime changing.
"""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from medcorpus.core import keys
from medcorpus.core.stage import Partition
from medcorpus.formats import NO_READER, no_reader
from medcorpus.formats.base import open_bytes
from medcorpus.formats.containers.archive import Member
from medcorpus.formats.discover import Found, list_members
from medcorpus.formats.streams import codec_of

OWN_BYTES = 4 << 20  # a file as large as that is not grouped: tomorrow's file leaves today's alone
GROUP_BYTES = 32 << 20
GROUP_FILES = 64
SPLIT_BYTES = 32 << 20  # text of one share of a big file: small enough for all cores to have some
_RACY_NS = 2_000_000_000
_READ = 4 << 20

Range = dict[str, Any]  # digest, size and, for a part of a file: start, end, first_line or first_row


class Digests:
    """What is known of files already seen; `save` writes it down when something was added."""

    def __init__(self, folder: str):
        """Read `folder`/digests.json; with "" nothing is read or kept beyond this object."""
        self._path = Path(folder) / "digests.json" if folder else None
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        if self._path:
            try:
                self._known = orjson.loads(self._path.read_bytes())
            except (OSError, orjson.JSONDecodeError):
                self._known = {}

    def of(self, file: Found, format: str) -> list[Range]:
        """The ranges of a file with their digests. Raises OSError."""
        return self._remember(file, format, lambda: _ranges(file, format))

    def members(self, file: Found) -> list[Member]:
        """What is in an archive, with digests. Raises OSError."""
        listed = self._remember(file, "members", lambda: [member.to_json() for member in list_members(file)])
        return [Member(*fields) for fields in listed]

    def noted(self, key: str, find: Callable[[], list[Any]]) -> list[Any]:
        """What `find` said the first time; `key` says everything that it depends on."""
        if key not in self._known:
            self._known[key] = find()
            self._changed = True
            self.save()
        return self._known[key]

    def _remember(self, file: Found, what: str, find: Callable[[], list[Any]]) -> list[Any]:
        key = f"{file.identity}-{what}"
        if key not in self._known:
            found = find()
            if time.time_ns() - file.mtime_ns < _RACY_NS:
                return found
            self._known[key] = found
            self._changed = True
        return self._known[key]

    def save(self) -> None:
        """Write what was added, whole or not at all."""
        if not (self._path and self._changed):
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        temporary.write_bytes(orjson.dumps(self._known))
        temporary.replace(self._path)
        self._changed = False


def partitions(files: Iterable[tuple[Found, str]], digests: Digests) -> list[Partition]:
    """Shares of `files` (each with its format), ordered by their first locator.

    `spec` of a share is `{"files": [{path, locator, format, ...}]}`: with `start`, `end` and `first_line` or
    `first_row` for a part of a file, and `error` for one that cannot be read. Its digest covers locator,
    content, range and format of each file; neither where they lie nor when they were written.
    """
    listed = list(files)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # hashing and reading release the GIL
        known = list(pool.map(lambda item: _known(item[0], item[1], digests), listed))
    digests.save()
    small: dict[str, list[tuple[str, Range, dict]]] = {}
    tapes: dict[str, list[tuple[str, Range, dict]]] = {}
    made: list[Partition] = []
    for (file, format), ranges in zip(listed, known, strict=True):
        for part in ranges:
            item = (file.locator, part, _entry(file, format, part))
            if file.tape:
                tapes.setdefault(file.tape[0], []).append(item)
            elif len(ranges) == 1 and part["size"] < OWN_BYTES:
                small.setdefault(file.root if file.dataset else "", []).append(item)
            else:
                made.append(_partition([item]))
    for items in tapes.values():
        made.append(_partition(items))
    for items in small.values():
        hashed = [(_bits(locator), item) for item in items for locator in [item[0]]]
        made += [_partition(group) for group in _leaves(hashed, 63)]
    unique = {partition.digest: partition for partition in made}  # the same dataset named twice
    return sorted(unique.values(), key=lambda p: (p.spec["files"][0]["locator"], p.spec["files"][0].get("start", 0)))


def _known(file: Found, format: str, digests: Digests) -> list[Range]:
    error = file.error
    if error is None and format == NO_READER:
        error = no_reader(file.path)
    if error is None and not file.digest:
        try:
            return digests.of(file, format)
        except OSError as problem:
            error = problem.strerror or type(problem).__name__
    if error is None and file.digest:
        tape = {"tape": file.tape[1]} if file.tape else {}
        return [{"digest": file.digest, "size": file.size, **tape}]
    return [{"digest": keys.digest(["unreadable", error]), "size": 0, "error": error}]


def _entry(file: Found, format: str, part: Range) -> dict[str, Any]:
    more = {name: value for name, value in part.items() if name not in ("digest", "size")}
    return {"path": file.path, "locator": file.locator, "format": format, **more}


def _partition(items: list[tuple[str, Range, dict]]) -> Partition:
    items = sorted(items, key=lambda item: (item[1].get("tape", 0), item[0]))
    content = [
        [locator, part["digest"], entry["format"], part.get("start"), part.get("end"), part.get("first_line")]
        for locator, part, entry in items
    ]
    size = sum(part["size"] for _, part, _ in items)
    return Partition(keys.digest(content), {"files": [entry for _, _, entry in items]}, size)


def _bits(locator: str) -> int:
    return int.from_bytes(blake2b(locator.encode(), digest_size=8).digest())


def _leaves(items: list[tuple[int, Any]], bit: int) -> list[list[Any]]:
    """Groups small enough, split by hash bits from the highest down."""
    size = sum(item[1]["size"] for _, item in items)
    if bit < 0 or len(items) == 1 or (size <= GROUP_BYTES and len(items) <= GROUP_FILES):
        return [[item for _, item in items]] if items else []
    sides: tuple[list, list] = ([], [])
    for bits, item in items:
        sides[bits >> bit & 1].append((bits, item))
    return _leaves(sides[0], bit - 1) + _leaves(sides[1], bit - 1)


# -- one file -----------------------------------------------------------------------------------


def _ranges(file: Found, format: str) -> list[Range]:
    if file.size > (SPLIT_BYTES // 16 if format == "parquet" else SPLIT_BYTES):
        if format == "jsonl" and _has_lines(file.path):
            return line_ranges(file.path, SPLIT_BYTES)
        cut: Callable[[str, int], list[Range]] | None = {"parquet": _row_groups, "arrow": _batches}.get(format)
        if cut:
            whole = _digest(file.path)
            try:
                return [{"digest": whole, **part} for part in cut(file.path, SPLIT_BYTES)]
            except (pa.ArrowException, ValueError):
                return [{"digest": whole, "size": file.size}]
    return [{"digest": _digest(file.path), "size": file.size}]


def _has_lines(path: str) -> bool:
    """Can the file be cut at bytes of newline? Not when it is compressed, nor in UTF-16 (its text holds zeros)."""
    with open_bytes(path) as file:
        head = file.read(1 << 12)
    return codec_of(head[:10]) is None and 0 not in head


def _digest(path: str) -> str:
    """sha256, which processors have instructions for: before the first task a build waits for this."""
    sink = sha256()
    with open_bytes(path) as file:
        while data := file.read(_READ):
            sink.update(data)
    return sink.hexdigest()


def line_ranges(path: str, most: int) -> list[Range]:
    """A file of lines cut after the first newline beyond every `most` bytes; one reading pass."""
    ranges: list[Range] = []
    start = at = 0
    first = line = 1
    sink = sha256()

    def close() -> None:
        ranges.append({"digest": sink.hexdigest(), "size": at - start, "start": start, "end": at, "first_line": first})

    with open_bytes(path) as file:
        while data := file.read(_READ):
            while data:
                cut = 0
                if at + len(data) - start >= most:
                    cut = data.find(b"\n", max(0, most - (at - start) - 1)) + 1
                piece = data[:cut] if cut else data
                sink.update(piece)
                at += len(piece)
                line += piece.count(b"\n")
                data = data[len(piece) :]
                if cut:
                    close()
                    start, first, sink = at, line, sha256()
    if at > start:
        close()
    return ranges


def _row_groups(path: str, most: int) -> list[Range]:
    import pyarrow.parquet as pq

    about = pq.read_metadata(path)
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    sizes = [sum(g.column(c).total_compressed_size for c in range(about.num_columns)) for g in groups]
    runs = _runs([group.total_byte_size for group in groups], most)  # by what they hold, not how well it was packed
    return [{"size": sum(sizes[a:b]), "start": a, "end": b} for a, b in runs]


def _batches(path: str, most: int) -> list[Range]:
    with pa.memory_map(path) as source, pa.ipc.open_file(source) as reader:
        batches = ((batch.nbytes, batch.num_rows) for batch in map(reader.get_batch, range(reader.num_record_batches)))
        sizes, rows = zip(*batches, strict=True)
    return [{"size": sum(sizes[a:b]), "start": a, "end": b, "first_row": sum(rows[:a])} for a, b in _runs(sizes, most)]


def _runs(sizes: Iterable[int], most: int) -> list[tuple[int, int]]:
    """Neighbours whose sizes come to `most` or a little more."""
    runs, begin, total = [], 0, 0
    for number, size in enumerate(sizes, 1):
        total += size
        if total >= most:
            runs.append((begin, number))
            begin, total = number, 0
    return [*runs, (begin, number)] if begin < number else runs
