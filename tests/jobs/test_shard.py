"""`shard`: equal content gives equal bytes, and everybody can read them."""

import itertools
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import datasets
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medcorpus.core.errors import Fatal
from medcorpus.core.schema import MCQA, PHI
from medcorpus.core.stage import Context
from medcorpus.jobs import shard
from medcorpus.jobs.shard import BATCH_ROWS, Shard, ahead
from tests.records import records

LANGUAGES = ["eng", "zho", "nob", None, "und"]
LICENCES = ["CC0-1.0", None, "CC-BY-4.0"]


def corpus(rows: int, words: int = 5) -> pa.RecordBatch:
    """Rows of every kind, with nulls, nested values and a score column."""
    n = range(rows)
    question = {"question": "Q?", "options": [{"key": "A", "text": "甲"}], "answers": ["A"], "rationale": None}
    return records(
        [None if i % 97 == 3 else f"发烧 fever {i} " * (words + i % 7) for i in n],
        kind=["mcqa" if i % 5 == 0 else "text" for i in n],
        language=[LANGUAGES[i % 5] for i in n],
        licence=[LICENCES[i % 3] for i in n],
        mcqa=pa.array([question if i % 5 == 0 else None for i in n], MCQA),
        flags=[["seen"] if i % 11 == 0 else None for i in n],
        quality_words=pa.array([None if i % 13 == 0 else i for i in n], pa.int32()),
    )


@dataclass
class Parts:
    """What the engine hands to a job."""

    pieces: list[pa.RecordBatch]

    @property
    def schema(self) -> pa.Schema:
        return self.pieces[0].schema

    def batches(self):
        return iter(self.pieces)

    @property
    def num_rows(self) -> int:
        return sum(piece.num_rows for piece in self.pieces)

    @property
    def num_bytes(self) -> int:
        return sum(piece.get_total_buffer_size() for piece in self.pieces)


def write(out: Path, *pieces: pa.RecordBatch, facts: dict | None = None, **params) -> dict:
    out.mkdir(parents=True)
    stage = Shard(Shard.Params(**params), Context("shard", facts=facts or {"name": "test"}))
    stage.open()
    return stage.run(Parts(list(pieces)), out)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows_of(folder: Path) -> pa.Table:
    tables = []
    for path in sorted(folder.glob("data-*.arrow")):
        with pa.memory_map(str(path)) as stream, pa.ipc.open_stream(stream) as reader:
            tables.append(reader.read_all())
    return pa.concat_tables(tables)


ROWS = 2 * BATCH_ROWS + 345
BATCH = corpus(ROWS)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("shard") / "out"
    return out, write(out, BATCH)


# -- equal bytes -----------------------------------------------------------------------------------


def pieces(cuts: list[int], order: list[int] | None = None) -> list[pa.RecordBatch]:
    ends = [0, *sorted(cuts), ROWS]
    found = [BATCH.slice(start, stop - start) for start, stop in itertools.pairwise(ends)]
    return [found[i] for i in order] if order else found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, ROWS), max_size=6), st.data())
def test_batches_and_their_order_do_not_matter(written, tmp_path_factory, cuts, data):
    order = data.draw(st.permutations(range(len(cuts) + 1)))
    spill = data.draw(st.sampled_from([1 << 28, 300_000, 100_000]))
    out = tmp_path_factory.mktemp("again") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard, "SPILL_BYTES", spill)
        write(out, *pieces(cuts, order))
    assert content(out) == content(written[0])


@pytest.mark.parametrize("spill", [1 << 28, 400_000, 60_000])
@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_spilling_does_not_matter(tmp_path, monkeypatch, spill, format):
    """Several shards, and sorted on disk or in memory: the same bytes, and nothing is left behind."""
    big = corpus(3000, words=100)
    write(tmp_path / "one", big, shard_mb=1, format=format)
    monkeypatch.setattr(shard, "SPILL_BYTES", spill)
    write(tmp_path / "two", big.slice(1234), big.slice(0, 1234), shard_mb=1, format=format)
    assert content(tmp_path / "two") == content(tmp_path / "one")
    assert len(list((tmp_path / "one").glob("data-*"))) > 2


