"""`chunk`: long documents into parts that fit a context window.

A part ends, within the second half of `max_chars`, at the last blank line; if there is none, line end that ends
a sentence; sentence end (`text.segment`, in any script: not after "Dr.", "e.g." or "Fig." nor inside 2.5, and by
the row's `language` not after the ordinals of German); other line end; space (which sets phrases apart in Thai, Lao
and Khmer) or syllable mark of Tibetan; or else at the last place where a reader sees two characters: never before
a combining mark, joiner or variation selector, nor after a joiner or virama. White space at a cut stays with the
part before it, so that without overlap the parts put together are the text, to the byte.

Only rows of kind `text` longer than `max_chars` are cut. Everything else passes with its id. A part gets an
id from its parent's id, its number and its text; `parents`; `group` (its parent's group, or id); and
"#chunk=<i>" behind the locator. Raw bytes (`body`) stay behind, all other columns are the parent's.

Lengths are code points. A part may exceed `max_chars` twice over: the last one by up to `min_chars`, when a
shorter rest joins it, and one that holds a single character of more combining marks than that.
"""

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from medcorpus.core.params import Params
from medcorpus.core.schema import child_id, with_columns
from medcorpus.core.stage import Expand

_BREAK = r"(?>\r\n|[\n\r\v\f\x85\u2028\u2029])"
_BLANK_LINE = re.compile(rf"{_BREAK}[^\S\n\r\v\f\x85\u2028\u2029]*+{_BREAK}\s*+")
_LINE = re.compile(rf"{_BREAK}\s*+")
_SPACE = re.compile(r"\s++|[་\u200b]")
_ZWJ = "\u200d"
_JOINERS = frozenset("\u200c\u200d")
_VIRAMA = 9  # canonical combining class

_RAW = ("body", "media_type", "charset")


class ChunkParams(Params):
    """All of them change the rows made."""

    max_chars: int = Field(4000, ge=200, description="longest part, in code points")
    overlap: int = Field(0, ge=0, description="code points repeated at the start of the next part")
    min_chars: int = Field(200, ge=0, description="a last part shorter than this joins the one before")

    @model_validator(mode="after")
    def _fits(self) -> "ChunkParams":
        if self.overlap > self.max_chars // 4:
            raise ValueError(f"overlap {self.overlap} is more than a quarter of max_chars {self.max_chars}")
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is more than max_chars {self.max_chars}")
        return self


class Chunk(Expand):
    """Cuts rows of kind `text` that are longer than `max_chars`."""

    name, version = "chunk", 2
    compiles = True
    Params = ChunkParams
    reads = ("id", "kind", "text", "language", "group", "locator")
    writes = (pa.field("chunk_index", pa.int32()),)

    def open(self) -> None:
        """Load the kernel."""
        _sentence_ends("warm", None)

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.Array]:
        """The parts in place of the long rows, and the row each comes from."""
        params = self.params
        length = pc.fill_null(pc.utf8_length(batch.column("text")), 0)
        long = pc.and_(pc.equal(batch.column("kind"), "text"), pc.greater(length, params.max_chars))
        made: dict[str, list] = {name: [] for name in ("id", "text", "parents", "group", "locator")}
        parts = np.ones(batch.num_rows, np.int64)
        for row in np.flatnonzero(long.to_numpy(zero_copy_only=False)):
            parent, text, language, group, locator = (
                batch.column(name)[row].as_py() for name in ("id", "text", "language", "group", "locator")
            )
            spans = cuts(text, params.max_chars, params.overlap, params.min_chars, language)
            if len(spans) == 1:
                continue
            parts[row] = len(spans)
            for index, (begin, end) in enumerate(spans):
                part = text[begin:end]
                made["id"].append(child_id(parent, f"chunk={index}", part.encode()))
                made["text"].append(part)
                made["parents"].append([parent])
                made["group"].append(group if group is not None else parent)
                made["locator"].append(f"{locator}#chunk={index}")

        parent_row = np.repeat(np.arange(batch.num_rows), parts)
        is_part = np.repeat(parts > 1, parts)
        number = np.arange(len(parent_row)) - np.repeat(np.cumsum(parts) - parts, parts)
        index = pa.array(number.astype(np.int32), mask=~is_part)
        (field,) = self.writes
        if not made["id"]:
            return with_columns(batch, {"chunk_index": (field, index)}), pa.array(parent_row)

        # A made cell is found behind the rows of the batch, in the order made.
        source = np.where(is_part, batch.num_rows + np.cumsum(is_part) - 1, parent_row)
        columns = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in made:
                both = pa.concat_arrays([column, pa.array(made[name], column.type)])
                columns.append(both.take(pa.array(source)))
            else:
                columns.append(column.take(pa.array(parent_row, mask=is_part if name in _RAW else None)))
        out = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
        return with_columns(out, {"chunk_index": (field, index)}), pa.array(parent_row)


