"""`quality`: short medical texts stay in every script, debris goes, and any limit can be switched off."""

import base64
import random
import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medcorpus.core.errors import RecipeError
from medcorpus.core.params import role_of
from medcorpus.core.schema import RECORD
from medcorpus.core.stage import Context, verb
from medcorpus.stages.quality import _LIMITS, Quality
from medcorpus.text.rules import calibration
from medcorpus.text.rules.checks import POSSIBLE, range_problem
from medcorpus.text.rules.published import PUBLISHED
from tests.records import records

GOOD = {
    "chinese question": "患者男，45岁，突发胸痛2小时，心电图示V1～V4导联ST段抬高，"
    "最可能的诊断是下列哪一项？\nA. 心肌梗死\nB. 心绞痛\nC. 肺栓塞",
    "thai sentence": "รับประทานยาครั้งละ 1 เม็ด วันละ 3 ครั้ง หลังอาหาร",
    "amharic leaflet": "ይህንን መድኃኒት በቀን 2 ጊዜ ከምግብ በኋላ ይውሰዱ። ሕፃናት በሚደርሱበት ቦታ አያስቀምጡ።",
    "hausa": "A sha ƙwaya ɗaya sau biyu a rana bayan cin abinci.",
    "hindi": "दिन में दो बार ५०० मि.ग्रा. की गोली भोजन के बाद लें।",
    "burmese": "တစ်နေ့ ၃ ကြိမ် အစာစားပြီး သောက်ပါ။",
    "khmer": "លេបថ្នាំ ២ គ្រាប់ក្នុងមួយថ្ងៃ បន្ទាប់ពីបាយ។",
    "tibetan": "ཉིན་རེར་སྨན་རིལ་གཉིས་བཟའ་དགོས།",
    "japanese": "１日３回、食後に服用してください。",
    "arabic": "يُؤخَذ قرص واحد كل ٨ ساعات بعد الأكل.",
    "dose line": "Amoxicillin 500 mg 3x/day 7 d",
    "dose table": "| Drug | Dose | Interval |\n|---|---|---|\n| Amoxicillin | 500 mg | 8 h |\n"
    "| Doxycycline | 100 mg | 12 h |\n| Ciprofloxacin | 500 mg | 12 h |\n"
    "| Metronidazole | 400 mg | 8 h |\n| Ceftriaxone | 1 g | 24 h |",
    "table of words": "| Drug | Indication | Side effect |\n|---|---|---|\n| Amoxicillin | Pneumonia | Rash |\n"
    "| Metformin | Type 2 diabetes | Nausea |\n| Warfarin | Atrial fibrillation | Bleeding |\n"
    "| Amlodipine | Hypertension | Ankle oedema |\n| Salbutamol | Asthma | Tremor |\n"
    "| Levothyroxine | Hypothyroidism | Palpitations |\n| Furosemide | Heart failure | Low potassium |",
    "order": "Sensitivity: PCR > antigen test > symptoms alone, in the first days of the disease.",
    "laboratory": "Na+ 135-145 mmol/L, K+ 3.5-5.0 mmol/L, Cl- 98-106 mmol/L, HCO3- 22-28 mmol/L",
    "options that look alike": "After exposure the patient must be seen within\n"
    + "\n".join(f"{hours} hours by the occupational health service." for hours in (2, 6, 24, 48, 72)),
    "short question": "What causes septic shock?",
    "german": "Herzinsuffizienz: Therapie mit ACE-Hemmern, Betablockern und Diuretika.",
    "finnish": "Verenpainelääkkeiden käyttöaiheet ja haittavaikutukset iäkkäillä potilailla",
}  # fmt: skip

MENU = ("Home", "About us", "Our doctors", "Departments", "Cardiology", "News & events", "Careers", "Contact",
        "Find a doctor", "Patient portal", "Privacy policy", "Terms of use", "Site map", "Log in", "Register",
        "Search", "English", "Français", "Share", "Print", "Newsletter", "Follow us", "Imprint")  # fmt: skip
_noise = random.Random(1).randbytes

