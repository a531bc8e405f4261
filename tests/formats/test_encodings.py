"""Encodings: every way in, and what must never happen on it."""

import contextlib
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medcorpus.formats.encodings import Decoded, Undecodable, decode, judge
from medcorpus.formats.encodings.mojibake import repair, suspects
from medcorpus.formats.encodings.refuse import font, zawgyi
from medcorpus.formats.encodings.tables import SINGLE, canonical, table
from tests.formats.test_mapping import chunk, mapped

DATA = Path(__file__).parents[2].parent / "shared" / "data"

TEXTS = [  # (text, encodings it is written in)
    ("Привет. Больной три дня жалуется на кашель", "cp1251 koi8-r iso8859-5 cp866 mac-cyrillic utf-16-le utf-16-be"),
    ("Хворий скаржиться на кашель і гарячку, її лікує лікар", "cp1251 koi8-u utf-32-le utf-32-be"),
    ("患者出现发热和咳嗽三天，血压正常。", "gb18030 hz"),
    ("病人發燒咳嗽三天，血壓正常，醫師開藥。", "big5"),
    ("患者は三日前から発熱と咳がある。", "cp932 euc_jp iso2022_jp"),
    ("환자는 사흘 전부터 열이 나고 기침을 한다.", "cp949 iso2022_kr utf-16-le"),
    ("Pacjent ma gorączkę i kaszel od trzech dni, leki na żołądek", "cp1250 iso8859-2 cp852"),
    ("A beteg három napja lázas és köhög, gyógyszert írtak fel, őszintén", "cp1250 iso8859-2"),
    ("Le patient présente une fièvre élevée", "cp1252 iso8859-15 mac_roman cp850"),
    ("El niño tiene fiebre y náuseas. ¿Desde cuándo?", "cp1252"),
    ("“It’s the patient’s own choice” – 5 €", "cp1252"),
    ("Hastanın üç gündür ateşi ve öksürüğü var.", "cp1254"),
    ("Ο ασθενής έχει πυρετό και βήχα", "cp1253 iso8859-7"),
    ("לחולה יש חום ושיעול כבר שלושה ימים", "cp1255 iso8859-8"),
    ("المريض يعاني من الحمى والسعال منذ ثلاثة أيام", "cp1256 iso8859-6"),
    ("ผู้ป่วยมีไข้และไอเป็นเวลาสามวัน", "cp874 tis-620"),
    ("Pacientam ir drudzis un klepus jau trīs dienas, ārsts izrakstīja zāles.", "cp1257 iso8859-13 iso8859-4"),
]


@pytest.mark.parametrize(("text", "codec"), [(text, codec) for text, codecs in TEXTS for codec in codecs.split()])
def test_a_sentence_is_enough(text: str, codec: str) -> None:
    found = decode(text.encode(codec))
    assert found.text == text and found.how == "detected" and found.repaired is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("viscii", "Người bệnh bị sốt và ho đã ba ngày nay, được bác sĩ kê đơn thuốc kháng sinh."),
        ("tcvn", "Người bệnh bị sốt và ho đã ba ngày nay, được bác sĩ kê đơn thuốc kháng sinh."),
        ("armscii-8", "Հիվանդը երեք օր է ունի ջերմություն և հազ, բժիշկը դեղ է նշանակել նրան"),
        ("georgian-ps", "პაციენტს სამი დღეა აქვს ცხელება და ხველა, ექიმმა დაუნიშნა წამალი"),
    ],
)
def test_the_tables_that_python_does_not_have(name: str, text: str) -> None:
    by_char = {char: byte for byte, char in reversed(list(enumerate(table(name))))}
    data = bytes(by_char[char] for char in text)
    assert decode(data, declared=name).text == text
    assert decode(data) == Decoded(text, name, "detected")


def test_marks_and_declarations() -> None:
    for codec, charset in (("utf-8-sig", "utf-8"), ("utf-16", "utf-16le"), ("utf-32", "utf-32le")):
        assert decode("Fieber, 39 °C".encode(codec), declared="latin1") == Decoded("Fieber, 39 °C", charset, "bom")
    assert decode("é".encode(), declared="iso-8859-1").how == "utf8"
    assert decode(b"\x80 5", declared="ISO-8859-1") == Decoded("€ 5", "windows-1252", "declared")
    assert decode("發燒".encode("big5"), declared="Big5").text == "發燒"
    assert decode("発熱".encode("iso2022_jp"), declared="iso-2022-jp").how == "declared"
    assert decode("发热，咳嗽三天。患者血压".encode("gb18030"), declared="utf-16").charset == "gb18030"  # a lie
    assert decode("Fièvre élevée".encode("cp1252"), declared="martian").charset == "windows-1252"


