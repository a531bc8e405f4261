"""XML: a file of a known dialect goes to its reader, any other is one row, its readable text.

The dialect is told by the root element and a word in the first 64 KB: `article` alone may be DocBook.
"""

import importlib
import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.markup.prose import Shape, flat, prose, words
from medcorpus.formats.markup.rows import Row, chunks, documents
from medcorpus.formats.markup.tree import opened

_LOOK = 64 << 10


class Dialect(NamedTuple):
    """A reader, and what tells its files: one of the root elements, and `hint` (lower case) near the top."""

    module: str
    roots: frozenset[str]
    hint: bytes


DIALECTS = (
    Dialect("medcorpus.formats.markup.medquad", words("Document doc DiseaseFile"), b"<qapairs"),
    Dialect("medcorpus.formats.markup.jats", words("article pmc-articleset"), b"<front"),
    Dialect("medcorpus.formats.markup.cnxml", words("document collection"), b"http://cnx.rice.edu/"),
    Dialect("medcorpus.formats.markup.tmx", words("tmx"), b""),
    Dialect("medcorpus.formats.markup.fhir", words("Bundle Composition"), b"http://hl7.org/fhir"),
    Dialect("medcorpus.formats.markup.udhr", words("udhr"), b""),
    Dialect("medcorpus.formats.markup.html", words("html"), b""),
    Dialect("medcorpus.formats.markup.mediawiki", words("mediawiki"), b""),
)

_BEFORE_ROOT = re.compile(rb"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)")

SHAPE = Shape(
    lines=words("li item listitem row tr option"),
    breaks=words("br lb newline linebreak"),
    rows=words("tr row"),
    cells=words("td th entry cell"),
    skip=words("script style"),
    inline=words(
        "a abbr acronym b bold big cite code date del dfn em emphasis emph foreign hi i ins italic kbd label link mark",
        "monospace name num q quote ref s samp sc small smallcaps span strong sub sup term tt u ulink underline var w",
        "xref",
    ),
    mixed=True,
)


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Rows as the dialect has them; those of a file of no known dialect are one: text, title and language."""
    with opened(span) as stream:
        head = stream.read(_LOOK)
    module = dialect(head)
    if module is None:
        yield from chunks(documents(span, _document), options)
    else:
        yield from importlib.import_module(module).read(span, options)


def dialect(head: bytes) -> str | None:
    """The module that reads a file with this beginning, or None for XML of any kind."""
    if b"\0" in head[:4]:
        head = head.decode("utf-16", "replace").encode()
    root = _ROOT.search(_BEFORE_ROOT.sub(b"", head))
    if root is None:
        return None
    name, lower = root[1].decode(), head.lower()
    return next((known.module for known in DIALECTS if name in known.roots and known.hint in lower), None)


def _document(root: Element) -> Row:
    title = root.find("title")
    return Row(
        None,
        prose(root, SHAPE),
        title=flat(title if title is not None else root.find("*/title"), SHAPE) or None,
        language=root.get("xml:lang") or _known(root.get("lang")),
        extra={"root": root.tag, **root.attrib},
    )


def _known(label: str | None) -> str | None:
    """`lang` is a language by habit only: what the registry does not know is something else."""
    try:
        return registry().normalise(label) if label else None
    except UnknownLanguage:
        return None
