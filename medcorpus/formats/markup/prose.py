"""An element as readable text.

Blocks are parted by an empty line, lines by a line end, the cells of a table row by one tab, so that a row of n
cells has n - 1 tabs. White space within a block is folded, but for no-break and ideographic spaces, which are
part of the text. Raised digits stay raised (10⁹, not 109), formulas become a line of plain text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from medcorpus.text.superscript import superscript

BLANKS = re.compile(r"[ \t\r\n\f\v\ufeff]+")
_LINES = re.compile(r"\r\n?|\n")


@dataclass(frozen=True)
class Shape:
    """What the elements of a dialect mean; those that are not named are part of the line they stand in.

    `blocks` are parted by an empty line, `lines` by a line end, `breaks` are line ends, `cells` make up `rows`,
    `skip` is not shown. With `mixed` an element that is not named is a block when its parent holds nothing but
    elements, and line ends in the text are kept: that is how text of an unknown dialect is best read.
    """

    blocks: frozenset[str] = frozenset()
    lines: frozenset[str] = frozenset()
    breaks: frozenset[str] = frozenset()
    rows: frozenset[str] = frozenset()
    cells: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    inline: frozenset[str] = frozenset()
    raised: frozenset[str] = frozenset({"sup"})
    mixed: bool = False


def words(*names: str) -> frozenset[str]:
    """The names in strings of names."""
    return frozenset(name for line in names for name in line.split())


def fold(text: str | None) -> str:
    """`text` on one line, white space folded."""
    return BLANKS.sub(" ", text or "").strip(" ")


def flat(element: Element | None, shape: Shape) -> str:
    """The text of an element (or of none) on one line."""
    return "" if element is None else fold(prose(element, shape))


def prose(element: Element, shape: Shape) -> str:
    """The text of an element, without what stands behind it. At most 500 levels deep (see `tree`)."""
    out = _Writer()
    _inner(element, shape, out)
    return "".join(out.parts)


class _Writer:
    """Text as it grows: what parts it from the next piece is decided when that comes."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._gap = ""
        self._blank = False

    def text(self, text: str) -> None:
        text = BLANKS.sub(" ", text)
        inner = text.strip(" ")
        if not inner:
            self._blank |= bool(text)
            return
        self._part(text[0] == " ")
        self.parts.append(inner)
        self._blank = text[-1] == " "

    def line(self, text: str) -> None:
        """A line of its own, as it is."""
        self.gap("\n")
        self._part(False)
        self.parts.append(text)
        self.gap("\n")

    def gap(self, gap: str) -> None:
        self._gap = max(self._gap, gap, key=len)
        self._blank = False

    def _part(self, blank: bool) -> None:
        if self.parts and (self._gap or self._blank or blank):
            self.parts.append(self._gap or " ")
        self._gap, self._blank = "", False


def _inner(element: Element, shape: Shape, out: _Writer) -> None:
    """The text within an element."""
    apart = shape.mixed and _only_elements(element)
    _data(element.text, shape, out)
    for child in element:
        _outer(child, shape, out, apart)
        _data(child.tail, shape, out)


def _outer(element: Element, shape: Shape, out: _Writer, apart: bool) -> None:
    """An element within its surroundings."""
    name = element.tag
    if name in shape.skip:
        return
    if name in shape.breaks:
        out.gap("\n")
    elif name in shape.rows:
        cells = [flat(cell, shape) for cell in element if cell.tag in shape.cells]
        if cells:
            out.line("\t".join(cells))
    elif name == "math":
        out.text(_math(element))
    elif name in shape.raised:
        inner = flat(element, shape)
        out.text(superscript(inner) or inner)
    else:
        gap = ""
        if name in shape.blocks or (apart and name not in shape.inline and name not in shape.lines):
            gap = "\n\n"
        elif name in shape.lines:
            gap = "\n"
        out.gap(gap) if gap else None
        _inner(element, shape, out)
        out.gap(gap) if gap else None


def _data(text: str | None, shape: Shape, out: _Writer) -> None:
    if not text:
        return
    if not shape.mixed or "\n" not in text or not text.strip():
        out.text(text)
        return
    first, *rest = _LINES.split(text)
    out.text(first)
    for number, line in enumerate(rest, 1):
        if line.strip():
            out.gap("\n")
            out.text(line)
        elif number < len(rest):  # an empty line, and not just what stands before the next tag
            out.gap("\n\n")


def _only_elements(element: Element) -> bool:
    return not (element.text or "").strip() and not any((child.tail or "").strip() for child in element)


# -- formulas -----------------------------------------------------------------------------------


def _math(element: Element) -> str:
    """MathML in a line: a/b, 10⁻³, √(x). https://www.w3.org/TR/MathML3/"""
    name = element.tag
    if name.startswith("annotation"):
        return ""
    inner = [_math(child) for child in element]
    if make := _FORMULAS.get(name):
        want, form = make
        if len(inner) == want:
            return form(*inner)
    if name == "mtable":
        return "; ".join(filter(None, inner))
    if name == "mtr":
        return ", ".join(filter(None, inner))
    return fold(element.text) + "".join(inner) if inner else fold(element.text)


def _group(text: str) -> str:
    return text if len(text) < 2 or text.isalnum() else f"({text})"


def _power(base: str, exponent: str) -> str:
    return base + (superscript(exponent) or f"^{_group(exponent)}")


_FORMULAS: dict[str, tuple[int, Callable[..., str]]] = {
    "mfrac": (2, lambda above, below: f"{_group(above)}/{_group(below)}"),
    "msup": (2, _power),
    "msubsup": (3, lambda base, below, above: _power(base + below, above)),
    "msqrt": (1, lambda inner: f"√{_group(inner)}"),
    "mroot": (2, lambda inner, degree: f"{superscript(degree) or degree}√{_group(inner)}"),
}
