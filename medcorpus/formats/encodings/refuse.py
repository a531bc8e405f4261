"""Text that is not what it looks like: letters of a font of its own, and Burmese in Zawgyi.

A font hack draws Hindi, Amharic or Azeri where the bytes say Latin letters; without the font there is no text.
Zawgyi writes Burmese with the code points of Unicode in an order and with meanings of its own. Neither can be
told for sure from a few words, and real text must never be refused: both tests ask for much.
"""

import re

import pyarrow as pa

from medcorpus.formats.encodings.mojibake import pieces
from medcorpus.text.buffers import buffers

FEWEST = 400
"""Letters below which nothing is said about fonts."""

_LATIN = bytes(range(256)).decode("latin-1")
_NO_LETTERS = bytes(code for code, char in enumerate(_LATIN) if not char.isalpha())
_NO_VOWELS = bytes(code for code, char in enumerate(_LATIN) if char.lower() not in "aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿ")
_CASE = re.compile(r"[a-zß-ÿ](?=[A-ZÀ-Þ])")
_INNER = re.compile(r"(?<=[^\W\d_])[;\[\]{}/?\"=+|\\^~<>&@#$%_*!:]+(?=[^\W\d_])")
_LOOK = 8192

# The order of a syllable in Unicode (The Unicode Standard, chapter 16.3): consonant, medials U+103B..103E, vowel
# sign E (U+1031) after them, asat U+103A; the virama U+1039 only between two consonants. Zawgyi writes E and
# medial ra (its U+103B) before the consonant, and has asat at U+1039, so that it ends a syllable.
_BASE = (
    "\u1000-\u102a\u103f\u104e\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081\u108e\uaa60-\uaa7a"
)
_BASE += "\u25cc\u200b-\u200d\u2060"
_MEDIAL = "\u103b-\u103e\u105e-\u1060\u1082\u103a"
_ASAT = re.compile("\u1039(?![\u200c\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1075-\u1081\uaa60-\uaa7a])")
_EARLY = re.compile(f"(?<![{_BASE}{_MEDIAL}\u1039])\u1031")
_MEDIAL_FIRST = re.compile("(?<![\u1000-\u109f\uaa60-\uaa7f])[\u103b-\u103e]")
_ZAWGYI_BYTES = re.compile(b"\xe1\x80[\xb1\xb9]")
_SIGNS = re.compile("[\u1031\u1039]")


def suspects(array: pa.Array) -> bool:
    """May a text of this string column be Zawgyi? Cheap, and never says no to one."""
    data, offsets, _ = buffers(array)
    return any(b"\xe1" in piece and _ZAWGYI_BYTES.search(piece) for _, piece in pieces(data[offsets[0] : offsets[-1]]))


def zawgyi(text: str) -> int | None:
    """The character (from 0) of the first sequence that Unicode does not have, when the text is Zawgyi."""
    signs = len(_SIGNS.findall(text))
    if signs < 2:
        return None
    wrong = [match.start() for pattern in (_ASAT, _EARLY, _MEDIAL_FIRST) for match in pattern.finditer(text)]
    if len(wrong) < 3 or len(wrong) < 0.4 * signs:
        return None
    return min(wrong)


def font(text: str) -> bool:
    """Is the text, Latin letters by its looks, drawn by a font as another script?

    Its words have capitals and signs in the middle, few vowels, few numbers and blanks between them, and the
    language model takes it for code. All four: source code has vowels, laboratory tables have numbers,
    base64 has no words.
    """
    text = text[:_LOOK]
    raw = text.encode("latin-1", "replace")
    letters = len(raw.translate(None, _NO_LETTERS))
    if letters < FEWEST or len(raw.translate(None, _NO_VOWELS)) * 10 > 3 * letters:
        return False
    words = len(text.split())
    if letters > 15 * words or letters < 1.5 * words or sum(map(str.isdigit, text)) * 20 > letters:
        return False
    if (len(_CASE.findall(text)) + len(_INNER.findall(text))) * 50 < letters:
        return False
    from medcorpus.formats.encodings.detect import model

    (labels,), (scores,) = model().predict([text], 1)
    return labels[0] == "zxx" and scores[0] > 0.8
