"""Measures against a slow oracle that works on Python strings and Unicode names."""

import re
import unicodedata
from collections import Counter
from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.text import measures

BREAKS = "\n\r\v\f\x85\u2028\u2029"
BARS = "|¦>"
ITEM_ENDS = "•·»›→►▸▶●■◆"
SOFT = "&'’-‐‑/་༌፡"
HAN = re.compile(
    "CJK (UNIFIED|COMPATIBILITY) IDEOGRAPH|IDEOGRAPHIC (ITERATION|CLOSING|NUMBER ZERO)|(HALFWIDTH )?(HIRAGANA|KATAKANA)"
    "|BOPOMOFO|HENTAIGANA"
)
UNSPACED = re.compile("(THAI|LAO|TIBETAN|MYANMAR|KHMER) ")


def kind(char):
    category = unicodedata.category(char)
    name = unicodedata.name(char, "")
    if char in BREAKS:
        return "break"
    if category[0] == "Z" or char in "\t\u200b":
        return "space"
    if category[0] == "L" or char == "〇":
        return "han" if HAN.match(name) else "unspaced" if UNSPACED.match(name) else "letter"
    if category[0] == "M":
        return "mark"
    if category[0] == "N":
        return "digit"
    if category == "Cf":
        return "join"
    if char in "#*@\\_{}" or category[0] in "SC":
        return "symbol"
    return "punct"


def words_of(text):
    """Words as strings without joiners."""
    words, script = [], None
    for char in text:
        what = kind(char)
        wanted = {"letter": "spaced", "digit": "spaced", "han": "han", "unspaced": "unspaced"}.get(what)
        if what in ("mark", "join"):
            wanted = script
        if wanted is None:
            script = None
            continue
        full = {"han": 2, "unspaced": 4}.get(script, len(text) + 1)
        if wanted != script or (len(words[-1]) >= full and what not in ("mark", "join")):
            words.append("")
        script = wanted
        if what != "join":
            words[-1] += char
    return words


def menu(line):
    """Words of a line that look like a menu's."""
    line = "".join(" " if kind(char) == "space" else char for char in line).lstrip(" ")
    if line[:1] in tuple(BARS):
        return 0
    items = [
        (words_of(item), {kind(char) for char in item}, {char for char in item if kind(char) == "punct"} - set(SOFT))
        for item in re.split("[" + re.escape(BARS + ITEM_ENDS) + "]", line)
    ]
    bars = sum(map(line.count, BARS))
    if bars >= 2 and sum(len(words) for words, _, _ in items) <= 4 * (bars + 1):
        return sum(len(words) for words, kinds, _ in items if "digit" not in kinds)
    return sum(len(words) for words, kinds, punct in items if "digit" not in kinds and not punct and len(words) <= 3)


def braced(text):
    total, stack = 0, []
    for at, char in enumerate(text):
        if char == "{":
            stack.append(at)
        elif char == "}" and stack:
            begin = stack.pop()
            total += 0 if stack else at - begin + 1
    return total


def oracle(text):
    kinds = Counter(map(kind, text))
    words = words_of(text)
    lines = re.split(f"[{BREAKS}]", text)
    trimmed = []
    for line in lines:
        solid = [at for at, char in enumerate(line) if kind(char) != "space"]
        if solid:
            trimmed.append(line[solid[0] : solid[-1] + 1])
    seen, at, repeated = set(), 0, 0
    while at + 5 <= len(words):
        gram = tuple(words[at : at + 5])
        if gram in seen:
            repeated += sum(map(len, gram))
            at += 5
        else:
            seen.add(gram)
            at += 1
    runs = [len(list(run)) for char, run in groupby(text) if kind(char) not in ("space", "break")]
    return {
        "chars": len(text),
        "solid": len(text) - kinds["space"] - kinds["break"],
        "letters": sum(kinds[what] for what in ("letter", "han", "unspaced", "mark")),
        "digits": kinds["digit"],
        "symbols": kinds["symbol"],
        "words": len(words),
        "lines": len(trimmed),
        "longest_run": max(runs, default=0),
        "braced": braced(text),
        "menu_words": sum(map(menu, lines)),
        "word_chars": sum(map(len, words)),
        "line_chars": sum(map(len, trimmed)),
        "duplicate_line_chars": sum(len(line) for at, line in enumerate(trimmed) if line in trimmed[:at]),
        "top_count": max(Counter(words).values(), default=0),
        "repeated_chars": repeated,
    }


def check(texts):
    found = measures.counts(pa.array(["before", *texts], pa.string()).slice(1))
    assert tuple(found) == measures.COUNTS
    for at, text in enumerate(texts):
        assert {name: int(values[at]) for name, values in found.items()} == oracle(text or ""), text


PIECES = st.sampled_from(
    ["fever", " ", " ", "\n", "\r\n", "5 mg", "½", "-", "'s", ".", ",", "|", "|", ">", "•", "{", "}", "#", "=", "_",
     "热", "患者", "の", "カ\u3099", "ー", "々", "〇", "ไข้", "ปวดหัว", "ຂ້ອຍ", "ជំងឺ", "ဖျားသည်", "བོད་", "बुखार",
     "تشخيص", "حُمّى", "می\u200cشود", "ትኩሳት", "፡", "፩", "ƙarfi", "e\u0301", "\u0301", "\u200b", "\u3000",
     "\u2028", "\xa0", "👩\u200d⚕\ufe0f", "\x1c", "\U0002a6d6", "\U000e0061", "---", "a a a a a a"]
)  # fmt: skip
ASSIGNED = st.characters(exclude_categories=["Cs", "Cn", "Co"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(PIECES, max_size=40).map("".join)), max_size=4))
def test_pieces_of_every_script(texts):
    check(texts)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(ASSIGNED, max_size=30), max_size=4))
