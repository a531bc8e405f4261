"""TMX 1.4, translation memories. https://www.gala-global.org/tmx-14b

One row for each variant (`tuv`) of a unit, `tu=<number>/tuv[<number>]`; the variants of a unit share a `group`.
Codes of formatting within a segment are not its text. An empty segment is bad, so that it is counted.
"""

from collections.abc import Iterator

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.markup.prose import Shape, flat, fold, words
from medcorpus.formats.markup.rows import Row, chunks
from medcorpus.formats.markup.tree import elements

_SHAPE = Shape(skip=words("bpt ept it ph ut"), raised=frozenset())


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text`, `language` (as labelled) and `group`."""
    yield from chunks(_variants(span), options, none="translation unit (`tu`)")


def _variants(span: Span) -> Iterator[Row | Bad]:
    source = None
    number = 0
    for found in elements(span, ("tu", "header")):
        if isinstance(found, Bad):
            number += found.error == "too_large"
            yield found
            continue
        unit = found.element
        if unit.tag == "header":
            source = unit.get("srclang")
            continue
        number += 1
        about = {
            "tuid": unit.get("tuid"),
            "srclang": unit.get("srclang") or source,
            **{prop.get("type", "prop"): fold(prop.text) for prop in unit.findall("prop")},
        }
        for place, variant in enumerate(unit.findall("tuv"), 1):
            yield Row(
                f"tu={number}/tuv[{place}]",
                flat(variant.find("seg"), _SHAPE),
                language=variant.get("xml:lang") or variant.get("lang"),
                group=f"tu={number}",
                extra=about,
            )
