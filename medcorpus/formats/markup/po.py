"""Gettext catalogues (.po). https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html

One row for each translated string, `L<line>` of its `msgstr`, with the original in `extra`; plural forms are rows
of one group. The language is that of the header. What is not a finished translation is told apart, so that it
is counted: `fuzzy`, `obsolete`, and `null_text` for a string without a translation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from medcorpus.core.stage import Bad
from medcorpus.formats.base import Chunk, Options, Span, failed
from medcorpus.formats.encodings import Undecodable, text_of
from medcorpus.formats.markup.rows import Row, chunks
from medcorpus.formats.streams import whole

_CHARSET = re.compile(rb"Content-Type:[^\"\n]*charset=([\w.:-]+)", re.IGNORECASE)
_LANGUAGE = re.compile(r"^Language:[ \t]*([^\n]*?)[ \t]*$", re.MULTILINE)
_KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\s*"(.*)"')
_MORE = re.compile(r'"(.*)"')
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `text`, `language`, `group`."""
    outcome = whole(span)
    if isinstance(outcome, Chunk):
        yield outcome
        return
    charset = _CHARSET.search(outcome)
    try:
        text, _ = text_of(outcome, options.encoding or (charset[1].decode() if charset else None))
    except Undecodable as error:
        yield failed("", error.reason, str(error))
        return
    yield from chunks(_strings(text), options, none="entry")


@dataclass
class _Entry:
    """An entry while it is read: strings by keyword, and the line of each."""

    strings: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    obsolete: bool = False
    wrong: int = 0  # the first line that is none of the format


def _strings(text: str) -> Iterator[Row | Bad]:
    language = None
    for entry in _entries(text):
        if entry.wrong:
            yield Bad(f"L{entry.wrong}", "invalid_po", f"line {entry.wrong} is not of the format; its entry is lost")
            continue
        forms = [name for name in entry.strings if name.startswith("msgstr")]
        if entry.strings.get("msgid") == "" and "msgctxt" not in entry.strings:
            found = _LANGUAGE.search(entry.strings.get("msgstr", ""))
            language = found[1] or None if found else None
            continue
        for name in forms:
            place = f"L{entry.lines[name]}"
            if entry.obsolete or "fuzzy" in entry.flags:
                kind = "obsolete" if entry.obsolete else "fuzzy"
                yield Bad(place, kind, f"the translation is marked {kind}")
                continue
            yield Row(
                place,
                entry.strings[name],
                language=language,
                group=f"L{entry.lines['msgid']}",
                extra={
                    "msgid": entry.strings["msgid"],
                    "msgid_plural": entry.strings.get("msgid_plural"),
                    "msgctxt": entry.strings.get("msgctxt"),
                    "form": int(name[7:-1]) if name != "msgstr" else None,
                },
            )


def _entries(text: str) -> Iterator[_Entry]:
    """Entries, each ended by its own last string: a blank line between two is custom only."""
    entry, last = _Entry(), ""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        obsolete = line.startswith("#~")
        if obsolete:
            line = line[2:].lstrip("| ")
        starts = not line or line.startswith(("#", "msgctxt", "msgid ", 'msgid"'))
        if starts and (entry.wrong or any(name.startswith("msgstr") for name in entry.strings)):
            yield _checked(entry)
            entry, last = _Entry(), ""
        if line.startswith("#"):
            if line.startswith("#,"):
                entry.flags += [flag.strip() for flag in line[2:].split(",")]
        elif keyword := _KEYWORD.fullmatch(line):
            last = keyword[1]
            if last in entry.strings:
                entry.wrong = entry.wrong or number
            entry.strings[last], entry.lines[last] = _unescaped(keyword[2]), number
            entry.obsolete = obsolete
        elif (more := _MORE.fullmatch(line)) and last:
            entry.strings[last] += _unescaped(more[1])
        elif line:
            entry.wrong = entry.wrong or number
    if entry.strings or entry.wrong:
        yield _checked(entry)


def _checked(entry: _Entry) -> _Entry:
    if not entry.wrong and ("msgid" not in entry.strings or not any(n.startswith("msgstr") for n in entry.strings)):
        entry.wrong = max(entry.lines.values(), default=1)
    return entry


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16))
    return chr(int(code, 8)) if code[0].isdigit() and code[0] < "8" else _ESCAPES.get(code, code)
