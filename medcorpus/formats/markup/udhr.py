"""The Universal Declaration of Human Rights, as Unicode keeps it. https://github.com/unicode-org/udhr

One file is one row: title, preamble and articles. The language is that of the file's key where the registry
lists it (`lat_1`, `007`), else its ISO 639-3 code, else its BCP 47 tag.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.markup.prose import Shape, flat, prose, words
from medcorpus.formats.markup.rows import Row, chunks, documents

_SHAPE = Shape(blocks=words("article note para preamble title"), lines=words("listitem orderedlist"))


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text`, `title`, `language`."""
    yield from chunks(documents(span, _declaration), options)


def _declaration(root: Element) -> Row:
    text = prose(root, _SHAPE)
    labels = [root.get("key"), root.get("iso639-3"), root.get("xml:lang")]
    return Row(
        None,
        text if any(char.isalpha() for char in text) else None,  # template.xml has `@` in every paragraph
        title=flat(root.find("title"), _SHAPE) or None,
        language=_language([label for label in labels if label]),
        extra={name: root.get(name) for name in ("key", "iso639-3", "xml:lang", "iso15924", "n")},
    )


def _language(labels: list[str]) -> str | None:
    """The first label that is known; the first of all when none is, for the mapping to name it."""
    for label in labels:
        try:
            return registry().normalise(label, "udhr")
        except UnknownLanguage:
            continue
    return labels[0] if labels else None
