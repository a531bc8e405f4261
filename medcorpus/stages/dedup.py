"""`dedup`: rows that say the same, word for word or nearly, in any script; and which of them stay.

Two rows are copies when their texts are equal token by token, or when the Jaccard similarity of their shingles
(`text.shingles`: 5 words, or 5 graphemes where words are not set apart) reaches `threshold`. Candidates come from
MinHash bands (`text.minhash`), every one is verified. However alike, these are no copies of each other:

    a text with other doses, or equal words with other numbers ("metformin 500 mg" and "metformin 850 mg")
    near copies in two languages, of short questions, or of short texts that begin or end with other words
    questions with other right answers: both stay, `dedup_contradicts` points from one to the other, for review

A *family* is what such pairs connect. Its rows are visited in survivor order (permissive licence, has a
rationale, has answers, quality as far as it was measured, longer text, smaller id) and a row is dropped only for
one already kept that is its copy; so a family may keep several rows. Neither files nor their order matter.

    emit     hashes of each row; for each band the keys of all rows, sorted
    resolve  bands merged one after the other, candidates verified, families joined, survivors chosen
    apply    dedup_duplicate_of  id of the row kept instead, null for rows that stay
             dedup_family        id of the family's first row, null for a row alone
             dedup_family_size   rows in the family, 1 for a row alone
             dedup_similarity    Jaccard similarity with the row kept instead
             dedup_contradicts   id of a row with the same question and another answer

What `emit` made is kept for each part of the corpus, so tomorrow only new parts are hashed (`against: self`). With
`index: NAME` the rows kept are also put into an index that outlives the run; `against: [self, NAME]` compares with
the newest version of it, `NAME@3` with that one. Rows of an index stay, whatever resembles them; a row that is in it
itself is no copy.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field

from medcorpus.core.params import Params, fill, place
from medcorpus.core.schema import LARGE, with_columns
from medcorpus.core.stage import Gather, Reason, Resources

_FIELDS = (
    pa.field("dedup_duplicate_of", pa.string()),
    pa.field("dedup_family", pa.string()),
    pa.field("dedup_family_size", pa.int32()),
    pa.field("dedup_similarity", pa.float32()),
    pa.field("dedup_contradicts", pa.string()),
)

# May be copied, changed and sold with no more than credit (share-alike included). CC-BY-NC and CC-BY-ND may not.
_PERMISSIVE = r"(?i)^(cc0|pddl|pdm|public[- _]?domain|mit\b|apache\b|cc[- ]by([- ]sa)?([- ]?[0-9].*)?$)"
_VERDICT_BYTES = 64  # an answer to a plain question that is no longer than this is compared as a whole
_GOOD = ("letter_ratio",)
_BAD = ("symbol_ratio", "braced", "duplicate_lines", "repeated_ngrams", "menu")


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class DedupParams(Params):
    """All but the places decide what is a copy."""

    threshold: float = Field(0.8, ge=0.3, le=1, description="Jaccard similarity from which two texts are copies")
    shingle: int = Field(5, ge=1, le=32, description="tokens in a shingle: words, or graphemes where there are none")
    seed: int = Field(1, ge=0, lt=1 << 63, description="of all hashes")
    guard: bool = Field(
        True, description="keep texts apart that differ in a dose, in what is asked or, short ones, at their edges"
    )
    against: Annotated[tuple[str, ...], BeforeValidator(_several)] = Field(
        ("self",), description="self, and names of indexes (NAME or NAME@VERSION) to compare with as well"
    )
    index: str = place("", description="name of the index that the rows kept are added to")
    export_lsh: str = place("", description="file for a datasketch MinHashLSH of the rows kept (pickle)")


def _is_duplicate(batch: pa.RecordBatch, params: Any, languages: tuple[str, ...]) -> pa.Array:
    return batch.column("dedup_duplicate_of").is_valid()


def _contradicts(batch: pa.RecordBatch, params: Any, languages: tuple[str, ...]) -> pa.Array:
    return batch.column("dedup_contradicts").is_valid()


class Dedup(Gather):
    """Finds copies everywhere in the corpus and says which one stays."""

    name = "dedup"
    version = 3
    Params = DedupParams
    compiles = True
    reads = ("id", "text", "language", "licence", "mcqa", "turns")
    writes = _FIELDS
    unread = LARGE
    decision_fields = _FIELDS
    resources = Resources(memory_mb=1024)
    reasons = {
        "duplicate": Reason("a copy of a row that is kept", _is_duplicate, score="dedup_similarity"),
        "contradicts": Reason("a question that is there with another answer as well", _contradicts, usual=False),
    }

    def open(self) -> None:
        """Load the kernels."""
        from medcorpus.text.minhash import band_keys
        from medcorpus.text.shingles import shingles

        found = shingles(pa.array(["warm"]))
        band_keys(found.values, found.offsets, self._cut())

    def warm(self) -> None:
        """Join families, which one worker of all will do, and what is asked only of texts in parts."""
        from medcorpus.text.composing import composed
        from medcorpus.text.families import warm

        warm()
        composed(pa.array(["e\u0301"]))

    @classmethod
    def figures(cls) -> list[dict[str, str]]:
        """The S-curve of some thresholds: with what probability a pair of a similarity becomes a candidate."""
        from medcorpus.text.minhash import bands_for

        return [
            {"threshold": f"{t:.1f}", "bands x rows": f"{cut.bands} x {cut.rows}"}
            | {f"finds {s / 10:.1f}": f"{100 * cut.found(s / 10):.4g}%" for s in range(4, 11)}
            for t, cut in ((t / 10, bands_for(t / 10)) for t in range(5, 11))
        ]

    def notes(self) -> list[str]:
        """How the threshold is met."""
        cut = self._cut()
        return [f"{cut.bands} bands of {cut.rows}: finds {cut.found(self.params.threshold):.0%} at the threshold"]

    def resource_digests(self) -> dict[str, str]:
        """Hashes hang on the Unicode version that tells letters from the rest."""
        import unicodedata

        return {"unicode": unicodedata.unidata_version}

    def resolve_digests(self) -> dict[str, str]:
        """Versions of the indexes compared with."""
        if not self._indexes():
            return {}
        from medcorpus.formats.bands import open_index

        return {name: open_index(self.context.state, name, self._header()).digest for name in self._indexes()}

    def emit(self, batches: Iterator[pa.RecordBatch]) -> pa.Table:
        """One row a document (`formats.bands` says with which columns)."""
        from medcorpus.formats.bands import signed
        from medcorpus.text.shingles import shingles

        found, columns = [], []
        for batch in batches:
            made = shingles(batch.column("text"), self.params.shingle, self.params.seed)
            found.append(made)
            _part_blank(batch, made)
            asks, answers, rationale = _questions(batch)
            made.edges[asks != 0] = 0  # what is asked tells more than how the text ends
            columns.append(
                {
                    "id": batch.column("id"),
                    "order": pa.array(_order(batch, made.tokens, answers != 0, rationale)),
                    "language": pa.array(_languages(batch.column("language"))),
                    "asks": pa.array(asks),
                    "answers": pa.array(answers),
                }
            )
        table = pa.Table.from_batches(map(pa.RecordBatch.from_pydict, columns))
        return signed(table, found, self._cut(), self.params.seed)

    def resolve(self, parts: list[pa.Table]) -> pa.Table:
        """Decisions for the rows that are not alone."""
        from medcorpus.formats.bands import Bands, add_to_index, export_lsh, open_index

        header = self._header()
        indexed = [t for name in self._indexes() for t in open_index(self.context.state, name, header).tables()]
        bands = Bands(parts, indexed)
        found = bands.families(self.params.threshold, self.params.guard).survivors()
        told = found.told()
        told = told[bands.part[told] < len(parts)]
        copy, contradicts = found.copy_of[told], found.against[told]
        alone = found.size[told] == 1
        if self.params.index or self.params.export_lsh:
            kept = bands.kept(found)
            if self.params.index:
                base = [name for name in self._indexes() if name.partition("@")[0] == self.params.index]
                add_to_index(self.context.state, self.params.index, header, parts, kept, base)
            if self.params.export_lsh:
                export_lsh(Path(fill(self.params.export_lsh)), parts, kept, self.params.threshold, self._cut())
        return pa.table(
            {
                "part": pa.array(bands.part[told].astype(np.int32)),
                "row": pa.array(bands.row[told]),
                "dedup_duplicate_of": bands.ids(copy),
                "dedup_family": bands.ids(np.where(alone, -1, found.family[told])),
                "dedup_family_size": pa.array(found.size[told].astype(np.int32)),
                "dedup_similarity": pa.array(found.similarity[told], mask=copy < 0),
                "dedup_contradicts": bands.ids(contradicts),
            }
        )

    def apply(self, batch: pa.RecordBatch, decisions: pa.Table) -> pa.RecordBatch:
        """`batch` with the decisions in columns; a row without one is alone."""
        at = np.full(batch.num_rows, -1, np.int64)
        at[decisions.column("row").to_numpy()] = np.arange(decisions.num_rows)
        which = pa.array(at, mask=at < 0)
        columns = {field.name: (field, decisions.column(field.name).combine_chunks().take(which)) for field in _FIELDS}
        field, size = columns["dedup_family_size"]
        columns["dedup_family_size"] = (field, pc.fill_null(size, 1))
        return with_columns(batch, columns)

    def _indexes(self) -> list[str]:
        return [name for name in self.params.against if name != "self"]

    def _cut(self) -> Any:
        """Bands and rows."""
        from medcorpus.text.minhash import bands_for

        return bands_for(self.params.threshold)

    def _header(self) -> dict[str, Any]:
        """What two rows must share for their hashes to be comparable."""
        from medcorpus.text.shingles import SCHEME

        cut = self._cut()
        chosen = self.params.model_dump(include={"threshold", "shingle", "seed"})
        return chosen | {"bands": cut.bands, "rows": cut.rows, "scheme": SCHEME} | self.resource_digests()


def _part_blank(batch: pa.RecordBatch, made: Any) -> None:
    """Rows without text are nobody's copy: their ids stand in for what they say."""
    from medcorpus.text.shingles import shingles

    bare = np.flatnonzero(made.tokens == 0)
    said = pc.utf8_trim_whitespace(pc.fill_null(batch.column("text").take(pa.array(bare)), ""))
    blank = bare[pc.equal(pc.binary_length(said), 0).to_numpy(zero_copy_only=False)]
    made.whole[blank] = shingles(batch.column("id").take(pa.array(blank))).whole


