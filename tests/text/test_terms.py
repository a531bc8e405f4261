"""Terms against a slow oracle that works on Python strings, and what a reader would call a match."""

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.text import terms
from medcorpus.text.lid import normal
from tests.text.scripts import texts

UNSPACED = {"Hani", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Bopo", "Yiii"}
TABLE, NAMES = normal.script_table(), normal.script_names()


def invisible(char):
    point = ord(char)
    hebrew = 0x591 <= point <= 0x5C7 and point not in (0x5BE, 0x5C0, 0x5C3, 0x5C6)
    arabic = point == 0x640 or 0x64B <= point < 0x660 or point == 0x670
    return unicodedata.category(char) == "Cf" or hebrew or arabic


def lower(char):
    return {"ς": "σ", "آ": "ا", "أ": "ا", "إ": "ا", "ٱ": "ا"}.get(char.lower()[0], char.lower()[0])


def oracle_tokens(text):
    """[(token, first character, one after its last)] of a text in normal form C."""
    made, kind = [], None  # kind of the open token
    for at, char in enumerate(text):
        category = unicodedata.category(char)[0]
        if invisible(char):
            continue
        if category in "LN":
            now = "char" if NAMES[TABLE[ord(char)]] in UNSPACED or ord(char) >= 0x20000 else "word"
            if now == kind == "word":
                made[-1] = (made[-1][0] + lower(char), made[-1][1], at + 1)
            else:
                made.append((lower(char), at, at + 1))
            kind = now
        elif category == "M" and kind:
            made[-1] = (made[-1][0] + char, made[-1][1], at + 1)
        else:
            kind = None
    return made


def fits(token, wanted, stems):
    """Whether a token of the text is a token of a term; of the stems it begins with the longest alone counts."""
    word, stem = wanted
    if not stem:
        return token == word
    # a stem ends where a character of the text ended, and stands for words, not for characters of a Thai run
    longest = max((s for s in stems if token.startswith(s)), key=len, default=None)
    return longest == word and NAMES[TABLE[ord(token[0])]] not in UNSPACED


def oracle(text, listed):
    text = unicodedata.normalize("NFC", text or "")
    found = oracle_tokens(text)
    spelt = [(number, terms.tokens(one)) for number, term in enumerate(listed) for one in term]
    stems = {word for _, one in spelt for word, stem in one if stem}
    at, hits, seen, covered = 0, 0, set(), 0
    while at < len(found):
        best = None
        for number, one in spelt:
            piece = found[at : at + len(one)]
            same = len(piece) == len(one) and all(
                fits(token, want, stems) for (token, *_), want in zip(piece, one, strict=True)
            )
            if same and (best is None or len(one) > best[1]):
                best = (number, len(one))
        if best is None:
            at += 1
            continue
        hits += 1
        seen.add(best[0])
        covered += found[at + best[1] - 1][2] - found[at][1]
        at += best[1]
    return hits, len(seen), covered, len(text)


def counted(rows, listed):
    made = terms.count(pa.array(rows, pa.string()), terms.index(listed))
    return list(zip(*(part.tolist() for part in made), strict=True))


WORDS = ["heart", "attack", "heart*", "cardi*", "cardio*", "a", "b", "糖", "尿", "病", "ปวด", "심장", "قلب", "é", "ि"]
words = st.sampled_from(WORDS)
term = st.lists(words.filter(lambda w: w != "ि"), min_size=1, max_size=3).map(" ".join)
listed = st.lists(st.lists(term, min_size=1, max_size=2), min_size=1, max_size=6)
sentence = st.lists(
    st.one_of(words.map(lambda w: w.replace("*", "ology")), st.sampled_from([" ", " ", "-", ", ", "\u00ad", "'"])),
    max_size=40,
).map("".join)


@given(rows=st.lists(sentence, min_size=1, max_size=4), listed=listed)
def test_counts_are_those_of_the_oracle(rows, listed):
    assert counted(rows, listed) == [oracle(row, listed) for row in rows]


@given(rows=texts)
def test_any_script_and_its_own_tokens_as_terms(rows):
    own = [token for row in rows for token, *_ in oracle_tokens(unicodedata.normalize("NFC", row))]
    listed = [[token] for token in dict.fromkeys(own[::3]) if any(map(str.isalpha, token))]
    listed = [one for one in listed if unicodedata.is_normalized("NFC", one[0])] or [["heart"]]
    made, wanted = counted(rows, listed), [oracle(row, listed) for row in rows]
    assert [one[:3] for one in made] == [one[:3] for one in wanted]
    composed = [unicodedata.is_normalized("NFC", row) for row in rows]  # marks without a letter are not looked at
    assert all(a[3] == b[3] for a, b, same in zip(made, wanted, composed, strict=True) if same)


def test_a_text_of_many_blocks():
    listed = [["heart attack"], ["heart"], ["x y z"]]
    row = "heart attack and heart " * 5000 + "x y " * 4000 + "x y z"
    assert counted([row], listed) == [oracle(row, listed)]
    assert counted([row], listed)[0][:2] == (10001, 3)


@pytest.mark.parametrize(
    ("term", "text", "wanted"),
    [
        ("heart", "My heart, he said.", 1),
        ("heart", "sweetheart hearts heartless", 0),
        ("heart", "HEART-rate (heart)", 2),
        ("covid-19", "COVID‑19 and COVID 19", 2),
        ("hôpital", "à l'HO\u0302PITAL", 1),
        ("糖尿病", "患者有糖尿病史。", 1),
        ("ปวดหัว", "ผมปวดหัวมาก", 1),
        ("ปวดหั", "ผมปวดหัวมาก", 1),
        ("ปวดห", "ผมปวดหัวมาก", 0),  # would cut a syllable sign from its letter
        ("심장", "심장이 아프다", 1),
        ("cardi*", "Cardiology, cardiac; card", 2),
        ("инфаркт* миокард*", "После инфаркта миокарда", 1),
        ("التهاب", "الْتِهَاب التِهـاب", 2),
        ("التهاب", "اِلتِهَاب", 1),
        ("οδοσ", "ΟΔΟΣ οδός οδος", 2),
        ("ড়", "\u09dc \u09a1\u09bc", 2),
        ("soft", "so\u00adft", 1),
        ("ክትባት", "የክትባት ክትባት።", 1),
    ],
)
def test_what_a_reader_calls_a_match(term, text, wanted):
    assert counted([text], [[term]])[0][0] == wanted


def test_spellings_of_one_thing_count_once():
    assert counted(["tumor tumour tumors"], [["tumor", "tumour"], ["tumors"]])[0][:2] == (3, 2)


def test_nulls_slices_and_large_strings():
    rows = pa.array([None, "heart", "", "the heart"])
    index = terms.index([["heart"]])
    assert terms.count(rows, index).hits.tolist() == [0, 1, 0, 1]
    assert terms.count(rows.slice(1).cast(pa.large_string()), index).hits.tolist() == [1, 0, 1]
    assert terms.count(pa.chunked_array([rows, rows]), index).hits.tolist() == [0, 1, 0, 1] * 2
    assert terms.count(rows, index).density.tolist() == pytest.approx([0, 1, 0, 5 / 9])


@pytest.mark.parametrize("bad", ["", " ", "12", "*", "a *", "heart * attack", "x " * 33])
def test_what_cannot_be_looked_for_is_refused(bad):
    with pytest.raises(ValueError, match="the term"):
        terms.index([["heart"], [bad]])


def test_arrow_composes_as_python_does():
    """Rows that are not in normal form C go through Arrow: the same for every character that Python knows."""
    known = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]
    parts = [unicodedata.normalize("NFD", char) for char in known]
    for chars in (known, parts):
        wanted = [unicodedata.normalize("NFC", char) for char in chars]
        assert pc.utf8_normalize(pa.array(chars), form="NFC").to_pylist() == wanted


def test_spellings_in_ascii_and_beyond_are_hashed_alike():
    """Letters that become ASCII ones, invisible characters inside, words of one to thirty letters, any place."""
    for size in range(1, 31):
        word = "abcdefghijklmnopqrstuvwxyz0123"[:size]
        rows = [word.upper(), word[:1] + "\u00ad" + word[1:], f"é {word}", f"{word}é", f"{'x' * size}-{word}."]
        assert [hits for hits, *_ in counted(rows, [[word]])] == [1, 1, 1, 0, 1], word
    assert counted(["\u0130stanbul ISTANBUL"], [["istanbul"]])[0][0] == 2
