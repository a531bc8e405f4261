"""Make readable text out of pages: tags go, paragraphs and the cells of tables are kept apart.

    - ingest: {path: "web/**/*.html"}
    - extract:

A row that has a `body` of HTML gets its `text`: everything a reader would see (`text.html` says how), menus
too, which `quality` then measures. A title and a language that the page states fill empty ones; a language
label that the registry does not know stays empty. The encoding is told as for any file (`formats.encodings`):
bytes that give no text are quarantined, mojibake is repaired and flagged.

HTML that came in the text of a row (fields of JSON) is asked for with `of: text`; a text without a tag or a
character reference is left as it is. Rows that hold nothing to extract pass untouched.
"""

from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.errors import RowError
from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.core.params import Params
from medcorpus.core.schema import MAX_ROW_BYTES, with_columns
from medcorpus.core.stage import Map

NAMES = ("text", "title", "language", "flags", "charset", "media_type")
REPAIRED = "mojibake_repaired"
MEDIA_TYPES = (None, "text/html", "application/xhtml+xml")


class ExtractParams(Params):
    """What `extract` may be told."""

    of: Literal["body", "text"] = Field(
        "body", description="What is HTML: the bytes of a page, or the text of a row (HTML in JSON)."
    )
    keep_body: bool = Field(False, description="Keep the bytes of a page beside its text.")


class Extract(Map):
    """Writes `text`; fills `title` and `language`; takes `body` away."""

    name, version, Params = "extract", 2, ExtractParams
    reads = (*NAMES, "body")
    writes = (
        pa.field("text", pa.string()),
        pa.field("title", pa.string()),
        pa.field("language", pa.string()),
        pa.field("flags", pa.list_(pa.string())),
        pa.field("body", pa.binary()),
        pa.field("extract_chars", pa.int64()),
        pa.field("extract_charset", pa.string()),
    )

    def resource_digests(self) -> dict[str, str]:
        """The library decides what is seen of a page, the model has a say in which encoding it is in."""
        from importlib.metadata import version

        from medcorpus.text.lid.model import digests, shipped_model

        return {"resiliparse": version("resiliparse")} | digests(shipped_model())

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Read the pages of a batch. Raises RowError for one that cannot be read, without saying which."""
        columns = [batch[name].to_pylist() for name in NAMES]
        bodies = batch["body"]
        texts, titles, languages, flags, chars, charsets, done = [], [], [], [], [], [], []
        for row, (text, title, language, marks, charset, media_type) in enumerate(zip(*columns, strict=True)):
            html = encoding = None
            if self.params.of == "text":
                html = text
            elif bodies[row].is_valid and media_type in MEDIA_TYPES:
                html, encoding = _decoded(bodies[row].as_buffer().to_pybytes(), charset, language)
            if html is not None:
                text, found, label = _read(html, self.params.of == "body")
                text, mended = _mended(text)
                title, language = title or found, language or label
                marks = [*(marks or ()), REPAIRED] if mended and REPAIRED not in (marks or ()) else marks
            done.append(html is not None)
            texts.append(text)
            titles.append(title)
            languages.append(language)
            flags.append(marks)
            chars.append(None if html is None else len(text))
            charsets.append(encoding)
        if self.params.of == "body" and not self.params.keep_body:
            bodies = pc.if_else(pa.array(done, pa.bool_()), pa.scalar(None, pa.binary()), bodies)
        return with_columns(
            batch,
            {
                "text": pa.array(texts, pa.string()),
                "title": pa.array(titles, pa.string()),
                "language": pa.array(languages, pa.string()),
                "flags": pa.array(flags, pa.list_(pa.string())),
                "body": bodies,
                "extract_chars": pa.array(chars, pa.int64()),
                "extract_charset": pa.array(charsets, pa.string()),
            },
        )


def _decoded(body: bytes, charset: str | None, language: str | None) -> tuple[str, str]:
    """(HTML, encoding). Raises RowError."""
    from medcorpus.formats.encodings import Undecodable, text_of

    try:
        html, verdict = text_of(body, charset, language)
    except Undecodable as error:
        raise RowError(f"{error.reason}: {error}") from None
    return html, verdict.charset


def _mended(text: str) -> tuple[str, bool]:
    from medcorpus.formats.encodings.mojibake import repair

    found = repair(text)
    return (found[0], True) if found else (text, False)


def _read(html: str, always: bool) -> tuple[str, str | None, str | None]:
    """Text, title and language (a code, or None) of a page. Raises RowError."""
    from medcorpus.text.html import has_markup, page

    if not always and not has_markup(html):
        return html, None, None
    try:
        found: Any = page(html)
    except ValueError as error:
        raise RowError(str(error)) from None
    if len(found.text) > MAX_ROW_BYTES // 4 and len(found.text.encode()) > MAX_ROW_BYTES:
        raise RowError(f"the text is larger than {MAX_ROW_BYTES >> 20} MB")
    return found.text, found.title, _code(found.language)


def _code(label: str | None) -> str | None:
    try:
        return registry().normalise(label) if label else None
    except UnknownLanguage:
        return None
