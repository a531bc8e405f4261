"""`langid` where a language has several scripts or near relatives, and where two meet. Sentences are our own."""

import pytest

from medcorpus.cli import run
from medcorpus.core.languages import registry
from medcorpus.stages.langid import Langid
from medcorpus.text.lid.model import Model, shipped_model
from tests.records import records
from tests.stages.test_langid import langid


@pytest.fixture(scope="module")
def stage():
    return langid()


VARIANTS = [
    ("lat", "Latn", "Aegroto dolor capitis acer erat, itaque medicus ei quietem et aquam tepidam suasit."),
    ("lat", "Latn", "Febris alta et tussis sicca morbum pulmonum saepe significant, ut medici veteres docent."),
    ("srp", "Cyrl", "Болесник је примљен у болницу због високе температуре и кашља који траје три дана."),
    ("mon", "Cyrl", "Өвчтөн өндөр халуурч, ханиалгасан тул эмнэлэгт хэвтэж, эмч түүнд эм бичиж өгсөн."),
    ("kur", "Latn", "Nexweş ji ber tayê û kuxikê hate nexweşxaneyê û bijîşk jê re derman nivîsand."),
    ("ckb", "Arab", "نەخۆشەکە بەهۆی تا و کۆکەوە هاتە نەخۆشخانە و پزیشک دەرمانی بۆ نووسی."),
    ("nob", "Latn", "Pasienten ble lagt inn på sykehuset med høy feber, og legen ga henne medisin mot smertene."),
    ("nno", "Latn", "Ho vart lagd inn på sjukehuset med høg feber, og legen gav henne noko mot smertene."),
    ("zho", "Hans", "患者因高热和咳嗽住院，医生给他开了止痛药，并嘱咐他多喝水、多休息。"),
    ("zho", "Hant", "患者因高熱和咳嗽住院，醫生給他開了止痛藥，並囑咐他多喝水、多休息。"),
    ("yue", "Hant", "病人發燒咳咗三日，醫生話佢要喺醫院住幾日，仲開咗啲止痛藥俾佢食。"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "script", "text"), VARIANTS)
def test_variants(stage, code, script, text):
    made = stage.apply(records([text]))
    assert (made["language"][0].as_py(), made["script"][0].as_py()) == (code, script)
    assert made["language_score"][0].as_py() >= 0.5


SOUTH_SLAVIC = {
    "hrv": "Bolesnik je zaprimljen u bolnicu zbog visoke temperature, a liječnik mu je tijekom tjedna propisao lijek.",
    "bos": "Pacijent je primljen u bolnicu zbog visoke temperature, a ljekar mu je prošle sedmice prepisao lijek.",
    "srp": "Bolesnik je primljen u bolnicu zbog visoke temperature, pa mu je lekar prošle nedelje prepisao lek.",
}


@pytest.mark.parametrize("code", SOUTH_SLAVIC)
def test_bosnian_croatian_serbian_in_latin_letters(stage, code):
    """They are told from all others, and from each other as far as a sentence allows: not to be relied on."""
    made = stage.apply(records([SOUTH_SLAVIC[code], " ".join(SOUTH_SLAVIC.values())]))
    assert set(made["language"].to_pylist()) <= {*SOUTH_SLAVIC, "und"}
    assert made["script"].to_pylist() == ["Latn", "Latn"]


def test_mongolian_in_its_own_script(stage):
    """No text to learn from: never a guess, yet the script is told, by which rows can be found."""
    made = stage.apply(records(["ᠡᠪᠡᠳᠴᠢᠲᠡᠨ ᠡᠮᠨᠡᠯᠭᠡ ᠳᠦ ᠬᠡᠪᠲᠡᠵᠦ ᠡᠮ ᠤᠤᠭᠤᠪᠠ"]))
    assert (made["language"][0].as_py(), made["script"][0].as_py()) == ("und", "Mong")
    assert {"Cyrl", "Mong"} == set(registry()["mon"].scripts)


def test_dogri_is_never_said(stage, capsys):
    assert not any(label.startswith(("doi", "dgo")) for label in Model(shipped_model()).labels)
    text = "मरीज़ गी त्रै दिनें दा बुखार ऐ ते डाक्टर नै दवाई दित्ती ऐ।"
    assert stage.apply(records([text]))["language"][0].as_py() != "doi"
    assert "never emitted" in registry()["doi"].note
    for asked in ([], ["--mission"], ["Dogri"]):
        assert run(["languages", *asked]) == 0
        told = capsys.readouterr().out
        assert "doi: on the mission list, but never emitted by the langid model" in told
    assert "Dogri has no class" in shipped_model().with_suffix(".md").read_text(encoding="utf-8")


