"""`domain`: medicine told from the rest, in many languages; the published rule; lists of one's own; the bars."""

import json
import subprocess
import sys

import pyarrow as pa
import pytest

from medcorpus.core.errors import Fatal, Missing, RecipeError
from medcorpus.core.languages import registry
from medcorpus.core.stage import Context, Decision
from medcorpus.stages.domain import MMEDC, Domain, keeps_mmedc
from medcorpus.stages.select import Select
from medcorpus.text.domain_model import shipped_model
from tests.records import records

PAIRS = {
    "eng": (
        "The patient was given antibiotics for pneumonia; fever and cough went down within two days.",
        "The city council voted to build a new railway bridge over the river before next summer.",
    ),
    "fra": (
        "Le patient souffre d'une insuffisance rénale et reçoit un traitement contre l'hypertension artérielle.",
        "Le conseil municipal a voté la construction d'un nouveau stade de football pour la saison prochaine.",
    ),
    "zho": (
        "患者因发热、咳嗽入院，诊断为肺炎，给予抗生素治疗后症状好转。",
        "市议会投票决定明年夏天在河上修建一座新的铁路桥。",
    ),
    "jpn": (
        "患者は発熱と咳のため入院し、肺炎と診断されて抗菌薬の投与を受けた。",
        "市議会は来年の夏までに川に新しい鉄道橋を建設することを決めた。",
    ),
    "tha": (
        "ผู้ป่วยมีไข้และไอ แพทย์วินิจฉัยว่าเป็นปอดอักเสบและให้ยาปฏิชีวนะ",
        "สภาเมืองลงมติให้สร้างสะพานรถไฟแห่งใหม่ข้ามแม่น้ำก่อนฤดูร้อนปีหน้า",
    ),
    "ara": (
        "يعاني المريض من الحمى والسعال وقد شخص الطبيب التهابًا رئويًا ووصف المضادات الحيوية.",
        "صوت مجلس المدينة على بناء جسر جديد للسكك الحديدية فوق النهر قبل الصيف المقبل.",
    ),
    "hin": (
        "मरीज को बुखार और खांसी थी, डॉक्टर ने निमोनिया का निदान किया और एंटीबायोटिक दवा दी।",
        "नगर परिषद ने अगली गर्मियों से पहले नदी पर नया रेल पुल बनाने के लिए मतदान किया।",
    ),
    "swa": (
        "Mgonjwa alikuwa na homa na kikohozi; daktari aligundua nimonia na kumpa dawa za antibiotiki.",
        "Baraza la jiji lilipiga kura kujenga daraja jipya la reli juu ya mto kabla ya mwaka ujao.",
    ),
    "hau": (
        "Majinyaci yana da zazzabi da tari; likita ya gano ciwon huhu kuma ya ba shi magani.",
        "Majalisar birnin ta kada kuri'a don gina sabuwar gadar jirgin kasa a kan kogi.",
    ),
    "kor": (
        "환자는 발열과 기침으로 입원하여 폐렴 진단을 받고 항생제 치료를 받았다.",
        "시의회는 내년 여름까지 강 위에 새로운 철도 다리를 건설하기로 결정했다.",
    ),
}
HOSPITAL_NEWS = [
    "The new roof of the hospital's car park cost the county two million pounds, the mayor told the newspaper.",
    "Construction workers at the hospital site went on strike on Monday over unpaid wages, the union said.",
    "Le maire a inauguré le parking de l'hôpital, dont les travaux ont coûté deux millions d'euros à la ville.",
]


def domain(root=".", **params) -> Domain:
    stage = Domain(Domain.Params(**params), Context("domain", root=str(root)))
    stage.open()
    return stage


@pytest.fixture(scope="module")
def stage():
    return domain()


@pytest.mark.parametrize("language", PAIRS)
def test_medicine_and_the_rest(stage, language):
    made = stage.apply(records(list(PAIRS[language]), language=language))
    medical, other = made["domain_score"].to_pylist()
    assert medical > 0.5 > other
    assert made["domain_terms"].to_pylist()[0] >= 3 > made["domain_terms"].to_pylist()[1]
    assert made["domain_density"].to_pylist()[0] > 0.1


def test_news_of_a_hospital_is_not_medicine(stage):
    made = stage.apply(records(HOSPITAL_NEWS, language=["eng", "eng", "fra"]))
    assert min(made["domain_terms"].to_pylist()) >= 1, "the words are there"
    score = made["domain_score"].to_pylist()
    assert max(score) < 0.7
    assert sum(one < 0.5 for one in score) >= 2


def test_without_a_language_the_model_alone_decides(stage):
    texts = [PAIRS["eng"][0], PAIRS["eng"][1], PAIRS["eng"][0], None, ""]
    made = stage.apply(records(texts, language=["und", "und", None, "eng", "und"]))
    assert made["domain_terms"].to_pylist() == [0, 0, 0, 0, 0]
    score = made["domain_score"].to_pylist()
    assert score[0] == score[2] > 0.5 > score[1]


