"""Lists of medical terms by language: compact text files that people read, correct and extend.

One term a line; spellings of one thing are parted by `|`; a `*` at the end of a word makes it a stem; `#` begins a
comment. `shipped(code)` joins what lies in `medcorpus/terms` for a language: its own file, and the international
one of its script (names of drugs and of diseases that are much alike from Lisbon to Ljubljana, or from Patna to
Kathmandu).

Arabic and Hebrew write articles, prepositions and "and" on to the next word; such spellings are made here, so
that a list holds plain words.
"""

from functools import cache
from hashlib import blake2b
from pathlib import Path

from medcorpus.core.errors import Fatal
from medcorpus.core.languages import registry

FOLDER = Path(__file__).parents[1] / "terms"
_INTERNATIONAL = {"Latn": "international_latn", "Cyrl": "international_cyrl", "Deva": "international_deva"}
_PROCLITICS = {
    "ara": ("ال", "وال", "بال", "لل", "فال", "كال", "و", "ب", "ل"),
    "heb": ("ה", "ב", "ל", "ו", "מ", "ש", "כ", "וה", "שה", "מה", "לה", "בה"),
}


def read(path: Path) -> list[tuple[str, ...]]:
    """The terms of one file (utf-8, with or without byte order mark), each with its spellings.

    Raises Fatal when the file is in another encoding or holds no term, and with the line that no index could hold.
    """
    from medcorpus.text.terms import tokens

    found = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise Fatal(f"{path.name} is not utf-8: byte {error.object[error.start]:#04x} at {error.start:,}") from None
    for number, line in enumerate(lines, 1):
        spellings = tuple(part.strip() for part in line.partition("#")[0].split("|") if part.strip())
        try:
            for spelling in spellings:
                tokens(spelling)
        except ValueError as error:
            raise Fatal(f"{path.name}:{number}: {error}") from None
        if spellings:
            found.append(spellings)
    if not found:
        raise Fatal(f"{path.name} holds no term; one a line is looked for")
    return found


def languages() -> tuple[str, ...]:
    """Codes of the languages that have a list of their own."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.txt") if "_" not in path.stem))


@cache
def shipped(code: str) -> tuple[tuple[str, ...], ...]:
    """All terms for a language, none when it has no list. Spellings with a proclitic follow those without."""
    path = FOLDER / f"{code}.txt"
    if not path.exists():
        return ()
    return extended(code, [*read(path), *(term for name in international(code) for term in _international(name))])


@cache
def _international(name: str) -> list[tuple[str, ...]]:
    return read(FOLDER / f"{name}.txt")


def international(code: str) -> list[str]:
    """Names of the international lists that a language reads as well: those of its scripts."""
    return [_INTERNATIONAL[script] for script in registry()[code].scripts if script in _INTERNATIONAL]


def extended(code: str, terms: list[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """`terms` with the spellings that a language writes together with the word before."""
    before = _PROCLITICS.get(code, ())
    return tuple((*term, *(mark + one for one in term for mark in before)) for term in terms)


def digest(extra: Path | None = None) -> str:
    """Digest of every list shipped, and of those in the folder `extra`."""
    total = blake2b(digest_size=16)
    for folder in (FOLDER, extra):
        for path in sorted(folder.glob("*.txt")) if folder else ():
            total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
