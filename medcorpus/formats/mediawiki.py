"""Dumps of MediaWiki (`pages-articles.xml`, compressed or not): one article is one row.

Columns: `text` (plain, see `wikitext`), `title`, `url` and `language` as the dump's head tells them, `page_id`,
`revision_id`, `timestamp`. Redirects and pages outside the main namespace are no articles and no rows. Places are
`page=<id>`. The dump streams: memory does not grow with it. A dump that breaks off gives the pages before.
"""

from collections.abc import Iterator
from urllib.parse import quote
from xml.parsers import expat

import pyarrow as pa

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span, failed
from medcorpus.formats.streams import Stream, ahead
from medcorpus.formats.wikitext import CATEGORY, MEDIA, plain

_BYTES = 4 << 20
_KEPT = ("title", "ns", "id", "timestamp", "text", "base", "namespace")
_COLUMNS = ("text", "title", "url", "language", "page_id", "revision_id", "timestamp")
_HIDDEN_KEYS = ("6", "14")  # File and Category, by whatever name the wiki calls them


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows as string columns. See the module."""
    with Stream(span.path) as stream:
        dump = _Dump()
        seen = False
        for data in ahead(stream, min(options.block_bytes, 1 << 20)):
            seen = True
            try:
                dump.parser.Parse(data)
            except (expat.ExpatError, ValueError):
                yield from dump.chunk()
                parser = dump.parser
                message = f"not XML at line {parser.ErrorLineNumber}, column {parser.ErrorColumnNumber + 1}"
                yield failed(f"L{parser.ErrorLineNumber}", "invalid_xml", f"{message}; the pages before were read")
                return
            if dump.size > _BYTES:
                yield from dump.chunk()
        yield from dump.chunk()
        if not seen:
            yield failed("", "empty", "the file is empty")
        elif not dump.is_dump:
            yield failed("", "not_a_dump", "the document is no dump of MediaWiki")
        elif stream.broken or not dump.ended:
            yield failed(f"page={dump.last}", "broken", f"{stream.broken or 'the dump breaks off'} after this page")


class _Dump:
    """Handlers of the parser, and the articles finished since the last chunk."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.is_dump = self.ended = False
        self.size = 0
        self.last = ""
        self._rows: list[tuple[str | None, ...]] = []
        self._places: list[str] = []
        self._bad: list[Bad] = []
        self._base = self._language = ""
        self._hidden = {*MEDIA, *CATEGORY}
        self._path: list[str] = []
        self._page: dict[str, str] = {}
        self._pieces: list[str] = []
        self._length = 0
        self._key = ""

    def chunk(self) -> Iterator[Chunk]:
        """What is finished, if anything."""
        if self._rows or self._bad:
            columns = zip(*self._rows, strict=True) if self._rows else [[] for _ in _COLUMNS]
            batch = pa.RecordBatch.from_arrays([pa.array(c, pa.string()) for c in columns], names=list(_COLUMNS))
            yield Chunk(batch, pa.array(self._places, pa.string()), self._bad)
        self._rows, self._places, self._bad, self.size = [], [], [], 0

    def _doctype(self, *_: object) -> None:
        raise ValueError("a dump declares no entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        self._path.append(name)
        self._pieces, self._length = [], 0
        if name == "mediawiki":
            self.is_dump = True
            self._language = attributes.get("http://www.w3.org/XML/1998/namespace lang", "")
        elif name == "page":
            self._page = {}
        elif name == "redirect":
            self._page["redirect"] = "yes"
        elif name == "namespace":
            self._key = attributes.get("key", "")

    def _characters(self, data: str) -> None:
        if self._path[-1] in _KEPT:
            self._length += len(data)
            if self._length <= MAX_ROW_BYTES:
                self._pieces.append(data)

    def _end(self, name: str) -> None:
        name = self._path.pop()
        parent = self._path[-1] if self._path else ""
        text = "".join(self._pieces)
        if name == "mediawiki":
            self.ended = True
        elif name == "base":
            self._base = text.rpartition("/")[0]
        elif name == "namespace" and self._key in _HIDDEN_KEYS and text:
            self._hidden.add(text.casefold())
        elif name == "page":
            self._article()
        elif name == "id" and parent in ("page", "revision"):
            self._page[f"{parent}_id"] = text
        elif name in ("title", "ns", "timestamp", "text"):
            self._page[name] = text
            if name == "text" and self._length > MAX_ROW_BYTES:
                self._page["too_large"] = "yes"
        self._pieces = []

    def _article(self) -> None:
        page = self._page
        self.last = page.get("page_id", "")
        if page.get("ns", "0") != "0" or "redirect" in page:
            return
        place = f"page={self.last}"
        if "too_large" in page:
            self._bad.append(Bad(place, "too_large", f"the page is larger than {MAX_ROW_BYTES >> 20} MB"))
            return
        title = page.get("title", "")
        url = f"{self._base}/{quote(title.replace(' ', '_'), safe='/:()')}" if self._base and title else None
        text = plain(page.get("text", ""), self._hidden)
        more = (self._language or None, page.get("page_id"), page.get("revision_id"), page.get("timestamp"))
        self._rows.append((text, title or None, url, *more))
        self._places.append(place)
        self.size += len(text)
