"""Records to batches: tokens, plan, reader, against an oracle that walks token by token."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from medcorpus.training.plan.build import Settings, build
from medcorpus.training.plan.template import Apollo
from medcorpus.training.plan.tokens import fingerprint, write_tokens
from medcorpus.training.reader import Reader, table
from tests.training.helpers import EOS, batch, mcqa, qa, text, tokenizer

LANGUAGES = ["eng", "zho", "tha", "ara", "hin", "amh", "hau", None]
SAYINGS = ["Take one tablet with food. ", "每日两次，饭后服用。", "รับประทานหลังอาหาร ", "تناول قرصا مع الطعام ", "भोजन के बाद लें ", "ከምግብ በኋላ ይውሰዱ ", "A sha bayan cin abinci "]  # fmt: skip # noqa: E501
SETTINGS = Settings({"text": 1.0, "instruction": 1.0, "mcqa": 1.0}, window=160, batch_tokens=160 * 4)


def rows():
    made = []
    for number in range(60):
        saying = SAYINGS[number % 7]
        common = {"language": LANGUAGES[number % 8], "locator": f"doc-{number}"}
        made.append(text(saying * (1 + number % 4), source="web", **common))
        made.append(qa(saying + f"?{number}", saying[:12], source="chat", **common))
        made.append(mcqa(f"{number} {saying[:9]}", ["a", "b"], "AB"[number % 2], source="exam", **common))
    return made


def prepared(folder, settings=SETTINGS, source=None, **more):
    folder.mkdir(parents=True, exist_ok=True)
    documents = write_tokens([batch(source or rows())], tokenizer(), Apollo(EOS), EOS, folder)
    return documents, build(documents, settings, folder, **more)


def slow_batch(folder, rows):
    """The same batch from the table of spans, one token at a time."""
    spans, window = np.load(folder / "plan.npy"), json.loads((folder / "plan.json").read_text())["window"]
    tokens, learnt = np.load(folder / "tokens.npy"), np.load(folder / "learnt.npy")
    padding = {
        "input_ids": 0,
        "targets": -100,
        "position_ids": 0,
        "segment_ids": 0,
        "expert_ids": -1,
        "language_ids": -1,
    }
    made = {name: np.full((len(rows), window), value) for name, value in padding.items()}
    for line, row in enumerate(rows):
        at = 0
        for segment, span in enumerate(spans[spans["row"] == row]):
            for offset in range(span["length"]):
                here, last = span["start"] + offset, offset == span["length"] - 1
                target = -100 if last or not learnt[here + 1] else tokens[here + 1]
                values = [tokens[here], target, offset, segment + 1, span["expert"], span["language"]]
                for name, value in zip(made, values, strict=True):
                    made[name][line, at] = value
                at += 1
    return made


def test_reader_gives_what_the_table_says(tmp_path):
    prepared(tmp_path, experts={"eng": 0, "zho": 2})
    reader = Reader(tmp_path)
    for rows in (np.array([0, 3, -1, 5]), np.arange(reader.rows), np.array([-1])):
        batch, slow = reader.batch(rows), slow_batch(tmp_path, rows)
        for name, values in slow.items():
            assert np.array_equal(getattr(batch, name), values), name
    whole = reader.batch(np.arange(reader.rows))
    assert reader.count_learnt(np.arange(reader.rows)) == (whole.targets >= 0).sum()
    assert reader.count(np.arange(reader.rows)) == (whole.segment_ids > 0).sum()


def test_every_document_is_there_as_it_was_written(tmp_path):
    documents, plan = prepared(tmp_path)
    reader, seen = Reader(tmp_path), []
    batch = reader.batch(np.arange(reader.rows))
    for row in range(reader.rows):
        for segment in range(1, batch.segment_ids[row].max() + 1):
            mine = batch.segment_ids[row] == segment
            seen.append(tokenizer().decode(batch.input_ids[row][mine].tolist(), skip_special_tokens=False))
            learnt = batch.targets[row][mine & (batch.targets[row] >= 0)].tolist()
            answer = tokenizer().decode(learnt, skip_special_tokens=False)
            if seen[-1].startswith("User:"):
                assert answer == seen[-1].split("\nAssistant:")[1], "the answer and its stop token are learnt, no more"
    wanted = [row["text"] + EOS for row in rows() if "turns" not in row and "mcqa" not in row]
    assert sorted(s for s in seen if not s.startswith("User:")) == sorted(wanted)
    assert len(seen) == 180 == plan["figures"]["documents"]
    assert plan["figures"]["by_kind"]["mcqa"]["learnt"] == 60 * 2
    assert set(plan["languages"]) == {"eng", "zho", "tha", "ara", "hin", "amh", "hau", "und"}
    assert documents.languages == plan["languages"]


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 3])
def test_a_step_has_the_same_rows_for_every_number_of_devices(tmp_path, world, size):
    prepared(tmp_path)
    reader = Reader(tmp_path)
    for step in range(reader.steps):
        shared = [reader.micro_batches(step, size, rank, world) for rank in range(world)]
        assert len({len(one) for one in shared}) == 1, "all devices work equally often"
        rows = np.concatenate([row for one in shared for row in one])
        assert sorted(rows[rows >= 0].tolist()) == reader.rows_of(step).tolist()
    with pytest.raises(IndexError, match="not in the plan"):
        reader.rows_of(reader.steps)


def test_arrow_and_npy_say_the_same(tmp_path, monkeypatch):
    prepared(tmp_path, replace(SETTINGS, heldout=0.2))
    for stem in ("plan", "heldout"):
        arrow = table(tmp_path / stem)
        with monkeypatch.context() as patch:
            patch.setitem(__import__("sys").modules, "pyarrow", None)
            plain = table(tmp_path / stem)
        assert list(arrow) == list(plain)
        for name in arrow:
            assert arrow[name].dtype == plain[name].dtype and np.array_equal(arrow[name], plain[name])


def test_a_plan_does_not_depend_on_the_order_of_the_records(tmp_path):
    _, one = prepared(tmp_path / "one")
    turned = rows()[::-1]
    _, two = prepared(tmp_path / "two", source=turned)
    texts = []
    for name in ("one", "two"):
        reader = Reader(tmp_path / name)
        texts.append(reader.batch(np.arange(reader.rows)).input_ids.tolist())
    assert texts[0] == texts[1] and one["rows"] == two["rows"]
    assert one["digest"] == prepared(tmp_path / "again")[1]["digest"]


def test_long_texts_become_windows_and_long_conversations_are_counted(tmp_path):
    long = [
        text(SAYINGS[0] * 30, locator="t"),
        qa(SAYINGS[0] * 30, "x" * 9, locator="q"),
        qa("q", SAYINGS[1] * 9, locator="r"),
    ]
    documents, plan = prepared(
        tmp_path / "drop", replace(SETTINGS, window=64, overlap=16, mix={"text": 1.0, "qa": 1.0}), long
    )
    spans = np.load(tmp_path / "drop" / "plan.npy")
    assert set(spans["document"].tolist()) == {0} and plan["figures"]["too_long"] == 2
    starts = np.sort(spans["start"])
    assert set(np.diff(starts).tolist()) == {48} and spans["length"].sum() > documents.length[0]
    _, plan = prepared(tmp_path / "cut", replace(SETTINGS, window=64, too_long="cut", mix={"qa": 1.0}), long)
    spans = np.load(tmp_path / "cut" / "plan.npy")
    assert spans["length"].tolist() == [64, 64] and plan["figures"]["cut"] == 2
    reader = Reader(tmp_path / "cut")
    ends = reader.batch(np.arange(reader.rows)).input_ids[:, -1]
    stop = tokenizer().token_to_id(EOS)
    assert stop not in ends.tolist(), "no stop token is put where the cut is"


def test_shares_and_replay(tmp_path):
    _, plan = prepared(tmp_path / "a", replace(SETTINGS, mix={"mcqa": 1.0}, epochs=2))
    assert plan["figures"]["by_kind"].keys() == {"mcqa"} and plan["figures"]["by_kind"]["mcqa"]["spans"] == 120
    earlier = [({"text": 1.0, "qa": 1.0}, 0.1)]
    _, plan = prepared(tmp_path / "b", replace(SETTINGS, mix={"mcqa": 1.0}), earlier=earlier)
    whole = prepared(tmp_path / "c", replace(SETTINGS, mix={"text": 1.0, "qa": 1.0}))[1]["figures"]["by_kind"]
    for kind in ("text", "qa"):
        replayed = plan["figures"]["by_kind"][kind]["tokens"] / whole[kind]["tokens"]
        assert 0.05 < replayed < 0.35, "a tenth, in whole documents of each language"
    with pytest.raises(KeyError, match="mcq"):
        prepared(tmp_path / "d", replace(SETTINGS, mix={"mcq": 1.0}))
    with pytest.raises(ValueError, match="no document of the mix"):
        prepared(tmp_path / "e", replace(SETTINGS, window=2, overlap=0, mix={"mcqa": 1.0}))


def test_balance_gives_small_languages_more(tmp_path):
    source = [text(f"{n} {SAYINGS[0]}", locator=str(n)) for n in range(200)]
    source += [text(f"{n} {SAYINGS[6]}", language="hau", locator=f"h{n}") for n in range(20)]
    share = {}
    for balance in ("natural", "temperature", "unimax"):
        settings = replace(SETTINGS, mix={"text": 1.0}, balance=balance, max_epochs=3)
        figures = prepared(tmp_path / balance, settings, source)[1]["figures"]
        share[balance] = figures["by_language"]["hau"]["tokens"] / figures["tokens"]
    assert share["natural"] < share["unimax"] < share["temperature"] < 0.5


def test_held_out_documents_are_in_no_row(tmp_path):
    documents, plan = prepared(tmp_path, replace(SETTINGS, heldout=0.2))
    spans, apart = np.load(tmp_path / "plan.npy"), np.load(tmp_path / "heldout.npy")
    assert not set(spans["document"].tolist()) & set(apart["document"].tolist())
    assert plan["figures"]["heldout_documents"] == len(set(apart["document"].tolist())) > 10
    assert len(set(spans["document"].tolist())) + len(set(apart["document"].tolist())) == len(documents)


def test_fingerprints_know_an_item_again():
    (a, b, c, d, e, f) = batch(
        [
            mcqa("Which drug?", ["Aspirin", "Paracetamol"], "A"),
            mcqa("WHICH drug", ["paracetamol.", "Aspirin"], "B"),
            mcqa("Which drug?", ["Aspirin", "Ibuprofen"], "A"),
            text("ไข้ ไอ"),
            text("ไข ไอ"),  # another word: a mark less
            text(" ไข้  ไอ!"),
        ]
    ).to_pylist()
    assert fingerprint(a) == fingerprint(b) != fingerprint(c)
    assert fingerprint(d) == fingerprint(f) != fingerprint(e)


def test_the_table_of_documents_and_what_was_left_out(tmp_path):
    source = [*rows()[:6], text("  ", locator="x"), mcqa("q", ["a", "b"], "", locator="y"), text("not this", locator="z", split="test")]  # fmt: skip # noqa: E501
    documents = write_tokens(
        [batch(source)], tokenizer(), Apollo(EOS), EOS, tmp_path, lambda r: "split" if r["split"] == "test" else None
    )
    assert dict(documents.left_out) == {("eng", "no text"): 1, ("eng", "no answer"): 1, ("eng", "split"): 1}
    with pa.ipc.open_file(str(tmp_path / "documents.arrow")) as reader:
        read = reader.read_all()
    assert read["id"].to_pylist() == documents.ids and read["kind"].to_pylist()[:3] == ["text", "qa", "mcqa"]
    assert read["length"].to_pylist() == documents.length.tolist()
    assert np.load(tmp_path / "tokens.npy", mmap_mode="r").shape == (documents.length.sum(),)
    with pytest.raises(ValueError, match="no token '<nothing>'"):
        write_tokens([], tokenizer(), Apollo(EOS), "<nothing>", tmp_path)
