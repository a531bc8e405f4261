"""Records become token files and a table of documents.

    tokens.npy      uint32 [tokens], documents one after the other
    learnt.npy      bool   [tokens], true where a token is learnt
    documents.arrow id, kind, source, language, start, length, learnt, fingerprint: one row a document

A document of kind `text` is its text and the stop token, all learnt; any other kind goes through the template.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from medcorpus.training.plan.template import Piece, Template, turns_of

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

COLUMNS = ("id", "kind", "text", "language", "source", "split", "mcqa", "turns")
BATCH_ROWS = 1000
_NOT_WORD = re.compile(r"[\W_]+")


@dataclass
class Documents:
    """The table of documents as arrays [documents]; `kinds`, `sources`, `languages` name the codes."""

    ids: list[str]
    kind: np.ndarray
    source: np.ndarray
    language: np.ndarray
    start: np.ndarray
    length: np.ndarray
    learnt: np.ndarray  # learnt tokens, without the first, which nothing predicts
    fingerprint: np.ndarray
    kinds: list[str]
    sources: list[str]
    languages: list[str]
    left_out: Counter[tuple[str, str]]  # (language, why) -> records

    def __len__(self) -> int:
        return len(self.ids)

    def hashes(self) -> np.ndarray:
        """The first 64 bits of each id."""
        return np.array([int(id[:16], 16) for id in self.ids], np.uint64)


class GrowingArray:
    """A `.npy` file of one dimension that is written piece by piece."""

    def __init__(self, path: Path, dtype: Any):
        self._file: BinaryIO = path.open("wb")
        self._dtype = np.dtype(dtype)
        self.length = 0
        self._header()

    def _header(self) -> None:
        # numpy leaves room for the longest length, so the header can be written again in place
        about = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self.length,)}
        npy.write_array_header_1_0(self._file, about)

    def append(self, values: np.ndarray) -> None:
        """Write `values` behind what is there."""
        self._file.write(np.ascontiguousarray(values, self._dtype).tobytes())
        self.length += len(values)

    def close(self) -> None:
        """Write the length, and close."""
        self._file.seek(0)
        self._header()
        self._file.close()


def fingerprint(record: dict[str, Any]) -> int:
    """64 bits that are equal for records that say the same, up to case, blanks, signs and the order of options."""
    if record["kind"] == "mcqa" and record["mcqa"]:
        parts = [record["mcqa"]["question"] or "", *sorted(_plain(o["text"]) for o in record["mcqa"]["options"] or ())]
    else:
        parts = [record["text"] or ""]
    return int.from_bytes(blake2b("\0".join(map(_plain, parts)).encode(), digest_size=8).digest(), "little")


def _plain(text: str | None) -> str:
    # marks are word characters of their scripts (Thai, Hindi), which `\W` would not know: they stay
    folded = unicodedata.normalize("NFKC", text or "").casefold()
    if folded.isascii():
        return _NOT_WORD.sub(" ", folded).strip()
    kept = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded)
    return " ".join(kept.split())


def pieces_of(record: dict[str, Any], template: Template, eos: str, rationale: bool) -> list[Piece]:
    """What the model reads and learns of a record; empty when there is nothing."""
    if record["kind"] == "text":
        return [(record["text"], True)] if (record["text"] or "").strip() else []
    turns = turns_of(record, rationale)
    return template.pieces(turns) if turns else []


def write_tokens(
    batches: "Iterable[pa.RecordBatch]",
    tokenizer: "Tokenizer",
    template: Template,
    eos: str,
    out: Path,
    wanted: Callable[[dict[str, Any]], str | None] = lambda record: None,
    rationale: bool = False,
) -> Documents:
    """Tokenise every record for which `wanted` says None (else: why it is left out) into the folder `out`."""
    import pyarrow as pa

    stop = tokenizer.token_to_id(eos)
    if stop is None:
        raise ValueError(f"the tokenizer has no token {eos!r}, which should end every document")
    codes: dict[str, dict[str, int]] = {"kind": {}, "source": {}, "language": {}}
    rows: dict[str, list[Any]] = {name: [] for name in ("id", "kind", "source", "language", "length", "learnt", "fingerprint")}  # fmt: skip # noqa: E501
    left_out: Counter[tuple[str, str]] = Counter()
    tokens, learnt = GrowingArray(out / "tokens.npy", np.uint32), GrowingArray(out / "learnt.npy", np.bool_)
    for batch in batches:
        for first in range(0, batch.num_rows, BATCH_ROWS):
            records, made = [], []
            for record in batch.slice(first, BATCH_ROWS).select(list(COLUMNS)).to_pylist():
                record["language"] = record["language"] or "und"
                why = wanted(record)
                pieces = [] if why else pieces_of(record, template, eos, rationale)
                if pieces:
                    records.append(record)
                    made.append(pieces)
                else:
                    left_out[record["language"], why or ("no text" if record["kind"] == "text" else "no answer")] += 1
            for record, (ids, mask) in zip(records, _encoded(made, records, tokenizer, stop), strict=True):
                tokens.append(ids)
                learnt.append(mask)
                for name, known in codes.items():
                    rows[name].append(known.setdefault(record[name], len(known)))
                rows["id"].append(record["id"])
                rows["length"].append(len(ids))
                rows["learnt"].append(int(mask[1:].sum()))
                rows["fingerprint"].append(fingerprint(record))
    tokens.close()
    learnt.close()
    length = np.array(rows["length"], np.int64)
    documents = Documents(
        ids=rows["id"],
        kind=np.array(rows["kind"], np.int16),
        source=np.array(rows["source"], np.int32),
        language=np.array(rows["language"], np.int16),
        start=np.cumsum(length) - length,
        length=length,
        learnt=np.array(rows["learnt"], np.int64),
        fingerprint=np.array(rows["fingerprint"], np.uint64),
        kinds=list(codes["kind"]),
        sources=list(codes["source"]),
        languages=list(codes["language"]),
        left_out=left_out,
    )
    _write_documents(documents, out / "documents.arrow", pa)
    return documents


def _encoded(
    made: list[list[Piece]], records: list[dict[str, Any]], tokenizer: "Tokenizer", stop: int
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Tokens and mask of each document. A text may quote special tokens: they are no more than text in it."""
    raw = [record["kind"] == "text" for record in records]
    encoded: dict[bool, Any] = {}
    for plain in (True, False):
        tokenizer.encode_special_tokens = plain
        texts = [text for pieces, is_raw in zip(made, raw, strict=True) if is_raw == plain for text, _ in pieces]
        encoded[plain] = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    tokenizer.encode_special_tokens = False
    for pieces, is_raw in zip(made, raw, strict=True):
        parts = [np.array(next(encoded[is_raw]).ids, np.uint32) for _ in pieces]
        mask = np.repeat([learnt for _, learnt in pieces], [len(part) for part in parts])
        if is_raw:
            parts, mask = [*parts, np.array([stop], np.uint32)], np.append(mask, True)
        yield np.concatenate(parts), mask


def _write_documents(documents: Documents, path: Path, pa: Any) -> None:
    def coded(codes: np.ndarray, words: list[str]) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words, pa.string()))

    named = {
        "kind": coded(documents.kind, documents.kinds),
        "source": coded(documents.source, documents.sources),
        "language": coded(documents.language, documents.languages),
    }
    numbers = {name: pa.array(getattr(documents, name)) for name in ("start", "length", "learnt", "fingerprint")}
    table = pa.table({"id": pa.array(documents.ids, pa.string()), **named, **numbers})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
