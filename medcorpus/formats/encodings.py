"""Bytes of a page to text.

What a page says of its encoding is often wrong, its bytes seldom: a byte order mark comes first, then bytes
that are valid utf-8 (no other encoding is so by accident), then what the page declares if all of it decodes
so, then what the bytes look like. Names are read as browsers read them (`iso-8859-1` means windows-1252).

https://encoding.spec.whatwg.org/#names-and-labels
"""

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHIFTS = (b"\x1b", b"~{")  # ISO-2022 and HZ are ASCII bytes, with these between


def decode(body: bytes, declared: str | None = None) -> tuple[str, str]:
    """(text, encoding used, lower case). Bytes that do not decode become U+FFFD; never raises."""
    from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace"), name
    named = map_encoding_to_html5(declared, fallback_utf8=False) if declared else None
    shifted = body.isascii() and any(shift in body for shift in _SHIFTS)
    names = [] if b"\0" in body or (shifted and named) else ["utf-8"]
    names += [named] if named else []
    for name in (*names, detect_encoding(body, html5_compatible=True) or "utf-8"):
        try:
            return body.decode(name), name.lower()
        except (UnicodeDecodeError, LookupError):
            continue
    last = named or name
    return body.decode(last, "replace"), last.lower()
