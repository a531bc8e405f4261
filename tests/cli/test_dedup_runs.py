"""Near-duplicates over days: slices, indexes, kills in each phase, other workers, the command on files."""

import contextlib
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.helpers import inside, medcorpus, parts, start, tree

RECIPE = """
name: daily
steps:
  - ingest: {path: in/*.jsonl, licence: CC0-1.0}
  - dedup: {threshold: 0.8%s}
  - select: {drop: [duplicate]}
  - shard:
"""
BEGINNINGS = {
    "eng": "The patient was told to call the doctor at once when the {} does not go away or the {} swells and hurts",
    "tha": "ผู้ป่วยควรรีบไปพบแพทย์ทันทีหากมีอาการ{}ไม่หายหรือ{}บวมและเจ็บปวดมากขึ้นกว่าเดิม",
    "zho": "如果{}不消失或者{}肿胀疼痛，患者应当立即去看医生并停止服用所有药物，同时注意休息。",
    "amh": "በሽተኛው {} ካልጠፋ ወይም {} ካበጠና ካመመ ወዲያውኑ ሐኪም ጋር መሄድ እንዳለበት ተነግሮታል።",
}
DAYS = 4  # `python -m benchmarks.slices` does ten larger ones
SLICE_BYTES = 4 << 20  # padded, so that a slice is large enough to stand alone
SYLLABLES = ["ba", "ko", "ru", "ti", "ne", "sa", "mo", "li", "fe", "du", "ga", "pi"]