def dropped(batch, **limits) -> list[bool]:
    params = {"min_score": 0.5, "min_terms": None, "min_density": None, "preset": None} | limits
    select = Select(
        Select.Params(drop=["not_medical"]),
        Context("select", decisions=(Decision("not_medical", "medcorpus.stages.domain:Domain", params),)),
    )
    select.open()
    return [reason is not None for reason in select.apply(batch)["drop_reason"].to_pylist()]


def test_reasons(stage):
    one = stage.apply(records([*PAIRS["eng"], *PAIRS["swa"]], language=["eng", "eng", "swa", "swa"]))
    assert dropped(one) == [False, True, False, True]
    assert dropped(one, min_score=None) == [False] * 4
    assert dropped(one, min_score=None, min_terms=3) == [False, True, False, True]
    assert dropped(one, min_score=None, min_density=0.99) == [True] * 4


def test_the_published_rule():
    columns = {
        "language": ["eng", "eng", "eng", "rus", "swa", None],
        "domain_terms": pa.array([5, 4, 5, 4, 9, 9], pa.int32()),
        "domain_density": pa.array([0.04, 0.9, 0.039, 0.02, 0.9, 0.9], pa.float32()),
        "domain_score": pa.array([0.0, 1.0, 1.0, 0.0, 0.9, 0.1], pa.float32()),
    }
    batch = records(["x"] * 6, **columns)
    assert keeps_mmedc(batch).to_pylist() == [True, False, False, True, False, False]
    assert dropped(batch, preset="mmedc") == [False, True, True, False, False, True]
    assert set(MMEDC) <= set(registry().mission)


def test_lists_of_ones_own(tmp_path):
    (tmp_path / "sw.txt").write_text("# ours\ndaraja | madaraja\n")
    batch = records([PAIRS["swa"][1]], language="swa")
    assert domain(tmp_path, terms=".").apply(batch)["domain_terms"].to_pylist() == [1]
    assert domain().apply(batch)["domain_terms"].to_pylist() == [0]
    mine = domain(tmp_path, terms=".", only_mine=True)
    assert mine.apply(records([PAIRS["swa"][0]], language="swa"))["domain_terms"].to_pylist() == [0]
    assert mine.resource_digests() != domain().resource_digests()


GENERIC = {
    "eng": "He dropped his cell phone in the cold water, but the patient driver stayed positive during the operation.",
    "fra": "L'opération de police fut positive, et le chauffeur est resté patient malgré le froid.",
    "deu": "Die Operation der Armee verlief positiv, und die Behandlung des Gesetzes dauerte bis zum Abend.",
    "spa": "La operación de la policía fue positiva, y el conductor esperó paciente en la celda.",
    "rus": "Операция армии прошла успешно, и терпеливый водитель позвонил домой.",
    "zho": "警方的行动很成功，司机耐心地检查了手机电池。",
}


@pytest.mark.parametrize("language", GENERIC)
def test_a_word_that_medicine_shares_does_not_decide(stage, language):
    made = stage.apply(records([GENERIC[language]], language=language))
    assert made["domain_terms"].to_pylist()[0] <= 1
    assert made["domain_score"].to_pylist()[0] < 0.5


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("fr.txt", "fièvre\n".encode("latin-1"), r"fr\.txt is not utf-8"),
        ("fr.txt", b"# nothing yet\n", r"fr\.txt holds no term"),
        ("fr.txt", b"toux\n37\n", r"fr\.txt:2: the term '37' has no letter"),
        ("french_words.txt", b"toux\n", r"french_words\.txt is named after no language"),
    ],
)
def test_bad_lists_are_refused(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((Fatal, RecipeError), match=why):
        domain(tmp_path, terms=".")


def test_lists_written_on_windows(tmp_path):
    (tmp_path / "fr.txt").write_bytes("\ufeffpont | ponts\r\ngare\r\n".encode())
    made = domain(tmp_path, terms=".", only_mine=True).apply(records(["Les ponts et la gare."], language="fra"))
    assert made["domain_terms"].to_pylist() == [2]


def test_bad_input(tmp_path):
    with pytest.raises(RecipeError, match="only_mine"):
        domain(only_mine=True)
    with pytest.raises(Missing, match="there is no list"):
        domain(tmp_path, terms=".")
    (tmp_path / "swahily.txt").write_text("daraja\n")
    with pytest.raises(RecipeError, match=r"swahily\.txt is named after no language.*Swahili"):
        domain(tmp_path, terms=".")
    with pytest.raises(Missing, match="is not there"):
        domain(tmp_path, model="none.npz")
    (tmp_path / "bad.npz").write_bytes(shipped_model().read_bytes()[:1000])
    with pytest.raises(Fatal, match="cut short"):
        domain(tmp_path, model="bad.npz")


def test_the_command(tmp_path):
    rows = [{"text": text, "language": code} for code, pair in PAIRS.items() for text in pair]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "medcorpus", "domain", "in.jsonl", "out.jsonl", "--drop", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kept = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(row["text"] for row in kept) == sorted(pair[0] for pair in PAIRS.values())
    assert all(row["domain_score"] >= 0.5 for row in kept)


def test_the_model_is_small():
    assert shipped_model().stat().st_size <= 1 << 20