def test_labels_mean_what_browsers_take_them_for() -> None:
    known = {
        "ISO-8859-1": "windows-1252", " latin1 ": "windows-1252", "us-ascii": "windows-1252", "GB2312": "gb18030",
        "gbk": "gb18030", "Shift_JIS": "shift_jis", "x-sjis": "shift_jis", "EUC-KR": "euc-kr", "cp949": "euc-kr",
        "iso-8859-9": "windows-1254", "TIS-620": "windows-874", "utf8": "utf-8", "utf-16": "utf-16le",
        "ISO_8859-5": "iso-8859-5", "cp1251": "windows-1251", "koi8_r": "koi8-r", "viscii": "viscii",
        "latin_1": "windows-1252", "nonsense": None, "": None, "a\0": None, "rot13": None,
    }  # fmt: skip
    assert {label: canonical(label) for label in known} == known
    assert all(len(table(name)) == 256 for name in SINGLE)


def test_what_gives_no_text_says_where() -> None:
    def wrong(data: bytes, declared: str | None = None) -> tuple[str, int]:
        with pytest.raises(Undecodable) as caught:
            decode(data, declared)
        return caught.value.reason, caught.value.offset

    damaged = "Fièvre élevée, œdème. ".encode() * 9
    assert wrong(damaged + b"\xe9 ") == ("invalid_utf8", len(damaged))
    assert wrong(b"\x81\x8d\x01 \x02\x90\xff") == ("undecodable", 0)
    chinese = "患者出现发热和咳嗽三天，血压正常。".encode("gb18030") * 20
    assert wrong(chinese + b"\xff\xff", "gb2312") == wrong(chinese + b"\xff\xff") == ("undecodable", len(chinese))
    assert wrong(b"\xff\xfea\0b") == ("undecodable", 4)


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b"\x1b$B\x80")
@example(b"~{\xff~}")
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_never_crash(data: bytes) -> None:
    try:
        decode(data).text.encode()
    except Undecodable as error:
        assert 0 <= error.offset <= len(data)


@given(
    st.binary(max_size=60), st.sampled_from([*SINGLE, "gb18030", "big5", "shift_jis", "euc-jp", "iso-2022-jp", "hz"])
)
@settings(max_examples=200, deadline=None)
def test_hostile_bytes_and_labels_never_crash(data: bytes, label: str) -> None:
    with contextlib.suppress(Undecodable):
        decode(data, declared=label)


CHINESE = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年"
CHINESE += "过发后作里用道行所然家种事"
JAPANESE = "あいうえおかきくけこさしすせそたちつてとなにのはまもやよらりるれをん患者熱"


@given(
    st.lists(st.sampled_from(CHINESE), min_size=24, unique=True).map("".join), st.sampled_from(["gb18030", "utf-16"])
)
@settings(max_examples=60, deadline=None)
def test_chinese_round_trips(text: str, codec: str) -> None:
    assert decode((text + "。\n").encode(codec)).text == text + "。\n"


@given(
    st.text(
        st.sampled_from("あいうえおかきくけこさしすせそたちつてとなにのはまもやよらりるれをん患者熱"),
        min_size=24,
        max_size=80,
    )
)
@settings(max_examples=60, deadline=None)
def test_japanese_round_trips(text: str) -> None:
    assert decode((text + "。\n").encode("cp932")).text == text + "。\n"


def test_a_few_bad_bytes_make_utf8_damaged_and_nothing_else() -> None:
    assert judge("Œdème, fièvre élevée\n".encode() * 50 + b"caf\xe9\n").charset == "utf-8"
    assert judge(b"fever\n" * 1000 + "Fièvre élevée, œdème".encode("cp1252")).charset == "windows-1252"


# -- fonts and Zawgyi ---------------------------------------------------------------------------

BURMESE = "လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် မွေးဖွားလာသူများ ဖြစ်ပြီး ကျန်းမာရေး စောင့်ရှောက်မှု ရပိုင်ခွင့် ရှိသည်။"


def as_zawgyi(text: str) -> str:
    """Unicode in the order and with the code points of Zawgyi (without its stacked forms)."""
    text = re.sub("([\u1000-\u1021])\u103c", "\ue000\\1", text)
    text = re.sub("((?:\ue000)?[\u1000-\u1021][\u103b\u103d\u103e]*)\u1031", "\u1031\\1", text)
    return text.translate({0x103A: 0x1039, 0x103B: 0x103A, 0x103D: 0x103C, 0x103E: 0x103D, 0xE000: 0x103B})


