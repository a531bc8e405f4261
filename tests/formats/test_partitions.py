"""Shares of work that stay the same when other files come and go."""

import json
import os
import random
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medcorpus.formats import guess, partitions
from medcorpus.formats.base import Options, Span
from medcorpus.formats.discover import find
from medcorpus.formats.jsonl import read
from medcorpus.formats.partitions import Digests, line_ranges


def shares(folder: Path, digests: Digests | None = None):
    found = [(file, guess(file.path)) for file in find(["."], str(folder))]
    return partitions.partitions(found, digests or Digests(""))


def keys_of(folder: Path) -> dict[str, set[str]]:
    """digest -> locators"""
    return {p.digest: {file["locator"] for file in p.spec["files"]} for p in shares(folder)}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(300):
        (folder / f"doc-{number:03}-ชื่อ.txt").write_text(f"text {number}")
    return folder


def test_every_file_is_in_one_group_and_groups_are_small(corpus: Path) -> None:
    groups = keys_of(corpus)
    assert sorted(name for group in groups.values() for name in group) == sorted(os.listdir(corpus))
    assert 5 <= len(groups) <= 40 and max(map(len, groups.values())) <= 64


def test_a_change_touches_one_group(corpus: Path) -> None:
    before = keys_of(corpus)
    rng = random.Random(5)
    for _ in range(8):
        name = rng.choice(sorted(os.listdir(corpus)))
        (corpus / name).write_text("changed")
        after = keys_of(corpus)
        gone, new = set(before) - set(after), set(after) - set(before)
        assert len(gone) == len(new) == 1 and before[gone.pop()] == after[new.pop()]
        before = after
    (corpus / name).write_text("changed")
    assert keys_of(corpus) == before


def test_adding_removing_renaming(corpus: Path) -> None:
    for number in range(40):
        before = keys_of(corpus)
        new = f"new-{number}.txt"
        (corpus / new).write_text(f"new {number}")
        after = keys_of(corpus)
        gone = [before[digest] for digest in set(before) - set(after)]
        made = [after[digest] for digest in set(after) - set(before)]
        assert len(gone) <= 1  # a new file meets one group, which may split in two or more
        assert set().union(*made) == set().union(*gone) | {new}
    before = keys_of(corpus)
    (corpus / "new-7.txt").unlink()
    after = keys_of(corpus)
    assert len(set(after) - set(before)) <= 1  # two groups may become one
    (corpus / "new-8.txt").rename(corpus / "new-other.txt")
    assert len(set(keys_of(corpus)) - set(after)) <= 3