ABBREVIATIONS = {
    "zho": "患者入院后行 CT 和 MRI 检查，未见明显异常，血压 120/80 mmHg，给予 aspirin 治疗，症状逐渐好转，"
    "复查 PCR、CRP 及 D-dimer 均正常，考虑 COPD 合并 COVID-19 感染，予 ICU 监护。",
    "jpn": "CT と MRI で異常を認めず、COPD の急性増悪と診断し、ICU で SpO2 を確認しながら NPPV を開始した。",
    "kor": "환자는 CT와 MRI에서 이상 소견이 없었고 COPD와 COVID-19 진단 후 ICU에서 aspirin 100 mg을 투여받았다.",
    "ara": "أُجري للمريض تصوير CT و MRI وأُعطي aspirin 100 mg مرة يوميًا وكان فحص COVID-19 PCR سلبيًا ونُقل إلى ICU.",
    "heb": "המטופל עבר CT ו-MRI ללא ממצא, קיבל aspirin 100 mg ליום, ובדיקת COVID-19 PCR הייתה שלילית.",
    "hin": "मरीज का CT और MRI सामान्य था, ICU में aspirin 100 mg दी गई और COVID-19 PCR जांच नकारात्मक रही।",
    "tha": "ผู้ป่วยได้รับการตรวจ CT และ MRI ไม่พบความผิดปกติ ได้รับยา aspirin 100 mg และผล COVID-19 PCR เป็นลบ ",
    "rus": "Пациенту выполнены CT и MRI без патологии, назначен aspirin 100 mg, тест COVID-19 PCR отрицательный. ",
    "amh": "ለታካሚው CT እና MRI ምርመራ ተደርጓል፣ aspirin 100 mg ተሰጥቷል፣ የ COVID-19 PCR ውጤትም አሉታዊ ነበር። ",
}


@pytest.mark.parametrize("code", ABBREVIATIONS)
def test_abbreviations_are_no_other_language(stage, code):
    made = stage.apply(records([ABBREVIATIONS[code], " ".join([ABBREVIATIONS[code]] * 12)]))
    assert made["language"].to_pylist() == [code, code]


SWITCHED = {
    ("hin", "eng"): (
        "डॉक्टर ने मरीज को बताया कि उसे हर दिन दवा लेनी है और दो हफ्ते बाद फिर से अस्पताल आना है।",
        "The nurse explained that the tablets should be taken after meals and that the cough would soon get better.",
    ),
    ("ara", "fra"): (
        "قال الطبيب للمريض إن عليه أن يتناول الدواء كل يوم وأن يعود إلى المستشفى بعد أسبوعين.",
        "Le médecin a expliqué que la fièvre allait baisser et qu'il fallait boire beaucoup d'eau chaque jour.",
    ),
    ("swa", "eng"): (
        "Daktari alimwambia mgonjwa anywe dawa kila siku baada ya chakula na arudi hospitalini baada ya wiki mbili.",
        "She was also told to rest at home, to drink plenty of water and to call if the fever came back at night.",
    ),
    ("zho", "eng"): (
        "医生告诉病人每天饭后服药，两周后再来医院复查，如果出现发热或呼吸困难应立即就诊。",
        "The patient was advised to stop smoking, to walk for half an hour every day and to keep a diary of symptoms.",
    ),
}


@pytest.mark.parametrize("pair", SWITCHED)
def test_code_switching_is_mixed(stage, pair):
    one, other = SWITCHED[pair]
    apart, turn = f"{one} " * 5 + "\n" + f"{other} " * 5, f"{one} " * 8
    made = stage.apply(records([apart, turn, f"{other} " * 8]))
    assert made["language"].to_pylist() == ["mixed", *pair]
    assert langid(mixed=False).apply(records([apart]))["language"][0].as_py() != "mixed"
    assert langid(second_opinion="langdetect").apply(records([apart]))["language"][0].as_py() == "mixed"


def test_the_note_on_mixed_is_in_the_parameters():
    assert "unrelated languages" in Langid.Params.model_fields["mixed"].description