def test_zawgyi_is_refused_with_its_byte() -> None:
    assert zawgyi(BURMESE) is None
    with pytest.raises(Undecodable) as caught:
        decode(("fever " + as_zawgyi(BURMESE)).encode())
    assert caught.value.reason == "zawgyi" and caught.value.offset >= 6


def test_a_row_in_zawgyi_is_a_reject_without_its_text(tmp_path: Path) -> None:
    rows, bad = mapped(chunk(text=[BURMESE, as_zawgyi(BURMESE), "fever"]))
    assert bad == [("f.csv#row=1", "zawgyi")] and len(rows) == 2


@pytest.mark.parametrize(
    "text",
    [
        "def normalise(text):\n    return ' '.join(_ZEROS.sub('0', text.translate(_REWRITING)).split())\n" * 20,
        "Hb 12.3 g/dL; WBC 5.6 x10^9/L; mmHg 120/80; NaCl 0.9%; CaCO3; pH 7.4; HbA1c 6.5%; mCRP\n" * 20,
        "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24s\n" * 40,
        "The patient presents with fever, cough and pain in the chest. " * 20,
        "ACGT TTGA CCAT GGCA " * 100,
    ],
)
def test_code_tables_and_prose_are_no_fonts(text: str) -> None:
    assert not font(text)


# -- mojibake -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Fièvre élevée", "patient’s “choice”", "Привет, мир", "São Paulo", "患者发热", "مرض"])
@pytest.mark.parametrize("codec", ["cp1252", "cp1251"])
@pytest.mark.parametrize("times", [1, 2])
def test_mojibake_is_undone(text: str, codec: str, times: int) -> None:
    broken = text
    for _ in range(times):
        raw = broken.encode()
        broken = "".join(
            bytes([b]).decode(codec, "ignore") or chr(b) for b in raw
        )  # open bytes become controls, as browsers have it
    assert repair(broken) == (text, f"utf-8 as windows-{codec[2:]}" + " twice" * (times == 2))
    if codec == "cp1252" or text not in ("患者发热", "مرض"):
        assert suspects(pa.array(["x", broken])).tolist() == [1]
    assert decode(broken.encode()).text == text


@pytest.mark.parametrize("text", ["Ã", "SÃO", "Ã© and “quotes” é", "ROMÂNIA »", "â", "Р", "С «ними»", "Â°" * 0, "café"])
def test_clean_text_is_left_alone(text: str) -> None:
    assert repair(text) is None


@given(st.text(max_size=60))
def test_repair_can_always_be_undone_and_suspects_misses_nothing(text: str) -> None:
    if (found := repair(text)) is not None:
        assert found[0] != text
        if "1252" in found[1]:
            assert suspects(pa.array([text])).tolist() == [0]


def test_repaired_rows_are_flagged() -> None:
    rows, bad = mapped(chunk(text=["Fièvre", "FiÃ¨vre", "x"]))
    assert not bad and [row["text"] for row in rows] == ["Fièvre", "Fièvre", "x"]
    assert [row["flags"] for row in rows] == [None, ["mojibake_repaired"], None]


# -- real data ----------------------------------------------------------------------------------


def sib(pattern: str) -> Iterator[tuple[str, list[str]]]:
    files = sorted((DATA / "lid/sib200").glob(pattern))
    if not files:
        pytest.skip("no SIB-200 here")
    for file in files:
        yield file.name.split(".")[0], gzip.decompress(file.read_bytes()).decode().split("\n")


def test_no_sentence_of_sib200_is_changed_or_refused_but_those_that_are_broken() -> None:
    """Its Indonesian and Tagalog really hold 33 sentences of mojibake (`SÃ£o Paulo`): the only ones repaired."""
    repaired: dict[str, int] = {}
    for language, lines in sib("*.tsv.gz"):
        array = pa.array(lines)
        for row in suspects(array).tolist():
            if repair(lines[row]):
                repaired[language] = repaired.get(language, 0) + 1
        assert not [line for line in lines if zawgyi(line) is not None], language
        assert not font("\n".join(lines)), language
    assert repaired == {"ind_Latn": 20, "tgl_Latn": 13}


def test_zawgyi_is_recognised_in_most_sentences() -> None:
    ((_, lines),) = sib("mya_Mymr.train.tsv.gz")
    texts = [line.split("\t")[-1] for line in lines[1:] if line]
    assert sum(zawgyi(as_zawgyi(text)) is not None for text in texts) >= 0.95 * len(texts)