def test_neither_place_nor_time_nor_order_matters(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys_of(corpus)
    other = tmp_path / "elsewhere" / "deep"
    other.mkdir(parents=True)
    for name in sorted(os.listdir(corpus), reverse=True):
        (other / name).write_bytes((corpus / name).read_bytes())
        os.utime(other / name, (1, 1))
    assert keys_of(other) == before
    monkeypatch.chdir(other)
    assert keys_of(Path(".")) == before


def test_a_big_file_beside_small_ones_changes_no_group(corpus: Path) -> None:
    before = keys_of(corpus)
    with (corpus / "big.jsonl").open("wb") as sink:
        sink.write((json.dumps({"text": "x" * 1000}) + "\n").encode() * 40_000)
    assert set(before) < set(keys_of(corpus))


@pytest.mark.parametrize("most", [1, 10, 64, 1000, 1 << 20])
def test_ranges_of_lines_meet_and_count(tmp_path: Path, most: int) -> None:
    lines = [json.dumps({"text": f"строка {n} " + "x" * (n % 90)}, ensure_ascii=False) for n in range(200)]
    lines[50] = ""
    data = "\n".join(lines).encode()
    (tmp_path / "a.jsonl").write_bytes(data)
    ranges = line_ranges(str(tmp_path / "a.jsonl"), most)
    assert [r["start"] for r in ranges] == [0, *(r["end"] for r in ranges)][:-1] and ranges[-1]["end"] == len(data)
    assert all(data[: r["start"]].count(b"\n") + 1 == r["first_line"] for r in ranges)
    assert all(r["start"] == 0 or data[r["start"] - 1 : r["start"]] == b"\n" for r in ranges)
    assert max(r["size"] for r in ranges) < most + 200

    def rows(*spans: Span) -> list[tuple[str, str]]:
        chunks = [c for span in spans for c in read(span, Options(wanted=("text",)))]
        assert not any(c.bad for c in chunks)
        return [pair for c in chunks for pair in zip(c.places.to_pylist(), c.batch["text"].to_pylist(), strict=True)]

    path = str(tmp_path / "a.jsonl")
    assert rows(*(Span.of({"path": path, **r}) for r in ranges)) == rows(Span(path))


def test_appending_to_a_big_file_keeps_its_first_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "SPLIT_BYTES", 10_000)
    line = json.dumps({"text": "x" * 90}) + "\n"
    (tmp_path / "a.jsonl").write_text(line * 1000)
    before = [p.digest for p in shares(tmp_path)]
    (tmp_path / "a.jsonl").write_text(line * 1001)
    after = [p.digest for p in shares(tmp_path)]
    assert len(before) > 5 and before[:-1] == after[: len(before) - 1] and before[-1] not in after


def test_parquet_and_arrow_files_in_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "SPLIT_BYTES", 50_000)
    table = pa.table({"text": [os.urandom(50).hex() for _ in range(4000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)
    with pa.ipc.new_file(tmp_path / "b.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=300)
    with pa.ipc.new_stream(tmp_path / "c.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=300)
    (tmp_path / "d.parquet").write_bytes(b"PAR1" + b"x" * 60_000)
    from medcorpus.formats import reader

    counts: dict[str, list[str]] = {}
    for share in shares(tmp_path):
        for file in share.spec["files"]:
            for chunk in reader(file["format"])(Span.of(file), Options()):
                places = chunk.places.to_pylist() if chunk.places is not None else ["bad"]
                counts.setdefault(file["locator"], []).extend(places)
    rows = [f"row={n}" for n in range(4000)]
    assert counts == {"a.parquet": rows, "b.arrow": rows, "c.arrow": rows, "d.parquet": ["bad"]}
    assert sum(share.spec["files"][0]["locator"] == "b.arrow" for share in shares(tmp_path)) > 3


def test_digests_are_remembered_but_never_of_a_fresh_file(tmp_path: Path) -> None:
    state, folder = tmp_path / "state", tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    first = shares(folder, Digests(str(state)))
    assert not state.exists()
    (folder / "a.txt").write_text("two")  # same size, perhaps the same tick of the clock
    assert shares(folder, Digests(str(state)))[0].digest != first[0].digest
    old = time.time() - 100
    os.utime(folder / "a.txt", (old, old))
    known = shares(folder, Digests(str(state)))
    kept = (state / "digests.json").read_bytes()
    assert shares(folder, Digests(str(state))) == known and (state / "digests.json").read_bytes() == kept
    assert [path.name for path in state.iterdir()] == ["digests.json"]
    (folder / "a.txt").write_text("tri")
    os.utime(folder / "a.txt", (old - 1, old - 1))
    assert shares(folder, Digests(str(state)))[0].digest != known[0].digest
    (state / "digests.json").write_text("{broken")
    assert shares(folder, Digests(str(state)))[0].digest != known[0].digest


def test_a_file_that_cannot_be_read_is_a_share_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").symlink_to("nowhere")
    found = [(file, "txt") for file in find(["."], str(tmp_path))]
    (share,) = partitions.partitions(found, Digests(""))
    assert [file.get("error") for file in share.spec["files"]] == [None, "No such file or directory"]
    assert partitions.partitions(found, Digests("")) == [share]
