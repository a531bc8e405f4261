"""Ids that may not be passed on: the list, the rows it hits, the rows that are left."""

from pathlib import Path

import pyarrow as pa
import pytest

from medcorpus.core.errors import Fatal, Missing
from medcorpus.core.stage import Bad
from medcorpus.formats.takedown import hits, read_ids, without
from tests.records import records


def test_the_list(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# a case\n\n  one \ntwo # why\n", "utf-8")
    (tmp_path / "b.txt").write_text("\ufeffthree\n", "utf-8")
    named = [(name, tmp_path / name) for name in ("a.txt", "b.txt")]
    assert read_ids(named) == {"one", "two", "three"} and read_ids([]) == frozenset()
    (tmp_path / "b.txt").write_text("three\nfour five\n")
    with pytest.raises(Fatal, match=r"b\.txt:2: one id a line"):
        read_ids(named)
    with pytest.raises(Missing, match="cannot be read"):
        read_ids([("c.txt", tmp_path / "c.txt")])


def test_rows_and_what_was_made_from_them() -> None:
    batch = records(["x"] * 4, id=["a", "b", "c", "d"], parents=[None, ["a", "q"], ["q"], []])
    ids = frozenset({"a", "z"})
    assert hits(iter([batch, batch]), ids) == ["a", "b"]
    bad: list[Bad] = []
    left = without(batch, pa.array(["a", "b"]), ids, bad.append)
    assert left["id"].to_pylist() == ["c", "d"]
    assert [(one.id, one.reason, one.message) for one in bad] == [
        ("a", "retired", "its id is retired"),
        ("b", "retired", "it was made from a retired row"),
    ]
    assert without(batch, pa.array(["z"]), ids, bad.append) is batch
