"""What a nightly job lives on: only what is new is done, and how it came to be leaves no trace in the bytes."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.cli.helpers import inside, parts, tree

SENTENCES = {
    "en": "The patient in bed {n} was given {n} mg of the drug and slept well until the morning round.",
    "th": "ผู้ป่วยเตียงที่ {n} ได้รับยา {n} มิลลิกรัม และนอนหลับสบายจนถึงเช้าวันรุ่งขึ้น",
    "am": "በአልጋ ቁጥር {n} ያለው ታካሚ {n} ሚሊግራም መድኃኒት ተሰጥቶት እስከ ጠዋት ድረስ በደንብ ተኛ።",
}
RECIPE = """
name: nightly
languages: [en, th, am]
steps:
  - ingest: {path: in/**, licence: CC0-1.0}
  - langid: {min_score: 0.4}
  - quality:
  - select: {drop: [wrong_language, too_short, low_quality]}
    id: first_cut
  - dedup:
  - select: {drop: [duplicate]}
    id: final_cut
  - shard:
"""


def write(folder: Path, numbers) -> None:
    for n in numbers:
        for code, sentence in SENTENCES.items():
            path = folder / f"in/{code}/{n:03}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(sentence.format(n=n))


def build(folder: Path, *args: str) -> dict[str, dict]:
    (folder / "nightly.yaml").write_text(RECIPE)
    done = inside("build", "nightly.yaml", "--json", *args, cwd=folder)
    report = json.loads(done.stdout)
    return {step["id"]: step for step in report["steps"]} | {"changed": report["changed"]}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    write(folder, range(100))
    return folder, build(folder)


def test_one_added_file_runs_one_group(base):
    folder, first = base
    assert first["ingest"]["parts"] > 4, "small files lie in several groups"
    before = parts(folder / "runs/nightly")
    write(folder, [500])
    (folder / "in/en/500.txt").unlink()
    (folder / "in/am/500.txt").unlink()
    again = build(folder)
    assert [again[step]["parts_run"] for step in ("ingest", "quality", "first_cut")] == [1, 1, 1]
    after = parts(folder / "runs/nightly")
    assert all(after[name] == what for name, what in before.items())
    shutil.rmtree(folder / "in/th")
    write(folder, range(100))


def test_the_order_and_the_age_of_files_leave_no_trace(base, tmp_path):
    folder, _ = base
    build(folder)
    write(tmp_path, reversed(range(100)))
    for number, path in enumerate(sorted((tmp_path / "in").rglob("*.txt"))):
        os.utime(path, (1_000_000_000 + number % 17, 1_000_000_000 + number % 17))
    build(tmp_path, "--workers", "2")
    assert tree(tmp_path / "runs/nightly/dataset") == tree(folder / "runs/nightly/dataset")


def test_grown_file_by_file_equals_at_once(base, tmp_path):
    folder, _ = base
    build(folder)
    for numbers in (range(30), range(30, 31), range(31, 100)):
        write(tmp_path, numbers)
        build(tmp_path)
    assert tree(tmp_path / "runs/nightly/dataset") == tree(folder / "runs/nightly/dataset")


def test_a_changed_file_is_seen_even_with_its_old_size_and_time(base, tmp_path):
    write(tmp_path, range(3))
    build(tmp_path)
    path = tmp_path / "in/en/001.txt"
    text = path.read_text()
    time.sleep(2.1)  # digests of files changed in the last two seconds are not remembered
    build(tmp_path)
    new = path.with_suffix(".new")
    new.write_text(text.replace("slept", "dozed"))
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.rename(path)
    assert build(tmp_path)["changed"]


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        ("langid.min_score=0.45", ["first_cut", "dedup", "final_cut", "shard"]),
        ("quality.min_words=5", ["first_cut", "dedup", "final_cut", "shard"]),
        ("languages=[en,th,am,sw]", ["first_cut", "dedup", "final_cut", "shard"]),
        ("langid.und_below=0.35", ["langid > quality", "first_cut", "dedup", "final_cut", "shard"]),
        ("ingest.permissive=[MIT]", []),
        ("ingest.block_mb=4", []),
    ],
)
def test_what_a_change_runs_again(base, change, runs):
    folder, _ = base
    build(folder)
    planned = inside("build", "nightly.yaml", "--set", change, "--dry-run", "--json", cwd=folder)
    steps = json.loads(planned.stdout)["steps"]
    assert [step["id"] for step in steps if step["to_run"] != 0] == runs


def test_the_same_rows_twice_are_refused(tmp_path):
    write(tmp_path, range(2))
    twice = "\n".join(f"  - ingest: {{path: in/**, source: ward}}\n    id: {id}" for id in ("one", "two"))
    text = RECIPE.replace("  - ingest: {path: in/**, licence: CC0-1.0}", twice)
    (tmp_path / "nightly.yaml").write_text(text)
    refused = inside("build", "nightly.yaml", cwd=tmp_path, code=3)
    assert "very same rows twice" in refused.stderr


def test_two_steps_may_read_the_same_file_under_two_names(tmp_path):
    write(tmp_path, range(2))
    text = RECIPE.replace("  - langid", "  - ingest: {path: in/**, licence: CC0-1.0}\n    id: again\n  - langid", 1)
    (tmp_path / "nightly.yaml").write_text(text)
    report = json.loads(inside("build", "nightly.yaml", "--json", cwd=tmp_path).stdout)
    by_id = {step["id"]: step["account"] for step in report["steps"]}
    assert sum(by_id["langid"]["rows_in"].values()) == 12
    assert sum(by_id["final_cut"]["reasons"]["duplicate"].values()) == 6
