"""An XML file as elements, streamed through expat, the parser of the standard library.

Nothing outside the file is ever read, and a file that declares entities of its own is refused: `&lol;` that
stands for a billion others costs an attacker four lines. Names are local (`md:title` is `title`), so that
files with forgotten namespaces are read too; only `xml:lang` and `xml:id` keep their prefix.
"""

import codecs
import re
import xml.parsers.expat as expat
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from html.entities import html5
from xml.etree.ElementTree import Element, TreeBuilder

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.core.stage import Bad
from medcorpus.formats.base import Span
from medcorpus.formats.streams import Stream

_BLOCK = 256 << 10
_DEEP = 500
_NODE_BYTES = 64  # of the row limit, for an element: it costs memory even when it is empty
_DECLARED = re.compile(rb"""\A<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)""")
_NATIVE = {"utf-8", "utf-16", "us-ascii", "iso-8859-1"}  # what expat reads by itself
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "ks_c_5601-1987": "cp949", "euc-kr": "cp949"}


@dataclass(frozen=True)
class Found:
    """An element that was asked for, whole. `number` counts those of its name from 1; `above` are the names and
    attributes of the elements around it, outermost first; `line` is where it begins.
    """

    element: Element
    number: int
    above: tuple[Element, ...]
    line: int

    @property
    def root(self) -> Element:
        """The root element: this one, or one around it that has its name and attributes only."""
        return self.above[0] if self.above else self.element


class _Refused(Exception):
    """The rest of the file is not read: the name of the error, and a sentence."""


def opened(span: Span) -> Stream:
    """The bytes of a span."""
    return Stream(span.path, span.start, span.end)


def elements(span: Span, names: Collection[str] | None = None) -> Iterator[Found | Bad]:
    """The outermost elements called `names` (None: the root), in order; then what is wrong with the rest, if any.

    What is found before a fault is given. A fault is named with its place: `L<line>:<column>`, both from 1.
    An element above the row limit is a Bad, and counts.
    """
    builder = _Builder(names)
    with opened(span) as stream:
        data = stream.read(_BLOCK)
        if not data:
            yield Bad("", "broken", stream.broken) if stream.broken else Bad("", "empty", "the file is empty")
            return
        decode = _decoder(data)
        parser = builder.parser = _parser(builder, "utf-8" if decode else None)
        fed = 0
        fault: Bad | None = None
        while fault is None:
            last = not data
            try:
                piece = decode(data, last) if decode else data
                if not (last and stream.broken):
                    parser.Parse(piece, last)
                fed += len(piece)
                if fed - parser.CurrentByteIndex > MAX_ROW_BYTES:
                    raise _Refused("too_large", f"a tag or comment is larger than {MAX_ROW_BYTES >> 20} MB")
            except expat.ExpatError as error:
                fault = _fault(error.lineno, error.offset, "invalid_xml", expat.ErrorString(error.code))
            except UnicodeDecodeError as error:
                message = f"byte {error.start} of a block is not {error.encoding}"
                fault = _fault(parser.CurrentLineNumber, parser.CurrentColumnNumber, "encoding", message)
            except (LookupError, ValueError):  # what expat leaves to Python: no such codec, or one of several bytes
                fault = _fault(1, 0, "encoding", "the encoding that is declared is not known")
            except _Refused as error:
                fault = _fault(parser.CurrentLineNumber, parser.CurrentColumnNumber, *error.args)
            yield from builder.take()
            if last:
                break
            data = stream.read(_BLOCK)
        if fault is None and stream.broken:
            fault = Bad(f"L{parser.CurrentLineNumber}", "broken", stream.broken)
        if fault is not None:
            yield fault


def _fault(line: int, column: int, error: str, message: str) -> Bad:
    place = f"line {line}, column {column + 1}"
    return Bad(f"L{line}:{column + 1}", error, f"{message} at {place}; what stands before was read")


def _decoder(head: bytes) -> Callable[[bytes, bool], bytes] | None:
    """What makes utf-8 of the bytes, when they declare an encoding that expat does not know."""
    declared = _DECLARED.match(head)
    name = declared[1].decode().lower() if declared else "utf-8"
    if name in _NATIVE:
        return None
    try:
        info = codecs.lookup(_WIDER.get(name, name))
    except LookupError:
        return None  # expat will say so
    if not info._is_text_encoding:
        return None
    decoder = info.incrementaldecoder("strict")
    return lambda data, last: decoder.decode(data, last).encode()


def _parser(builder: "_Builder", encoding: str | None) -> expat.XMLParserType:
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.SkippedEntityHandler = builder.skipped
    parser.EntityDeclHandler = builder.declared
    return parser


class _Builder:
    """Keeps the elements wanted while they are open, and the names and attributes of those around them."""

    def __init__(self, names: Collection[str] | None):
        self.parser: expat.XMLParserType
        self._names = names
        self._local: dict[str, str] = {}
        self._found: list[Found | Bad] = []
        self._count: Counter[str] = Counter()
        self._above: list[Element] = []
        self._tree: TreeBuilder | None = None  # of the element that is open
        self._inside = 0  # elements open within it, itself too
        self._size = 0
        self._line = 0

    def take(self) -> list[Found | Bad]:
        """What was found since the last call."""
        found, self._found = self._found, []
        return found

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = self._name(tag)
        if len(self._above) + self._inside >= _DEEP:
            raise _Refused("too_deep", f"more than {_DEEP} elements within each other")
        if attributes:
            attributes = {self._name(key): value for key, value in attributes.items() if key[:5] != "xmlns"}
        if not self._inside:
            if self._names is not None and name not in self._names:
                self._above.append(Element(name, attributes))
                return
            self._tree, self._size, self._line = TreeBuilder(), 0, self.parser.CurrentLineNumber
            self._count[name] += 1
            self._own = name
        self._inside += 1
        if self._grown(_NODE_BYTES + sum(map(len, attributes.values()))):
            self._tree.start(name, attributes)

    def data(self, text: str) -> None:
        if self._inside and self._grown(len(text) if text.isascii() else len(text.encode())):
            self._tree.data(text)

    def end(self, tag: str) -> None:
        if not self._inside:
            self._above.pop()
            return
        self._inside -= 1
        if self._tree is not None:
            self._tree.end(self._name(tag))
        if not self._inside:
            if self._tree is None:
                message = f"the element that begins at line {self._line} is larger than {MAX_ROW_BYTES >> 20} MB"
                self._found.append(Bad(f"L{self._line}", "too_large", message))
            else:
                above = tuple(self._above)
                self._found.append(Found(self._tree.close(), self._count[self._own], above, self._line))
            self._tree = None

    def skipped(self, name: str, is_parameter: bool) -> None:
        """A reference to an entity of a DTD that was not read: those of HTML are known."""
        if not is_parameter:
            self.data(html5.get(f"{name};", f"&{name};"))

    def declared(self, name: str, is_parameter: bool, value: str | None, *_: object) -> None:
        """An entity declared in the file; one that lies outside it (no value) is never fetched."""
        if value is not None:
            raise _Refused("entities", "the file declares entities of its own, which are not expanded")

    def _grown(self, size: int) -> bool:
        """Count what the open element holds; beyond the row limit it is let go."""
        self._size += size
        if self._size > MAX_ROW_BYTES:
            self._tree = None
        return self._tree is not None

    def _name(self, name: str) -> str:
        local = self._local.get(name)
        if local is None:
            local = name if name.startswith("xml:") else name.rpartition(":")[2]
            if len(self._local) < 10_000:
                self._local[name] = local
        return local
