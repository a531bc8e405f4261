"""The oracle of the benchmark's agreement against the slow way, and what is said of families."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import exactness, families, oracle
from benchmarks.oracle import Sets, alike


def made(dtype: type) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    base = [np.unique(rng.integers(0, 60, rng.integers(0, 24)).astype(dtype)) for _ in range(120)]
    return base + [np.unique(np.append(one[1:], rng.integers(60, 90, 1).astype(dtype))) for one in base]


def slow(rows: list[np.ndarray], least: float) -> set[tuple[int, int]]:
    def similar(one: set[int], two: set[int]) -> bool:
        return len(one) > 0 and len(one & two) >= least * len(one | two)

    sets = [set(row.tolist()) for row in rows]
    places = range(len(rows))
    return {(a, b) for a in places for b in places if a < b and similar(sets[a], sets[b])}


@pytest.mark.parametrize("least", [0.3, 0.8, 1.0])
@pytest.mark.parametrize("at_once", [1 << 24, 100])  # one pass, and many
def test_pairs_are_all_and_only_those_alike(least: float, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "_AT_ONCE", at_once)
    rows = made(np.uint64)
    found = alike(Sets.of(rows), least)
    expected = slow(rows, least)
    assert set(map(tuple, found.tolist())) == expected and len(found) == len(expected) > 3


def test_pairs_of_some_documents_and_of_a_mapped_file(tmp_path: Path) -> None:
    rows = made(np.uint32)
    np.concatenate(rows).tofile(tmp_path / "values")
    sets = Sets(np.memmap(tmp_path / "values", np.uint32, "r+"), Sets.of(rows).offsets)
    asked = np.arange(len(rows)) % 3 == 0
    assert set(map(tuple, alike(sets, 0.8, asked).tolist())) == {pair for pair in slow(rows, 0.8) if asked[pair[1]]}


def test_no_sets_and_empty_ones_are_like_nothing() -> None:
    assert len(alike(Sets.of([]), 0.8)) == len(alike(Sets.of([np.empty(0, np.uint64)] * 3), 0.8)) == 0


def test_a_family_without_a_partner_is_a_wrong_merge() -> None:
    rows = [np.arange(at, at + 20, dtype=np.uint64) for at in (0, 1, 500, 501, 900)]
    sets, which = Sets.of(rows), np.array([True, True, True, True, True])
    pairs = families.asked(sets, which)
    assert pairs.tolist() == [[0, 1], [2, 3]]
    said = families.judged(np.array([0, 0, 2, 3, 0]), sets, pairs, which)
    assert (said.pairs, said.found, said.wrong, said.inside) == (2, 1, [4], 3)


def test_families_of_a_build_are_read_in_the_order_of_the_corpus(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    text = [" ".join(f"w{number}x{word}" for word in range(40)) for number in range(3)]
    for part, numbers in (("a", [0, 1, 0]), ("b", [2, 1])):
        pq.write_table(pa.table({"text": [text[number] for number in numbers]}), corpus / f"{part}.parquet")
    recipe = Path(families.__file__).parent / "dedup.yaml"
    command = [sys.executable, "-m", "medcorpus", "build", recipe]
    subprocess.run(command, check=True, cwd=tmp_path, env=os.environ | {"CORPUS": str(corpus)}, capture_output=True)
    assert families.families_of(tmp_path / "runs/bench", corpus).tolist() == [0, 1, 0, 3, 1]


def test_characters_of_scripts_without_blanks() -> None:
    one, two = (families.characters(text) for text in ("ผู้ป่วยมีไข้สูง 3 วัน", "ผู้ป่วย มีไข้สูง, 3วัน"))
    assert sorted(one) == sorted(two) and len(one) == 8
    assert len(families.characters("ABC de")) == 1 and not len(families.characters("四个字。"))


def test_a_digest_tells_bytes_apart(tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(b"one")
    before = exactness.digest(tmp_path)
    (tmp_path / "a.arrow").write_bytes(b"two")
    assert before != exactness.digest(tmp_path)
