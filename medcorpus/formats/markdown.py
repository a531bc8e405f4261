"""Markdown as sites keep it: front matter on top, shortcodes inside.

Front matter is YAML between lines of `---`, or TOML between lines of `+++`, at most 64 kB. Its names become columns:
strings as they are, dates as ISO, lists and maps as JSON. YAML that is not well formed (`title: Fever: what to do`) is
read line by line as `name: value`. A block that holds no names is text.

Shortcodes of Hugo (`{{< figure src="x.png" >}}`, `{{% note %}} ... {{% /note %}}`) go, with their arguments; what
stands between an opening and a closing one stays.
"""

import datetime
import re
import tomllib
from typing import Any

import yaml

from medcorpus.formats.base import json_text

MOST_FRONT_MATTER = 64 << 10

_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_BLOCK = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)(?<=\n)(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_PAIR = re.compile(r"([^\s:#-][^:\n]{0,79}?)[ \t]*:[ \t]+(.+?)[ \t]*")
_NAME = re.compile(r"\S[^\n\0]{0,79}")
_CODE = re.compile(r"\{\{([<%])(?:\"[^\"\n]*\"|`[^`]*`|(?![>%]\}\})[^\"`]|[\"`])*?[>%]\}\}")


def columns(markdown: str) -> dict[str, str | None]:
    """`text`, `title` (of the front matter, else the first heading) and what else the front matter names."""
    front, body = front_matter(markdown)
    front.pop("text", None)
    title = front.pop("title", None)
    return {"text": without_shortcodes(body), "title": title or heading(body), **front}


def front_matter(markdown: str) -> tuple[dict[str, str | None], str]:
    """The names of the front matter, and what comes after it."""
    found = _BLOCK.match(markdown[: MOST_FRONT_MATTER + 10])
    if not found:
        return {}, markdown
    values = _toml(found[2]) if found[1] == "+++" else _yaml(found[2])
    if values is None:
        return {}, markdown
    named = {str(name): _text(value) for name, value in values.items() if _NAME.fullmatch(str(name))}
    return named, markdown[found.end() :].removeprefix("\n")


class _Plain(yaml.SafeLoader):
    """YAML without aliases: a few lines of them unfold to more than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def _yaml(block: str) -> dict[Any, Any] | None:
    try:
        values = yaml.load(block, _Plain)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        pairs = [_PAIR.fullmatch(line) for line in block.split("\n")]
        return {pair[1]: pair[2].strip("\"'") for pair in pairs if pair} or None
    return values if isinstance(values, dict) else None


def _toml(block: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(block)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else json_text(value)


def without_shortcodes(markdown: str) -> str:
    """The text without shortcodes; a line that held nothing else goes with them."""
    if "{{<" not in markdown and "{{%" not in markdown:
        return markdown
    marked = _CODE.sub("\0", markdown)
    lines = [line for line in marked.split("\n") if "\0" not in line or line.replace("\0", "").strip()]
    return "\n".join(lines).replace("\0", "")


def heading(markdown: str) -> str | None:
    """The first heading (`# Title`, or a line underlined with === or ---) outside code fences, or None."""
    fence = None
    before = ""
    for line in markdown.split("\n"):
        if mark := _FENCE.match(line):
            fence = None if fence == mark[1] else fence or mark[1]
        elif fence is None:
            if (found := _HEADING.fullmatch(line)) and (found[1] or "").strip():
                return found[1].strip()
            if before and _UNDERLINE.fullmatch(line):
                return before
        before = line.strip() if fence is None and not mark else ""
    return None
