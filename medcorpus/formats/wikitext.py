"""Wikitext -> plain text, without a wiki: templates go, links become their text, tables keep their cells.

Every step is linear in the length of the page. What is not balanced stays as it is written.
"""

import html
import re
from collections.abc import Callable, Collection

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DROPPED = "ref|gallery|references|timeline|score|imagemap|templatestyles|style|script|math|chem|graph|mapframe"
_ALONE = re.compile(rf"<(?:{_DROPPED})\b[^<>]*/>", re.IGNORECASE)
_WHOLE = re.compile(rf"<({_DROPPED})\b[^<>]*>(?:(?!<\1\b).)*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<(?:br|hr)\s*/?>|</(?:p|div|li|tr)\s*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_TEMPLATE = re.compile(r"\{\{|\}\}")
_LINK = re.compile(r"\[\[|\]\]")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//[^\s\]]+[ \t]*([^\]\n]*)\]|\[mailto:[^\s\]]+[ \t]*([^\]\n]*)\]")
_QUOTES = re.compile(r"'{2,5}")
_MAGIC = re.compile(r"__[A-Z]{3,}__")
_HEADING = re.compile(r"^(={1,6})[ \t]*(.+?)[ \t]*\1[ \t]*$", re.MULTILINE)
_LIST = re.compile(r"^([*#:;]+)[ \t]*", re.MULTILINE)
_ATTRIBUTES = re.compile(r"^[^|\[\]]*=[^|\[\]]*\|(?!\|)")
_BLANK = re.compile(r"\n{3,}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z-]+)?")

MEDIA = ("file", "image", "media")
CATEGORY = ("category",)


def plain(wikitext: str, hidden: Collection[str] = (*MEDIA, *CATEGORY)) -> str:
    """The readable text of a page. Links into the namespaces `hidden` (lower case) are not part of it."""
    text = _COMMENT.sub("", wikitext)
    text = _balanced(text, _TEMPLATE, lambda inner: "")
    text = _WHOLE.sub("", _ALONE.sub("", text))
    text = _balanced(text, _LINK, lambda inner: _link(inner, hidden))
    text = _EXTERNAL.sub(lambda match: match[1] or match[2] or "", text)
    text = _MAGIC.sub("", _QUOTES.sub("", text))
    text = _TAG.sub("", _BREAK.sub("\n", text))
    text = _tables(text)
    text = _HEADING.sub(lambda match: match[2], text)
    text = _LIST.sub(lambda match: "- " if match[1][-1] in "*#" else "", text)
    text = "\n".join(line.strip() for line in html.unescape(text).split("\n"))
    return _BLANK.sub("\n\n", text).strip()


def _balanced(text: str, tokens: re.Pattern[str], replace: Callable[[str], str]) -> str:
    """`text` with every outermost and inner pair replaced, from the inside out."""
    stack: list[list[str]] = [[]]
    opened: list[str] = []
    at = 0
    for match in tokens.finditer(text):
        stack[-1].append(text[at : match.start()])
        at = match.end()
        if match[0] in ("{{", "[["):
            stack.append([])
            opened.append(match[0])
        elif len(stack) > 1:
            inner = "".join(stack.pop())
            opened.pop()
            stack[-1].append(replace(inner))
        else:
            stack[-1].append(match[0])
    stack[-1].append(text[at:])
    while len(stack) > 1:  # never closed: it was no pair
        inner = "".join(stack.pop())
        stack[-1].append(opened.pop() + inner)
    return "".join(stack[0])


def _link(inner: str, hidden: Collection[str]) -> str:
    target, _, rest = inner.partition("|")
    target = target.strip()
    if target.startswith(":"):
        return rest or target[1:]
    space, colon, _ = target.partition(":")
    space = space.strip().casefold().replace("_", " ")
    if colon and space in hidden:
        return ""
    if colon and not rest and _LANGUAGE.fullmatch(space):
        return ""  # the same page in another language
    return rest.rpartition("|")[2] if rest else target.replace("_", " ")


def _tables(text: str) -> str:
    """Rows as lines, cells between ` | `; captions as lines."""
    if "{|" not in text:
        return text
    lines: list[str] = []
    cells: list[str] = []
    depth = 0

    def close() -> None:
        if cells:
            lines.append(" | ".join(cell for cell in cells if cell))
            cells.clear()

    for line in text.split("\n"):
        bare = line.strip().lstrip(":")
        if bare.startswith("{|"):
            close()
            depth += 1
        elif not depth:
            lines.append(line)
        elif bare.startswith("|}"):
            close()
            depth -= 1
        elif bare.startswith("|-"):
            close()
        elif bare.startswith("|+"):
            close()
            lines.append(_ATTRIBUTES.sub("", bare[2:]).strip())
        elif bare.startswith(("|", "!")):
            parts = re.split(r"\|\||!!" if bare[0] == "!" else r"\|\|", bare[1:])
            cells += [_ATTRIBUTES.sub("", part).strip() for part in parts]
        elif bare and cells:
            cells[-1] = f"{cells[-1]} {bare}".strip()
        elif bare:
            lines.append(bare)
    close()
    return "\n".join(lines)