def write_slice(folder: Path, day: int, rows: int = 60) -> None:
    """Day's file: new texts, copies and near copies of texts of this and earlier days."""
    rng = random.Random(day)

    def text(number: int) -> str:
        chance = random.Random(number)
        words = ["".join(chance.choices(SYLLABLES, k=3)) for _ in range(60)]
        kind = list(BEGINNINGS)[number % len(BEGINNINGS)]
        return BEGINNINGS[kind].format(words[0], words[1]) + " " + " ".join(words[2:])

    lines = []
    for number in range(rows):
        chosen = text(day * rows + number)
        if number % 3 == 1:
            chosen = text(rng.randrange(day * rows + number))
        if number % 3 == 2:
            words = text(rng.randrange(day * rows + number)).split(" ")
            words[rng.randrange(len(words))] = "xyz"
            chosen = " ".join(words)
        lines.append(json.dumps({"text": chosen}) + " " * (SLICE_BYTES // rows))
    (folder / "in").mkdir(parents=True, exist_ok=True)
    (folder / f"in/{day:02}.jsonl").write_text("\n".join(lines) + "\n")


def build(folder: Path, more: str = "", *args: str) -> dict:
    (folder / "daily.yaml").write_text(RECIPE % more)
    report = json.loads(inside("build", "daily.yaml", "--json", *args, cwd=folder).stdout)
    return {step["id"]: step for step in report["steps"]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All slices at once."""
    folder = tmp_path_factory.mktemp("whole")
    for day in range(DAYS):
        write_slice(folder, day)
    return folder, build(folder)


def test_slices_equal_all_at_once(whole, tmp_path):
    for day in range(DAYS):
        write_slice(tmp_path, day)
        before = parts(tmp_path / "runs/daily")
        steps = build(tmp_path)
        phases = steps["dedup"]["phases"]
        new = steps["ingest"]["parts_run"]
        assert phases["emit"]["tasks"] == new  # hashing is done for the slice only
        assert phases["resolve"]["tasks"] == 1
        after = parts(tmp_path / "runs/daily")
        assert all(after[name] == what for name, what in before.items())
        assert phases["apply"]["tasks"] <= steps["dedup"]["parts"]
    assert tree(tmp_path / "runs/daily/dataset") == tree(whole[0] / "runs/daily/dataset")
    left = whole[1]["select"]["account"]["reasons"]["duplicate"]
    assert sum(left.values()) > 60


def test_only_parts_with_other_decisions_are_written_again(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run", symlinks=True)
    folder = tmp_path / "run"
    (folder / "in/new.jsonl").write_text(
        json.dumps({"text": "nothing like it was ever said before, anywhere " * 2}) + "\n"
    )
    steps = build(folder)
    assert steps["dedup"]["phases"]["apply"]["tasks"] == steps["ingest"]["parts_run"]
    (folder / "in/copy.jsonl").write_text((folder / "in/00.jsonl").read_text().splitlines()[0] + "\n")
    steps = build(folder)
    assert steps["dedup"]["phases"]["apply"]["tasks"] < steps["dedup"]["parts"]  # its family's parts


def test_workers_and_file_names_make_no_difference(whole, tmp_path):
    """Other files: the same lines in one file give the same texts and families (ids follow the file)."""
    for day in reversed(range(DAYS)):
        write_slice(tmp_path, day)
    build(tmp_path, "", "--workers", "4")
    assert tree(tmp_path / "runs/daily/dataset") == tree(whole[0] / "runs/daily/dataset")


def test_an_index_over_two_recipes(tmp_path):
    for day in range(2):
        write_slice(tmp_path, day)
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, day in ((first, 0), (second, 1)):
        (folder / "in").mkdir(parents=True)
        shutil.copy(tmp_path / f"in/{day:02}.jsonl", folder / "in")
    state = str(tmp_path / "state")
    build(first, ", index: all", "--state", state)
    alone = build(second, "", "--state", state)
    both = build(second, ", against: [self, all], index: all", "--state", state)
    dropped = [sum(s["select"]["account"]["reasons"]["duplicate"].values()) for s in (alone, both)]
    assert dropped[1] > dropped[0]
    assert sorted(p.name for p in (tmp_path / "state/index/all").glob("*.json")) == ["1.json", "2.json"]
    again = build(second, ", against: [self, all], index: all", "--state", state)
    assert again["dedup"]["phases"].get("emit") is None, "a new version of the index hashes nothing again"
    assert tree(tmp_path / "state/index/all").keys() == tree(tmp_path / "state/index/all").keys()
    refused = inside("build", "daily.yaml", "--set", "dedup.threshold=0.7", "--state", state, cwd=second, code=3)
    assert "index all@2 was made with" in refused.stderr and "threshold 0.8 (here 0.7)" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_explain_shows_the_survivor_and_the_evidence(whole):
    folder, _ = whole
    listed = json.loads(inside("explain", "runs/daily", "duplicate", "--json", cwd=folder).stdout)
    row = listed["first"][0]
    told = inside("explain", "runs/daily", row["id"], cwd=folder).stdout
    assert "dedup_duplicate_of" in told and "dedup_similarity" in told and "dedup_family_size" in told


def test_the_command_on_a_file(whole, tmp_path):
    for name in (p.name for p in (whole[0] / "in").iterdir()):
        shutil.copy(whole[0] / "in" / name, tmp_path)
    medcorpus("dedup", "*.jsonl", "out.parquet", "--threshold", "0.8", "--export-lsh", "lsh.pickle", cwd=tmp_path)
    kept = sum(whole[1]["select"]["account"]["rows_out"].values())
    assert abs(pq.read_table(tmp_path / "out.parquet").num_rows - kept) <= 3  # other ids, so other survivors
    assert (tmp_path / "lsh.pickle").stat().st_size > 1000


# -- kills ----------------------------------------------------------------------------------------------------


def killed_in(folder: Path, phase: str, share: float, lasts: float) -> bool:
    """Start a build, kill it `share * lasts` seconds after `dedup` began that phase. Was it still running?"""
    process = start("build", "daily.yaml", cwd=folder)
    label = {"emit": "dedup (emit):", "resolve": "dedup (resolve):", "apply": "dedup:"}[phase]
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(label):
            break
    time.sleep(share * lasts)
    running = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return running


@pytest.mark.parametrize(
    "phase", ["emit", *(pytest.param(phase, marks=pytest.mark.accept) for phase in ("resolve", "apply"))]
)
def test_kill_9_in_each_phase(phase, whole, tmp_path):
    for day in range(DAYS):
        write_slice(tmp_path, day)
    (tmp_path / "daily.yaml").write_text(RECIPE % "")
    killed_in(tmp_path, phase, 0.5, 0.1)
    before = parts(tmp_path / "runs/daily")
    build(tmp_path)
    after = parts(tmp_path / "runs/daily")
    assert all(after[name] == what for name, what in before.items()), "nothing committed is done twice"
    assert tree(tmp_path / "runs/daily/dataset") == tree(whole[0] / "runs/daily/dataset")


@pytest.mark.accept
@pytest.mark.timeout(3600)
def test_kill_9_at_50_random_moments_inside_the_phases(tmp_path):
    seed = int(os.environ.get("MEDCORPUS_SEED", "4"))
    chance = random.Random(seed)
    base = tmp_path / "base"
    for day in range(DAYS):
        write_slice(base, day, rows=4000)
    steps = build(base)
    want = tree(base / "runs/daily/dataset")
    workers = 2
    lasts = {name: told["seconds"] / workers + 0.05 for name, told in steps["dedup"]["phases"].items()}
    print(f"\nseed {seed}; the phases last about { ({k: round(v, 2) for k, v in lasts.items()}) } s")
    hit = 0
    for number in range(50):
        phase = ["emit", "resolve", "apply"][number % 3]
        folder = tmp_path / str(number)
        shutil.copytree(base / "in", folder / "in")
        (folder / "daily.yaml").write_text(RECIPE % "")
        running = killed_in(folder, phase, chance.random(), lasts[phase])
        hit += running
        found = len(parts(folder / "runs/daily"))
        build(folder)
        assert tree(folder / "runs/daily/dataset") == want
        print(f"{number:>3} {phase:>8} {'killed' if running else 'too late':>9} {found:>4} parts found: byte-equal")
        shutil.rmtree(folder)
    assert hit > 40
