"""`dedup` against an oracle that compares all pairs, and against what must never happen."""

import json
import pickle
import random
import subprocess
import sys
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.core.errors import Fatal
from medcorpus.core.schema import RECORD
from medcorpus.core.stage import Context, verb
from medcorpus.stages.dedup import Dedup
from tests.records import records
from tests.text.test_shingles import SENTENCES, said

STAGE = Dedup(Dedup.Params())
STAGE.open()


def stage(state="", **params):
    return Dedup(Dedup.Params.model_validate(params), Context(state=str(state)))


def mcqa(answers, rationale=None, options=("a", "b")):
    return {
        "question": "?",
        "options": [{"key": key, "text": text} for key, text in zip("AB", options, strict=True)],
        "answers": answers,
        "rationale": rationale,
        "rationale_origin": None,
    }


def run(*batches, stage=STAGE):
    """The three phases as the engine runs them; all rows, in order."""
    decided = stage.resolve([stage.emit(iter([batch])) for batch in batches])
    assert decided.schema.names == ["part", "row", *(field.name for field in Dedup.decision_fields)]
    out = []
    for number, batch in enumerate(batches):
        written = stage.apply(batch, decided.filter(pc.equal(decided["part"], number)))
        assert written.select(batch.schema.names).equals(batch)
        assert [written.schema.field(field.name) for field in Dedup.writes] == list(Dedup.writes)
        out += written.to_pylist()
    return out


def kept(rows):
    return [row["dedup_duplicate_of"] is None for row in rows]


# -- the oracle -------------------------------------------------------------------------------------


def jaccard(one, two):
    (tokens, grams), (others, more) = said(one["text"] or ""), said(two["text"] or "")
    if tokens == others:
        return 1.0 if tokens or (one["text"] or "").strip() == (two["text"] or "").strip() != "" else 0.0
    return len(grams & more) / len(grams | more) if grams and more else 0.0


def rank(row):
    permissive = (row["licence"] or "").startswith(("CC-BY-4", "CC0"))
    rationale = bool(row["mcqa"] and row["mcqa"]["rationale"])
    answered = bool(row["mcqa"] and row["mcqa"]["answers"])
    return (-permissive, -rationale, -answered, -len(said(row["text"] or "")[0]), row["id"])


def answers(row):
    value = row["mcqa"]
    if not value or not value["answers"]:
        return None
    return {option["text"] for option in value["options"] if option["key"] in value["answers"]}


def copies(one, two, threshold=0.8):
    if answers(one) is not None and answers(two) is not None and answers(one) != answers(two):
        return False
    return jaccard(one, two) >= threshold


def check(rows, threshold=0.8):
    """What must hold whatever LSH happened to find."""
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        head = by_id.get(row["dedup_family"])
        of = by_id.get(row["dedup_duplicate_of"])
        family = [other for other in rows if head and other["dedup_family"] == head["id"]]
        assert row["dedup_family_size"] == max(len(family), 1)
        if head is not None:
            assert head["id"] == min(family, key=rank)["id"] and kept([head]) == [True]
        if of is not None:
            assert kept([of]) == [True] and rank(of) < rank(row) and copies(of, row, threshold)
            assert row["dedup_similarity"] == pytest.approx(jaccard(of, row), abs=1e-6)
            assert of["dedup_family"] == row["dedup_family"]
        if row["dedup_contradicts"]:
            other = by_id[row["dedup_contradicts"]]
            assert answers(row) != answers(other) and jaccard(row, other) >= threshold
    for one, two in combinations(rows, 2):
        if jaccard(one, two) == 1.0 and copies(one, two):
            assert one["dedup_family"] == two["dedup_family"] != None  # noqa: E711


WORDS = [
    "fever",
    "cough",
    "heart",
    "liver",
    "dose",
    "tablet",
    "doctor",
    "blood",
    "pain",
    "skin",
    "中",
    "血",
    "ยา",
    "ก็",
    "قلب",
    "हृदय",
]
ROW = st.tuples(
    st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join),
    st.sampled_from([None, "CC-BY-4.0", "CC-BY-NC-4.0", "CC0-1.0", "unknown"]),
    st.sampled_from([None, None, mcqa([]), mcqa(None), mcqa(["A"]), mcqa(["A"], "why"), mcqa(["B"]), mcqa(["B", "A"]),
                     mcqa(["A", "B"], "so")]),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(ROW, max_size=10), st.lists(st.integers(0, 9), max_size=6), st.integers(0, 16))
