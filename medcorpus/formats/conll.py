"""CoNLL: a word and its label on a line (`B-Claim`, `I-Claim`, `O`), a blank line between sentences.

A document begins at a line `-DOCSTART-`, or at a sentence that begins with the words that `records` gives
(`QUESTION TYPE:`); without either the file is one document. Columns: `text` (a sentence a line, words parted by
blanks) and `spans`, the labelled stretches, for `evidence: {column: spans, as: spans}`. Places are `L<line>`.
"""

import re
from collections.abc import Iterator

import orjson
import pyarrow as pa

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.streams import Stream, line_blocks

_START = "-DOCSTART-"
_BLANKS = re.compile(r"[ \t]+")
_ROWS = 512

Sentence = list[tuple[str, str]]


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows as string columns `text` and `spans`. See the module."""
    marker = options.records.split() if options.records else []
    document: list[Sentence] = []
    begun, rows, places, bad = 0, [], [], []
    for number, sentence, wrong in _sentences(span, options):
        bad += wrong
        starts = bool(sentence) and (sentence[0][0] == _START or _begins(sentence, marker))
        if starts and document:
            rows.append(_row(document))
            places.append(f"L{begun}")
            document = []
        if sentence and sentence[0][0] == _START:
            sentence = sentence[1:]
        if sentence:
            begun = begun if document else number
            document.append(sentence)
        if len(rows) == _ROWS:
            yield _chunk(rows, places, bad)
            rows, places, bad = [], [], []
    if document:
        rows.append(_row(document))
        places.append(f"L{begun}")
    if rows or bad:
        yield _chunk(rows, places, bad)


def _sentences(span: Span, options: Options) -> Iterator[tuple[int, Sentence, list[Bad]]]:
    """(line it begins on, words with labels, what is wrong before it)."""
    sentence: Sentence = []
    first = 0
    with Stream(span.path) as stream:
        for lines in line_blocks(stream, span, options.block_bytes):
            bad = list(lines.bad)
            whole = lines.data.removesuffix(b"\n").split(b"\n") if lines.data else []
            for number, raw in enumerate(whole, lines.first):
                try:
                    line = raw.decode().strip(" \t\r")
                except UnicodeDecodeError:
                    bad.append(Bad(f"L{number}", "invalid_utf8", "the line is not utf-8"))
                    continue
                if line:
                    first = first if sentence else number
                    word, *labels = _BLANKS.split(line)
                    sentence.append((word, labels[0] if labels else "O"))
                elif sentence or bad:
                    yield first, sentence, bad
                    sentence, bad = [], []
            if bad:
                yield first, [], bad
    if sentence:
        yield first, sentence, []


def _begins(sentence: Sentence, marker: list[str]) -> bool:
    return bool(marker) and [word for word, _ in sentence[: len(marker)]] == marker


def _row(document: list[Sentence]) -> tuple[str, str]:
    """Text and spans of a document. A span ends with its sentence."""
    lines, spans = [], []
    at = 0
    for sentence in document:
        line = " ".join(word for word, _ in sentence)
        position = at
        begin: tuple[int, str] | None = None
        end = at
        for word, label in [*sentence, ("", "O")]:
            kind, _, name = label.partition("-")
            if begin and (kind in ("O", "B") or name != begin[1]):
                spans.append({"id": begin[1], "start": begin[0], "text": line[begin[0] - at : end - at]})
                begin = None
            if kind in ("B", "I") and begin is None:
                begin = (position, name)
            end = position + len(word)
            position = end + 1
        lines.append(line)
        at += len(line) + 1
    return "\n".join(lines), orjson.dumps(spans).decode()


def _chunk(rows: list[tuple[str, str]], places: list[str], bad: list[Bad]) -> Chunk:
    columns = list(zip(*rows, strict=True)) if rows else [(), ()]
    arrays = [pa.array(column, pa.string()) for column in columns]
    return Chunk(pa.RecordBatch.from_arrays(arrays, names=["text", "spans"]), pa.array(places, pa.string()), bad)