BAD = {
    "menu": "\n".join(MENU),
    "menu in a line": " | ".join(MENU),
    "menu with trail": "Home > Services > Outpatients > Opening hours\n" + " | ".join(MENU),
    "cookie banner": "We use cookies. Accept all | Necessary cookies only | Save my settings\n"
    "By a click on \"Accept all\" you agree to the use of cookies.\n"
    "Necessary (always on) | Statistics | Marketing | External media\n"
    "Data protection | Imprint | Cookie policy | Show more | Close",
    "chinese menu": "\n".join(["首页", "关于我们", "新闻中心", "科室介绍", "专家团队", "联系我们", "网站地图"] * 3),
    "base64": base64.b64encode(_noise(3000)).decode(),
    "base64 in lines": base64.encodebytes(_noise(3000)).decode(),
    "symbols": "=+=+=+= ***** ##### >>>>> <<<<< ~~~~~ a b c d",
    "one symbol": "Some words and then " + "=" * 500,
    "line thirty times": "Click here to make an appointment with our team today.\n" * 30,
    "sentence thirty times": "Click here to make an appointment with our team today. " * 30,
    "chinese line thirty times": "点击这里预约我们的专家门诊。" * 30,
    "css": "body {\n  font-family: Arial, sans-serif;\n  margin: 0;\n  padding: 0;\n  line-height: normal;\n}\n"
    ".menu a:hover {\n  text-decoration: underline;\n  background-color: white;\n}\n",
    "minified css": ".nav{display:block;margin:0 auto}.nav a:hover{color:#fff}"
    "@media (max-width:600px){.nav{display:none}}",
    "json": '{"name": "patient", "items": [{"id": 1, "label": "one"}, {"id": 2, "label": "two"}]}',
    "one word for ever": "fever " * 60,
    "digits": "12 44 91 3.5 6.02 88 17 a 23 45",
}  # fmt: skip


def scored(*texts, **params):
    stage = Quality(Quality.Params(**params))
    stage.open()
    return stage, stage.apply(records(texts))


def dropped(text, reasons=("too_short", "low_quality"), language="eng", **params):
    stage = Quality(Quality.Params(**params))
    batch = stage.apply(records([text], language=language))
    return [name for name in reasons if Quality.reasons[name].drops(batch, stage.params, ())[0].as_py()]


@pytest.mark.parametrize("name", GOOD)
def test_stays(name):
    assert dropped(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_goes(name):
    assert dropped(BAD[name]) == ["low_quality"]


@pytest.mark.parametrize("text", [None, "", " \n", "Fever", "Read more", "Take twice daily", "=====", "发热"])
def test_too_short(text):
    assert "too_short" in dropped(text)


# One text for each limit, and the limit that alone lets it go.
LIMITS = {
    "min_letter_ratio": ("5 5 5 a", 0.3),
    "max_digit_ratio": ("5 5 5 a", 0.7),
    "max_symbol_ratio": ("a + b + c", 0.3),
    "max_mean_word_length": ("abcdef abcdef abcdef", 5.5),
    "max_longest_run": ("a b caaaa", 3),
    "max_braced": ("a b c {d}", 0.3),
    "max_duplicate_lines": ("a b c\na b c", 0.4),
    "max_top_word": ("a a a b", 0.7),
    "max_repeated_ngrams": ("a b c d e a b c d e", 0.4),
    "max_menu": ("a b c\nd e", 0.9),
}


def test_each_limit_works_alone_and_goes_off_with_null():
    others = {"min_words", "repetition_from", "limits", "calibration"}
    assert set(LIMITS) == set(_LIMITS) == set(Quality.Params.fields_with("decision")) - others
    off = dict.fromkeys([*LIMITS, "min_words"]) | {"repetition_from": 0}
    for name, (text, limit) in LIMITS.items():
        assert dropped(text, **off) == []
        assert dropped(text, **off | {name: limit}) == ["low_quality"], name
    everything = [*BAD.values(), *GOOD.values(), "", "a", None]
    assert all(dropped(text, **off) == [] for text in everything)


def test_repetition_limits_wait_for_enough_words():
    text = "a b c d e a b c d e"
    params = {"max_repeated_ngrams": 0.4}
    assert dropped(text, **params, repetition_from=10) == ["low_quality"]
    assert dropped(text, **params, repetition_from=11) == []


def test_a_value_at_the_limit_stays():
    for limit in (0.1, 0.3, 0.7):  # shares are float32, limits are not
        text = "+" * round(limit * 10) + "abcdefghij"[round(limit * 10) :]
        off = dict.fromkeys([*LIMITS, "min_words"])
        assert dropped(text, **off | {"max_symbol_ratio": limit}) == []
        assert dropped(text + "+", **off | {"max_symbol_ratio": limit}) == ["low_quality"]


WORD_CHOICES = ("fast", "segmented", "graphemes")
WORDY = ("quality_words", "quality_mean_word_length", "quality_top_word", "quality_repeated_ngrams", "quality_menu")


def test_columns():
    _, batch = scored("Fever 5 mg.\nFever 5 mg.", None)
    assert batch.schema == pa.schema([*RECORD, *Quality.writes], RECORD.metadata)
    first, second = ({name: row[name] for name in row if name.startswith("quality_")} for row in batch.to_pylist())
    assert first["quality_chars"] == 23
    assert (first["quality_letters"], first["quality_words"]) == (14, 6)
    assert first["quality_top_word"] == pytest.approx(1 / 3)
    assert first["quality_duplicate_lines"] == 0.5
    assert set(second.values()) == {0}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.sampled_from([*GOOD.values(), *BAD.values()]), st.text()), max_size=8))
