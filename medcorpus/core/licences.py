"""Which licences let a text be passed on."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

import pyarrow as pa
import pyarrow.compute as pc

PERMISSIVE = (
    "CC0-*", "CC-PDDC", "public-domain", "PDDL-*", "Unlicense", "CC-BY-[0-9]*", "CC-BY-SA-[0-9]*", "ODC-By-*", "ODbL-*",
    "MIT", "MIT-0", "Apache-2.0", "BSD-*", "ISC", "0BSD", "OGL-UK-*", "GFDL-*",
)  # fmt: skip
"""Licences that allow use, change and redistribution for any purpose: SPDX identifiers as patterns."""


def permissive(licences: pa.Array, patterns: Iterable[str] = PERMISSIVE) -> pa.Array:
    """bool[n]: true where a licence matches one of `patterns` (case does not matter); false where none is stated."""
    lower = [pattern.lower() for pattern in patterns]
    good = [
        licence
        for licence in pc.unique(licences).to_pylist()
        if licence and any(fnmatchcase(licence.lower(), pattern) for pattern in lower)
    ]
    return pc.is_in(licences, pa.array(good, pa.string()))
