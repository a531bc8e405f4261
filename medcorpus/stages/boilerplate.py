"""`boilerplate`: lines or paragraphs that many documents share: headers, cookie notices, menus, disclaimers.

Two lines are the same when their tokens are (`text.shingles`): case, punctuation, white space and the script of digits
make no difference, numbers do, so a dose never makes two lines one. One that is in `seen` documents or more is
repeated, however often it is within each. CCNet (Wenzek et al. 2020) compares paragraphs by hash in this way, and drops
every one seen before. Lines of fewer than `min_words` words are left alone: headings ("Possible side effects") and
items of lists are in many documents for good reason; where headings are longer, raise it.

    boilerplate_share  repeated part of the text, in characters that are no white space
    boilerplate_lines  how many lines (paragraphs) that is

are of the text as it came. Let copies go first (`dedup`, then `select`): with ten versions of a leaflet in the corpus,
all its lines are in ten documents. With `remove: true` the text goes on without repeated lines, except in the document
with the smallest id of those that share one: there it stays. Only rows of kind `text` take part: options and turns
repeat themselves by nature, and a question without one of its lines is another question.

    emit     lines cut out in place and hashed; hashes of a part, sorted
    resolve  documents counted for each hash, so many hashes at a time as fit in memory
    apply    the figures, and the text without what goes
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.params import Params, decision
from medcorpus.core.schema import with_columns
from medcorpus.core.stage import Gather, Reason, Resources

_SHARE = pa.field("boilerplate_share", pa.float32())
_LINES = pa.field("boilerplate_lines", pa.int32())
_AT_ONCE = 1 << 23  # hashes that `resolve` sorts at a time: about 0.5 GB


class BoilerplateParams(Params):
    """All but `max_share` say what is repeated."""

    unit: Literal["line", "paragraph"] = Field("line", description="what is compared; paragraphs end at empty lines")
    seen: int = Field(10, ge=2, description="documents that make a line boilerplate")
    min_words: int = Field(5, ge=1, description="shortest line that counts; a word of Han: 2 characters, Thai: 4")
    within: Literal["corpus", "source"] = Field("corpus", description="count documents everywhere, or per source")
    remove: bool = Field(False, description="take repeated lines out of the text, except where they are kept once")
    seed: int = Field(1, ge=0, lt=1 << 63, description="of all hashes")
    max_share: float = decision(0.5, ge=0, le=1, description="largest repeated share of a text")


def _boilerplate(batch: pa.RecordBatch, params: BoilerplateParams, languages: tuple[str, ...]) -> pa.Array:
    return pc.greater(batch.column("boilerplate_share"), pa.scalar(params.max_share, pa.float32()))


def _only_boilerplate(batch: pa.RecordBatch, params: Any, languages: tuple[str, ...]) -> pa.Array:
    empty = pc.equal(pc.binary_length(batch.column("text")), 0)
    return pc.and_(empty, pc.greater(batch.column("boilerplate_lines"), 0))


class Boilerplate(Gather):
    """Counts in how many documents each line stands, and takes out what is everywhere."""

    name = "boilerplate"
    compiles = True
    Params = BoilerplateParams
    reads = ("id", "kind", "text", "source")
    writes = (pa.field("text", pa.string()), _SHARE, _LINES)
    decision_fields = (pa.field("repeated", pa.list_(pa.int32())), pa.field("removed", pa.list_(pa.int32())))
    resources = Resources(memory_mb=1024)
    reasons = {
        "boilerplate": Reason(
            "too much of the text is in many documents", _boilerplate, ("max_share",), score="boilerplate_share"
        ),
        "only_boilerplate": Reason("nothing is left but what was removed", _only_boilerplate),
    }

    def open(self) -> None:
        """Load the kernels."""
        from medcorpus.text.units import said, units, without

        warm = pa.array(["warm"])
        found = units(warm)
        said(warm, found, apart=np.zeros(1, np.uint64))
        without(warm, found, np.ones(1, np.bool_))

    def resource_digests(self) -> dict[str, str]:
        """Tokens hang on the Unicode version that tells letters from the rest."""
        import unicodedata

        return {"unicode": unicodedata.unidata_version}

    def notes(self) -> list[str]:
        """What counts as repeated."""
        params = self.params
        where = "documents of a source" if params.within == "source" else "documents"
        return [f"{params.unit}s in {params.seen:,} {where} {'are removed' if params.remove else 'are counted'}"]

    def emit(self, batches: Iterator[pa.RecordBatch]) -> pa.Table:
        """One row of lists: `hash` (uint64, sorted), `row` and `unit` (int32, within the row) of each, and all `id`."""
        from medcorpus.text.hashes import hashes
        from medcorpus.text.units import said

        columns: dict[str, list] = {"hash": [], "row": [], "unit": [], "id": []}
        rows = 0
        for batch in batches:
            text, found = self._units(batch)
            source = hashes(batch.column("source"), self.params.seed) if self.params.within == "source" else None
            hashed, words = said(text, found, self.params.seed, source)
            enough = words >= self.params.min_words
            row = found.row[enough]
            columns["hash"].append(hashed[enough])
            columns["row"].append(row + np.int32(rows))
            columns["unit"].append((np.flatnonzero(enough) - found.first[row]).astype(np.int32))
            columns["id"].append(batch.column("id"))
            rows += batch.num_rows
        hashed, row, unit = (np.concatenate(columns[name]) for name in ("hash", "row", "unit"))
        order = np.argsort(hashed, kind="stable")
        lists = {name: pa.array(a[order]) for name, a in (("hash", hashed), ("row", row), ("unit", unit))}
        lists["id"] = pa.concat_arrays(columns["id"])
        return pa.table({name: _one(values) for name, values in lists.items()})

    def resolve(self, parts: list[pa.Table]) -> pa.Table:
        """Which units of which rows are repeated, and which of those go."""
        ids = [part["id"].chunk(0).values for part in parts]
        first = np.cumsum([0, *map(len, ids)])  # rows are numbered through all parts
        hashed, row, unit = _repeated(parts, first, self.params.seen)
        stays = np.zeros(len(hashed), np.bool_)
        if self.params.remove:
            rows, which = np.unique(row, return_inverse=True)
            places = np.empty(len(rows), np.int64)
            places[pc.array_sort_indices(_taken(ids, first, rows))] = np.arange(len(rows))
            order = np.lexsort((places[which], hashed))
            new, which = _runs(hashed[order])
            stays[order] = row[order] == row[order[new]][which]
        order = np.lexsort((unit, row))
        row, unit, goes = row[order], unit[order], ~stays[order] & self.params.remove
        new, _ = _runs(row)
        starts = np.flatnonzero(new)
        told = row[starts]
        part = np.searchsorted(first, told, side="right") - 1
        ends = np.append(starts, len(row))
        gone = np.concatenate([[0], np.cumsum(goes)])
        return pa.table(
            {
                "part": pa.array(part, pa.int32()),
                "row": pa.array(told - first[part], pa.int64()),
                "repeated": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(unit)),
                "removed": pa.ListArray.from_arrays(pa.array(gone[ends], pa.int32()), pa.array(unit[goes])),
            }
        )

    def apply(self, batch: pa.RecordBatch, decisions: pa.Table) -> pa.RecordBatch:
        """`batch` with the figures, and (with `remove`) the text without what goes."""
        from medcorpus.text.units import without

        text, found = self._units(batch)
        repeated, removed = (self._marked(found, decisions, name) for name in ("repeated", "removed"))
        solid = np.maximum(found.per_row(found.chars), 1)
        share = found.per_row(found.chars * repeated) / solid
        columns = {
            "text": pc.coalesce(without(text, found, removed), batch.column("text")),
            "boilerplate_share": (_SHARE, pa.array(share, pa.float32())),
            "boilerplate_lines": (_LINES, pa.array(found.per_row(repeated), pa.int32())),
        }
        return with_columns(batch, columns)

    def _units(self, batch: pa.RecordBatch) -> tuple[pa.Array, Any]:
        """The texts that take part (null for the others), and their units."""
        from medcorpus.text.units import units

        text = batch.column("text")
        takes_part = pc.equal(batch.column("kind"), "text")
        if pc.any(pc.invert(takes_part)).as_py():
            text = pc.if_else(takes_part, text, pa.scalar(None, text.type))
        return text, units(text, self.params.unit == "paragraph")

    @staticmethod
    def _marked(found: Any, decisions: pa.Table, name: str) -> np.ndarray:
        """bool, one for each unit: those that the decisions name."""
        lists = decisions.column(name).combine_chunks()
        rows = np.repeat(decisions.column("row").to_numpy(), pc.list_value_length(lists).to_numpy())
        marked = np.zeros(len(found.chars), np.bool_)
        marked[found.first[rows] + lists.flatten().to_numpy()] = True
        return marked


def _one(values: pa.Array) -> pa.Array:
    """A column of one row that holds `values`."""
    return pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of sorted `values`: bool, where a new one begins; int64, the number of the value from 0 on."""
    new = np.ones(len(values), np.bool_)
    new[1:] = values[1:] != values[:-1]
    return new, np.cumsum(new) - 1