def _order(batch: pa.RecordBatch, tokens: np.ndarray, answered: np.ndarray, rationale: np.ndarray) -> np.ndarray:
    """uint64, smaller first: licence, rationale, answers, quality in eighths, length, first 32 bits of the id."""
    licence = pc.match_substring_regex(pc.fill_null(batch.column("licence"), ""), _PERMISSIVE)
    better = licence.to_numpy(zero_copy_only=False).astype(np.uint64)
    for more, bits in ((rationale, 1), (answered, 1), (_quality(batch), 4), (np.minimum(tokens, 0xFFFFFF), 24)):
        better = better << np.uint64(bits) | more.astype(np.uint64)
    return (np.uint64((1 << 31) - 1) - better) << np.uint64(32) | _prefix(batch.column("id"))


def _quality(batch: pa.RecordBatch) -> np.ndarray:
    """0 to 8: share of letters, less what is repeated, code, symbols or menu. 8 where nothing was measured."""
    good = np.ones(batch.num_rows, np.float64)
    for names, bad in ((_GOOD, False), (_BAD, True)):
        for name in names:
            if f"quality_{name}" in batch.schema.names:
                share = pc.fill_null(batch.column(f"quality_{name}"), 0.0 if bad else 1.0).to_numpy(
                    zero_copy_only=False
                )
                good *= 1 - share if bad else share
    return np.floor(8 * np.clip(np.nan_to_num(good), 0, 1))