def test_batches_of_one_say_the_same(texts):
    stage, whole = scored(*texts)
    single = [stage.apply(records(texts).slice(at, 1)) for at in range(len(texts))]
    assert whole.to_pylist() == [row for batch in single for row in batch.to_pylist()]
    for reason in Quality.reasons.values():
        drops = reason.drops(whole, stage.params, ())
        assert (len(drops), drops.null_count) == (len(texts), 0)


PROSE = (
    "The patient was admitted to the hospital with a fever that had lasted for three days, and a dry cough. "
    "There was no rash, and the family had not been abroad. Blood was taken for cultures before any treatment. "
    "The chest was clear on the first day, but an X-ray showed a small shadow on the left side of the lung. "
    "Antibiotics were given by mouth for seven days. The fever settled within two days of the first dose.\n"
)
BROKEN = {  # a text for each published limit, and what it breaks
    "gopher_words": "The patient was treated with antibiotics and sent home.",
    "gopher_word_length": "pneumonoultramicroscopic " * 40 + "of the and " * 5,
    "gopher_hashes": PROSE + "# " * 30,
    "gopher_ellipses": PROSE + "... " * 30,
    "gopher_bullet_lines": "\n".join(f"- {line} of the and to be" for line in PROSE.strip().split(". ") * 3),
    "gopher_ellipsis_lines": PROSE.replace(". ", "...\n"),
    "gopher_alpha_words": PROSE + "12 / 17 ; " * 20,
    "gopher_stop_words": PROSE.replace("the", "das").replace("and", "und").replace(" to ", " zu ")
    .replace("that", "was").replace(" of ", " von ").replace("with", "mit").replace(" be", " sein"),
    "gopher_duplicate_lines": PROSE + "Read more.\n" * 4,
    "gopher_duplicate_paragraphs": "\n\n".join([PROSE.strip(), "Yes.", "Yes.", "Yes.", "No."]),
    "gopher_duplicate_line_chars": PROSE * 2,
    "gopher_duplicate_paragraph_chars": "\n\n".join([PROSE.strip(), "a", "b", "c", "d", PROSE.strip()]),
    "gopher_top_2_gram": PROSE + "very well " * 20,
    "gopher_top_3_gram": PROSE + "one two three " * 15,
    "gopher_top_4_gram": PROSE + "one two three four " * 10,
    **{f"gopher_duplicate_{n}_grams": PROSE[:-1] + " " + PROSE for n in range(5, 11)},
    "c4_sentences": "The patient was treated with antibiotics and sent home. He is well.",
    "c4_banned": PROSE * 2 + "Lorem ipsum dolor sit amet, consectetur.\n",
    "c4_open_sentences": "The patient was treated with antibiotics and sent home. He is well",
    "c4_open_banned": PROSE * 2 + "if (x) { return y and z }\n",
    "fineweb_ended_lines": "\n".join([PROSE.replace(".", ",")] * 1 + [f"line {n} goes on" for n in range(9)]),
    "fineweb_short_lines": PROSE + "\n".join(f"item {n}" for n in range(9)),
    "fineweb_duplicate_chars": PROSE * 2,
    "fineweb_newlines": PROSE + "a\n" * 60,
}  # fmt: skip


def test_prose_passes_all_published_rules():
    assert dropped(PROSE, PUBLISHED) == []