def test_equals_oracle_in_any_order_and_cut(rows, again, cut):
    rows = rows + [rows[i] for i in again if i < len(rows)]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]
    batch = records(columns[0], licence=columns[1], mcqa=columns[2])
    whole = run(batch)
    check(whole)
    cut = min(cut, len(rows))
    parts = run(batch.slice(cut), batch.slice(0, cut))
    assert sorted(map(json.dumps, map(_plain, whole))) == sorted(map(json.dumps, map(_plain, parts)))


def _plain(row):
    return {key: row[key] for key in ("id", *(field.name for field in Dedup.writes))}


# -- recall, in 14 languages ----------------------------------------------------------------------------


def corpus(seed, sentences=SENTENCES, documents=25, length=60):
    """Documents of each language with planted edits: (texts, language of each)."""
    rng = random.Random(seed)
    texts, languages = [], []
    for number, sentence in enumerate(sentences):
        units = sentence.split() if len(sentence.split()) > 5 else list(sentence)
        glue = " " if units[0] != sentence[0] or len(sentence.split()) > 5 else ""
        for _ in range(documents):
            words = [f"{rng.choice(units)}{rng.choice(units)}" for _ in range(length)]
            for edits in (0, rng.randint(0, 2), rng.randint(1, 4)):
                copy = list(words)
                for _ in range(edits):
                    copy[rng.randrange(len(copy))] = rng.choice(units)
                texts.append(glue.join(copy))
                languages.append(str(number))
    return texts, languages


@pytest.mark.parametrize("threshold", [0.7, 0.8])
def test_near_pairs_end_in_one_family(threshold):
    texts, languages = corpus(1)
    rows = run(records(texts, language=languages), stage=stage(threshold=threshold, guard=False))
    check_dropped(rows, threshold)
    pairs = found = 0
    grams = [said(row["text"])[1] for row in rows]
    for one, two in combinations(range(len(rows)), 2):
        if languages[one] == languages[two] and len(grams[one] & grams[two]) >= (threshold + 0.1) * len(
            grams[one] | grams[two]
        ):
            pairs += 1
            found += rows[one]["dedup_family"] == rows[two]["dedup_family"] is not None
    assert pairs > 200 and found / pairs >= 0.98


def check_dropped(rows, threshold):
    by_id = {row["id"]: row for row in rows}
    dropped = [row for row in rows if row["dedup_duplicate_of"]]
    for row in dropped:
        of = by_id[row["dedup_duplicate_of"]]
        assert of["dedup_duplicate_of"] is None and jaccard(of, row) >= threshold
        assert of["language"] == row["language"] or said(of["text"]) == said(row["text"])
    return len(dropped)


# -- fixtures: each is a fault of a well-known tool ---------------------------------------------------------


def test_short_texts_are_compared_whole():
    rows = run(records(["Acute renal failure", "acute renal failure.", "Acute renal failing", "Acute liver failure"]))
    assert sum(kept(rows)) == 3 and rows[0]["dedup_family"] == rows[1]["dedup_family"] is not None


@pytest.mark.parametrize("base", [0x4E00, 0x0E01, 0x1780])
def test_a_thousand_sentences_without_spaces(base):
    rng = random.Random(base)
    letters = [chr(base + i) for i in range(0x2E if base < 0x4E00 else 2000)]
    texts = ["".join(rng.choice(letters) for _ in range(rng.randint(8, 40))) for _ in range(1000)]
    rows = run(records(texts + texts[:3]))
    assert sum(kept(rows)) == len(set(texts)) == 1000
    assert [row["dedup_family_size"] for row in rows[-3:]] == [2, 2, 2]


LEAFLET = (
    "{name} {dose} mg film-coated tablets. What {name} is and what it is used for. It lowers the blood sugar of adults "
    "with diabetes when diet and exercise are not enough. Do not take it with severe kidney disease. Swallow it "
    "whole with a glass of water during or after a meal. Tell your doctor when you feel sick for more than a week. "
    "Keep it out of the sight and reach of children and do not use it after the date on the box. "
)


