"""HTML: one file is one row, its bytes as they are. The text is null until `extract` has read them."""

import re
from collections.abc import Iterator

import pyarrow as pa

from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.streams import whole

_LOOK = 4096  # browsers look for a declaration in the first 1,024 bytes; pages put much before it
_XML = re.compile(rb"""\A\s*<\?xml[^>]*?encoding\s*=\s*["']\s*([\w.:-]+)""")
_META = re.compile(rb"""<meta\b[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read(span: Span, options: Options) -> Iterator[Chunk]:
    """Columns `body`, `media_type` and `charset` (as the page declares it, or null); `text` is null."""
    outcome = whole(span)
    if isinstance(outcome, Chunk):
        yield outcome
        return
    columns = {
        "text": pa.nulls(1, pa.string()),
        "body": pa.array([outcome], pa.binary()),
        "media_type": pa.array(["text/html"]),
        "charset": pa.array([declared(outcome)], pa.string()),
    }
    yield Chunk(pa.RecordBatch.from_pydict(columns), extra=pa.nulls(1, pa.string()), kind="text")


def declared(body: bytes) -> str | None:
    """The encoding that a page names: by a byte order mark, an XML declaration or `<meta>`, in this order."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return name
    found = _XML.search(body[:_LOOK]) or _META.search(body[:_LOOK])
    return found[1].decode("ascii", "replace").lower() if found else None
