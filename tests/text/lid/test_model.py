"""Normal form, scripts, the shipped model. Sentences were written for these tests."""

import gzip
import io
import json
import statistics
import subprocess
import tokenize
import unittest.mock
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from medcorpus.core.errors import Fatal, Missing
from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.text.lid import model as lid_model
from medcorpus.text.lid import normal
from medcorpus.text.lid.model import Model, shipped_model
from medcorpus.text.lid.normal import normalise, script_of

SIB = Path(__file__).parents[3].parent / "shared" / "data" / "lid" / "sib200"


@pytest.fixture(scope="module")
def model():
    return Model(shipped_model())


# ------------------------------------------------------------------------------------------------ normalise


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Take 5 mg\nTWICE\r\n daily.", "take 0 mg twice daily ."),
        ("ไม่ได้ ที่นี่", "ไม่ได้ ที่นี่"),  # vowel and tone marks stay
        ("हिन्दी में ५० मि.ग्रा.", "हिन्दी में 0 मि . ग्रा ."),
        ("កម្ពុជា၊ မြန်မာ။", "កម្ពុជា ၊ မြန်မာ ။"),
        ("من ٢٥٠ إلى ۵۰", "من 0 إلى 0"),
        ("１２３ ５ｍｇ", "0 0ｍｇ"),
        ("COVID-19: 37.5°C", "covid - 0 : 0 . 0 ° c"),
        ("see https://example.org/a?b=1#c now", "see now"),
        ("www.who.int ftp://a.b/c", ""),
        ("请访问https://example.org/了解更多", "请访问 了解更多"),
        ("write to First.Last+tag@mail.example.co.uk today", "write to today"),
        ("a@b and 5 @ 3", "a @ b and 0 @ 0"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # the joiner is spelling
        ("soft\u00adhyphen \u200eleft\ufeff zero\u200bwidth", "softhyphen left zero width"),
        ("x² ½ Ⅳ 😀", "x ² ½ ⅳ 😀"),
        ("cafe\u0301 NAI\u0308VE", "café naïve"),  # decomposed letters, as PDF files have them
        ("a\x00b\u2028c\u3000d\x85e", "a b c d e"),
        ("\ud800 lone", "lone"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_normalise(text, wanted):
    assert normalise(text) == wanted


def test_normalise_is_idempotent():
    text = "Dr. É. Çelik, tel. 0312-555, e-mail: a.b@c.de; ไม่ 50% — «да» \u0130stanbul http://x.y/z"
    assert normalise(normalise(text)) == normalise(text)


def test_normalise_stays_linear_on_long_runs():
    # The usual e-mail expression is quadratic here: minutes instead of milliseconds.
    assert normalise("a." * 200_000 + " @").endswith("@")


# ------------------------------------------------------------------------------------------------ script_of


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Fever", "Latn"),
        ("Cảm ơn ƙwayoyi ɛ̀ Ọ̀rọ̀", "Latn"),
        ("Грипп", "Cyrl"),
        ("Πυρετός", "Grek"),
        ("حمى", "Arab"),
        ("חום", "Hebr"),
        ("बुखार", "Deva"),
        ("জ্বর", "Beng"),
        ("ไข้", "Thai"),
        ("ໄຂ້", "Laoo"),
        ("ဖျားခြင်း", "Mymr"),
        ("គ្រុនក្តៅ", "Khmr"),
        ("ཚད་པ།", "Tibt"),
        ("ትኩሳት", "Ethi"),
        ("발열", "Hang"),
        ("발열 發熱", "Hang"),
        ("糖尿病の治療", "Jpan"),
        ("インフルエンザ", "Jpan"),
        ("高血压患者应当服药", "Hans"),
        ("高血壓患者應當服藥", "Hant"),
        ("糖尿病", "Hani"),  # written alike everywhere
        ("優の良品" + "高血壓患者應當服藥" * 20, "Hant"),  # one borrowed kana is not Japanese
        ("ߝߊ߬ߙߌ", "Nkoo"),
        ("ცხელება", "Geor"),
        ("Ջերմություն", "Armn"),
        ("𞤀𞤣𞤤𞤢𞤥", "Adlm"),
        ("pH 7.4 у пациента была лихорадка", "Cyrl"),
    ],
)
def test_script_of(text, script):
    assert script_of(text) == script


@pytest.mark.parametrize("text", ["", "5,000", "٣٤٥ ५० ๑๒", "½ µ º", "😀 — … \n", "\ud800", "་།"])
def test_no_letters_no_script(text):
    assert script_of(text) is None