def test_two_strengths_both_stay_also_through_a_third_copy():
    low, high = (LEAFLET.format(name="Metformin", dose=dose) for dose in (500, 850))
    third = low.replace("500 mg", "tablets of")
    for texts in ([low, high], [low, high, third], [third, high, low, third + " End."]):
        rows = run(records(texts))
        by_text = {row["text"]: row for row in rows}
        for text in (low, high):
            of = by_text[text]["dedup_duplicate_of"]
            assert of is None or next(row for row in rows if row["id"] == of)["text"] not in (low, high)
            assert of is None
    assert sum(kept(run(records([low, high]), stage=stage(guard=False)))) == 1


@pytest.mark.parametrize("digits", ["500 850", "५०० ८५०", "٥٠٠ ٨٥٠", "๕๐๐ ๘๕๐"])
def test_equal_words_with_other_numbers_stay(digits):
    one, two = digits.split()
    rows = run(records([LEAFLET.format(name="X", dose=n).replace(" mg", "") for n in (one, two, one)]))
    assert sorted(kept(rows)) == [False, True, True]
    assert kept(rows)[1]


def test_parallel_leaflets_are_no_copies():
    """Nearly the same letters, as in Bosnian and Croatian; equal token by token is a copy all the same."""
    text = LEAFLET.format(name="Metformin", dose=500)
    near = text.replace("Swallow", "Take")
    assert sum(kept(run(records([text, near], language=["bos", "hrv"])))) == 2
    assert sum(kept(run(records([text, near], language=["bos", "und"])))) == 1
    assert sum(kept(run(records([text, text.upper()], language=["bos", "hrv"])))) == 1


TEMPLATE = (
    "{}: recommended for the treatment of the disease in the seventh edition of the guideline of the ministry of health"
)


@pytest.mark.parametrize("second", ["Umifenovir", "The new drug Umifenovir"])
def test_short_texts_that_begin_with_another_subject_stay(second):
    texts = [TEMPLATE.format("Ribavirin"), TEMPLATE.format(second), "It is " + TEMPLATE.format("x")[3:]]
    assert sum(kept(run(records(texts)))) == 3
    tails = [" ".join(reversed(text.split())) for text in texts]
    assert sum(kept(run(records(tails)))) == 3
    assert sum(kept(run(records(texts), stage=stage(guard=False)))) < 3


def test_one_answer_to_two_questions_stays_twice():
    answer = LEAFLET.format(name="Metformin", dose=500) * 2
    asked = ["Is cystinuria inherited?", "Is galactosemia inherited?", "is cystinuria inherited"]
    turns = [[{"role": "user", "content": q}, {"role": "assistant", "content": answer}] for q in asked]
    rows = run(records([f"{q}\n\n{answer}" for q in asked], turns=turns, kind="qa"))
    assert sum(kept(rows)) == 2 and rows[0]["dedup_family"] == rows[2]["dedup_family"] is not None
    items = [mcqa(["A"]) | {"question": q} for q in asked]
    rows = run(records([f"{q}\n\n{answer}" for q in asked], mcqa=items, kind="mcqa"))
    assert sum(kept(rows)) == 2


def test_the_good_copy_of_a_cluster_stays():
    text = LEAFLET.format(name="Metformin", dose=500)
    batch = records([text + "| Home > News > Login |", text], source="s")
    batch = batch.append_column("quality_letter_ratio", pa.array([0.8, 0.95], pa.float32()))
    batch = batch.append_column("quality_menu", pa.array([0.3, 0.0], pa.float32()))
    assert kept(run(batch)) == [False, True]
    assert kept(run(batch.select(RECORD.names))) == [True, False]  # unmeasured, the longer one stays


