"""Licences as files state them -> SPDX identifiers. https://spdx.org/licenses/"""

import re

_CC = re.compile(r"creativecommons\.org/licen[sc]es/([a-z-]+)/(\d\.\d)(?:/(igo))?", re.IGNORECASE)
_CC_WORDS = re.compile(r"\bcc[ -](by(?:[ -](?:nc|nd|sa))*)[ -](\d\.\d)\b", re.IGNORECASE)
_ZERO = re.compile(r"creativecommons\.org/publicdomain/zero/(\d\.\d)|\bcc0\b", re.IGNORECASE)
_PUBLIC = re.compile(r"creativecommons\.org/publicdomain/mark", re.IGNORECASE)


def spdx(*stated: str | None) -> str | None:
    """The licence that the first address or name of a Creative Commons licence among `stated` names, or None.

    Ports to a country (`/by/3.0/de/`) count as the licence they are a port of.
    """
    for text in filter(None, stated):
        if found := _CC.search(text) or _CC_WORDS.search(text):
            kind = found[1].upper().replace(" ", "-")
            igo = "-IGO" if found.re is _CC and found[3] else ""
            return f"CC-{kind}-{found[2]}{igo}"
        if found := _ZERO.search(text):
            return f"CC0-{found[1] or '1.0'}"
        if _PUBLIC.search(text):
            return "public-domain"
    return None
