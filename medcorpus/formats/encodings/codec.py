"""One way to decode for all encodings, whole or piece by piece."""

import codecs
from typing import Any

from medcorpus.formats.encodings.tables import CODECS, table


class Codec:
    """Bytes of the encoding `name` (as in `tables.CODECS`, or with a `tables.table`) -> str.

    `errors` are Python's: `strict` raises UnicodeDecodeError.
    """

    def __init__(self, name: str):
        self.name = name
        self._table = table(name)

    def decode(self, data: bytes, errors: str = "strict") -> str:
        """All of `data`."""
        if self._table is not None:
            return codecs.charmap_decode(data, errors, self._table)[0]
        return data.decode(CODECS[self.name], errors)

    def encode(self, text: str) -> bytes:
        """The bytes that `text` was made of."""
        if self._table is not None:
            return codecs.charmap_encode(text, "replace", codecs.charmap_build(self._table))[0]
        return text.encode(CODECS[self.name], "replace")

    def pieces(self, errors: str = "strict") -> Any:
        """A decoder with `decode(data, final)` that keeps what a piece leaves open."""
        if self._table is not None:
            return _Pieces(self._table, errors)
        return codecs.getincrementaldecoder(CODECS[self.name])(errors)


class _Pieces:
    def __init__(self, table: str, errors: str):
        self._table, self._errors = table, errors

    def decode(self, data: bytes, final: bool = False) -> str:
        return codecs.charmap_decode(data, self._errors, self._table)[0]
