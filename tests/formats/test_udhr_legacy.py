"""The floor: the Universal Declaration in some 170 files that are not UTF-8, against their Unicode twins.

The name of a file ends in its encoding, now and then wrongly, and many twins are other editions. So the twin
says what is right: a file's words with letters beyond ASCII are looked up in it under every encoding that
Python has, and the encodings with the most hits are right ones. The text we get must be, blanks folded and in
NFC, the text under one of them. Where the words say nothing (a stray byte or two), the name does.
"""

import re
import unicodedata
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from medcorpus.formats.encodings import Undecodable, decode

DATA = Path(__file__).parents[2].parent / "shared" / "data"
LEGACY = DATA / "encodings/udhr_legacy/packages/corpora/udhr.zip"
CODECS = (
    "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 "
    "iso8859-7 iso8859-8 iso8859-13 iso8859-15 iso8859-16 koi8-r koi8-u cp866 mac-cyrillic mac-roman cp850 cp852 "
    "kz1048 ptcp154 gb18030 big5 cp932 euc-jp cp949 utf-16-le"
)
NOT_STANDARD = {  # no encoding that Python or the WHATWG standard knows, or no whole text in it
    "Abkhaz-Cyrillic+Abkh": "font", "Amharic-Afenegus6..60375": "font", "Armenian-DallakHelv": "ARMSCII-8",
    "Azeri_Azerbaijani_Cyrillic-Az.Times.Cyr.Normal0117": "font", "Azeri_Azerbaijani_Latin-Az.Times.Lat0117": "font",
    "Bhojpuri-Agra": "font", "Burmese_Myanmar-WinResearcher": "font", "Magahi-Agra": "font",
    "Navaho_Dine-Navajo-Navaho-font": "font", "Tigrinya_Tigrigna-VG2Main": "font", "Esperanto-T61": "T.61",
    "Vietnamese-TCVN": "TCVN, letters lost", "Vietnamese-VIQR": "VIQR, letters lost",
    "Vietnamese-VPS": "VPS, letters lost",
}  # fmt: skip
HIDDEN = {"Chinese_Mandarin-HZ": "hz", "Japanese_Nihongo-JIS": "iso2022_jp"}  # ASCII by their bytes
WORD = re.compile(r"[^\W\d_]+")


def folded(text: str) -> str:
    text = unicodedata.normalize("NFC", text.removeprefix("\ufeff"))
    return " ".join(text.translate(str.maketrans("ŞşŢţ", "ȘșȚț")).split())


def words(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.lower()))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    if not LEGACY.exists():
        pytest.skip("no udhr_legacy here")
    with zipfile.ZipFile(LEGACY) as archive:
        found = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    return {name: cut(data) for name, data in sorted(found.items())}


def cut(data: bytes) -> bytes:
    """Files end after 10,000 bytes, now and then in a character: the last line goes."""
    return data[: len(data) // 2 * 2] if 0 in data else data[: data.rfind(b"\n") + 1]


def twins(files: dict[str, bytes]) -> dict[str, list[tuple[int, int]]]:
    """Word with a letter beyond ASCII -> (edition, how often it is there)."""
    texts = ["".join(ET.parse(path).getroot().itertext()) for path in (DATA / "lid/udhr_unicode").rglob("udhr_*.xml")]
    texts += [data.decode() for name, data in files.items() if name.endswith("UTF8") and valid(data)]
    found: dict[str, list[tuple[int, int]]] = {}
    for edition, text in enumerate(texts):
        for word, count in words(folded(text)).items():
            if not word.isascii():
                found.setdefault(word, []).append((edition, count))
    return found


def share(text: str, editions: dict[str, list[tuple[int, int]]]) -> tuple[float, int]:
    """(share of the words with a letter beyond ASCII that the best edition has, number of such words)."""
    seen = {word: count for word, count in words(text).items() if not word.isascii()}
    hits = Counter[int]()
    for word, count in seen.items():
        for edition, there in editions.get(word, ()):
            hits[edition] += min(count, there)
    total = sum(seen.values())
    return max(hits.values(), default=0) / max(1, total), total


def valid(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def right(name: str, data: bytes, editions: dict[str, list[tuple[int, int]]]) -> set[str]:
    """The texts that the file may be, folded."""
    if name in HIDDEN:
        return {folded(data.decode(HIDDEN[name]))}
    texts = {}
    for codec in CODECS.split():
        try:
            texts[codec] = folded(data.decode(codec))
        except UnicodeDecodeError:
            if codec == "cp1252":
                texts[codec] = folded("".join(bytes([b]).decode(codec, "ignore") or chr(b) for b in data))
    found = {codec: share(text, editions) for codec, text in texts.items()}
    best = max(hits for hits, _ in found.values())
    western = name.endswith(("Latin1", "Amahuaca")) and (best < 0.2 or found["cp1252"][1] < 12)
    return {texts["cp1252"]} if western else {texts[codec] for codec in texts if found[codec][0] == best}


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.accept)])
def test_the_floor(step: int, files: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    """Every third file, and all of them where there is time."""
    editions = twins(files)
    table: dict[str, list[int]] = {}
    failing = []
    legacy = [
        name for name, data in files.items() if not (name in NOT_STANDARD or (valid(data) and name not in HIDDEN))
    ]
    for name in legacy[::step]:
        data = files[name]
        expected = right(name, data, editions)
        try:
            found = decode(data)
            good, what = folded(found.text) in expected, found.charset
        except Undecodable as error:
            good, what = False, str(error)
        row = table.setdefault(name.rpartition("-")[2], [0, 0])
        row[0], row[1] = row[0] + good, row[1] + 1
        if not good:
            failing.append(f"{name}: {what}")
    good, total = (sum(row[i] for row in table.values()) for i in (0, 1))
    with capsys.disabled():
        print("\nencoding by name    right  of")
        for suffix, row in sorted(table.items()):
            print(f"{suffix:18}{row[0]:7}{row[1]:4}")
        print(f"{'all':18}{good:7}{total:4}", *failing, sep="\n")
    assert total > 150 // step and good >= 0.97 * total


def test_fonts_are_refused_and_the_rest_of_the_odd_ones_is_not_garbled(files: dict[str, bytes]) -> None:
    reasons = {}
    for name in NOT_STANDARD:
        try:
            reasons[name] = decode(files[name]).charset
        except Undecodable as error:
            reasons[name] = error.reason
    fonts = [name for name, what in NOT_STANDARD.items() if what == "font"]
    assert {name for name in fonts if reasons[name] != "font_encoding"} <= {
        "Abkhaz-Cyrillic+Abkh",  # windows-1251 but for its own letters, which are digits
        "Navaho_Dine-Navajo-Navaho-font",  # vowels stand for themselves, digits for accents
    }
    assert reasons["Armenian-DallakHelv"] == "armscii-8" and reasons["Esperanto-T61"] == "undecodable"


def test_no_file_in_unicode_is_refused(files: dict[str, bytes]) -> None:
    for path in sorted((DATA / "lid/udhr_unicode").rglob("udhr_*.xml")):
        text = "".join(ET.parse(path).getroot().itertext())
        assert decode(text.encode()).text == text, path.name
    with zipfile.ZipFile(LEGACY.with_name("udhr2.zip")) as archive:
        for name in archive.namelist():
            if name.endswith(".txt"):
                assert decode(archive.read(name)).repaired is None, name
    for name, data in files.items():
        if name.endswith("UTF8") and valid(data):
            assert decode(data).text == data.decode().removeprefix("\ufeff"), name
