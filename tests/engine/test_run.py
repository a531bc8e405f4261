"""The run loop on toy stages: accounts, caches, quarantine, deaths, gathers, versions."""

import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from medcorpus.core.errors import Fatal, MedcorpusError, PartitionError
from medcorpus.core.manifest import read_manifest, read_versions
from medcorpus.core.store import LocalStore
from medcorpus.engine.local import Runner
from medcorpus.engine.parts import read_part, read_rejects
from tests.engine import toy
from tests.engine.toy import Files, Length, Mark, Same, Slow, Words, Write, copy, plan, step, too_long


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        lines = [f"{'tha' if n % 3 else 'amh'} text {number * 10 + n % 8}" for n in range(20)]
        (folder / f"f{number}.txt").write_text("\n".join([*lines, "eng a much longer line than ten", "fra moved"]))
    return folder


def run(out, *steps, workers=2, until=None):
    runner = Runner(plan(*steps), LocalStore(out), workers)
    runner.run(until)
    return runner


def full(corpus, **length):
    return [
        step(Files, path=str(corpus)),
        step(Length, **length),
        step(Mark, decisions=[too_long()], drop=["too_long"]),
        step(Same),
        step(Mark, id="mark2", decisions=[copy()], drop=["copy"]),
        step(Write),
    ]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock",) and "versions" not in path.parts
    }


def test_every_step_adds_up_and_says_why(corpus, tmp_path):
    runner = run(tmp_path / "run", *full(corpus))
    reports = runner.reports
    assert sum(reports["files"].account.created.values()) == 6 * 22
    length = reports["length"].account
    assert length.moved_out == {"fra": 6} and length.moved_in == {"eng": 6}
    assert reports["mark"].account.reasons == {"too_long": Counter(eng=6)}
    assert all(not report.account.gaps() for report in reports.values())
    texts = (tmp_path / "run/result/texts.txt").read_text().splitlines()
    assert len(texts) == len({line.split(" ", 1)[1] for line in texts}) == reports["write"].info["rows"]