@pytest.mark.parametrize("figure", [name for limits in PUBLISHED.values() for name in limits])
def test_each_published_limit_drops_and_can_be_set_or_taken_off(figure):
    text = BROKEN[figure]
    rules = next(name for name, limits in PUBLISHED.items() if figure in limits)
    off = dict.fromkeys(PUBLISHED[rules], (None, None))
    published = PUBLISHED[rules][figure]
    assert dropped(text, [rules], limits={**off, figure: published}) == [rules], "it alone drops"
    assert dropped(text, [rules]) == [rules] and dropped(text, [rules], limits=off) == []
    least, most = published
    (value,) = scored(text)[1][f"quality_{figure}"].to_pylist()
    wide = (None if least is None else value, None if most is None else value)
    if range_problem(*wide, *POSSIBLE[figure]) is None:
        assert dropped(text, [rules], limits={**off, figure: wide}) == []


def test_english_stop_words_are_for_english():
    text = BROKEN["gopher_stop_words"]
    assert dropped(text, ["gopher_quality"]) == ["gopher_quality"]
    assert dropped(text, ["gopher_quality"], language=None) == ["gopher_quality"]
    assert dropped(text, ["gopher_quality"], language="deu") == []


def test_limits_of_no_figure():
    with pytest.raises(ValidationError, match="did you mean 'gopher_words'"):
        Quality.Params(limits={"gopher_word": [3, None]})
    with pytest.raises(ValidationError):
        Quality.Params(limits={"gopher_words": [3]})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"max_menu": 1}, "max_menu: most 1 can never fire, no text has more than 1; null switches it off"),
        ({"min_letter_ratio": 0}, "min_letter_ratio: least 0 can never fire"),
        ({"min_words": 0}, "min_words: least 0 can never fire"),
        ({"max_mean_word_length": 3141}, "max_mean_word_length: most 3141 can never fire"),
        ({"limits": {"gopher_top_2_gram": [None, 2.82]}}, "limits: gopher_top_2_gram: most 2.82 can never fire"),
        ({"limits": {"fineweb_ended_lines": [0, None]}}, "limits: fineweb_ended_lines: least 0 can never fire"),
        ({"limits": {"gopher_alpha_words": [1.2, None]}}, "drops every text"),
        ({"limits": {"gopher_words": [50, 5]}}, "least 50 is above most 5: every text is dropped"),
    ],
)
def test_a_limit_that_never_fires_or_always_does_is_refused(params, said):
    with pytest.raises(ValidationError) as refused:
        Quality.Params(**params)
    assert said in str(refused.value)


GERMAN = (
    "Der Patient wurde mit Fieber in die Klinik gebracht, das seit drei Tagen bestand, und er hatte Husten. "
    "Es gab keinen Ausschlag, und die Familie war nicht im Ausland gewesen. Vor der Behandlung wurde Blut für "
    "Kulturen abgenommen."
)
THAI = "ผู้ป่วยมีไข้และไอเป็นเวลาสามวัน แพทย์ได้ให้ยาปฏิชีวนะ และอาการดีขึ้นภายในสองวันหลังจากที่ได้รับยา ผู้ป่วยกลับบ้านได้ในวันที่ห้า"
CHINESE = (
    "患者因发热和咳嗽三天入院。他没有出疹，家人也没有出国。在治疗之前抽取了血液进行培养。"
    "第一天肺部是清晰的，但是影像显示有一个小的阴影。"
)


@pytest.mark.parametrize(("language", "text"), [("deu", GERMAN), ("tha", THAI), ("zho", CHINESE)])
def test_shipped_limits_keep_what_english_ones_drop(language, text):
    assert dropped(text, ["gopher_quality"], language=language) == ["gopher_quality"]
    assert dropped(text, PUBLISHED, language=language, calibration="shipped") == []


def test_stop_words_are_those_of_the_language():
    stage = Quality(Quality.Params(calibration="shipped"))
    texts = records([GERMAN, GERMAN, GERMAN, THAI, CHINESE, PROSE], language=["deu", "tlh", None, "tha", "zho", "eng"])
    german, unlisted, unknown, thai, chinese, english = stage.apply(texts)["quality_gopher_stop_words"].to_pylist()
    assert min(german, thai, chinese, english) >= 3 and unlisted == 0 and unknown <= 1
    english_only = Quality(Quality.Params()).apply(texts)["quality_gopher_stop_words"].to_pylist()
    assert english_only[0] == 0 and english_only[5] > 2
    shuffled = " ".join(word for word in GERMAN.split() if len(word) > 5)
    assert dropped(shuffled * 3, ["gopher_quality"], language="deu", calibration="shipped") == ["gopher_quality"]


def test_limits_go_over_the_calibration():
    params = {"calibration": "shipped", "limits": {"gopher_words": [1000, None]}}
    assert dropped(GERMAN, ["gopher_quality"], language="deu", **params) == ["gopher_quality"]