def test_script_of_counts_the_whole_text(monkeypatch):
    monkeypatch.setattr(normal, "_SLICE", 4)
    assert script_of("abc" + "лихорадка" * 3) == "Cyrl"
    assert script_of("高血压患者应当服药") == "Hans"


def test_scripts_of_every_sib_label_are_told():
    if not SIB.exists():
        pytest.skip("no shared data")
    for path in sorted(SIB.glob("*.dev.tsv.gz")):
        wanted = path.name.partition(".")[0].rpartition("_")[2]
        told = Counter(script_of(text) for text in _texts(path))
        assert told[wanted] >= 0.95 * told.total(), (path.name, told)


# ---------------------------------------------------------------------------------------------------- model

SENTENCES = {
    "eng": "Every patient should take the medicine each day before a meal.",
    "deu": "Jeder Patient sollte das Medikament täglich vor dem Essen einnehmen.",
    "fra": "Chaque patient doit prendre son médicament tous les jours avant le repas.",
    "spa": "Cada paciente debe tomar su medicamento todos los días antes de comer.",
    "por": "Cada paciente deve tomar o seu remédio todos os dias antes das refeições.",
    "ita": "Ogni paziente deve prendere la medicina tutti i giorni prima dei pasti.",
    "rus": "Каждый больной должен принимать лекарство ежедневно перед едой.",
    "ukr": "Кожен хворий повинен щодня приймати ліки перед їжею.",
    "ces": "Každý pacient by měl užívat lék každý den před jídlem.",
    "lat": "Omnes aegri cotidie ante cenam medicamentum sumere debent.",
    "ara": "يجب على كل مريض أن يتناول الدواء يوميا قبل الأكل.",
    "heb": "כל חולה צריך לקחת את התרופה מדי יום לפני האוכל.",
    "hin": "हर मरीज़ को रोज़ खाना खाने से पहले अपनी दवा लेनी चाहिए।",
    "nep": "प्रत्येक बिरामीले हरेक दिन खाना खानुअघि औषधि खानुपर्छ।",
    "zho": "所有患者每天饭前都必须服药。",
    "jpn": "患者は毎日食事の前に薬を飲まなければなりません。",
    "kor": "모든 환자는 매일 식사 전에 약을 먹어야 합니다.",
    "tha": "ผู้ป่วยทุกคนต้องรับประทานยาทุกวันก่อนอาหาร",
    "lao": "ຄົນເຈັບທຸກຄົນຕ້ອງກິນຢາທຸກມື້ກ່ອນອາຫານ",
    "vie": "Mỗi bệnh nhân phải uống thuốc hằng ngày trước bữa ăn.",
    "amh": "እያንዳንዱ ታካሚ ከምግብ በፊት በየቀኑ መድኃኒቱን መውሰድ አለበት።",
    "hau": "Ya kamata kowane mara lafiya ya sha maganinsa a kowace rana kafin ya ci abinci.",
    "swa": "Kila mgonjwa anapaswa kumeza dawa zake kila siku kabla ya kula chakula.",
    "yor": "Gbogbo aláìsàn gbọ́dọ̀ máa lo oògùn wọn lójoojúmọ́ kí wọ́n tó jẹun.",
    "ibo": "Onye ọrịa ọ bụla kwesịrị ịṅụ ọgwụ ya kwa ụbọchị tupu o rie nri.",
    "kin": "Abarwayi bose bagomba gufata umuti wabo buri munsi mbere yo kurya.",
    "lin": "Mobeli nyonso asengeli komela nkisi na ye mokolo na mokolo liboso ya kolya.",
    "bam": "Banabagatɔ bɛɛ ka kan ka u ka fura ta don o don sani u ka dumuni kɛ.",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_of_mine(model, code):
    labels, scores = model.predict([SENTENCES[code]])
    assert registry().normalise(labels[0][0]) == code
    assert len(labels[0]) == len(scores[0]) == 2
    assert 1 >= scores[0][0] > scores[0][1] >= 0


@pytest.mark.parametrize("text", ["", " \n", "12.5 / 7", "٣٤٥", "--- *** ---", "https://example.org/health", "😀"])
def test_no_letters_is_zxx_by_rule(model, text):
    assert model.predict([text]) == ([("zxx",)], [(1.0,)])


def test_rules_and_model_keep_their_rows(model):
    labels, scores = model.predict(["5", SENTENCES["tha"], "", SENTENCES["amh"] + "\n" + SENTENCES["amh"]], k=1)
    assert labels == [("zxx",), ("tha_Thai",), ("zxx",), ("amh_Ethi",)]
    assert all(len(row) == 1 and 0 <= row[0] <= 1 for row in scores)
    assert model.predict([]) == ([], [])


@pytest.mark.parametrize("text", ["ꯃꯤꯇꯩ ꯂꯣꯟ ꯍꯤꯗꯥꯛ", "ꓡꓲ-ꓢꓴ ꓥꓪꓱ (2024)", "ㄅㄆㄇㄈ ㄉㄊㄋㄌ"])
def test_a_script_of_no_label_is_undetermined(model, text):
    assert model.predict([text]) == ([("und",)], [(0.0,)])


def test_every_label_is_known_to_the_registry(model):
    names = registry()
    for label in model.labels:
        try:
            names.normalise(label)
        except UnknownLanguage as error:
            pytest.fail(str(error))


def test_junk_is_not_a_language(model):
    junk = [
        "static int idx_next(struct node *ptr, unsigned len) {",
        "if (err != NULL && err->code >= 0x1f) { return -1; }",
        "$('#menu .item').toggleClass({active: true}); window.q=window.q||[];",
        ".btn-default{padding:0 12px;border:1px solid #ccc;border-radius:4px}",
        "9a0364b9e99bb480dd25e1f0284c8555 7f83b1657ff1fc53b92dc18148a1d65d",
        "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24sIGJ1dA==",
        '<div class="col-md-6"><img src="/static/img/logo.png" /></div>',
    ]
    assert [row[0] for row in model.predict(junk, k=1)[0]] == ["zxx"] * len(junk)


def test_shipped_file(model):
    path = shipped_model()
    assert path.stat().st_size <= 5_000_000
    assert model.normalised
    assert model.digest == blake2b(path.read_bytes(), digest_size=16).hexdigest()
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert model.digest in card, "the card belongs to another model file"
    assert "CC BY-SA 4.0" in card


def test_a_foreign_file_sees_text_as_it_is(tmp_path):
    path = tmp_path / "lid.176.ftz"
    path.write_bytes(shipped_model().read_bytes())
    foreign = Model(path)
    assert not foreign.normalised
    assert foreign.prepare("Take 5 mg\r\nat https://a.b/c\u2028NOW \ud800") == "Take 5 mg at https://a.b/c NOW ?"
    assert len(foreign.predict(["https://a.b/c"])[0][0]) == 2  # letters to it, so no rule: it has to answer


def test_nothing_is_printed(capfd):
    Model(shipped_model()).predict(["Fever"])
    assert capfd.readouterr() == ("", "")


def test_a_model_that_is_no_model(tmp_path):
    with pytest.raises(Missing, match="not there"):
        Model(tmp_path / "absent.ftz")
    (tmp_path / "text.ftz").write_text("no model" * 20)
    with pytest.raises(Fatal, match="not a fastText model"):
        Model(tmp_path / "text.ftz")


def test_odd_probabilities_are_clipped():
    odd = (float("nan"), -0.1, 1.00001, 0.25, float("inf"))
    assert [lid_model._probability(value) for value in odd] == [0.0, 0.0, 1.0, 0.25, 1.0]


# ------------------------------------------------------------------------------------- floors, on SIB-200 dev


def _texts(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        return [line.rstrip("\r\n").split("\t")[2] for line in stream][1:]


def _short(label, text):
    """5 words, or 12 characters where the script has no spaces, from the middle."""
    unspaced = label[-4:] in {"Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"}
    parts, size = (list(text), 12) if unspaced else (text.split(), 5)
    start = max(0, (len(parts) - size) // 2)
    return ("" if unspaced else " ").join(parts[start : start + size])


def _code(label):
    """Cantonese counts as Chinese and Nynorsk as Norwegian: the mission names one of each pair."""
    code = registry().normalise(label)
    return {"yue": "zho", "nno": "nob"}.get(code, code)


def _macro_f1(pairs):
    hits = Counter(truth for truth, said in pairs if truth == said)
    truths, named = Counter(truth for truth, _ in pairs), Counter(said for _, said in pairs)
    return sum(2 * hits[code] / (truths[code] + named[code]) for code in truths) / len(truths)


def _one_serbo_croatian(pairs):
    return [tuple("hrv" if code == "bos" else code for code in pair) for pair in pairs]


@pytest.fixture(scope="module")
def sib(model):
    """(truth, said on the sentence, said on a snippet), as codes, for all 205 labels."""
    if not SIB.exists():
        pytest.skip("no shared data")
    rows = [(path.name.partition(".")[0], text) for path in sorted(SIB.glob("*.dev.tsv.gz")) for text in _texts(path)]
    names = (*model.labels, "und", "zxx")  # -2 and -1 stand for the last two
    said = [
        [names[label] for label in model.predict_array(pa.array(texts))[0][:, 0]]
        for texts in ([text for _, text in rows], [_short(*row) for row in rows])
    ]
    return [(_code(label), _code(a), _code(b)) for (label, _), a, b in zip(rows, *said, strict=True)]


def test_floor_sentences(sib):
    pairs = [(truth, said) for truth, said, _ in sib if truth in registry().mission]
    assert len({truth for truth, _ in pairs}) == 47  # 50 without Corsican, Latin and Dogri
    assert _macro_f1(pairs) >= 0.98
    assert _macro_f1(_one_serbo_croatian(pairs)) >= 0.995


def test_floor_snippets(sib):
    pairs = [(truth, said) for truth, _, said in sib if truth in registry().mission]
    assert _macro_f1(pairs) >= 0.94
    assert _macro_f1(_one_serbo_croatian(pairs)) >= 0.96


def test_floor_errors_that_pollute(sib):
    mission = set(registry().mission)
    ours = [row for row in sib if row[0] in mission]
    others = [row for row in sib if row[0] not in mission]
    assert sum(a == "eng" != truth for truth, a, _ in ours) <= 0.001 * len(ours)
    assert sum(b == "eng" != truth for truth, _, b in ours) <= 0.003 * len(ours)
    assert sum(a in mission for _, a, _ in others) <= 0.005 * len(others)
    assert sum(a == "zxx" for _, a, _ in sib) <= 0.001 * len(sib)


def _said(model, texts):
    """Codes and scores of the best label of each text."""
    names = (*model.labels, "und", "zxx")
    labels, scores = model.predict_array(pa.array(texts))
    return [_code(names[label]) for label in labels[:, 0]], scores[:, 0]


def test_floor_a_score_means_the_same_in_every_language(model):
    """At `min_score` 0.5 nine of ten are right whatever the language; sentences and snippets."""
    if not SIB.exists():
        pytest.skip("no shared data")
    rows = [(path.name.partition(".")[0], text) for path in sorted(SIB.glob("*.dev.tsv.gz")) for text in _texts(path)]
    rows = [(label, text) for label, text in rows if _code(label) in registry().mission]
    said, score = _said(model, [text for _, text in rows] + [_short(*row) for row in rows])
    truth = [_code(label) for label, _ in rows] * 2
    right, named = Counter(), Counter()
    for wanted, code, sure in zip(truth, said, score, strict=True):
        if sure >= 0.5 and code not in ("bos", "hrv"):
            named[code] += 1
            right[code] += wanted == code
    assert sum(named.values()) >= 0.85 * len(truth)
    assert {code: right[code] / many for code, many in named.items() if many > 50 and right[code] < 0.9 * many} == {}


def test_floor_articles_kept_back(model):
    """Articles 26 to 30 of the Declaration, which the model was not trained on."""
    folder = SIB.parent / "udhr_unicode" / "data" / "udhr"
    if not folder.exists():
        pytest.skip("no shared data")
    pairs = []
    for path in sorted(folder.glob("udhr_*.xml")):
        root = ElementTree.parse(path).getroot()
        label = f"{root.get('iso639-3')}_{root.get('iso15924')}"
        texts = [
            " ".join(para.text.split())
            for article in root.iterfind("{*}article")
            if article.get("number", "0").isdigit() and 26 <= int(article.get("number")) <= 30
            for para in article.iter()
            if para.tag.endswith("}para") and para.text and len(para.text) > 40
        ]
        code = registry().normalise(root.get("iso639-3")) if label in model.labels else None
        if code in registry().mission and f"{label}.train.tsv.gz" in {one.name for one in SIB.iterdir()} and texts:
            pairs += [(code, said) for said in _said(model, texts)[0]]
    assert len({truth for truth, _ in pairs}) >= 40
    assert _macro_f1(_one_serbo_croatian(pairs)) >= 0.98


def test_floor_code_is_no_language(model):
    """Lines of the standard library without comments and docstrings."""
    lines = []
    for module in (json, statistics, unittest.mock, tokenize, subprocess):
        source = Path(module.__file__).read_text(encoding="utf-8")
        prose = set()
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and len(token.string) > 25):
                prose |= set(range(token.start[0], token.end[0] + 1))
        lines += [line for n, line in enumerate(source.splitlines(), 1) if n not in prose and len(line.strip()) > 12]
    said, score = _said(model, lines)
    assert sum(code not in ("zxx", "und") and sure >= 0.3 for code, sure in zip(said, score, strict=True)) <= (
        0.1 * len(lines)
    )
