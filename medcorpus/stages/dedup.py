"""`dedup`: rows that say the same. Exact copies for now; near copies join the same three phases later.

Two rows are copies when their texts are equal in normal form (`text.hashing`: NFC, white space folded),
whatever their `kind`, source or language. One exception: a multiple-choice row with answers is a copy of
another one only when options and answers agree too, since an exam that corrects a key must not vanish
behind the wrong one. A row without answers is a copy of any row with its text. Empty texts are nobody's copy.

A *family* is what such pairs connect. Its rows are visited in survivor order (permissive licence, has a
rationale, has answers, longer text, smaller id) and a row is dropped only if it is a copy of one already
kept; so a family may keep several rows, which then differ in their answers. The order holds for rows from
anywhere: neither parts nor row numbers enter it (they part only rows that share even their id).

    emit     bucket = top byte of the hash, and what the survivor order needs
    resolve  sort by hash; a decision for each row that is not alone
    apply    dedup_duplicate_of  id of the row kept instead, null for rows that stay
             dedup_family        smallest id in the family, null for a row alone
             dedup_family_size   rows in the family, 1 for a row alone
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.core.schema import with_columns
from medcorpus.core.stage import Gather, Reason

_FIELDS = (
    pa.field("dedup_duplicate_of", pa.string()),
    pa.field("dedup_family", pa.string()),
    pa.field("dedup_family_size", pa.int32()),
)

# May be copied, changed and sold with no more than credit (share-alike included). CC-BY-NC and CC-BY-ND may not.
_PERMISSIVE = r"(?i)^(cc0|pddl|pdm|public[- _]?domain|mit\b|apache\b|cc[- ]by([- ]sa)?([- ]?[0-9].*)?$)"
_PERMISSIVE_LICENCE, _HAS_RATIONALE, _HAS_ANSWERS = 4, 2, 1


def _is_duplicate(batch: pa.RecordBatch, params: Any, languages: tuple[str, ...]) -> pa.Array:
    return batch.column("dedup_duplicate_of").is_valid()


class Dedup(Gather):
    """Finds copies everywhere in the corpus and says which one stays."""

    name = "dedup"
    reads = ("id", "text", "licence", "mcqa")
    writes = _FIELDS
    decision_fields = _FIELDS
    reasons = {
        "duplicate": Reason("a copy of a row that is kept", _is_duplicate, score="dedup_family_size"),
    }

    def open(self) -> None:
        """Load the kernels."""
        from medcorpus.text.hashing import hash128, normalised

        hash128(normalised(pa.array(["warm"])))

    def emit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`bucket`, `high` and `low` (hash; null = no text), `item` (hash of options and answers; null =
        no answers), `rank` and `length` (survivor order), `id`."""
        from medcorpus.text.hashing import hash128, normalised

        text = normalised(batch.column("text"))
        empty = pc.equal(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
        halves = hash128(text)
        item, rationale = _items(batch.column("mcqa"))
        licence = pc.match_substring_regex(pc.fill_null(batch.column("licence"), ""), _PERMISSIVE)
        rank = (
            _PERMISSIVE_LICENCE * licence.to_numpy(zero_copy_only=False).astype(np.uint8)
            + _HAS_RATIONALE * rationale
            + _HAS_ANSWERS * item.is_valid().to_numpy(zero_copy_only=False)
        )
        return pa.RecordBatch.from_pydict(
            {
                "bucket": pa.array((halves[:, 0] >> np.uint64(56)).astype(np.uint8)),
                "high": pa.array(halves[:, 0].copy(), mask=empty),
                "low": pa.array(halves[:, 1].copy(), mask=empty),
                "item": item,
                "rank": pa.array(rank.astype(np.uint8)),
                "length": pc.cast(pc.utf8_length(text), pa.int64()),
                "id": batch.column("id"),
            }
        )

    def resolve(self, table: pa.Table) -> pa.Table:
        """Decisions for the rows that are not alone, by one sort of those whose hash comes twice."""
        table = table.filter(_comes_twice(table.column("high"))).combine_chunks()
        order = pc.sort_indices(
            table,
            sort_keys=[
                ("high", "ascending"),
                ("low", "ascending"),
                ("rank", "descending"),
                ("length", "descending"),
                ("id", "ascending"),
                ("item", "ascending"),
                ("part", "ascending"),
                ("row", "ascending"),
            ],
        )
        table = table.take(order)
        rows = table.num_rows
        high, low = (table.column(name).to_numpy() for name in ("high", "low"))
        text = _labels((high, low), np.arange(rows))  # 0, 1, ... in the order of rows: which text it is

        # Which rows stand in for one another, within a text: those with the same item; a row without answers
        # goes with the text's first row, and when that is the first row itself, all go with it.
        answered = table.column("item").is_valid().to_numpy()
        item = table.column("item").fill_null(0).to_numpy()
        first = _firsts(text)[text]
        item = np.where(answered & answered[first], item, item[first])
        by_item = np.lexsort((item, text))  # stable: survivor order within each
        kin = _labels((text, item), by_item)
        survivor = by_item[_firsts(kin[by_item])][kin]

        # Families: a row without answers joins all rows of its text.
        joined = np.zeros(rows, np.bool_)
        joined[text[~answered]] = True
        family = np.where(joined[text], first, survivor)
        size = np.bincount(family, minlength=rows)[family]
        ids = table.column("id")
        rising = pc.rank(ids, tiebreaker="first").to_numpy().astype(np.int64) - 1
        smallest = np.full(rows, rows, np.int64)
        np.minimum.at(smallest, family, rising)
        row_of_rank = np.empty(rows, np.int64)
        row_of_rank[rising] = np.arange(rows)

        kept = survivor == np.arange(rows)
        decisions = pa.table(
            {
                "part": table.column("part"),
                "row": table.column("row"),
                "dedup_duplicate_of": ids.take(pa.array(survivor, mask=kept)),
                "dedup_family": ids.take(pa.array(row_of_rank[smallest[family]])),
                "dedup_family_size": pa.array(size.astype(np.int32)),
            }
        )
        return decisions.filter(pa.array(size > 1))

    def apply(self, batch: pa.RecordBatch, decisions: pa.Table) -> pa.RecordBatch:
        """`batch` with the decisions in columns; a row without one is alone."""
        at = np.full(batch.num_rows, -1, np.int64)
        at[decisions.column("row").to_numpy()] = np.arange(decisions.num_rows)
        which = pa.array(at, mask=at < 0)
        columns = {field.name: (field, decisions.column(field.name).combine_chunks().take(which)) for field in _FIELDS}
        field, size = columns["dedup_family_size"]
        columns["dedup_family_size"] = (field, pc.fill_null(size, 1))
        return with_columns(batch, columns)


def _items(mcqa: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """For each row a hash of options and answers, null without answers; and whether it has a rationale.

    Answers are a set: their order does not count. Option texts count in normal form, as the text does.
    """
    from medcorpus.text.hashing import hash128, normalised

    rows = len(mcqa)
    if mcqa.null_count == rows:
        return pa.nulls(rows, pa.uint64()), np.zeros(rows, np.uint8)
    _, options, answers, rationale, _ = mcqa.flatten()  # null where the struct is
    has_rationale = pc.greater(pc.utf8_length(rationale), 0).fill_null(False)

    pairs = pa.table({"row": pc.list_parent_indices(answers), "key": answers.flatten()})
    pairs = pairs.sort_by([("row", "ascending"), ("key", "ascending")])
    counts = pc.fill_null(pc.list_value_length(answers), 0)
    option = options.flatten()
    told = pc.binary_join_element_wise(*option.flatten(), "\x1f", null_handling="replace")
    parts = [
        _joined(told, pc.fill_null(pc.list_value_length(options), 0)),
        _joined(pairs.column("key").combine_chunks(), counts),
    ]
    halves = hash128(normalised(pc.binary_join_element_wise(*parts, "\x1d", null_handling="replace")))
    item = pa.array(halves[:, 0] ^ halves[:, 1], mask=pc.equal(counts, 0).to_numpy(zero_copy_only=False))
    return item, has_rationale.to_numpy(zero_copy_only=False).astype(np.uint8)


def _joined(values: pa.Array, counts: pa.Array) -> pa.Array:
    """The next `counts[row]` of `values` as one string for each row."""
    offsets = np.concatenate([[0], np.cumsum(counts.to_numpy(zero_copy_only=False))]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), pc.fill_null(values, "")), "\x1e")


def _comes_twice(hashes: pa.ChunkedArray) -> pa.Array:
    """Rows whose value is not null and occurs more than once."""
    valid = hashes.is_valid().to_numpy()
    values = hashes.fill_null(0).to_numpy()
    where = np.flatnonzero(valid)
    where = where[np.argsort(values[where], kind="stable")]
    same = values[where][1:] == values[where][:-1]
    twice = np.zeros(len(values), np.bool_)
    twice[where[1:][same]] = True
    twice[where[:-1][same]] = True
    return pa.array(twice)


def _labels(keys: tuple[np.ndarray, ...], order: np.ndarray) -> np.ndarray:
    """Number equal keys alike, 0, 1, ... along `order`, in which equal ones are neighbours."""
    new = np.zeros(len(order), np.int64)
    for key in keys:
        new[1:] |= key[order][1:] != key[order][:-1]
    labels = np.empty(len(order), np.int64)
    labels[order] = np.cumsum(new)
    return labels


def _firsts(labels: np.ndarray) -> np.ndarray:
    """Position of the first of each label, in labels that rise."""
    return np.flatnonzero(np.diff(labels, prepend=-1))