def test_what_a_select_hangs_on_is_what_the_file_says(tmp_path):
    shipped = Quality.limits_of("fineweb", {"calibration": "shipped", "limits": {}}, "/nowhere")
    assert set(shipped["calibration"]["limits"]["deu"]) <= set(PUBLISHED["fineweb"])
    (tmp_path / "mine.json").write_bytes(calibration.shipped_path().read_bytes())
    assert Quality.limits_of("fineweb", {"calibration": "mine.json", "limits": {}}, str(tmp_path)) == shipped
    assert Quality.limits_of("fineweb", {"calibration": "none", "limits": {}}, ".") == {
        "calibration": "none",
        "limits": {},
    }
    one, two = (
        Quality(Quality.Params(calibration=name), Context("quality", str(tmp_path))).resource_digests()
        for name in ("shipped", "mine.json")
    )
    assert one == two and set(one) == {"stop_words"} and Quality(Quality.Params()).resource_digests() == {}


def test_real_words():
    text = "ผู้ป่วยมีไข้สูงและไอ"
    counted = {words: scored(text, "患者因胸痛入院。", "Fever and cough", words=words)[1] for words in WORD_CHOICES}
    assert {words: batch["quality_words"].to_pylist() for words, batch in counted.items()} == {
        "fast": [5, 4, 3], "segmented": [7, 4, 3], "graphemes": [14, 7, 3],
    }  # fmt: skip
    assert [round(batch["quality_mean_word_length"][1].as_py(), 2) for batch in counted.values()] == [1.75, 1.75, 1.0]
    same = [name for name in counted["fast"].schema.names if name not in WORDY]
    assert counted["fast"].select(same).equals(counted["segmented"].select(same))


def test_the_choice_of_words_is_in_the_key():
    digests = {words: Quality(Quality.Params(words=words)).resource_digests() for words in WORD_CHOICES}
    assert digests["fast"] == digests["graphemes"] == {}
    assert digests["segmented"]["words"].startswith("icu4py ") and ", ICU " in digests["segmented"]["words"]
    assert len({str(Quality.Params(words=words).data()) for words in WORD_CHOICES}) == 3


def test_real_words_without_the_library():
    code = (
        "import sys; sys.modules['icu4py'] = sys.modules['icu4py.breakers'] = None\n"
        "from medcorpus.stages.quality import Quality\n"
        "from medcorpus.core.errors import Missing\n"
        "try: Quality(Quality.Params(words='segmented')).resource_digests()\nexcept Missing as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pip install 'medcorpus[segment]'" in done.stdout


def test_contract():
    assert verb(Quality) == "map"
    assert set(Quality.reads) <= set(RECORD.names)
    roles = {name: role_of(field) for name, field in Quality.Params.model_fields.items()}
    assert [name for name, role in roles.items() if role != "decision"] == ["words", "measure"]
    assert all(field.description for field in Quality.Params.model_fields.values())
    named = {name for reason in Quality.reasons.values() for name in reason.params}
    assert named == set(Quality.Params.model_fields) - {"words", "measure"}
    assert {column for column, _ in _LIMITS.values()} <= {field.name for field in Quality.writes}
    with pytest.raises(ValidationError):
        Quality.Params(max_symbol_ratio=1.5)
    with pytest.raises(ValidationError):
        Quality.Params(min_word=1)


def test_import_is_light():
    code = "import sys, medcorpus.stages.quality; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("measure", "other"), [("own", "published"), ("published", "own")])
def test_half_of_the_figures_are_those_of_all_and_the_others_null(measure, other):
    batch = records([*GOOD.values(), *BAD.values(), ""])

    def measured(**params):
        stage = Quality(Quality.Params(**params), Context())
        stage.open()
        return stage.apply(batch)

    whole, half = measured(), measured(measure=measure)
    assert half.schema == whole.schema
    there = {field.name for field in Quality.writes if half[field.name].null_count == 0}
    assert there == {field.name for field in Quality.writes if measured(measure=other)[field.name].null_count}
    assert all(half[name].equals(whole[name]) for name in there)
    for reason in ("too_short", "low_quality", *PUBLISHED):
        params = {"measure": measure, "calibration": "none"}
        if (reason in PUBLISHED) == (measure == "published"):
            Quality.limits_of(reason, params, ".")
        else:
            with pytest.raises(RecipeError, match=f"measure: {measure} leaves out what the reason '{reason}'"):
                Quality.limits_of(reason, params, ".")