def _prefix(ids: pa.Array) -> np.ndarray:
    """The first 8 hexadecimal digits of each id as a number. What is no digit counts as the nearest one."""
    from medcorpus.text.buffers import buffers

    data, offsets, _ = buffers(ids)
    out = np.zeros(len(ids), np.uint64)
    for digit in range(8):
        inside = offsets[:-1] + digit < offsets[1:]
        byte = np.zeros(len(ids), np.int64)
        byte[inside] = data[offsets[:-1][inside] + digit]
        value = np.where(byte < 0x60, np.clip(byte - 0x30, 0, 9), np.clip(byte - 0x57, 10, 15))
        out = out << np.uint64(4) | value.astype(np.uint64)
    return out


def _languages(column: pa.Array) -> np.ndarray:
    """A number for each language, 0 where it is not known."""
    from hashlib import blake2b

    encoded = column.dictionary_encode()
    numbers = [
        0 if name in (None, "und", "mixed") else int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
        for name in encoded.dictionary.to_pylist()
    ]
    which = pc.fill_null(encoded.indices, len(numbers)).to_numpy(zero_copy_only=False)
    return np.array([*numbers, 0], np.uint64)[which]


def _questions(batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hash of a short question, hash of the right answers, both 0 without; whether there is a rationale), by row.

    Right answers are a set of option texts: neither their order nor their letters count. Of a plain question
    (two turns) it is the answer, when that is short enough to be a verdict.
    """
    from medcorpus.text.shingles import SHORT, shingles

    def asked(texts: pa.Array) -> np.ndarray:
        found = shingles(texts)
        return np.where((found.tokens > 0) & (found.tokens < SHORT), found.whole[:, 0] | np.uint64(1), 0)

    asks = np.zeros(batch.num_rows, np.uint64)
    out = np.zeros(batch.num_rows, np.uint64)
    rationale = np.zeros(batch.num_rows, np.uint64)
    mcqa, turns = batch.column("mcqa"), batch.column("turns")
    if mcqa.null_count < batch.num_rows:
        question, options, answers, reasons, _ = mcqa.flatten()  # null where the struct is
        asks = asked(question)
        rationale = pc.greater(pc.utf8_length(reasons), 0).fill_null(False).to_numpy(zero_copy_only=False)
        row, key = pc.list_parent_indices(answers), answers.flatten()
        texts = _named(options, row, key)
        hashes = shingles(texts).whole[:, 0]
        first = np.ones(len(hashes), np.bool_)  # a set: the same text twice counts once
        pairs = np.lexsort((hashes, row.to_numpy()))
        rows = row.to_numpy()[pairs]
        first[pairs[1:]] = (np.diff(rows) != 0) | (np.diff(hashes[pairs]) != 0)
        np.add.at(out, row.to_numpy()[first], hashes[first] | np.uint64(1))
    if turns.null_count < batch.num_rows:
        two = pc.equal(pc.list_value_length(turns), 2).fill_null(False).to_numpy(zero_copy_only=False)
        last = turns.offsets.to_numpy()[1:][two] - 1
        asks[two] = asked(turns.values.field("content").take(pa.array(last - 1)))
        said = turns.values.field("content").take(pa.array(last))
        short = pc.less_equal(pc.binary_length(said), _VERDICT_BYTES).fill_null(False).to_numpy(zero_copy_only=False)
        hashes = shingles(said.filter(pa.array(short))).whole[:, 0]
        rows = np.flatnonzero(two)[short]
        out[rows] = np.where(out[rows] == 0, hashes | np.uint64(1), out[rows])
    return asks, out, rationale


def _named(options: pa.Array, row: pa.Array, key: pa.Array) -> pa.Array:
    """The text of the option `key` of each `row`; the key itself where there is none."""
    of, option = pc.list_parent_indices(options), options.flatten()
    places = pc.binary_join_element_wise(of.cast(pa.string()), option.field("key"), "\x1f", null_handling="replace")
    wanted = pc.binary_join_element_wise(row.cast(pa.string()), key, "\x1f", null_handling="replace")
    return pc.coalesce(option.field("text").take(pc.index_in(wanted, places)), key)
