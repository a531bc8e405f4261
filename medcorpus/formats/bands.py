"""What near-duplicate search keeps of documents, as Arrow tables: of a part of a corpus, or of an index.

One row a document:

    id                         string
    order                      uint64: survivor order, smaller first
    language, asks, answers    uint64: hashes, 0 is unknown
    whole_0, whole_1           uint64: hash of all tokens
    strengths, numbers, words  uint64: hashes of the figures and of everything else
    edges                      uint64: hash of how a short text begins and ends, 0 for others
    shingles                   list<uint32>: distinct, for verification
    key_00, key_01, ...        uint64: keys of all documents in a band, sorted
    at_00, at_01, ...          uint32: the row each key belongs to

The last two stand beside the rows only to share a file. Documents without shingles have no keys: the schema's
metadata says how many do, the rest of the columns is filled up with the largest value.

An *index* is `<state>/index/<name>/`: `<n>.json` for each version, never changed, which lists files in
`segments/` named by the content they have.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core.errors import Fatal, Missing
from medcorpus.core.keys import canonical, digest
from medcorpus.core.store import LocalStore
from medcorpus.text.families import Documents, Families, Survivors, merged
from medcorpus.text.minhash import Bands as Cut
from medcorpus.text.minhash import band_keys
from medcorpus.text.shingles import Shingles

_BANDED = b"banded"
_FIGURES = ("strengths", "numbers", "words", "edges")
_PLAIN = ("id", "order", "language", "asks", "answers", "whole_0", "whole_1", *_FIGURES, "shingles")
_MOST = np.iinfo(np.uint64).max, np.iinfo(np.uint32).max


def signed(columns: pa.Table, found: list[Shingles], cut: Cut, seed: int) -> pa.Table:
    """The table of some documents: `columns` has id, order, language, asks and answers; `found` is of the same rows."""
    values = np.concatenate([one.values for one in found])
    counts = np.concatenate([np.diff(one.offsets) for one in found])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    whole = np.concatenate([one.whole for one in found])
    table = columns.append_column("whole_0", pa.array(whole[:, 0].copy()))
    table = table.append_column("whole_1", pa.array(whole[:, 1].copy()))
    for name in _FIGURES:
        table = table.append_column(name, pa.array(np.concatenate([getattr(one, name) for one in found])))
    lists = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))
    banded = np.flatnonzero(counts)
    keys = band_keys(values, offsets, cut, seed)[:, banded]
    return _with_bands(table.append_column("shingles", lists), [(key, banded) for key in keys])


def _with_bands(table: pa.Table, bands: Iterable[tuple[np.ndarray, np.ndarray]]) -> pa.Table:
    """`table` with each band's (keys, rows), sorted by key, then row."""
    names, banded = [f.name for f in table.schema], 0
    columns = [table.column(name) for name in names]
    for number, (keys, rows) in enumerate(bands):
        order = np.argsort(keys, kind="stable")
        banded = len(order)
        for name, sorted_, most in zip(("key", "at"), (keys[order], rows[order].astype(np.uint32)), _MOST, strict=True):
            full = np.full(table.num_rows, most, sorted_.dtype)
            full[:banded] = sorted_
            names.append(f"{name}_{number:02}")
            columns.append(pa.array(full))
    made = pa.table(columns, names=names).combine_chunks()
    return made.replace_schema_metadata({_BANDED: str(banded).encode()})


def _runs(table: pa.Table, band: int) -> tuple[np.ndarray, np.ndarray]:
    """(sorted keys, rows) of one band."""
    banded = int(table.schema.metadata[_BANDED])
    return tuple(_numpy(table, f"{name}_{band:02}")[:banded] for name in ("key", "at"))  # type: ignore[return-value]


def _numpy(table: pa.Table, name: str) -> np.ndarray:
    """A column without nulls, in place."""
    column = table.column(name)
    if column.num_chunks == 0:
        return np.empty(0, column.type.to_pandas_dtype())
    return column.combine_chunks().to_numpy() if column.num_chunks > 1 else column.chunk(0).to_numpy()