def test_any_text(texts):
    check(texts)


REAL = {
    "thai": "โรคเบาหวานเป็นโรคเรื้อรังที่เกิดจากตับอ่อนผลิตอินซูลินไม่เพียงพอ "
    "หรือร่างกายไม่สามารถใช้อินซูลินได้อย่างมีประสิทธิภาพ\nรับประทานยาครั้งละ ๑ เม็ด",
    "chinese": "患者男，45岁，因“发热、咳嗽3天”就诊。"
    "查体：体温38.5℃，双肺可闻及湿啰音。最可能的诊断是什么？\nA. 肺炎\nB. 肺结核",
    "japanese": "糖尿病はインスリンの作用不足によって、"
    "慢性の高血糖をきたす病気です。１日３回、食後に服用してください。",
    "arabic": "يُؤخَذ قرصٌ واحدٌ كل ٨ ساعات بعد الأكل، ولا تتجاوز ٤ أقراص في اليوم. هل لديك حساسية؟",
    "hindi": "मधुमेह एक दीर्घकालिक रोग है। रोगी को दिन में दो बार ५०० मि.ग्रा. की गोली दें।",
    "amharic": "ስኳር በሽታ ሥር የሰደደ በሽታ ነው። መድኃኒቱን በቀን ፪ ጊዜ ይውሰዱ፡፡ ሕመም፡ትኩሳት፡ሳል",
    "hausa": "Ciwon sukari cuta ce mai ɗorewa. Ƙwayar magani guda biyu a kowace rana, "
    "'yan ƙasa da shekara 5 kada su sha.",
    "burmese": "ဆီးချိုရောဂါသည် နာတာရှည်ရောဂါတစ်မျိုးဖြစ်သည်။ တစ်နေ့ ၃ ကြိမ် သောက်ပါ။",
    "khmer": "ជំងឺទឹកនោមផ្អែមគឺជាជំងឺរ៉ាំរ៉ៃ។ លេបថ្នាំ ២ គ្រាប់ក្នុងមួយថ្ងៃ។",
    "tibetan": "གཅིན་སྙི་ཟ་ཁུའི་ནད་ནི་ཡུན་རིང་གི་ནད་ཅིག་ཡིན། ཉིན་རེར་སྨན་རིལ་༢་བཟའ་དགོས།",
    "stray braces": "} a {b {c} d} e {f",
    "table": "| Drug | Dose |\n|---|---|\n| Amoxicillin | 500 mg |\n| Amoxicillin | 500 mg |",
    "css": "body { margin: 0; color: #333 }\n.a:hover { color: red }",
}


@pytest.mark.parametrize("name", REAL)
def test_real_text(name):
    check([REAL[name], (REAL[name] + "\n") * 7])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fever and cough", ["fever", "and", "cough"]),
        ("हिन्दी में", ["हिन्दी", "में"]),  # the marks stay inside
        ("حُمّى شديدة", ["حُمّى", "شديدة"]),
        ("می\u200cشود", ["میشود"]),
        ("发热咳嗽吗", ["发热", "咳嗽", "吗"]),
        ("维生素B12片", ["维生", "素", "B12", "片"]),
        ("ยานี้ดี", ["ยานี้", "ดี"]),
        ("ትኩሳት፡ሳል", ["ትኩሳት", "ሳል"]),
        ("ƙwaƙwalwa", ["ƙwaƙwalwa"]),
    ],
)
def test_words(text, words):
    assert words_of(text) == words
    found = measures.counts(pa.array([text]))
    assert (found["words"][0], found["word_chars"][0]) == (len(words), sum(map(len, words)))


def test_every_code_point_has_the_class_of_its_name():
    names = ("space", "break", "letter", "han", "unspaced", "mark", "digit", "punct", "punct", "symbol", "join",
             "symbol", "symbol")  # fmt: skip
    table = measures.classes()
    wrong = [
        (hex(point), names[table[point] & 0x3F], kind(chr(point)))
        for point in range(0x110000)
        if unicodedata.category(chr(point)) != "Cn" and names[table[point] & 0x3F] != kind(chr(point))
    ]
    assert wrong == []


def test_shares():
    found = measures.counts(pa.array(["ab 1\nab 1", "", None]))
    got = {name: values.tolist() for name, values in measures.shares(found).items()}
    assert all(values.dtype == np.float32 for values in measures.shares(found).values())
    assert got["letter_ratio"] == [pytest.approx(2 / 3), 0, 0]
    assert got["digit_ratio"] == [pytest.approx(1 / 3), 0, 0]
    assert got["duplicate_lines"] == [0.5, 0, 0]
    assert got["top_word"] == [0.5, 0, 0]
    assert got["mean_word_length"] == [1.5, 0, 0]


def test_a_long_document_between_short_ones():
    """Scratch grows in the middle of a batch, and what an earlier document left in it is not seen."""
    long = " ".join(f"w{at % 7000}" for at in range(20_000)) + "\nx" * 5000
    texts = ["a b c", long, "a b c", long]
    found = measures.counts(pa.array(texts))
    assert all(values[0] == values[2] and values[1] == values[3] for values in found.values())
    assert (found["words"][1], found["lines"][1], found["top_count"][1]) == (25_000, 5001, 5000)


def test_no_rows():
    assert all(len(values) == 0 for values in measures.counts(pa.array([], pa.string())).values())
