"""Takedown: a list of ids, and in the next version neither these rows nor what was made from them."""

import json
from pathlib import Path

import pytest
from datasets import load_from_disk

from tests.cli.helpers import inside, parts

RECIPE = """
name: corpus
steps:
  - ingest: {path: in, language: en, licence: CC0-1.0, retire: ids.txt}
    allow_empty: true
  - chunk: {max_chars: 200}
  - quality:
  - select: {drop: [too_short]}
  - shard:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(300):
        words = " ".join(f"word{number}x{n}" for n in range(60))
        (tmp_path / f"in/{number:03}.txt").write_text(f"Patient {number} writes. {words}.")
    (tmp_path / "ids.txt").write_text("# nobody yet\n\n")
    (tmp_path / "corpus.yaml").write_text(RECIPE)
    return tmp_path


def build(folder: Path) -> dict[str, dict]:
    report = json.loads(inside("build", "corpus.yaml", "--json", cwd=folder).stdout)
    return {step["id"]: step for step in report["steps"]}


def rows(folder: Path) -> list[dict]:
    return load_from_disk(str(folder / "runs/corpus/dataset")).to_list()


def test_a_retired_row_and_all_made_from_it_are_gone(folder: Path) -> None:
    build(folder)
    before = rows(folder)
    chunk = next(row for row in before if row["locator"].startswith("007.txt"))
    (retired,) = chunk["parents"]
    assert sum(retired in row["parents"] for row in before) > 1
    old = parts(folder / "runs/corpus")

    (folder / "ids.txt").write_text(f"# asked by the author on 2 May\n{retired}  # 007\n")
    steps = build(folder)
    after = rows(folder)
    assert [row for row in before if retired not in row["parents"]] == after
    account = steps["ingest"]["account"]
    assert account["reasons"] == {"retired": {"eng": 1}} and account["rows_out"] == {"eng": 299}
    new = parts(folder / "runs/corpus")
    assert steps["ingest"]["parts"] > 4
    assert len([name for name in new if name not in old and "ingest" in name]) == 1, "only the share it was in"
    assert len([name for name in new if name not in old]) <= 5, "one part of each step, and the dataset"
    shown = inside("explain", "runs/corpus", "retired", cwd=folder).stdout
    assert "007.txt" in shown and retired in shown
    assert "its id is retired" in inside("explain", "runs/corpus", retired, cwd=folder).stdout
    assert "retired: 1 ids" in inside("check", "corpus.yaml", cwd=folder).stdout
    inside("verify", "runs/corpus", cwd=folder)
    assert build(folder)["ingest"]["parts_run"] == 0


def test_retired_rows_are_no_errors(folder: Path) -> None:
    """Half of a source may be retired without passing the error budget."""
    build(folder)
    ids = sorted({row["parents"][0] for row in rows(folder)})
    (folder / "ids.txt").write_text("\n".join(ids[:150]))
    assert build(folder)["ingest"]["account"]["reasons"] == {"retired": {"eng": 150}}


def test_children_in_a_finished_dataset_go_with_their_parent(folder: Path) -> None:
    build(folder)
    parent = rows(folder)[0]["parents"][0]
    (folder / "late.txt").write_text(parent + "\n")
    (folder / "again.yaml").write_text(
        "name: again\nsteps:\n  - ingest: {path: runs/corpus, retire: late.txt}\n  - shard:\n"
    )
    inside("build", "again.yaml", cwd=folder)
    kept = load_from_disk(str(folder / "runs/again/dataset")).to_list()
    assert kept and all(parent not in row["parents"] for row in kept)
    assert len(kept) == sum(parent not in row["parents"] for row in rows(folder))


def test_a_list_that_is_not_understood_stops_the_run(folder: Path) -> None:
    (folder / "ids.txt").write_text("abc\nabc def\n")
    assert "ids.txt:2: one id a line" in inside("build", "corpus.yaml", cwd=folder, code=3).stderr
    (folder / "ids.txt").unlink()
    assert "retired ids cannot be read" in inside("build", "corpus.yaml", cwd=folder, code=4).stderr