def test_what_lies_under_a_null_does_not_matter(tmp_path, monkeypatch):
    """Arrow lets anything stand behind a null; two ways to the same column may leave different bytes there."""
    valid = pa.array([i % 3 != 0 for i in range(ROWS)])
    left = []
    for fill in (0, 7):
        numbers = pa.array([i if i % 3 else fill for i in range(ROWS)], pa.int32())
        bitmap = valid.buffers()[1]
        left.append(pa.Array.from_buffers(pa.int32(), ROWS, [bitmap, numbers.buffers()[1]]))
    one, two = left
    assert one.equals(two)
    assert one.buffers()[1] != two.buffers()[1]
    for name, array in (("one", one), ("two", two)):
        at = BATCH.schema.get_field_index("quality_words")
        write(tmp_path / name, BATCH.set_column(at, BATCH.schema.field(at), array))
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_rows_with_one_id_keep_an_order(tmp_path):
    """Two steps may hand over the same row twice; the order of parts must not show."""
    twins = records(["b", "a", "c"], id=["0" * 32] * 3)
    write(tmp_path / "one", twins)
    write(tmp_path / "two", *(twins.slice(n, 1) for n in (2, 0, 1)))
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_no_row_tells_of_its_neighbours(tmp_path):
    """Arrow pads a slice with what lies behind it, so a shard could hold text of a row that is not in it."""
    secret = "SECRET" * 200
    batch = records(["short"] * BATCH_ROWS + [secret], id=[f"{n:032x}" for n in range(BATCH_ROWS + 1)])
    write(tmp_path / "out", batch, shard_mb=1)
    table = rows_of(tmp_path / "out")
    raw = (tmp_path / "out" / "data-00000-of-00001.arrow").read_bytes()
    assert raw.count(b"SECRET") == sum(text.count("SECRET") for text in table["text"].to_pylist())


# -- rows ------------------------------------------------------------------------------------------


def test_all_rows_ordered_by_id(written):
    out, info = written
    table = rows_of(out)
    ids = table["id"].to_pylist()
    assert ids == sorted(BATCH["id"].to_pylist())
    before = BATCH.take(pc.sort_indices(BATCH["id"]))
    left_out = ["body", "drop_reason"]
    assert table.schema.names == [name for name in BATCH.schema.names if name not in left_out]
    for name in table.schema.names:
        if name != "phi":
            assert table[name].combine_chunks().equals(before[name]), name
    assert info == {
        "rows": ROWS,
        "shards": 1,
        "languages": {"eng": 469, "nob": 469, "und": 938, "zho": 469},
    }


def test_batches_are_small_and_can_be_mapped(written):
    with pa.memory_map(str(written[0] / "data-00000-of-00001.arrow")) as stream, pa.ipc.open_stream(stream) as reader:
        sizes = [batch.num_rows for batch in reader]
    assert sizes == [BATCH_ROWS, BATCH_ROWS, 345]


def test_no_file_holds_a_time_or_a_place(written, tmp_path):
    text = "".join((written[0] / name).read_text() for name in ("state.json", "dataset_info.json", "README.md"))
    assert "202" not in text.replace("2,0", "")
    assert "/tmp" not in text


def test_a_small_limit_makes_more_shards(tmp_path):
    info = write(tmp_path / "out", corpus(4000, words=80), shard_mb=1)
    names = sorted(path.name for path in (tmp_path / "out").glob("data-*"))
    assert info["shards"] == len(names) > 3
    assert names[0] == f"data-00000-of-{len(names):05d}.arrow"
    for name in names[:-1]:
        assert 1 << 20 <= (tmp_path / "out" / name).stat().st_size < 3 << 20
    assert rows_of(tmp_path / "out").num_rows == 4000
    assert datasets.load_from_disk(str(tmp_path / "out")).num_rows == 4000


def test_no_rows(tmp_path):
    info = write(tmp_path / "out", BATCH.slice(0, 0))
    assert info == {"rows": 0, "shards": 1, "languages": {}}
    assert datasets.load_from_disk(str(tmp_path / "out")).num_rows == 0
    front(tmp_path / "out")


def test_an_id_that_is_not_ours_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shard, "SPILL_BYTES", 100)
    for wrong in ("X" * 32, "12"):
        with pytest.raises(Fatal, match="an id is"):
            write(tmp_path / wrong, records(["a", "b"], id=["0" * 32, wrong]))


# -- phi -------------------------------------------------------------------------------------------


def test_rows_that_no_phi_step_has_seen_say_so(written):
    actions = rows_of(written[0])["phi"].combine_chunks().field("action")
    assert pc.unique(actions).to_pylist() == ["none"]
    assert "not checked for patient data" in (written[0] / "README.md").read_text()


def test_what_phi_did_is_kept(tmp_path):
    masked = {"action": "mask", "version": "1", "counts": [{"type": "phone", "count": 2}]}
    phi = pa.array([masked, None, masked], PHI)
    write(tmp_path / "mixed", records(["a", "b", "c"], phi=phi))
    found = rows_of(tmp_path / "mixed")["phi"].to_pylist()
    assert found.count(masked) == 2
    assert found.count({"action": "none", "version": None, "counts": []}) == 1
    assert "not checked" in (tmp_path / "mixed" / "README.md").read_text()
    write(tmp_path / "masked", records(["a", "b"], phi=pa.array([masked, masked], PHI)))
    assert "not checked" not in (tmp_path / "masked" / "README.md").read_text()


