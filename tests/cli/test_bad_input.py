"""Bad input: a clear error or a quarantine row with the exact place, and the run goes on."""

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.helpers import inside, medcorpus

GOOD = "\n".join(json.dumps({"text": f"The nurse gives {n} mg of the drug at {n} o'clock."}) for n in range(200)) + "\n"


def build(folder: Path, path: str = "in/*", **kwargs: object):
    """Build a recipe over `in/`; returns (quarantined rows by locator, rows read, the process)."""
    item = json.dumps({"path": path})
    steps = f"steps:\n  - ingest: {item}\n    max_error_rate: 1\n  - shard:\n"
    (folder / "bad.yaml").write_text(f"name: bad\n{steps}")
    done = medcorpus("build", "bad.yaml", "--json", cwd=folder, **kwargs)
    listed = json.loads(inside("explain", "runs/bad", "quarantine", "--json", "--limit", 999, cwd=folder).stdout)
    rows = {row["locator"]: row for row in listed["first"]}
    account = json.loads(done.stdout)["steps"][0]["account"]
    return rows, sum(account["rows_out"].values()), done


@pytest.fixture
def into(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/good.jsonl").write_text(GOOD)
    return tmp_path / "in"


def test_an_empty_file(into):
    (into / "empty.jsonl").write_bytes(b"")
    rows, kept, _ = build(into.parent)
    assert kept == 200 and list(rows) == ["empty.jsonl"]


def test_a_truncated_gzip_keeps_what_came_before(into):
    raw = gzip.compress((GOOD * 500).encode())
    (into / "cut.jsonl.gz").write_bytes(raw[: len(raw) // 2])
    rows, kept, _ = build(into.parent)
    (place,) = rows
    assert place.startswith("cut.jsonl.gz") and 200 < kept < 200 + 200 * 500
    assert "breaks off near byte" in rows[place]["message"]


def test_invalid_utf8_nul_bytes_and_duplicate_keys_name_their_line(into):
    lines = [
        b'{"text": "fine one"}',
        b'{"text": "caf\xe9"}',
        b'{"text": "a\x00b"}',
        b'{"text": "x", "text": "y"}',
        b"{nope",
        b"[1]",
    ]
    (into / "odd.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    rows, kept, _ = build(into.parent)
    assert set(rows) == {f"odd.jsonl#L{n}" for n in range(2, 7)} and kept == 201
    assert not any("caf" in str(row) for row in rows.values())


def test_one_line_of_200_mb_costs_no_memory(into):
    with (into / "huge.jsonl").open("wb") as file:
        file.write(b'{"text": "before"}\n{"text": "')
        for _ in range(200):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n{"text": "after"}\n')
    rows, kept, done = build(into.parent)
    assert list(rows) == ["huge.jsonl#L2"] and kept == 202
    assert json.loads(done.stdout)["steps"][0]["peak_mb"] < 600


def test_a_missing_column_says_which_are_there(into):
    pq.write_table(pa.table({"txt": ["a", "b"], "n": [1, 2]}), into / "wrong.parquet")
    rows, kept, _ = build(into.parent)
    assert kept == 200
    (row,) = rows.values()
    assert "text" in row["message"] and "txt" in row["message"]


def test_a_damaged_parquet_file(into):
    pq.write_table(pa.table({"text": ["a", "b"]}), into / "damaged.parquet")
    raw = (into / "damaged.parquet").read_bytes()
    (into / "damaged.parquet").write_bytes(raw[:-20])
    rows, kept, _ = build(into.parent)
    assert kept == 200 and any(place.startswith("damaged.parquet") for place in rows)


def test_a_csv_line_with_too_many_fields(into):
    (into / "t.csv").write_text('text,n\n"two\nlines",1\na,2,3\nb,4\n')
    rows, kept, _ = build(into.parent)
    assert list(rows) == ["t.csv#L4"] and kept == 202


def test_duplicate_keys_in_a_recipe(tmp_path):
    (tmp_path / "r.yaml").write_text(
        "name: r\nname: s\nsteps:\n  - ingest: {path: x}\n  - quality: {min_words: 3, min_words: 4}\n"
    )
    failed = inside("check", "r.yaml", cwd=tmp_path, code=2)
    assert "r.yaml:2" in failed.stderr and "r.yaml:5" in failed.stderr


def test_nothing_to_read_names_the_pattern(tmp_path):
    (tmp_path / "r.yaml").write_text("name: r\nsteps:\n  - ingest: {path: 'none/*.jsonl'}\n  - quality:\n")
    failed = medcorpus("build", "r.yaml", cwd=tmp_path, code=3)
    assert "none/*.jsonl" in failed.stderr and "Traceback" not in failed.stderr


def without_privileges() -> None:
    """Root may read everything: give that up. Another uid would not do, it may not reach the interpreter."""
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP: gone after exec
            raise OSError(ctypes.get_errno(), "prctl")


def test_a_folder_without_permission(into):
    closed, secret = into / "closed", into / "unreadable.jsonl"
    closed.mkdir()
    (closed / "inside.jsonl").write_text(GOOD)
    secret.write_text(GOOD)
    closed.chmod(0o000)
    secret.chmod(0o000)
    try:
        rows, kept, _ = build(into.parent, "in/**", preexec_fn=without_privileges if os.geteuid() == 0 else None)
    finally:
        closed.chmod(0o755)
        secret.chmod(0o644)
    assert kept == 200 and set(rows) == {"closed", "unreadable.jsonl"}
    assert all("ermission" in row["message"] for row in rows.values())
