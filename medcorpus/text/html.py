"""The visible text of an HTML page, through resiliparse (lexbor: it parses as browsers do, and never fails).

Everything a reader would see, menus and all, once: tags, scripts, styles, comments and hidden elements go;
paragraphs are parted by an empty line, list items and `<br>` by a new line, the cells of a table row by one
tab, so that a row of n cells has n - 1 tabs, empty cells too. Raised digits stay raised (10⁹, not 109).
A row stays in paragraphs when it is there for the layout: it has one cell, a table within, or long text.
Readings beside characters (ruby) go: they would stand in the middle of every word. So do the marks of a template that
nobody filled in (`{{> header}}`, `{{#if x}}`, `{{/if}}`); `{{x}}` may be a formula, and stays.

https://resiliparse.chatnoir.eu/en/stable/man/extract/html2text.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from medcorpus.text.superscript import superscript

_OPEN, _CLOSE, _BREAK = "\ufdd0", "\ufdd1", "\ufdd2"  # noncharacters: no text may hold them
_ROW = re.compile(f"{_OPEN}[^{_OPEN}{_CLOSE}]*{_CLOSE}(?:[\t ]*{_OPEN}[^{_OPEN}{_CLOSE}]*{_CLOSE})*")
_CELL = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")
_FLAT = re.compile(r"[ \t\r\n\f]+")
_MARKS = str.maketrans("", "", f"\0{_OPEN}{_CLOSE}{_BREAK}")
_BREAKS = re.compile(rf"[\t \n]*{_BREAK}[ \n]*")
_GAPS = re.compile(r"\n(?:[ \u00a0]*\n){2,}")
_TRAILING = re.compile(r" +(?=\n|$)")
_LONG = 1000
"""Characters of a cell with several lines above which its row is taken for layout."""

_DEEP, _MOST_NESTED, _MOST_CELLS = 200, 1_000, 100_000
"""Elements around a cell, tables within cells, and cells of a page beyond which tables are left as the library
has them, cells two tabs apart: no page of a person has as many, and a hostile one would take minutes."""

_HIDDEN = ["[hidden]", "dialog:not([open])", "rt", "rp"] + [
    f'[style*="{name}:{blank}{value}" i]'
    for name, value in (("display", "none"), ("visibility", "hidden"))
    for blank in ("", " ")
]
_UNFILLED = re.compile(r"\{\{[>#/^!][^{}\n]{0,200}\}\}")
_MARKUP = re.compile(r"<[A-Za-z/!?]|&(?:#\d|#[xX][0-9A-Fa-f]|[A-Za-z][A-Za-z0-9]*;)")


@dataclass(frozen=True)
class Page:
    """What a page says: its visible text, `<title>`, and the `lang` of the root element (as written)."""

    text: str
    title: str | None
    language: str | None


def has_markup(text: str) -> bool:
    """Whether a string holds a tag or a character reference."""
    return bool(_MARKUP.search(text))


def page(html: str) -> Page:
    """The visible text of a page or of a fragment of one. Raises ValueError when it cannot be parsed at all."""
    if any(mark in html for mark in ("\0", _OPEN, _CLOSE, _BREAK)):
        html = html.translate(_MARKS)
    try:
        tree = HTMLTree.parse(html)
        _mark(tree)
        text = _plain(tree, _HIDDEN) or _plain(tree, [], noscript=True)  # a page that only a script would show
        title = _FLAT.sub(" ", tree.title or "").strip()
        root = tree.document.query_selector("html[lang]")
    except RuntimeError as error:
        raise ValueError(f"not to be parsed as HTML ({type(error).__name__})") from None
    language = root.getattr("lang").strip() if root else None
    return Page(_rows(_UNFILLED.sub("", text)), title.translate(_MARKS) or None, language or None)


def visible(html: str) -> str:
    """The visible text of a page or of a fragment of one."""
    return page(html).text


def _plain(tree: Any, skip: list[str], noscript: bool = False) -> str:
    return extract_plain_text(
        tree,
        main_content=False,
        preserve_formatting=True,
        alt_texts=False,
        links=False,
        form_fields=False,
        noscript=noscript,
        skip_elements=skip,
    )


def _mark(tree: Any) -> None:
    """Raise digits, and put marks around cells that will be found again in the text."""
    root = tree.document
    for node in _all(root, "sup"):
        if raised := superscript(node.text):
            node.text = raised
    nested, cells = _all(root, "td table, th table"), _all(root, "td, th")
    if len(nested) > _MOST_NESTED or len(cells) > _MOST_CELLS:
        return
    for table in nested:
        cell = next((node for node in _above(table) if node.tag in ("td", "th")), None)
        if cell is not None and not _is_layout(cell) and not _is_deep(cell):
            cell.insert_before(tree.create_text_node(_BREAK), cell.first_child)
    row, deep = None, False
    for cell in cells:
        if cell.parent != row:
            row = cell.parent
            deep = _is_deep(cell)
        if deep or _is_layout(cell):
            continue
        cell.append_child(tree.create_text_node(_CLOSE))
        cell.insert_before(tree.create_text_node(_OPEN), cell.first_child)


def _all(root: Any, selector: str) -> list[Any]:
    """The elements that match, at once: iterating over what resiliparse returns takes time in its square."""
    return root.query_selector_all(selector)[:]


def _above(node: Any) -> Iterator[Any]:
    """The elements around a node, innermost first, as far as it is sensible to look."""
    for _ in range(_DEEP):
        node = node.parent
        if node is None:
            return
        yield node


def _is_deep(node: Any) -> bool:
    """Whether a change here would be slow: its cost grows with the depth, that of a hostile page with its square."""
    return sum(1 for _ in _above(node)) == _DEEP


def _is_layout(cell: Any) -> bool:
    first = cell.first_child
    return first is not None and first.tag == "#text" and first.value == _BREAK


def _rows(text: str) -> str:
    """`text` with one line for each table row, and the marks gone."""
    if _OPEN in text:
        text = _ROW.sub(_row, text)
    if _BREAK in text:
        text = _BREAKS.sub("\n\n", text)
    text = text.translate(_MARKS)
    return _GAPS.sub("\n\n", _TRAILING.sub("", text)).strip(" \n\u00a0")


def _row(match: re.Match[str]) -> str:
    cells = [cell.strip(" \n\t") for cell in _CELL.findall(match[0])]
    if len(cells) == 1 or any(len(cell) > _LONG and "\n" in cell for cell in cells):
        return "\n\n".join(filter(None, cells))
    return "\t".join(_FLAT.sub(" ", cell) for cell in cells)
