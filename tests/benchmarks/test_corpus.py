"""The benchmark's corpus: real sentences, as many copies as stated, the same for the same seed."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import corpus
from benchmarks.measure import run
from benchmarks.table import Row, markdown

SENTENCE = "the patient was given water and rest for fever with cough after meals every day at home by nurse"
WORDS = list(SENTENCE.split(" "))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rng = random.Random(1)
    (folder / "in").mkdir()
    texts = [" ".join(rng.choices(WORDS, k=12)) + f" number {n}." for n in range(400)]
    (folder / "in/en.jsonl").write_text("".join(json.dumps({"text": row, "language": "en"}) + "\n" for row in texts))
    chars = "患者发热咳嗽头痛三天来院就诊查体体温血压正常给予治疗后好转出院随访"
    texts = ["".join(rng.choices(chars, k=30)) + "。" for n in range(400)]
    (folder / "in/zh.jsonl").write_text("".join(json.dumps({"text": row, "language": "zh"}) + "\n" for row in texts))
    for name in ("one", "two"):
        written = corpus.make(folder / name, 1, str(folder / "in"))
        assert written.bytes >= 1_000_000 and written.documents > 500
        kinds = [row["duplicate"] for row in rows(folder / name)]
        assert (written.exact, written.near) == (kinds.count("exact"), kinds.count("near"))
    return folder


def rows(folder: Path) -> list[dict]:
    return [row for part in sorted(folder.glob("*.parquet")) for row in pq.read_table(part).to_pylist()]


def test_the_same_seed_gives_the_same_corpus(made: Path) -> None:
    assert rows(made / "one") == rows(made / "two") and len(list((made / "one").glob("*"))) == corpus.PARTS


def test_copies_are_as_many_and_as_near_as_stated(made: Path) -> None:
    found = rows(made / "one")
    by_id = {row["id"]: row for row in found}
    share = {kind: sum(row["duplicate"] == kind for row in found) / len(found) for kind in ("exact", "near")}
    assert share["exact"] == pytest.approx(corpus.EXACT, abs=0.04) and share["near"] == pytest.approx(corpus.NEAR, abs=0.04)  # fmt: skip # noqa: E501
    for row in found:
        if row["duplicate"]:
            first = by_id[row["of"]]
            assert first["language"] == row["language"] and not first["duplicate"]
            assert (first["text"] == row["text"]) == (row["duplicate"] == "exact") or row["duplicate"] == "near"
        if row["duplicate"] == "near":
            one, two = first["text"], row["text"]
            changed = sum(a != b for a, b in zip(*((t if row["language"] == "zho" else t.split()) for t in (one, two)), strict=True))  # fmt: skip # noqa: E501
            assert changed / len(one if row["language"] == "zho" else one.split()) < 0.05
    assert {row["language"] for row in found} == {"eng", "zho"}


def test_a_pool_is_bounded_and_keeps_a_fair_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "MOST", 100)
    kept = corpus.Reservoir(random.Random(1))
    for one in range(10_000):
        kept.add(one)
    assert len(kept) == len(set(kept)) == 100 and 4000 < sum(kept) / 100 < 6000


def test_a_run_is_measured_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(200 << 20); import time; time.sleep(.5)'])"  # noqa: E501
    found = run([sys.executable, "-c", code], tmp_path)
    assert found.seconds > 0.5 and found.resident > 200 and found.anonymous > 190


def test_a_failing_command_stops_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such thing"):
        run([sys.executable, "-c", "import sys; sys.exit('no such thing')"], tmp_path)


def test_the_table() -> None:
    machine = {"processor": "P", "cores": 2, "python": "3.11", "corpus_mb": 1.0, "load": 0.0}
    shown = markdown(machine, [
        Row("w", "medcorpus", [2.0, 1.0, 3.0], 0.5, 10, 5, None, None),
        Row("w", "peer 1", [20.0], 0.05, 0, 0, 10.0, 14),
        Row("k", "medcorpus, one core", [0.1], 70.0, 0, 0, None, 40),
    ])  # fmt: skip
    assert "| w | medcorpus | 2.00 | 0.5 | 10 (5) |  |  |" in shown and "| 10.0 | 14 |" in shown
    assert "| 70.0 |  |  | 40 MB/s |" in shown and "P, 2 cores" in shown


def test_the_recipes_are_valid(made: Path) -> None:
    root = Path(corpus.__file__).parent
    for name in ("dedup", "quality", "langid", "pipeline"):
        done = subprocess.run(
            [sys.executable, "-m", "medcorpus", "check", str(root / f"{name}.yaml")],
            capture_output=True,
            text=True,
            env=os.environ | {"CORPUS": str(made / "one")},
        )
        assert done.returncode == 0, done.stderr