def test_second_run_writes_nothing_at_all(corpus, tmp_path):
    out = tmp_path / "run"
    assert run(out, *full(corpus)).wrote
    before = {path: (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in out.rglob("*")}
    runner = run(out, *full(corpus))
    assert not runner.wrote
    assert {path: (path.lstat().st_mtime_ns, path.lstat().st_ino) for path in out.rglob("*")} == before
    assert len(read_versions(LocalStore(out))) == 1


def test_worker_count_and_age_of_the_cache_change_no_byte(corpus, tmp_path):
    run(tmp_path / "one", *full(corpus), workers=1)
    run(tmp_path / "two", *full(corpus), workers=2)
    last = corpus / "f5.txt"
    text = last.read_text()
    last.unlink()
    run(tmp_path / "grown", *full(corpus), workers=2)
    last.write_text(text)
    run(tmp_path / "grown", *full(corpus), workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    result = lambda name: (tmp_path / name / "result/texts.txt").read_bytes()  # noqa: E731
    assert result("one") == result("grown")


def test_one_added_file_runs_one_part(corpus, tmp_path):
    count = tmp_path / "count"
    run(tmp_path / "run", *full(corpus, count=str(count)))
    assert len(count.read_text().split()) == 6 * 4
    (corpus / "new.txt").write_text("hau sabon layi")
    count.unlink()
    run(tmp_path / "run", *full(corpus, count=str(count)))
    assert count.read_text().split() == ["1"]


def test_a_limit_reruns_the_first_select_that_uses_it_and_what_follows(corpus, tmp_path):
    out = tmp_path / "run"
    run(out, *full(corpus))
    steps = full(corpus)
    steps[2] = step(Mark, decisions=[too_long(6)], drop=["too_long"])
    runner = run(out, *steps)
    assert [r.id for r in runner.reports.values() if r.ran] == ["mark", "same", "mark2", "write"]
    assert len(read_versions(LocalStore(out))) == 2


def test_rows_that_break_a_stage_are_quarantined_alone_and_silently(corpus, tmp_path):
    (corpus / "bad.txt").write_text("eng good\neng poison patient 123\neng secret\n!\neng fine\n")
    runner = run(tmp_path / "run", step(Files, path=str(corpus)), step(Length, max_error_rate=0.5))
    assert runner.reports["files"].account.quarantined == 1
    assert runner.reports["length"].account.reasons == {"quarantine": Counter(eng=2)}
    store = LocalStore(tmp_path / "run")
    folder = runner.plan.by_id["length"].rejects
    rows = [row for name in store.list(folder) for row in read_rejects(store, f"{folder}/{name}").to_pylist()]
    assert {(row["error"], row["message"]) for row in rows} == {("ValueError", ""), ("RowError", "a row that says why")}
    for row in rows:  # the pointer leads back to the row itself
        table = pa.Table.from_batches(list(read_part(store, f"{row['part']}.arrow")))
        assert table["id"][row["row"]].as_py() == row["id"]
        assert table["locator"][row["row"]].as_py() == row["locator"]
    assert all(b"patient" not in data for name, data in tree(tmp_path / "run").items() if name.startswith("rejects"))


def test_the_error_budget_stops_the_run_with_everything_kept(corpus, tmp_path):
    (corpus / "bad.txt").write_text("\n".join(["eng poison"] * 10))
    with pytest.raises(Fatal, match=r"10 of 142 rows are in quarantine \(7\.0%\)") as error:
        run(tmp_path / "run", step(Files, path=str(corpus)), step(Length))
    assert error.value.exit_code == 3
    store = LocalStore(tmp_path / "run")
    length = plan(step(Files, path=str(corpus)), step(Length)).by_id["length"]
    assert len(store.list(length.folder)) == 7  # parts, no manifest
    again = run(tmp_path / "run", step(Files, path=str(corpus)), step(Length, max_error_rate=0.1))
    assert again.reports["length"].ran == 0


def test_a_step_that_leaves_nothing_is_an_error_unless_allowed(corpus, tmp_path):
    steps = [step(Files, path=str(corpus)), step(Length), step(Mark, decisions=[too_long(0)])]
    with pytest.raises(Fatal, match="no rows are left"):
        run(tmp_path / "run", *steps)
    steps[2] = step(Mark, decisions=[too_long(0)], allow_empty=True)
    runner = run(tmp_path / "run", *steps)
    assert not sum(runner.reports["mark"].account.rows_out.values())


def test_a_partition_error_lets_the_others_finish(corpus, tmp_path):
    (corpus / "dud.txt").write_text("eng dud")
    with pytest.raises(PartitionError, match="1 of 7 parts failed"):
        run(tmp_path / "run", step(Files, path=str(corpus)), step(Length))
    (corpus / "dud.txt").unlink()
    count = tmp_path / "count"
    run(tmp_path / "run", step(Files, path=str(corpus)), step(Length))
    assert not count.exists()


def test_a_dying_worker_fails_only_its_part(corpus, tmp_path):
    (corpus / "bomb.txt").write_text("eng bomb")
    with pytest.raises(PartitionError, match=r"the worker died twice \(signal 9\)"):
        run(tmp_path / "run", step(Files, path=str(corpus)), step(Length))
    length = plan(step(Files, path=str(corpus)), step(Length)).by_id["length"]
    assert len(LocalStore(tmp_path / "run").list(length.folder)) == 6


def test_a_passing_trouble_is_tried_again(corpus, tmp_path):
    (corpus / "twice.txt").write_text("eng twice")
    runner = run(tmp_path / "run", step(Files, path=str(corpus)), step(Length, count=str(tmp_path / "count")))
    assert runner.reports["length"].ran == 7


def test_io_maps_share_one_process_and_overlap(corpus, tmp_path):
    log = tmp_path / "log"
    run(tmp_path / "run", step(Files, path=str(corpus)), step(Slow, log=str(log)), step(Length))
    rows = [line.split() for line in log.read_text().splitlines()]
    assert len({pid for pid, *_ in rows}) == 1
    starts, ends = [float(s) for _, s, _ in rows], [float(e) for *_, e in rows]
    assert sum(e - s for s, e in zip(starts, ends, strict=True)) > 2 * (max(ends) - min(starts))


def test_io_maps_quarantine_too(corpus, tmp_path):
    (corpus / "bad.txt").write_text("eng poison\neng good")
    runner = run(tmp_path / "run", step(Files, path=str(corpus)), step(Slow, max_error_rate=1))
    assert runner.reports["slow"].account.reasons == {"quarantine": Counter(eng=1)}


def test_expand_counts_what_it_made_and_what_it_replaced(corpus, tmp_path):
    (corpus / "bad.txt").write_text("eng poison\neng one two three")
    runner = run(tmp_path / "run", step(Files, path=str(corpus)), step(Words, max_error_rate=1))
    account = runner.reports["words"].account
    assert account.reasons["quarantine"] == Counter(eng=1)
    assert account.reasons["expanded"]["eng"] == 7 and account.created["eng"] == 6 * 6 + 3
    assert not account.gaps()


def test_gather_hashes_only_what_is_new_and_rewrites_only_what_changed(corpus, tmp_path):
    count = tmp_path / "count"
    steps = [step(Files, path=str(corpus)), step(Same, count=str(count)), step(Write)]
    run(tmp_path / "run", *steps)
    (corpus / "new.txt").write_text("hau sabon layi")
    count.unlink()
    runner = run(tmp_path / "run", *steps)
    assert count.read_text().split() == ["1"]
    assert runner.reports["same"].ran - 2 == 1  # one emit, one resolve, one apply


def test_until_stops_and_the_full_run_goes_on_from_there(corpus, tmp_path):
    count = tmp_path / "count"
    steps = [
        step(Files, path=str(corpus)),
        step(Length, count=str(count)),
        step(Length, id="again", unit=2),
        step(Write),
    ]
    run(tmp_path / "run", *steps, until="length")
    assert not read_versions(LocalStore(tmp_path / "run"))
    done = count.read_text()
    run(tmp_path / "run", *steps)
    assert count.read_text() == done
    run(tmp_path / "other", *steps)
    assert (tmp_path / "run/result/texts.txt").read_bytes() == (tmp_path / "other/result/texts.txt").read_bytes()


def test_a_lost_part_is_made_again(corpus, tmp_path):
    out = tmp_path / "run"
    runner = run(out, *full(corpus))
    before = tree(out)
    folder = out / runner.plan.by_id["length"].folder
    next(path for path in folder.iterdir() if path.suffix == ".arrow").unlink()
    assert run(out, *full(corpus)).reports["length"].ran == 1
    assert tree(out) == before


def test_a_damaged_part_is_named(corpus, tmp_path):
    out = tmp_path / "run"
    run(out, step(Files, path=str(corpus)))
    part = next(path for path in out.rglob("*.arrow") if "rejects" not in path.parts)
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(MedcorpusError, match=part.name):
        run(out, step(Files, path=str(corpus)), step(Length))


def test_empty_input_parts_keep_their_columns(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "only_bad.txt").write_text("!\n")
    (folder / "good.txt").write_text("eng one")
    runner = run(
        tmp_path / "run",
        step(Files, path=str(folder), max_error_rate=1),
        step(Length), step(Words), step(Same), step(Write),
    )  # fmt: skip
    assert runner.reports["write"].info == {"rows": 1}


def test_nothing_of_a_row_is_in_an_error(corpus, tmp_path):
    class Unsent(Exception):
        pass

    from medcorpus.engine.pool import portable

    text = f"patient {12345678}"
    try:
        raise Unsent(text)
    except Unsent as error:
        sent = portable(error)
    assert "12345678" not in str(sent) and "Unsent" in str(sent) and "test_run.py" in str(sent)


def test_private_steps_are_closed_to_others(corpus, tmp_path):
    run(tmp_path / "run", step(Files, path=str(corpus)))
    assert (tmp_path / "run/private").stat().st_mode & 0o777 == 0o700
    for path in (tmp_path / "run/private").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert os.listdir(tmp_path / "run/rejects")


def test_manifest_is_a_list_of_partition_keys(corpus, tmp_path):
    runner = run(tmp_path / "run", step(Files, path=str(corpus)))
    manifest = read_manifest(LocalStore(tmp_path / "run"), runner.plan.by_id["files"].folder)
    assert len(manifest.parts) == 6 and [p.key for p in manifest.parts] == sorted(p.key for p in manifest.parts)
    assert toy.Files.name == manifest.stage
