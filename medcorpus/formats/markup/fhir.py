"""FHIR documents in XML: the narrative of a Composition. https://hl7.org/fhir/R4/composition.html

One row for each Composition, `composition=<number>`: its sections in order, each with its heading and the text
of its narrative (XHTML). In an electronic product information (ePI) the first is the summary of product
characteristics, the second the package leaflet. The name of the medicine stands in the section "1. Name of the
medicinal product", whose code is the same in all languages (EMA's list 200000029659), and goes to `extra` of all
rows that follow.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, tostring

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.markup.prose import fold
from medcorpus.formats.markup.rows import Row, chunks
from medcorpus.formats.markup.tree import elements
from medcorpus.text.html import visible

_NAME_OF_PRODUCT = "200000029792"
_MOST_OF_NAME = 200


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text`, `title`, `language`, `group` (the file)."""
    yield from chunks(_compositions(span), options, none="Composition")


def _compositions(span: Span) -> Iterator[Row | Bad]:
    medicine = None
    number = 0
    for found in elements(span, ("Composition", "MedicinalProductDefinition")):
        if isinstance(found, Bad):
            number += found.error == "too_large"
            yield found
            continue
        resource = found.element
        if resource.tag == "MedicinalProductDefinition":
            medicine = _value(resource, "name/productName") or medicine
            continue
        number += 1
        parts: list[str] = []
        names: list[str] = []
        for section in resource.findall("section"):
            _section(section, parts, names)
        title = _value(resource, "title")
        medicine = names[0] if names else medicine
        yield Row(
            f"composition={number}",
            "\n\n".join(parts) or _narrative(resource),
            title=title,
            language=_value(resource, "language"),
            group="",
            extra={
                "medicine": medicine or _value(resource, "subject/display"),
                "type": _value(resource, "type/coding/display") or _value(resource, "type/text"),
                "date": _value(resource, "date"),
                "status": _value(resource, "status"),
                "bundle": _value(resource, "identifier/value") or _value(resource, "id"),
            },
        )


def _section(section: Element, parts: list[str], names: list[str]) -> None:
    """Heading and text of a section and of those within it, where they have any."""
    at = len(parts)
    if text := _narrative(section):
        parts.append(text)
        codes = {code.get("value") for code in section.findall("code/coding/code")}
        if _NAME_OF_PRODUCT in codes:
            names.append(fold(text.partition("\n")[0])[:_MOST_OF_NAME])
    for inner in section.findall("section"):
        _section(inner, parts, names)
    if len(parts) > at and (heading := _value(section, "title")):
        parts.insert(at, heading)


def _narrative(element: Element) -> str:
    div = element.find("text/div")
    return "" if div is None else visible(tostring(div, "unicode", method="html"))


def _value(element: Element, path: str) -> str | None:
    """FHIR keeps the value of an element in an attribute."""
    found = element.find(path)
    return None if found is None else fold(found.get("value")) or None