def test_survivor_order():
    batch = records(
        ["q"] * 5,
        licence=["unknown", "CC-BY-NC-4.0", "CC-BY-4.0", "MIT", None],
        mcqa=[mcqa(["A"], "why"), None, None, mcqa(["A"]), mcqa(["A"])],
        kind=["mcqa", "text", "qa", "mcqa", "mcqa"],
    )
    rows = run(batch)
    assert [row["dedup_duplicate_of"] for row in rows] == [rows[3]["id"]] * 3 + [None, rows[3]["id"]]


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("CC0", True), ("CC0-1.0", True), ("CC-BY-4.0", True), ("cc-by-sa-3.0", True), ("CC-BY", True),
        ("CC BY 4.0", True), ("CC-BY-SA", True), ("MIT", True), ("Apache-2.0", True), ("public-domain", True),
        ("Public Domain Mark 1.0", True), ("CC-BY-3.0-IGO", True), ("CC-BY-NC-4.0", False), ("CC-BY-ND-4.0", False),
        ("CC-BY-NC-SA-4.0", False), ("unknown", False), ("", False), (None, False), ("mitre", False),
        ("proprietary", False), ("GPL-3.0", False),
    ],
)  # fmt: skip
def test_permissive(licence, permissive):
    rows = run(records(["x y", "x y"], licence=[licence, "unknown"], locator=["z", "a"]))
    other = run(records(["x y", "x y"], licence=["unknown", "unknown"], locator=["z", "a"]))
    assert kept(rows)[0] == (permissive or kept(other)[0])


# -- questions ------------------------------------------------------------------------------------------------

QUESTION = (
    "A woman of 45 has had a fever and a painful swollen knee for two days. Which of these do you do first of all?"
)


def test_near_questions_with_other_answers_are_flagged():
    turned = QUESTION.replace("painful swollen", "swollen painful")
    texts = [QUESTION, turned, turned.replace("for two days", "for some days")]
    rows = run(records(texts, mcqa=[mcqa(["A"]), mcqa(["B"]), mcqa(["B"])], kind="mcqa"), stage=stage(threshold=0.5))
    assert rows[0]["dedup_duplicate_of"] is None and rows[0]["dedup_contradicts"]
    assert kept(rows).count(False) == 1 and rows[1]["dedup_family"] == rows[2]["dedup_family"]
    contradicts = Dedup.reasons["contradicts"].drops
    batch = pa.RecordBatch.from_pylist(rows, schema=pa.schema([*RECORD, *Dedup.writes]))
    assert contradicts(batch, STAGE.params, ()).to_pylist()[0]


def test_answers_are_texts_not_letters():
    turned = mcqa(["B"], options=("b", "a"))
    rows = run(records([QUESTION] * 3, mcqa=[mcqa(["A"]), turned, mcqa(["B"])], kind="mcqa"))
    assert rows[0]["dedup_family"] == rows[1]["dedup_family"] != rows[2]["dedup_family"]


def test_answers_that_differ_both_stay_and_a_row_without_goes():
    batch = records(["q", "q", "q"], mcqa=[mcqa(["A"]), mcqa(["B"]), None], kind=["mcqa", "mcqa", "text"])
    rows = run(batch)
    assert kept(rows) == [True, True, False]
    assert {row["dedup_family_size"] for row in rows} == {3}
    assert rows[0]["dedup_contradicts"] == rows[1]["id"] and rows[1]["dedup_contradicts"] == rows[0]["id"]


