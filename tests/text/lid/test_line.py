"""The normal form and the script of a column: what `normal.normalise` and `normal.script_of` say, to the byte."""

import gzip
import random
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings

from medcorpus.text import nfc
from medcorpus.text.lid import line as lid_line
from medcorpus.text.lid import normal
from tests.text import scripts

SIB = Path(__file__).parents[3].parent / "shared" / "data" / "lid" / "sib200"


def check(texts):
    array = pa.array(texts, pa.string())
    assert lid_line.normalised(array).to_pylist() == [normal.normalise(text) for text in texts]
    told = [lid_line.SCRIPTS[code] if code else None for code in lid_line.scripts(array)]
    assert told == [normal.script_of(text) for text in texts]


@settings(max_examples=300, deadline=None)
@given(scripts.texts)
def test_property(texts):
    check(texts)


def test_every_code_point():
    """Alone, at the end of a word behind a capital sigma, and between digits; above plane 1 every 64th."""
    points = [*range(0xD800), *range(0xE000, 0x20000), *range(0x20000, 0x110000, 64), *range(0xE0000, 0xE0200)]
    check([f"{chr(point)}x{chr(point)}AΣ{chr(point)}ΒΣ 5{chr(point)}5" for point in points])


@pytest.mark.parametrize(
    "text",
    [
        "http://a http:// www. www.! ftp://x hhttp://y wwww.z https:///",
        "请访问https://example.org/了解 WWW.WHO.INT。",
        "a@b.c_d@e.f x@y @z.z q@r..s t@u.v- a.b.c@d-e.f. é@b.c aé@b.c",
        "Ask A.B+c@Mail.Example.ORG, or http://u@v.w/x@y.z",
        "\u0130@x.y www.\u0130stanbul \u212a@a.b",
        "ΟΔΟΣ ΟΔΟΣ. ΣΑΣ ΑΣ\u0301 ΑΣ'Α Σ 'Σ' \u0345Σ ΑΣ\U000e0100",
        "5\u00ad5 5 5 ٥5 05x00 5.5 5\u200b5",
        "!!! ?! \u00a0 ¡\u3000!",
        "\u023a" * 9 + "!" * 9,
    ],
)
def test_corners(text):
    check([text, text + " ", " " + text, text * 3, text.upper(), unicodedata.normalize("NFD", text)])


def test_every_place_of_a_split():
    """Nothing may be read from the row before or after."""
    text = "ΑΣ@b.cd www.x 5\u09df\u09cd e\u0301 中国の Ⅳ"
    pieces = [text[i:j] for i in range(len(text)) for j in range(i, len(text) + 1)]
    check(pieces)


def test_random_marks():
    chance = random.Random(1)
    kinds, pairs, _ = nfc.tables()
    marks = [chr(point) for point in range(0x30000) if kinds[point]]
    starters = [chr(int(pair) >> 42) for pair in pairs if pair]
    texts = ["".join(chance.choices(marks, k=3)) for _ in range(20_000)]
    texts += [chance.choice(starters) + "".join(chance.choices(marks, k=chance.randint(1, 3))) for _ in range(60_000)]
    check(texts)
    # What is in normal form is never taken out to be composed.
    composed = pa.array([unicodedata.normalize("NFC", text) for text in texts])
    assert not lid_line._lines(composed)[1].any()


def test_letters_that_nfc_takes_apart_stay_in_place():
    """Hindi, Bengali and Punjabi letters with a dot below: no row of these has to leave its buffer."""
    raw = [
        "\u095b\u0930\u0942\u0930\u0940 \u092a\u095d\u0928\u093e",
        "\u09b9\u09df \u09ac\u09be\u09dc\u09bf",
        "\u0a36\u0a39",
    ]
    raw.append("A@B.C \u095b")  # by way of lower case
    assert not lid_line._lines(pa.array(raw))[1].any()
    check(raw)


def test_kinds_of_columns():
    texts = ["ABC def", None, "Été 5 mg", "", "ไข้", "e\u0301"]
    wanted = [normal.normalise(text or "") for text in texts]
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(texts, kind)
        assert lid_line.normalised(array).to_pylist() == wanted
        assert lid_line.normalised(array.slice(2, 3)).to_pylist() == wanted[2:5]
        chunked = pa.chunked_array([array.slice(0, 2), array.slice(2)])
        assert lid_line.normalised(chunked).to_pylist() == wanted
        assert lid_line.scripts(chunked).tolist() == lid_line.scripts(array).tolist()
    assert lid_line.normalised(pa.array([], pa.string())).to_pylist() == []


def test_sib():
    if not SIB.exists():
        pytest.skip("no shared data")
    for path in sorted(SIB.glob("*.dev.tsv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
            texts = [line.rstrip("\r\n").split("\t")[2] for line in stream][1:]
        check(texts)
        check([unicodedata.normalize("NFD", " ".join(texts).upper())])