# -- readers ---------------------------------------------------------------------------------------


def test_datasets_reads_it(written):
    loaded = datasets.load_from_disk(str(written[0]))
    table = rows_of(written[0])
    assert loaded.num_rows == ROWS
    assert loaded.column_names == table.schema.names
    for at in (0, BATCH_ROWS, ROWS - 1):
        assert loaded[at]["id"] == table["id"][at].as_py()
        assert loaded[at]["mcqa"] == table["mcqa"][at].as_py()
    assert loaded.data.nbytes > 0
    longest = loaded.map(lambda row: {"length": len(row["text"] or "")}, keep_in_memory=True)
    assert max(longest["length"]) > 0


def test_the_fingerprint_follows_the_rows(tmp_path, written):
    """`datasets` caches by it: two datasets with one fingerprint would share results."""
    write(tmp_path / "other", BATCH.slice(1))
    prints = [datasets.load_from_disk(str(folder))._fingerprint for folder in (written[0], tmp_path / "other")]
    assert prints[0] != prints[1]


def test_parquet_is_read_by_pandas_and_duckdb(tmp_path, written):
    info = write(tmp_path / "out", BATCH, format="parquet")
    path = tmp_path / "out" / "data-00000-of-00001.parquet"
    assert info["rows"] == ROWS
    assert pq.read_table(path).equals(rows_of(written[0]))
    frame = pd.read_parquet(path)
    assert list(frame["id"]) == rows_of(written[0])["id"].to_pylist()
    counted = duckdb.sql(f"select language, count(*) from '{path}' group by all order by all").fetchall()
    assert counted == [("eng", 469), ("nob", 469), ("und", 469), ("zho", 469), (None, 469)]
    assert not (tmp_path / "out" / "state.json").exists()


def test_arrow_is_read_by_pandas_and_duckdb(written):
    table = rows_of(written[0])
    assert len(table.to_pandas()) == ROWS
    duckdb.register("rows", table)
    assert duckdb.sql("select count(*) from rows where mcqa.answers[1] = 'A'").fetchall() == [(469,)]


@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_checksums(tmp_path, format):
    write(tmp_path / "out", corpus(3000, words=80), shard_mb=1, format=format)
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "out", check=True, capture_output=True
    )
    listed = [line.split("  ")[1] for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines()]
    assert listed == sorted(set(content(tmp_path / "out")) - {"SHA256SUMS"})


# -- the card --------------------------------------------------------------------------------------


def front(folder: Path) -> dict:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def test_the_card(written):
    assert front(written[0]) == {
        "language": ["en", "nb", "zh"],
        "license": "other",
        "size_categories": ["1K<n<10K"],
        "pretty_name": "test",
    }
    text = (written[0] / "README.md").read_text()
    assert "2,345 records in 3 languages" in text
    assert "| und | 938 |\n| eng | 469 |" in text
    assert 'load_from_disk("dataset")' in text


@pytest.mark.parametrize("name", ["no", "2024", "1.5", "null", "a-b_c.d", "on"])
def test_front_matter_is_yaml_whatever_the_name(tmp_path, name):
    write(tmp_path / "out", records(["a"], language="eng", licence="CC-BY-4.0"), facts={"name": name})
    assert front(tmp_path / "out")["pretty_name"] == name
    assert front(tmp_path / "out")["license"] == "cc-by-4.0"


def test_awkward_sources_do_not_break_the_tables(tmp_path):
    write(tmp_path / "out", records(["a", "b"], source=["x|y", "two\nlines"], licence="a: [b"))
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| x\\|y | 1 |" in text
    assert "| two lines | 1 |" in text
    assert front(tmp_path / "out")["license"] == "a: [b"


def test_state_is_what_datasets_writes_itself(written, tmp_path):
    datasets.Dataset(rows_of(written[0])).save_to_disk(str(tmp_path / "theirs"))
    theirs = json.loads((tmp_path / "theirs" / "state.json").read_text())
    ours = json.loads((written[0] / "state.json").read_text())
    assert set(ours) == set(theirs)
    assert ours["_data_files"] == theirs["_data_files"]


def test_ahead_gives_the_same_items_the_error_of_their_maker_and_stops_when_told():
    made = []

    def numbers(end):
        for number in range(end):
            made.append(number)
            yield number
        raise OSError("disk full")

    found = ahead(numbers(3))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="disk full"):
        next(found)
    made.clear()
    found = ahead(numbers(1000))
    assert next(found) == 0
    found.close()
    assert len(made) < 10
    assert list(ahead(iter([]))) == []