def cuts(
    text: str, max_chars: int, overlap: int = 0, min_chars: int = 0, language: str | None = None
) -> list[tuple[int, int]]:
    """(begin, end) of each part of `text`, in order; every end but the last is where the next one begins,
    less at most `overlap`."""
    spans = []
    begin, done = 0, 0  # where the part begins, and where the one before ended
    sentences = _sentence_ends(text, language) if len(text) > max_chars else np.empty(0, np.int64)
    while len(text) - begin > max_chars:
        end = _cut(text, begin + max_chars // 2, begin + max_chars, sentences)
        if end == len(text):  # nothing but marks until the end
            break
        spans.append((begin, end))
        done = end
        begin = _back(text, end, overlap)
    if spans and len(text) - done < min_chars:
        begin, _ = spans.pop()
    spans.append((begin, len(text)))
    return spans


def _sentence_ends(text: str, language: str | None) -> np.ndarray:
    """int64, rising: code points at which a sentence begins, but the first."""
    from medcorpus.text.segment.sentences import sentences

    found = sentences(pa.array([text]), pa.array([language], pa.string()))
    leads = np.frombuffer(text.encode(), np.uint8) & 0xC0 != 0x80
    return np.cumsum(leads)[found.starts[1:-1] - 1]


def _cut(text: str, low: int, high: int, sentences: np.ndarray) -> int:
    """The best place to cut in (low, high], or the first possible one after it."""
    lines = [match.end() for match in _LINE.finditer(text, low, high)]
    first, last = np.searchsorted(sentences, (low, high), "right")
    ends = sentences[first:last].tolist()
    for places in (
        [match.end() for match in _BLANK_LINE.finditer(text, low, high)],
        sorted(set(lines).intersection(ends)),
        ends,
        lines,
        [match.end() for match in _SPACE.finditer(text, low, high)],
    ):
        for place in reversed(places):
            if place > low and _may_cut(text, place):
                return place
    at = high
    while at > low and not _may_cut(text, at):
        at -= 1
    if at > low:
        return at
    while high < len(text) and not _may_cut(text, high):
        high += 1
    return high


def _back(text: str, end: int, overlap: int) -> int:
    """Where the part after a cut at `end` begins: at a space where there is one, else between characters."""
    if not overlap:
        return end
    begin = end - overlap
    space = re.compile(r"\s+").search(text, begin, end)
    if space and space.end() < end and _may_cut(text, space.end()):
        return space.end()
    while begin < end and not _may_cut(text, begin):
        begin += 1
    return begin


def _may_cut(text: str, at: int) -> bool:
    """Whether what stands before and after `at` are two characters to a reader.

    A short form of the extended grapheme clusters of UAX 29 that errs on the safe side.
    """
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if after < "\u0300":
        return not (before == "\r" and after == "\n") and before != _ZWJ
    if after in _JOINERS or before == _ZWJ or unicodedata.combining(before) == _VIRAMA:
        return False
    if unicodedata.category(after)[0] == "M" or after in "\u0e33\u0eb3":  # the vowels am of Thai and Lao
        return False
    point = ord(after)
    jamo = 0x1160 <= point <= 0x11FF or 0xD7B0 <= point <= 0xD7FF  # a Hangul vowel or final consonant
    tail = 0x1F3FB <= point <= 0x1F3FF or 0xE0020 <= point <= 0xE007F  # skin tones, tags
    flag = 0x1F1E6 <= point <= 0x1F1FF and 0x1F1E6 <= ord(before) <= 0x1F1FF  # two letters make one flag
    return not (jamo or tail or flag)