def _repeated(
    parts: list[pa.Table], first: np.ndarray, seen: int, at_once: int = _AT_ONCE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hash, row, unit) of all units whose hash is in `seen` rows or more; range after range of the hashes."""
    columns = [[part[name].chunk(0).values.to_numpy() for name in ("hash", "row", "unit")] for part in parts]
    ranges = 1 + sum(len(hashed) for hashed, _, _ in columns) // at_once
    bounds = np.array([number * (1 << 64) // ranges for number in range(1, ranges)], np.uint64)
    cuts = [np.array([0, *np.searchsorted(hashed, bounds), len(hashed)], np.int64) for hashed, _, _ in columns]
    found = [(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int32))]
    for number in range(ranges):
        slices = [slice(cut[number], cut[number + 1]) for cut in cuts]
        hashed = np.concatenate([found[0][0], *(c[0][s] for c, s in zip(columns, slices, strict=True))])
        row = np.concatenate([found[0][1], *(c[1][s] + f for c, s, f in zip(columns, slices, first, strict=False))])
        unit = np.concatenate([found[0][2], *(c[2][s] for c, s in zip(columns, slices, strict=True))])
        order = np.lexsort((row, hashed))
        hashed, row = hashed[order], row[order]
        new, which = _runs(hashed)
        another = new.copy()  # a row that this hash was not seen in yet
        another[1:] |= row[1:] != row[:-1]
        often = np.bincount(which[another], minlength=int(new.sum()))[which] >= seen
        found.append((hashed[often], row[often], unit[order][often]))
    hashed, row, unit = (np.concatenate(values) for values in zip(*found, strict=True))
    return hashed, row, unit


def _taken(ids: list[pa.Array], first: np.ndarray, rows: np.ndarray) -> pa.Array:
    """The ids of `rows` (sorted, numbered through all parts)."""
    cuts = np.searchsorted(rows, first)
    taken = [part.take(pa.array(rows[a:b] - f)) for part, f, a, b in zip(ids, first, cuts, cuts[1:], strict=False)]
    return pa.concat_arrays(taken or [pa.array([], pa.string())])
