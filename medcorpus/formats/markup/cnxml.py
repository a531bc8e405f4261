"""CNXML 0.7, modules of OpenStax textbooks. https://github.com/openstax/cnxml

One module is one row: title, abstract, content with notes, lists, tables, exercises and captions, glossary.
Pictures are not text. The licence and the language are taken where the module's metadata state them; OpenStax
states them once, in the book's collection, which has no text of its own: it is a bad row `no_rows`.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.markup.licences import spdx
from medcorpus.formats.markup.prose import Shape, flat, prose, words
from medcorpus.formats.markup.rows import Row, chunks, documents

_SHAPE = Shape(
    blocks=words(
        "abstract caption commentary content definition equation example exercise figure glossary list metadata note",
        "para problem quote rule section solution statement proof subfigure table title",
    ),
    lines=words("item meaning"),
    breaks=words("newline"),
    rows=words("row"),
    cells=words("entry entrytbl"),
    skip=words("media"),
)


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text`, `title`, `language`, `licence`, `attribution`."""
    yield from chunks(documents(span, _module), options, none="CNXML module (a collection is a table of contents)")


def _module(root: Element) -> Row | None:
    if root.tag != "document":
        return None
    about = root.find("metadata")
    known = {child.tag: child for child in ([] if about is None else about)}
    title = flat(root.find("title"), _SHAPE) or flat(known.get("title"), _SHAPE)
    parts = [known.get("abstract"), root.find("content"), root.find("glossary")]
    texts = [title, *(prose(part, _SHAPE) for part in parts if part is not None)]
    licence = known.get("license")
    stated = flat(licence, _SHAPE)
    return Row(
        None,
        "\n\n".join(filter(None, texts)) if any(texts[1:]) else None,
        title=title or None,
        language=flat(known.get("language"), _SHAPE) or root.get("xml:lang"),
        licence=None if licence is None else spdx(licence.get("url"), stated),
        extra={
            "module": flat(known.get("content-id"), _SHAPE),
            "uuid": flat(known.get("uuid"), _SHAPE),
            "licence_stated": None if licence is None else licence.get("url") or stated,
        },
    )
