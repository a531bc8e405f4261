"""`langid`: the language it is, `und` when unsure, and what the source said is kept."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from medcorpus.core.errors import Fatal, Missing
from medcorpus.core.languages import registry
from medcorpus.core.log import log
from medcorpus.core.stage import Context, Decision
from medcorpus.stages.extract import Extract, ExtractParams
from medcorpus.stages.langid import Langid, second_opinion
from medcorpus.stages.select import Select
from medcorpus.text.lid.model import shipped_model
from tests.reading import DATA, ingest
from tests.records import records

if not shipped_model().exists():
    pytest.skip("the shipped model is not here", allow_module_level=True)

TEXTS = {
    "eng": "The patient was admitted to hospital with fever, cough and shortness of breath that began recently.",
    "fra": "Le patient a été admis à l'hôpital avec de la fièvre, une toux et un essoufflement depuis deux jours.",
    "deu": "Der Patient wurde mit Fieber, Husten und Atemnot, die seit zwei Tagen bestehen, ins Krankenhaus gebracht.",
    "zho": "患者因发热、咳嗽和呼吸困难两天入院，既往有高血压病史，长期服用降压药物，血压控制良好。",
    "jpn": "患者は二日前から続く発熱と咳、息切れのために入院しました。以前から高血圧の治療を受けています。",
    "ara": "أُدخل المريض إلى المستشفى بسبب الحمى والسعال وضيق التنفس منذ يومين، وهو مصاب بارتفاع ضغط الدم.",
    "hin": "मरीज को दो दिन से बुखार, खांसी और सांस लेने में तकलीफ के कारण अस्पताल में भर्ती कराया गया।",
    "swa": "Mgonjwa alilazwa hospitalini akiwa na homa, kikohozi na shida ya kupumua kwa muda wa siku mbili.",
    "tha": "ผู้ป่วยเข้ารับการรักษาในโรงพยาบาลด้วยอาการไข้ ไอ และหายใจลำบากมาสองวัน มีประวัติความดันโลหิตสูง",
    "rus": "Пациент поступил в больницу с лихорадкой, кашлем и одышкой, которые начались два дня назад.",
}
SCRIPTS = {"eng": "Latn", "zho": "Hans", "jpn": "Jpan", "ara": "Arab", "hin": "Deva", "tha": "Thai", "rus": "Cyrl"}


def langid(root=".", **params) -> Langid:
    stage = Langid(Langid.Params(**params), Context("langid", root=str(root)))
    stage.open()
    return stage


@pytest.fixture(scope="module")
def stage():
    return langid()


def test_languages_scripts_and_scores(stage):
    made = stage.apply(records(list(TEXTS.values())))
    assert made["language"].to_pylist() == list(TEXTS)
    assert dict(zip(TEXTS, made["script"].to_pylist(), strict=True)).items() >= SCRIPTS.items()
    assert made["language_score"].type == pa.float32()
    assert all(0.5 < score <= 1 for score in made["language_score"].to_pylist())
    assert made["langid_second"].null_count == len(TEXTS)


LETTERLESS = [None, "", "   \n\t", "120/80 mmHg"[:6], "12.5 % (3/24) — 2021-03-04", "🙂🙂🙂", "!!! ... ???", "\u0000"]


def test_a_row_without_letters_is_und(stage):
    made = stage.apply(records(LETTERLESS, language="eng"))
    assert set(made["language"].to_pylist()) == {"und"}
    assert set(made["script"].to_pylist()) == {None}


def test_codes_are_of_the_registry(stage):
    texts = [*TEXTS.values(), *LETTERLESS, "qwxzk vbnmq zzxxw", "a", "ok", "lorem", "mg mg mg"]
    made = stage.apply(records(texts))
    known = {lang.code for lang in registry()} | registry().pseudo
    assert set(made["language"].to_pylist()) <= known


def test_what_is_declared_is_kept(stage):
    batch = records([TEXTS["eng"], TEXTS["fra"], TEXTS["zho"]], language=["fra", None, "und"])
    made = stage.apply(batch)
    assert made["language"].to_pylist() == ["eng", "fra", "zho"]
    assert made["langid_declared"].to_pylist() == ["fra", None, "und"]


def test_und_below():
    batch = records(list(TEXTS.values()))
    assert set(langid(und_below=1.0).apply(batch)["language"].to_pylist()) <= {"und", *TEXTS}
    doubtful = records(["ok", "no", "si", "die man", "a la mode de", "Paris"])
    strict, loose = langid(und_below=0.95).apply(doubtful), langid(und_below=0).apply(doubtful)
    assert strict["language_score"].equals(loose["language_score"]), "the score says how sure, whatever the limit"
    for language, before, score in zip(
        strict["language"].to_pylist(),
        loose["language"].to_pylist(),
        strict["language_score"].to_pylist(),
        strict=True,
    ):
        assert language == ("und" if score < 0.95 else before)
    assert "und" in strict["language"].to_pylist()


def test_rows_stay_as_they_are(stage):
    batch = records([*TEXTS.values(), None], language="eng", quality_words=1)
    made = stage.apply(batch)
    written = [field.name for field in Langid.writes]
    assert made.drop_columns(written).equals(batch.drop_columns(["language", "script", "language_score"]))
    for field in Langid.writes:
        assert made.schema.field(field.name).type == field.type
    empty = stage.apply(batch.slice(0, 0))
    assert (empty.num_rows, empty.schema) == (0, made.schema)


def test_batches_do_not_matter(stage):
    batch = records([*TEXTS.values(), *LETTERLESS])
    whole = stage.apply(batch)
    for cut in range(0, batch.num_rows, 5):
        pieces = [stage.apply(batch.slice(0, cut)), stage.apply(batch.slice(cut))]
        assert pa.Table.from_batches(pieces) == pa.Table.from_batches([whole])


# -- reasons ---------------------------------------------------------------------------------------


def dropped(batch: pa.RecordBatch, reason: str, languages: tuple[str, ...] | None = None, **limits) -> list[bool]:
    bound = Decision(reason, "medcorpus.stages.langid:Langid", limits, languages)
    select = Select(Select.Params(drop=(reason,)), Context(decisions=(bound,)))
    select.open()
    return [found == reason for found in select.apply(batch)["drop_reason"].to_pylist()]


def test_wrong_language(stage):
    made = stage.apply(records([TEXTS["eng"], TEXTS["fra"], TEXTS["zho"], "12345", None]))
    assert dropped(made, "wrong_language", ("eng", "zho"), min_score=0.5) == [False, True, False, True, True]
    assert dropped(made, "wrong_language", ("eng", "fra", "und", "zho"), min_score=0.0) == [False] * 5
    score = made["language_score"][0].as_py()
    assert score < 1
    assert dropped(made, "wrong_language", ("eng",), min_score=score)[0] is False
    assert dropped(made, "wrong_language", ("eng",), min_score=1.0)[0] is True


def test_mislabelled(stage):
    declared = ["eng", "deu", None, "und", "eng"]
    texts = [TEXTS["eng"], TEXTS["eng"], TEXTS["eng"], TEXTS["eng"], "12345"]
    made = stage.apply(records(texts, language=declared))
    assert dropped(made, "mislabelled", sure=0.8) == [False, True, False, False, False]
    assert dropped(made, "mislabelled", sure=1.0) == [False] * 5, "not sure enough to contradict a label"


# -- a second opinion ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["eng", "fra", "zho", "jpn", "ara"])
def test_second_opinion_speaks_our_codes(code):
    assert second_opinion(TEXTS[code]) == code


def test_second_opinion_is_stable():
    for text in ("die man", "a la carte", "no", "per os", "Otitis media acuta"):
        assert len({second_opinion(text) for _ in range(8)}) == 1


@pytest.mark.parametrize("text", ["", "12345", "...", "\u0000"])
def test_second_opinion_on_nothing_is_und(text):
    assert second_opinion(text) == "und"


def test_disagreement_makes_und():
    texts = [*TEXTS.values(), "12345", "die man", "no"]
    plain = langid().apply(records(texts))
    asked = langid(second_opinion="langdetect", unsure_below=1.0).apply(records(texts))
    assert asked["language_score"].equals(plain["language_score"])
    for before, score, after, other in zip(
        plain["language"].to_pylist(),
        plain["language_score"].to_pylist(),
        asked["language"].to_pylist(),
        asked["langid_second"].to_pylist(),
        strict=True,
    ):
        if other is None:
            assert score >= 1 and after == before
        else:
            assert after == (before if other == before else "und")
    assert asked["langid_second"].null_count < len(texts)


def test_only_unsure_rows_are_asked():
    made = langid(second_opinion="langdetect", unsure_below=0.0).apply(records(list(TEXTS.values())))
    assert made["langid_second"].null_count == len(TEXTS)


# -- models ----------------------------------------------------------------------------------------


def test_a_model_that_is_not_there(tmp_path):
    stage = Langid(Langid.Params(model="lid.176.bin"), Context(root=str(tmp_path)))
    for use in (stage.resource_digests, stage.open):
        with pytest.raises(Missing, match=r"lid\.176\.bin; did you mean .lid176..; use `model: medcorpus`") as caught:
            use()
        assert str(tmp_path) in str(caught.value)
        assert caught.value.exit_code == 4


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "bad.bin").write_bytes(b"not a model")
    with pytest.raises(Fatal, match=r"bad\.bin is not a fastText model"):
        langid(tmp_path, model="bad.bin")


def test_a_model_by_its_path(tmp_path, monkeypatch):
    """The path is a place: it is in no key, what the file holds is."""
    monkeypatch.setenv("MODELS", str(tmp_path))
    copy = tmp_path / shipped_model().name
    copy.write_bytes(shipped_model().read_bytes())
    stage = langid(tmp_path / "elsewhere", model="${MODELS}/" + copy.name)
    assert stage.apply(records([TEXTS["swa"]]))["language"].to_pylist() == ["swa"]
    assert stage.resource_digests() == langid().resource_digests()
    foreign = copy.rename(tmp_path / "foreign.ftz")  # fed raw text, so its answers may differ
    assert langid(tmp_path, model=foreign.name).resource_digests() != langid().resource_digests()
    assert "model" not in Langid.Params(model="x").data()


OTHERS = {
    "cmn_Hani": "患者 发热",
    "arb_Arab": "المريض حمى",
    "ary_Arab": "المريض حمى",  # the same text under two labels of one macrolanguage
    "no": "pasienten feber",
    "zxx_Zxxx": "http config",
    "srp_Latn": "bolesnik groznica",
    "als": "chrank fieber",
    "xyz_Abcd": "blorp gnarf",
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A small fastText model with labels of other makers.

    It is trained in a process whose memory is zero at first, because fastText begins with unset memory.
    """
    folder = tmp_path_factory.mktemp("model")
    lines = [f"__label__{label} {text}\n" for label, text in OTHERS.items()]
    (folder / "train.txt").write_text("".join(lines * 60))
    code = (
        "import sys, fasttext; text, model = sys.argv[1:]; "
        "fasttext.train_supervised(text, dim=8, epoch=60, lr=0.5, thread=1, verbose=0).save_model(model)"
    )
    command = [sys.executable, "-c", code, str(folder / "train.txt"), str(folder / "other.bin")]
    zeros = {"MALLOC_PERTURB_": "255", "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    subprocess.run(command, env=os.environ | zeros, check=True)
    return folder / "other.bin"


def test_labels_of_other_models(foreign):
    made = langid(foreign.parent, model="other.bin", und_below=0.5).apply(records(list(OTHERS.values())))
    found = dict(zip(OTHERS, made["language"].to_pylist(), strict=True))
    assert found == {
        "cmn_Hani": "zho",
        "arb_Arab": "ara",
        "ary_Arab": "ara",
        "no": "nob",
        "zxx_Zxxx": "und",
        "srp_Latn": "srp",
        "als": "sqi",
        "xyz_Abcd": "und",  # a label that we do not know is no guess
    }
    assert made["script"].to_pylist()[5] == "Latn"
    assert made["language_score"][1].as_py() > 0.9, "two labels of Arabic, half sure each, are surely Arabic"


def test_labels_that_nobody_knows_are_told_with_the_nearest(foreign, caplog, monkeypatch):
    monkeypatch.setattr(log, "propagate", True)
    langid(foreign.parent, model="other.bin")
    assert "langid: 1 of the 8 labels of other.bin are not known: unknown language 'xyz_Abcd'; nearest" in caplog.text
    assert "they become `und`" in caplog.text


def test_whose_labels_they_are(foreign):
    """`als` is Alemannic in lid.176 and Albanian elsewhere."""
    batch = records([OTHERS["als"]])
    assert langid(foreign.parent, model="other.bin", labels="lid176").apply(batch)["language"].to_pylist() == ["gsw"]
    assert langid(foreign.parent, model="other.bin", labels="sib200").apply(batch)["language"].to_pylist() == ["sqi"]


def test_sorts_of_arabic_are_arabic(stage):
    """The model parts Arabic into ten; plain sentences must not be lost between them."""
    texts = [TEXTS["ara"], "يعاني المريض من ارتفاع ضغط الدم المزمن", "تناول الدواء مرتين في اليوم بعد الطعام"]
    made = stage.apply(records(texts))
    assert made["language"].to_pylist() == ["ara"] * 3
    assert min(made["language_score"].to_pylist()) > 0.9


def test_the_model_is_small_enough_to_ship():
    assert Path(shipped_model()).stat().st_size < 8 << 20


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not here")
def test_folders_that_lie_are_caught(stage):
    """Pages in the folders fr, es and sw of a site are English: everything long enough to tell is `mislabelled`."""
    folder = {"language": {"from": "folder"}}
    rows, _ = ingest(DATA, path="web/safebirth_mislabelled", columns=folder)
    given = records([None] * len(rows), body=[row["body"] for row in rows], language=[row["language"] for row in rows])
    made = stage.apply(Extract(ExtractParams(), Context()).apply(given))
    caught = dropped(made, "mislabelled", sure=0.8)
    said = Counter()
    for row, found, lies in zip(rows, made["language"].to_pylist(), caught, strict=True):
        said[row["language"], found, lies] += 1
    lied = sum(count for (declared, _, lies), count in said.items() if declared != "eng" and lies)
    assert lied >= 117, "39 of the 41 pages in each of three folders: one is surely too short, of one it is not sure"
    assert all(found in ("eng", "und") for declared, found, _ in said)
    assert not any(lies for declared, _, lies in said if declared == "eng")


# -- mixed, several models --------------------------------------------------------------------------


def test_a_text_of_two_languages_is_mixed(stage):
    half = {code: " ".join([text] * 6) for code, text in TEXTS.items()}
    pairs = [("eng", "zho"), ("hin", "eng"), ("fra", "swa"), ("ara", "eng")]
    made = stage.apply(records([half[a] + "\n" + half[b] for a, b in pairs]))
    assert made["language"].to_pylist() == ["mixed"] * len(pairs)
    off = langid(mixed=False).apply(records([half[a] + "\n" + half[b] for a, b in pairs]))
    assert "mixed" not in off["language"].to_pylist()


def test_what_is_not_mixed(stage):
    texts = {
        "zho": "患者入院后行 CT 和 MRI 检查，未见明显异常，血压 120/80 mmHg，给予 aspirin 治疗，症状逐渐好转。" * 12,
        "ara": "أُجري للمريض تصوير CT و MRI وأُعطي aspirin 100 mg مرة يوميًا وكان فحص COVID-19 PCR سلبيًا. " * 12,
        "dan": "Patienten blev indlagt på hospitalet med feber og hoste, og lægen gav medicin mod smerter. " * 12,
        "eng": "The term Angst comes from German; the patient felt a certain je ne sais quoi after dinner. " * 12,
    }
    assert stage.apply(records(list(texts.values())))["language"].to_pylist() == list(texts)
    long = [" ".join([text] * 20) for text in TEXTS.values()]
    assert stage.apply(records(long))["language"].to_pylist() == list(TEXTS)


def test_several_models_vote(tmp_path):
    """The shipped file under another name is a foreign model: it sees text as it is, and is often wrong."""
    (tmp_path / "other.bin").write_bytes(shipped_model().read_bytes())
    batch = records(list(TEXTS.values()))
    both = langid(tmp_path, ensemble=["other.bin", "langdetect"], labels="sib200", mixed=False)
    assert both.apply(batch)["language"].to_pylist() == list(TEXTS)
    alone = langid().resource_digests()
    assert alone.items() < both.resource_digests().items()
    assert both.resource_digests()["model2"].startswith("langdetect ")
    doubtful = records(["ok", "Paris", "mg"])
    score = both.apply(doubtful)["language_score"].to_pylist()
    assert all(one <= 1 for one in score)


def test_langdetect_alone():
    made = langid(model="langdetect", mixed=False).apply(records([TEXTS["fra"], TEXTS["tha"], "", None]))
    assert made["language"].to_pylist() == ["fra", "tha", "und", "und"]
    assert made["script"].to_pylist() == ["Latn", "Thai", None, None]


@pytest.mark.parametrize("name", ["lid176", "glotlid"])
def test_known_models_are_looked_for_by_name(name, tmp_path):
    stage = Langid(Langid.Params(model=name), Context(root=str(tmp_path), state=str(tmp_path)))
    with pytest.raises(Missing, match=rf"langid: put .* into {tmp_path}/models"):
        stage.open()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / {"lid176": "lid.176.ftz", "glotlid": "model_v3.bin"}[name]).write_bytes(b"cut short")
    with pytest.raises(Fatal, match="is not a fastText model"):
        stage.open()