class Bands:
    """All documents of some tables, numbered in survivor order: those of indexes first, since they stay.

    `part` and `row` say where each stands; `part` counts on from `parts` into `indexed`. A row of an index whose id
    is also in the corpus is left out there, and stays here.
    """

    def __init__(self, parts: list[pa.Table], indexed: list[pa.Table]):
        self._corpus, self._indexed = len(parts), len(indexed)
        self._tables = [*parts, *indexed]
        sizes = [table.num_rows for table in self._tables]
        self._starts = np.cumsum([0, *sizes])
        fixed, left_out = self._fixed(parts, indexed)
        order = self._column("order")
        places = np.argsort(order, kind="stable")
        places = self._by_id(places, order)
        if len(indexed):
            places = places[~left_out[places]]
            places = places[np.argsort(~fixed[places], kind="stable")]
        self._rank = np.full(len(order), -1)
        self._rank[places] = np.arange(len(places))
        self._places = places
        self.part = np.searchsorted(self._starts, places, side="right") - 1
        self.row = places - self._starts[self.part]
        self._all_fixed = fixed[places]

    def families(self, threshold: float, guard: bool) -> Families:
        """Join what is equal, then what shares a band, one band after the other."""
        address, counts = self._addresses()
        whole = np.column_stack([self._column("whole_0")[self._places], self._column("whole_1")[self._places]])
        documents = Documents(
            whole,
            *(self._column(name)[self._places] for name in (*_FIGURES, "asks", "language", "answers")),
            address=address[self._places],
            counts=counts[self._places],
            fixed=self._all_fixed,
        )
        families = Families(documents, threshold, guard)
        order = np.argsort(whole[:, 0])
        families.join(whole[order, 0], order)
        for band in range(self._bands()):
            runs = []
            for table, start in zip(self._tables, self._starts, strict=False):
                keys, rows = _runs(table, band)
                ranks = self._rank[start + rows.astype(np.int64)]
                if self._indexed and (ranks < 0).any():
                    keys, ranks = keys[ranks >= 0], ranks[ranks >= 0]
                runs.append((keys, ranks))
            for keys, ranks in merged(runs):
                families.join(keys, ranks)
        return families

    def ids(self, ranks: np.ndarray) -> pa.Array:
        """Ids of rows by number; null for -1."""
        wanted = np.unique(ranks[ranks >= 0])
        part = self.part[wanted]
        found = pa.chunked_array(
            [
                self._tables[number].column("id").take(pa.array(self.row[wanted[part == number]])).combine_chunks()
                for number in np.unique(part)
            ],
            pa.string(),
        )
        by_part = np.concatenate([wanted[part == number] for number in np.unique(part)]) if len(wanted) else wanted
        at = np.full(len(self.part) + 1, -1)
        at[by_part] = np.arange(len(by_part))
        which = at[ranks]
        return found.combine_chunks().take(pa.array(which, mask=which < 0))

    def kept(self, found: Survivors) -> list[np.ndarray]:
        """For each table of the corpus, which rows stay and are in no index."""
        out = [np.zeros(table.num_rows, np.bool_) for table in self._tables[: self._corpus]]
        stays = (found.copy_of < 0) & ~self._all_fixed & (self.part < self._corpus)
        for number, mask in enumerate(out):
            mask[self.row[stays & (self.part == number)]] = True
        return out

    def _bands(self) -> int:
        return sum(name.startswith("key_") for name in self._tables[0].column_names) if self._tables else 0

    def _column(self, name: str) -> np.ndarray:
        return np.concatenate([np.empty(0, np.uint64), *(_numpy(table, name) for table in self._tables)])

    def _addresses(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the shingles of each row lie, and how many. The tables keep them there."""
        address, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for table in self._tables:
            for chunk in table.column("shingles").chunks:
                offsets = chunk.offsets.to_numpy().astype(np.int64)
                values = chunk.values
                start = values.buffers()[1].address + 4 * values.offset if len(values) else 0
                address.append((start + 4 * offsets[:-1]).astype(np.uint64))
                counts.append(np.diff(offsets))
        return np.concatenate(address), np.concatenate(counts)

    def _by_id(self, places: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Rows that agree even in the first digits of their id, by the whole id."""
        ties = np.flatnonzero(np.diff(order[places]) == 0)
        if not len(ties):
            return places
        tied = np.unique(np.concatenate([ties, ties + 1]))
        rows = places[tied]
        part = np.searchsorted(self._starts, rows, side="right") - 1
        ids = [self._tables[p].column("id")[int(r - self._starts[p])].as_py() for p, r in zip(part, rows, strict=True)]
        places[tied] = rows[np.lexsort((np.argsort(np.argsort(ids, kind="stable")), order[rows]))]
        return places

    def _fixed(self, parts: list[pa.Table], indexed: list[pa.Table]) -> tuple[np.ndarray, np.ndarray]:
        """(rows that are in an index, rows of an index that are also in the corpus or an earlier index)."""
        fixed = np.zeros(self._starts[-1], np.bool_)
        left_out = np.zeros(self._starts[-1], np.bool_)
        if indexed:
            ids = pa.chunked_array([c for t in [*parts, *indexed] for c in t.column("id").chunks], pa.string())
            corpus = self._starts[len(parts)]
            known = pc.is_in(ids.slice(0, corpus), ids.slice(corpus))
            fixed[:corpus] = known.to_numpy()
            fixed[corpus:] = True
            first = pc.index_in(ids, ids.combine_chunks()).to_numpy()
            left_out[corpus:] = (first != np.arange(len(ids)))[corpus:]
        return fixed, left_out


# -- indexes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Index:
    """One version of an index."""

    folder: Path
    version: int
    segments: tuple[str, ...]
    digest: str

    def tables(self) -> list[pa.Table]:
        """Its documents, memory-mapped."""
        return [
            pa.ipc.open_file(pa.memory_map(str(self.folder / "segments" / f"{name}.arrow"))).read_all()
            for name in self.segments
        ]


def open_index(state: str, name: str, header: dict[str, Any]) -> Index:
    """The newest version of an index, or NAME@VERSION.

    Raises Fatal when there is none, or when `header` (parameters and versions of all hashes) differs from its own.
    """
    name, _, wanted = name.partition("@")
    folder = _folder(state, name)
    versions = sorted(int(path.stem) for path in folder.glob("*.json"))
    if not versions or (wanted and wanted not in map(str, versions)):
        there = (
            f"it has versions {', '.join(map(str, versions))}" if versions else f"`dedup: {{index: {name}}}` makes it"
        )
        raise Fatal(f"there is no index {name}{'@' + wanted if wanted else ''} in {folder.parent}; {there}")
    version = int(wanted or versions[-1])
    told = json.loads((folder / f"{version}.json").read_bytes())
    if told["header"] != header:
        differ = [
            f"{key} {told['header'].get(key)} (here {header.get(key)})"
            for key in sorted({*told["header"], *header})
            if told["header"].get(key) != header.get(key)
        ]
        raise Fatal(
            f"index {name}@{version} was made with {', '.join(differ)}; hashes cannot be compared: "
            "use the same parameters, or build an index under another name"
        )
    return Index(folder, version, tuple(told["segments"]), digest(told))


def add_to_index(
    state: str, name: str, header: dict[str, Any], parts: list[pa.Table], kept: list[np.ndarray], base: list[str]
) -> None:
    """A new version with the segments of `base` (names of versions of the same index) and the `kept` rows.

    Nothing is written when the newest version says the same.
    """
    folder = _folder(state, name)
    store = LocalStore(folder)
    segments = [segment for one in base for segment in open_index(state, one, header).segments]
    for part, mask in zip(parts, kept, strict=True):
        if not mask.any():
            continue
        ids = part.column("id").filter(pa.array(mask))
        content = blake2b(canonical(header), digest_size=8)
        for chunk in ids.chunks:
            content.update("\n".join(chunk.to_pylist()).encode())
        segment = content.hexdigest()
        segments.append(segment)
        if not store.exists(f"segments/{segment}.arrow"):
            table = _subset(part, mask)
            file = store.publish(f"segments/{segment}.arrow", private=True)
            with file as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
    versions = sorted(int(path.stem) for path in folder.glob("*.json"))
    told = canonical({"header": header, "segments": sorted(set(segments))})
    if not versions or (folder / f"{versions[-1]}.json").read_bytes() != told:
        with store.publish(f"{max(versions, default=0) + 1}.json", private=True) as sink:
            sink.write(told)


def _subset(table: pa.Table, mask: np.ndarray) -> pa.Table:
    """Some rows of a table, with their bands."""
    now = np.cumsum(mask) - 1
    bands = []
    for band in range(sum(name.startswith("key_") for name in table.column_names)):
        keys, rows = _runs(table, band)
        bands.append((keys[mask[rows]], now[rows[mask[rows]]]))
    return _with_bands(table.select(_PLAIN).filter(pa.array(mask)).combine_chunks(), bands)


def _folder(state: str, name: str) -> Path:
    if not state:
        raise Fatal(f"index {name} needs a state folder; give --state DIR")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise Fatal(f"'{name}' is no name for an index: letters, digits, - and _ only")
    return Path(state) / "index" / name


def export_lsh(path: Path, parts: list[pa.Table], kept: list[np.ndarray], threshold: float, cut: Cut) -> None:
    """Write a pickled datasketch MinHashLSH of the kept rows, by id.

    Query it with `MinHash(bands * rows, seed=1, hashfunc=lambda b: int.from_bytes(b, "little"))`, updated with the
    4 bytes of each shingle (`text.shingles`). Raises Missing without datasketch.
    """
    import pickle

    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise Missing("--export-lsh needs datasketch: pip install 'medcorpus[lsh]'") from None
    lsh = MinHashLSH(threshold, num_perm=cut.bands * cut.rows, params=(cut.bands, cut.rows))
    for part, mask in zip(parts, kept, strict=True):
        for row in np.flatnonzero(mask).tolist():
            values = part.column("shingles")[row].values
            if len(values):
                one = MinHash(cut.bands * cut.rows, seed=1, hashfunc=_number)
                one.update_batch([value.tobytes() for value in values.to_numpy()])
                lsh.insert(part.column("id")[row].as_py(), one, check_duplication=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    store = LocalStore(path.parent)
    with store.publish(path.name, private=True) as sink:
        pickle.dump(lsh, sink)


def _number(value: bytes) -> int:
    return int.from_bytes(value, "little")
