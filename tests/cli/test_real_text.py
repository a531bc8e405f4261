"""A recipe over real medical text: it completes, adds up, explains itself, and redoes only what it must."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.helpers import SHARED, inside, medcorpus, parts, tree

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not here")

RECIPE = Path(__file__).parents[2] / "benchmarks" / "real.yaml"


@pytest.fixture(scope="module", autouse=True)
def data():
    os.environ["MEDCORPUS_DATA"] = str(SHARED)
    yield
    del os.environ["MEDCORPUS_DATA"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    shutil.copy(RECIPE, folder)
    done = medcorpus("build", "real.yaml", "--json", cwd=folder)
    return folder, json.loads(done.stdout)


def steps(result):
    return {step["id"]: step for step in result["steps"]}


def test_counts_are_those_of_the_data(built):
    made = {name: sum(step["account"]["created"].values()) for name, step in steps(built[1]).items()}
    assert made["medqa"] == 1273
    assert made["rumed"] == 1052 + 256 + 256 + 512 + 397
    assert made["sib"] == 205 * (701 + 99)
    assert made["nigeria"] == 270


def test_it_adds_up_in_total_and_by_language(built):
    for step in built[1]["steps"]:
        account = step["account"]
        sides = ("rows_in", "created", "moved_in")
        names = {
            name
            for counts in [*(account[s] for s in (*sides, "moved_out", "rows_out")), *account["reasons"].values()]
            for name in counts
        }
        for name in names:
            came = sum(account[side].get(name, 0) for side in sides)
            went = sum(account[side].get(name, 0) for side in ("moved_out", "rows_out"))
            assert came == went + sum(counts.get(name, 0) for counts in account["reasons"].values()), (step["id"], name)


def test_the_next_step_reads_what_the_last_one_left(built):
    account = {name: step["account"] for name, step in steps(built[1]).items()}
    total = lambda step, side: sum(account[step][side].values())  # noqa: E731
    sources = sum(total(name, "rows_out") for name in ("nigeria", "sib", "medqa", "rumed"))
    assert sources == total("langid", "rows_in")
    for one, two in (
        ("langid", "quality"),
        ("quality", "first_cut"),
        ("first_cut", "dedup"),
        ("dedup", "final_cut"),
        ("final_cut", "chunk"),
    ):
        assert account[one]["rows_out"] == account[two]["rows_in"]
    assert steps(built[1])["shard"]["info"]["rows"] == total("chunk", "rows_out")


def test_other_tools_read_it(built):
    import datasets
    import duckdb
    import pyarrow as pa

    folder = built[0] / "runs/real/dataset"
    rows = datasets.load_from_disk(str(folder))
    assert len(rows) == steps(built[1])["shard"]["info"]["rows"]
    frame = rows.to_pandas()
    assert set(frame["language"]) <= {
        "eng",
        "rus",
        "zho",
        "ara",
        "hin",
        "tha",
        "amh",
        "hau",
        "swa",
        "spa",
        "fra",
        "deu",
    }
    shards = [pa.ipc.open_stream(str(path)).read_all() for path in sorted(folder.glob("data-*.arrow"))]
    connection = duckdb.connect()
    connection.register("shards", pa.concat_tables(shards))
    assert connection.sql("select count(distinct id) from shards").fetchall() == [(len(rows),)]


def test_explain_tells_the_story_of_a_kept_a_dropped_and_a_quarantined_row(built):
    folder, result = built
    import datasets

    run = folder / "runs/real"
    rows = datasets.load_from_disk(str(run / "dataset"))
    kept = inside("explain", run, rows[0]["id"], cwd=folder).stdout
    assert "KEPT" in kept and "text (masked)" in kept and "quality_words=" in kept and "language_score=" in kept
    dropped = json.loads(inside("explain", run, "duplicate", "--json", cwd=folder).stdout)["rows"]
    assert dropped == sum(steps(result)["final_cut"]["account"]["reasons"]["duplicate"].values())
    listed = inside("explain", run, "wrong_language", "--json", cwd=folder)
    one = json.loads(listed.stdout)["first"][0]
    told = inside("explain", run, one["id"], cwd=folder).stdout
    assert "DROPPED" in told and "wrong_language" in told and "min_score" in told and "text (masked)" in told
    quarantined = json.loads(inside("explain", run, "quarantine", "--json", cwd=folder).stdout)
    if quarantined["rows"]:
        told = inside("explain", run, quarantined["first"][0]["id"], cwd=folder).stdout
        assert "QUARANTINED" in told and quarantined["first"][0]["locator"] in told


def test_raw_without_a_terminal_is_refused(built):
    refused = inside("explain", built[0] / "runs/real", "duplicate", "--raw", cwd=built[0], code=2)
    assert "needs a terminal" in refused.stderr and not refused.stdout


def test_a_second_run_writes_nothing(built):
    folder = built[0]
    before = {p: (p.lstat().st_mtime_ns, p.lstat().st_ino) for p in folder.rglob("*") if p.name != ".lock"}
    done = medcorpus("build", "real.yaml", cwd=folder)
    assert "nothing to do" in done.stderr
    assert {p: (p.lstat().st_mtime_ns, p.lstat().st_ino) for p in folder.rglob("*") if p.name != ".lock"} == before


@pytest.mark.parametrize(
    "change", ["langid.min_score=0.55", "quality.min_words=7", "languages=[en,ru,zh,ar,hi,th,am,ha,sw,es,fr,de,yo]"]
)
def test_a_limit_or_a_language_reruns_only_the_first_select_and_on(built, change):
    folder = built[0]
    plan = json.loads(inside("build", "real.yaml", "--set", change, "--dry-run", "--json", cwd=folder).stdout)["steps"]
    for step in plan:
        cached = step["id"].split(" > ")[-1] in ("nigeria", "sib", "medqa", "rumed", "quality")
        assert (step["to_run"] == 0) == cached, step
    assert any(re.search("changed", step["why"]) for step in plan)


@pytest.mark.accept  # of small runs `make test` says the same, in tests/engine and tests/cli/test_incremental.py
def test_other_worker_count_and_folder_give_the_same_bytes(built, tmp_path):
    folder = built[0]
    (tmp_path / "real.yaml").write_text((folder / "real.yaml").read_text())
    medcorpus("build", "real.yaml", "--workers", "2", cwd=tmp_path)
    assert tree(tmp_path / "runs/real/dataset") == tree(folder / "runs/real/dataset")
    assert set(parts(tmp_path / "runs/real")) == set(parts(folder / "runs/real"))
