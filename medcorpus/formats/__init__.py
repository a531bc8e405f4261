"""Readers of files, one format each. A new one is a file here, a line in `READERS`, and a test.

    base          the seam: Span and Options in, Chunks out
    streams       decompression, blocks of whole lines
    jsonl, json, delimited, xlsx, plain, columnar      the readers
    conll         words with labels
    containers    archives: their members are files too
    markup        HTML, Markdown, MediaWiki, the dialects of XML, gettext
    encodings     bytes that are not UTF-8 -> text, or why not
    mapping       a file's columns -> records (mcqa: questions and options)
    discover      patterns and folders -> files
    partitions    files -> shares of work that stay the same when files are added

Local files only. Plain arguments and plain values; no recipe and no engine.
"""

import importlib
import re
from pathlib import PurePath

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.formats import streams
from medcorpus.formats.base import Reader

READERS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "jsonl": ("medcorpus.formats.jsonl:read", (".jsonl", ".ndjson"), True),
    "json": ("medcorpus.formats.json:read", (".json",), False),
    "csv": ("medcorpus.formats.delimited:read_csv", (".csv",), False),
    "tsv": ("medcorpus.formats.delimited:read_tsv", (".tsv", ".tab"), False),
    "xlsx": ("medcorpus.formats.xlsx:read", (".xlsx", ".xlsm"), False),
    "conll": ("medcorpus.formats.conll:read", (".conll", ".iob", ".bio"), False),
    "txt": ("medcorpus.formats.plain:read_txt", (".txt", ".text"), False),
    "md": ("medcorpus.formats.plain:read_md", (".md", ".markdown"), False),
    "mediawiki": ("medcorpus.formats.markup.mediawiki:read", (), False),
    "parquet": ("medcorpus.formats.columnar:read_parquet", (".parquet", ".pq"), True),
    "arrow": ("medcorpus.formats.columnar:read_arrow", (".arrow", ".feather", ".ipc"), True),
    "html": ("medcorpus.formats.markup.html:read", (".html", ".htm", ".xhtml"), False),
    "xml": ("medcorpus.formats.markup.xml:read", (".xml",), False),
    "medquad": ("medcorpus.formats.markup.medquad:read", (), False),
    "jats": ("medcorpus.formats.markup.jats:read", (".nxml",), False),
    "cnxml": ("medcorpus.formats.markup.cnxml:read", (".cnxml",), False),
    "tmx": ("medcorpus.formats.markup.tmx:read", (".tmx",), False),
    "fhir": ("medcorpus.formats.markup.fhir:read", (), False),
    "udhr": ("medcorpus.formats.markup.udhr:read", (), False),
    "po": ("medcorpus.formats.markup.po:read", (".po", ".pot"), False),
    "record": ("medcorpus.formats.columnar:read_record", (), False),
}
"""format -> (module:function, suffixes, whether a big file can be read in ranges)."""

_BY_SUFFIX = {suffix: name for name, (_, suffixes, _) in READERS.items() for suffix in suffixes}
_LOOK = 1 << 16
_MARKUP = re.compile(rb"\s*(?:(<!doctype\s+html|<html[\s>])|<\?xml\s)", re.IGNORECASE)
NO_READER = "no_reader"
"""In place of a format: a file that was found, not asked for by name, and that no reader knows."""


class UnknownFormat(ValueError):
    """A file whose format neither its name nor its content tells."""


def reader(format: str) -> Reader:
    """The reader of a format. Raises KeyError."""
    module, _, name = READERS[format][0].partition(":")
    return getattr(importlib.import_module(module), name)


def by_suffix(name: str) -> str | None:
    """The format that a file name tells (`a.jsonl`, `a.tsv.zst`), or None."""
    path = PurePath(name.lower())
    if path.suffix in streams.SUFFIXES:
        path = path.with_suffix("")
    return _BY_SUFFIX.get(path.suffix)


def guess(path: str) -> str:
    """The format of a file, by its suffix, else by its first bytes.

    Raises UnknownFormat with the formats there are, OSError when the file cannot be read.
    """
    found = by_suffix(path)
    if found == "json" and _is_lines(path):
        found = "jsonl"  # half of the files called .json are
    found = found or _sniff(streams.head(path, _LOOK))
    if found is None:
        raise UnknownFormat(
            f"the format of {PurePath(path).name} is not known; known formats: {', '.join(READERS)}"
            " (name one with `format`)"
        )
    return found


def no_reader(path: str) -> str:
    """What is wrong with a file that no reader knows."""
    name = PurePath(path)
    suffixes = name.suffixes[-2:] if name.suffix.lower() in streams.SUFFIXES else name.suffixes[-1:]
    return f"no reader for {''.join(suffixes) or 'a file without suffix'}"


def _is_lines(path: str) -> bool:
    """Is the first line an object, and does another line follow?"""
    head = streams.head(path, _LOOK).removeprefix(streams.BOM)
    if not head.startswith(b"{"):
        return False
    if b"\n" not in head and len(head) >= _LOOK:
        head = streams.head(path, MAX_ROW_BYTES).removeprefix(streams.BOM)
    first, _, rest = head.partition(b"\n")
    return bool(rest.strip()) and _is_object(first.decode("utf-8", "replace"))


def _sniff(head: bytes) -> str | None:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    if b"<mediawiki" in head[:4096]:
        return "mediawiki"
    if found := _MARKUP.match(head.removeprefix(streams.BOM)):
        return "html" if found[1] else "xml"
    try:
        lines = head.removeprefix(streams.BOM).decode("utf-8", "strict" if len(head) < _LOOK else "ignore").split("\n")
    except UnicodeDecodeError:
        return None
    lines = [line for line in (lines if len(head) < _LOOK else lines[:-1]) if line.strip()][:20]
    if lines and all(_is_object(line) for line in lines):
        return "jsonl"
    if head.lstrip(streams.BOM + b" \t\r\n")[:1] in (b"{", b"["):
        return "json"
    for name, delimiter in (("tsv", "\t"), ("csv", ",")):
        counts = {line.count(delimiter) for line in lines}
        if (
            len(lines) > 1
            and len(counts) == 1
            and 0 not in counts
            and not any(f"{delimiter} " in line for line in lines)
        ):
            return name  # a comma with a blank behind it is prose
    return None


def _is_object(line: str) -> bool:
    import orjson

    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
