"""Parquet and Arrow files: whole, in ranges, damaged."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medcorpus.formats.base import Options, Span
from medcorpus.formats.columnar import is_record, pieces, read_arrow, read_parquet, schema_of
from tests.records import records

ROWS = pa.table({"text": [f"text {n}" for n in range(100)], "n": list(range(100))})


def write(path: Path, how: str) -> Path:
    if how == "parquet":
        pq.write_table(ROWS, path, row_group_size=30)
    elif how == "file":
        with pa.ipc.new_file(path, ROWS.schema) as writer:
            writer.write_table(ROWS, max_chunksize=30)
    else:
        with pa.ipc.new_stream(path, ROWS.schema) as writer:
            writer.write_table(ROWS, max_chunksize=30)
    return path


def rows_of(path: Path, span: Span | None = None, options: Options = Options()):  # noqa: B008
    with path.open("rb") as file:
        reader = read_parquet if file.read(4) == b"PAR1" else read_arrow
    rows, places, bad = [], [], []
    for chunk in reader(span or Span(str(path)), options):
        rows += chunk.batch.to_pylist()
        places += chunk.places.to_pylist() if chunk.places is not None else []
        bad += [(one.locator, one.error) for one in chunk.bad]
    return rows, places, bad


@pytest.mark.parametrize("how", ["parquet", "file", "stream"])
def test_rows_are_counted_from_0_over_the_file(tmp_path: Path, how: str) -> None:
    rows, places, bad = rows_of(write(tmp_path / "a", how))
    assert rows == ROWS.to_pylist() and not bad
    assert places == [f"row={n}" for n in range(100)]


@pytest.mark.parametrize("how", ["parquet", "file"])
def test_a_range_knows_where_it_is(tmp_path: Path, how: str) -> None:
    path = write(tmp_path / "a", how)
    rows, places, _ = rows_of(path, Span(str(path), 1, 3, first_row=30))
    assert rows == ROWS.to_pylist()[30:90] and places == [f"row={n}" for n in range(30, 90)]


@pytest.mark.parametrize("how", ["parquet", "file", "stream"])
def test_only_columns_that_are_wanted_are_read(tmp_path: Path, how: str) -> None:
    rows, _, _ = rows_of(write(tmp_path / "a", how), options=Options(wanted=("text",), keep="none"))
    assert how != "parquet" or set(rows[0]) == {"text"}


def test_damaged_files_say_what_was_lost(tmp_path: Path) -> None:
    for how in ("parquet", "file", "stream"):
        whole = write(tmp_path / how, how).read_bytes()
        (tmp_path / how).write_bytes(whole[: len(whole) * 2 // 3])
        rows, _, bad = rows_of(tmp_path / how)
        assert [error for _, error in bad] == ["broken"]
        assert rows == ROWS.to_pylist()[: len(rows)] and (how == "stream") == bool(rows)
    damaged = bytearray(write(tmp_path / "parquet", "parquet").read_bytes())
    damaged[4:40] = b"\xff" * 36
    (tmp_path / "parquet").write_bytes(damaged)
    rows, places, bad = rows_of(tmp_path / "parquet")
    assert bad == [("row=0", "broken")] and places == [f"row={n}" for n in range(30, 100)]


def test_empty_files(tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"")
    pq.write_table(ROWS.slice(0, 0), tmp_path / "p")
    with pa.ipc.new_stream(tmp_path / "s", ROWS.schema):
        pass
    assert (
        rows_of(tmp_path / "nothing")[2] == rows_of(tmp_path / "p")[2] == rows_of(tmp_path / "s")[2] == [("", "empty")]
    )
    (tmp_path / "junk").write_bytes(b"not arrow at all, by far")
    assert rows_of(tmp_path / "junk")[2] == [("", "broken")] and schema_of(str(tmp_path / "junk")) is None


def test_records_are_known_by_their_schema(tmp_path: Path) -> None:
    batch = records(["a"])
    assert is_record(batch.schema) and is_record(batch.schema.remove_metadata())
    assert not is_record(ROWS.schema)


def test_pieces_are_small() -> None:
    batch = pa.record_batch({"t": ["x" * 1000] * 9000})
    assert [piece.num_rows for piece in pieces(batch, 1 << 30)] == [4096, 4096, 808]
    assert all(piece.nbytes < 1 << 21 for piece in pieces(batch, 1 << 20))
    assert sum(piece.num_rows for piece in pieces(batch, 1)) == 9000
    assert list(pieces(batch.slice(0, 0), 10)) == []