def test_plain_questions_with_short_answers():
    turns = [
        [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": said}]
        for said in ("Yes", "no.", "YES!")
    ]
    texts = [f"{QUESTION} {QUESTION} {turn[1]['content']}" for turn in turns]
    rows = run(records(texts, turns=turns, kind="qa"), stage=stage(threshold=0.5))
    assert rows[0]["dedup_family"] == rows[2]["dedup_family"] != rows[1]["dedup_family"]
    assert rows[1]["dedup_contradicts"]


# -- odd input ---------------------------------------------------------------------------------------------------


def test_empty_texts_and_batches():
    assert [row["dedup_family_size"] for row in run(records([None, "", " \u3000"]))] == [1, 1, 1]
    assert run(records([])) == []
    assert run(records([]), records(["x", "x"]), records([]))[0]["dedup_family_size"] == 2
    assert STAGE.resolve([]).num_rows == 0


def test_texts_of_signs_only():
    assert kept(run(records(["!!!", "!!!", "???", "🩺", "🩺"]))).count(True) == 3


def test_one_text_ten_thousand_times_and_one_of_a_million_words():
    rng = random.Random(0)
    long = " ".join(str(rng.random()) for _ in range(300_000))
    rows = run(records(["the same as ever before and after"] * 10_000 + [long, long + " end"]))
    assert sum(kept(rows)) == 2


def test_written_again_over_old_columns():
    batch = records(["x", "x"])
    once = STAGE.apply(batch, STAGE.resolve([STAGE.emit(iter([batch]))]))
    assert STAGE.apply(once, STAGE.resolve([STAGE.emit(iter([once]))])).equals(once)


# -- indexes --------------------------------------------------------------------------------------------------------


def test_an_index_keeps_its_rows(tmp_path):
    text = LEAFLET.format(name="Metformin", dose=500)
    first = records([text, "a short one", "another"], locator=["1", "2", "3"])
    run(first, stage=stage(tmp_path, index="all"))
    better = records([text + " More.", "a short one", "new"], locator=["4", "5", "6"], licence="CC0-1.0")
    rows = run(better, stage=stage(tmp_path, against=["self", "all"], index="all"))
    ids = first["id"].to_pylist()
    assert [row["dedup_duplicate_of"] for row in rows] == [ids[0], ids[1], None]
    assert rows[0]["dedup_family_size"] == 2
    third = stage(tmp_path, against="all")
    again = run(first, better, stage=third)
    assert kept(again) == [True, True, True, False, False, True]  # a row is no copy of itself
    assert json.loads((tmp_path / "index/all/2.json").read_text())["segments"].__len__() == 2
    run(better, stage=stage(tmp_path, against=["self", "all"], index="all"))
    assert not (tmp_path / "index/all/3.json").exists()  # nothing new, no version
    old = run(records(["new"]), stage=stage(tmp_path, against="all@1"))
    assert kept(old) == [True] and kept(run(records(["new"]), stage=third)) == [False]


def test_an_index_of_other_parameters_is_refused(tmp_path):
    run(records(["x"]), stage=stage(tmp_path, index="all"))
    for params, word in (({"threshold": 0.7}, "threshold 0.8"), ({"seed": 2}, "seed 1"), ({"shingle": 4}, "shingle 5")):
        with pytest.raises(Fatal, match=f"index all@1 was made with .*{word}"):
            stage(tmp_path, against="all", **params).resolve_digests()
    path = tmp_path / "index/all/1.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace('"scheme":1', '"scheme":0'))
    with pytest.raises(Fatal, match="scheme 0"):
        stage(tmp_path, against="all").resolve_digests()


def test_an_index_that_is_not_there(tmp_path):
    with pytest.raises(Fatal, match="there is no index all"):
        stage(tmp_path, against="all").resolve_digests()
    run(records(["x"]), stage=stage(tmp_path, index="all"))
    with pytest.raises(Fatal, match="it has versions 1"):
        stage(tmp_path, against="all@7").resolve_digests()
    with pytest.raises(Fatal, match="no name"):
        run(records(["x"]), stage=stage(tmp_path, index="../x"))
    with pytest.raises(Fatal, match="--state"):
        run(records(["x"]), stage=stage(index="x"))


def test_exported_lsh_answers_datasketch(tmp_path):
    datasketch = pytest.importorskip("datasketch")
    from medcorpus.text.shingles import shingles

    texts, _ = corpus(3, documents=2)
    rows = run(records(texts), stage=stage(export_lsh=str(tmp_path / "lsh.pickle"), guard=False))
    with (tmp_path / "lsh.pickle").open("rb") as file:
        lsh = pickle.load(file)
    found = shingles(pa.array(texts))
    for number, row in enumerate(rows):
        one = datasketch.MinHash(112, seed=1, hashfunc=lambda b: int.from_bytes(b, "little"))
        one.update_batch([v.tobytes() for v in found.values[found.offsets[number] : found.offsets[number + 1]]])
        if row["dedup_duplicate_of"] is None:
            assert row["id"] in lsh.query(one)
    assert len(lsh.keys) == sum(kept(rows))


def test_contract():
    assert verb(Dedup) == "gather"
    assert set(Dedup.reads) <= set(RECORD.names)
    code = "import sys, medcorpus.stages.dedup; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_seeds_agree_on_what_is_far_and_near():
    texts, languages = corpus(4, documents=6)
    batch = records(texts, language=languages)
    one, two = (run(batch, stage=stage(seed=seed, guard=False)) for seed in (1, 2))
    assert np.mean(np.array(kept(one)) == np.array(kept(two))) > 0.97
