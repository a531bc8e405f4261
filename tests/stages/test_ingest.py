"""Ingest as a user meets it: files in, records and rejects out."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from medcorpus.core.errors import Fatal, Missing
from medcorpus.core.schema import MAX_ROW_BYTES, RECORD, record_id
from medcorpus.core.stage import Bad, Context, verb
from medcorpus.formats import partitions
from medcorpus.stages.ingest import Ingest, IngestParams
from tests.records import records

DATA = Path(__file__).parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not here")


def ingest(root: Path, state: str = "", step: str = "pubmed", **params: Any) -> Ingest:
    return Ingest(IngestParams(**params), Context(step=step, root=str(root), state=state))


def batches(stage: Ingest, bad: list[Bad]) -> Iterator[pa.RecordBatch]:
    for partition in stage.partitions():
        for batch in stage.read(json.loads(json.dumps(partition.spec)), bad.append):
            batch.validate(full=True)
            assert 0 < batch.num_rows <= 4096
            yield batch


def read(root: Path, **params: Any) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    bad: list[Bad] = []
    rows = [row for batch in batches(ingest(root, **params), bad) for row in batch.to_pylist()]
    return rows, [(one.locator, one.error) for one in bad]


def write_lines(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def test_it_is_a_source() -> None:
    assert verb(Ingest) == "source" and Ingest.name == "ingest"
    roles = {name: IngestParams.fields_with(name) for name in ("place", "decision", "speed")}
    assert roles == {"place": ["path", "retire"], "decision": ["permissive"], "speed": ["block_mb"]}
    assert all(field.description for field in IngestParams.model_fields.values())


def test_a_folder_of_many_formats(tmp_path: Path) -> None:
    write_lines(tmp_path / "d/a.jsonl", {"text": "one"}, {"text": "two", "url": "https://x.org/2"})
    (tmp_path / "d/b.csv").write_text('id,text\n1,"three\nlines"\n2,four\n')
    (tmp_path / "d/c.tsv.gz").write_bytes(gzip.compress(b"text\tn\nfive\t5\n"))
    (tmp_path / "d/ስለ ወባ.txt").write_text("ወባ በሽታ ነው።", "utf-8")
    (tmp_path / "d/e.md").write_text("# Malaria\nsix")
    pq.write_table(pa.table({"text": ["seven"]}), tmp_path / "d/f.parquet")
    (tmp_path / "d/scan.png").write_bytes(b"\x89PNG")
    rows, bad = read(tmp_path, path="d", language="am", category="guideline", licence="CC0-1.0")
    assert bad == [("scan.png", "no_reader")]
    assert {row["locator"]: row["text"] for row in rows} == {
        "a.jsonl#L1": "one",
        "a.jsonl#L2": "two",
        "b.csv#L2": "three\nlines",
        "b.csv#L4": "four",
        "c.tsv.gz#L2": "five",
        "ስለ ወባ.txt": "ወባ በሽታ ነው።",
        "e.md": "# Malaria\nsix",
        "f.parquet#row=0": "seven",
    }
    for row in rows:
        assert row["id"] == record_id(b"pubmed", row["locator"].encode(), row["text"].encode())
        assert (row["source"], row["language"], row["category"]) == ("pubmed", "amh", "guideline")
        assert row["kind"] == "text" and row["licence"] == "CC0-1.0" and row["retrieved_at"] is None
    assert [row["title"] for row in rows if row["title"]] == ["Malaria"]
    assert ingest(tmp_path, path="d").notes() == [
        "csv: 1 file, 0.0 MB",
        "jsonl: 1 file, 0.0 MB",
        "md: 1 file, 0.0 MB",
        "no_reader: 1 file, 0.0 MB",
        "parquet: 1 file, 0.0 MB",
        "tsv: 1 file, 0.0 MB",
        "txt: 1 file, 0.0 MB",
    ]


def test_bad_files_and_lines_are_rejects_and_the_rest_is_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "good.jsonl", {"text": "one"})
    (tmp_path / "lines.jsonl").write_text('{"text": "two"}\n{"txt": "x"}\n{broken\n{"text": null}\n{"text": "three"}\n')
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "wrong.csv").write_text("id,txt\n1,a\n2,b\n")
    (tmp_path / "latin.txt").write_bytes("œdème é".encode() * 9 + b"\xe9")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    packed = gzip.compress("".join(f'{{"text": "{n}"}}\n' for n in range(9)).encode(), mtime=0)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[:-12])
    rows, bad = read(tmp_path, path=".")
    assert sorted(bad)[1:] == [
        ("empty.csv", "empty"),
        ("gone.txt", "unreadable"),
        ("latin.txt", "invalid_utf8"),
        ("lines.jsonl#L2", "missing_column"),
        ("lines.jsonl#L3", "invalid_json"),
        ("lines.jsonl#L4", "null_text"),
        ("wrong.csv", "missing_column"),
    ]
    (locator, error) = sorted(bad)[0]
    kept = int(locator.removeprefix("cut.jsonl.gz#L")) - 1
    assert error == "broken" and 1 <= kept <= 9
    assert [row["text"] for row in rows] == [*map(str, range(kept)), "one", "two", "three"]


def test_a_whole_file_without_the_column_is_one_reject_with_its_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,abstrakt\n" + "1,a\n" * 5000)
    bad: list[Bad] = []
    assert not list(batches(ingest(tmp_path, path="a.csv", columns={"text": "abstract"}), bad))
    assert bad == [
        Bad(
            "a.csv",
            "missing_column",
            "no column 'abstract'; the columns are id, abstrakt; did you mean 'abstrakt'? (5,000 rows are lost)",
        )
    ]


def test_columns_are_those_of_tables_not_of_documents(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", {"abstract": "one"})
    (tmp_path / "b.md").write_text("# Malaria\ntwo")
    rows, bad = read(tmp_path, path=".", columns={"text": "abstract"})
    assert not bad and [(row["text"], row["title"]) for row in rows] == [("one", None), ("# Malaria\ntwo", "Malaria")]


def test_ids_stay_when_the_corpus_moves_and_when_the_file_is_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": f"ผู้ป่วย {n}\nمريض", "n": n} for n in range(5000)]
    write_lines(tmp_path / "one/a/x.jsonl", *rows)
    write_lines(tmp_path / "two/deep/a/x.jsonl", *rows)
    first, bad = read(tmp_path, path="one/**/*.jsonl")
    assert not bad and len({row["id"] for row in first}) == 5000
    assert read(tmp_path / "two", path="deep")[0] == first
    assert ingest(tmp_path, path="one").snapshot() == ingest(tmp_path / "two", path="deep").snapshot()
    monkeypatch.chdir(tmp_path / "one")
    assert read(Path("."), path="a/../../one")[0] == first
    monkeypatch.setattr(partitions, "SPLIT_BYTES", 50_000)
    monkeypatch.setattr(partitions, "GROUP_BYTES", 20_000)
    assert len(ingest(tmp_path, path="one").partitions()) > 3
    assert read(tmp_path, path="one")[0] == first


def test_block_size_changes_no_row(tmp_path: Path) -> None:
    lines = [f'{{"text": "{"x" * (n % 3000)}", "n": {n}.0, "e": "\\u00e9"}}' for n in range(3000)]
    lines[1500] = "{broken"
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    small, large = (read(tmp_path, path="a.jsonl", block_mb=mb) for mb in (1, 64))
    assert small == large and len(small[0]) == 2999 and small[1] == [("a.jsonl#L1501", "invalid_json")]


def test_a_row_above_the_limit_is_one_reject(tmp_path: Path) -> None:
    with (tmp_path / "a.jsonl").open("wb") as sink:
        sink.write(b'{"text": "one"}\n{"text": "')
        for _ in range(200):
            sink.write(b"x" * (1 << 20))
        sink.write(b'"}\n{"text": "three"}\n')
    assert (tmp_path / "a.jsonl").stat().st_size > 6 * MAX_ROW_BYTES
    rows, bad = read(tmp_path, path="a.jsonl")
    assert [row["locator"] for row in rows] == ["a.jsonl#L1", "a.jsonl#L3"] and bad == [("a.jsonl#L2", "too_large")]


def test_records_pass_with_ids_and_scores(tmp_path: Path) -> None:
    batch = records(["a", "b", "c"], language="eng", quality_words=[1, 2, 3])
    (tmp_path / "run/dataset").mkdir(parents=True)
    with pa.ipc.new_stream(tmp_path / "run/dataset/data-0.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    plain = records(["d"])
    with pa.ipc.new_stream(tmp_path / "run/dataset/data-1.arrow", plain.schema) as writer:
        writer.write_batch(plain)
    files = [{"filename": "data-0.arrow"}, {"filename": "data-1.arrow"}]
    (tmp_path / "run/dataset/state.json").write_text(json.dumps({"_data_files": files}))
    for params in ({"path": "run"}, {"path": "run/dataset", "format": "record"}, {"path": "run/dataset/*.arrow"}):
        bad: list[Bad] = []
        (made,) = batches(ingest(tmp_path, **params), bad)
        assert not bad and made.schema.names == [*RECORD.names, "quality_words"]
        assert made["id"].to_pylist() == batch["id"].to_pylist() + plain["id"].to_pylist()
        assert made["quality_words"].to_pylist() == [1, 2, 3, None]
        assert made["licence"].to_pylist() == ["unknown"] * 4
    pq.write_table(pa.Table.from_batches([batch]), tmp_path / "a.parquet")
    assert [row["id"] for row in read(tmp_path, path="a.parquet")[0]] == batch["id"].to_pylist()
    rows, _ = read(tmp_path, path="a.parquet", columns={"text": "text"})
    assert rows[0]["id"] != batch["id"][0].as_py()


def test_a_table_said_to_hold_records_that_does_not(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    assert read(tmp_path, path="a.parquet", format="record") == ([], [("a.parquet", "missing_column")])
    batch = records(["a"]).set_column(2, "text", pa.array([[1]]))
    with pa.ipc.new_file(tmp_path / "b.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    assert read(tmp_path, path="b.arrow") == ([], [("b.arrow", "schema")])


def test_a_dataset_saved_by_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "lang": ["en", "fr"]})
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(str(tmp_path / "saved"))
    rows, bad = read(tmp_path, path="saved", columns={"text": "text", "language": "lang"})
    assert not bad and [row["language"] for row in rows] == ["eng", "fra"] * 2
    assert rows[0]["locator"] == "test/data-00000-of-00001.arrow#row=0"


def test_nothing_found_and_unknown_formats_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"no file matches x/\*.pdf \(looked in "):
        ingest(tmp_path, path="x/*.pdf").partitions()
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    with pytest.raises(Fatal, match=r"the format of a.pdf is not known; known formats: jsonl, "):
        ingest(tmp_path, path="a.pdf").snapshot()
    with pytest.raises(Missing, match="NOT_SET_ANYWHERE"):
        ingest(tmp_path, path="${NOT_SET_ANYWHERE}/a").partitions()


def test_files_without_a_reader_are_counted_and_not_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "d/a.jsonl", {"text": "one"})
    for name in ("b.pdf", "c.docx.gz", "LICENSE"):
        (tmp_path / "d" / name).write_bytes(b"%PDF-1.7")
    (tmp_path / "d/part-00000").write_text('{"text": "two"}\n')
    bad: list[Bad] = []
    for path in ("d", "d/*"):
        bad.clear()
        rows = [row for batch in batches(ingest(tmp_path, path=path), bad) for row in batch.to_pylist()]
        assert [row["text"] for row in rows] == ["one", "two"]
        assert {(one.locator, one.error, one.message) for one in bad} == {
            ("LICENSE", "no_reader", "no reader for a file without suffix"),
            ("b.pdf", "no_reader", "no reader for .pdf"),
            ("c.docx.gz", "no_reader", "no reader for .docx.gz"),
        }
    before = ingest(tmp_path, path="d").snapshot()
    (tmp_path / "d/b.pdf").write_bytes(b"%PDF-1.8")
    assert ingest(tmp_path, path="d").snapshot() == before, "what is not read need not be read again"


def test_variables_in_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "a.jsonl", {"text": "x"})
    monkeypatch.setenv("CORPUS", str(tmp_path))
    assert len(read(Path("/"), path="${CORPUS}/*.jsonl")[0]) == 1
    assert str(tmp_path) not in json.dumps(IngestParams(path="${CORPUS}").model_dump())


@pytest.mark.parametrize(
    "params",
    [
        {"language": "klingon"},
        {"category": "sports"},
        {"columns": {"txt": "a"}},
        {"columns": {"question": "q"}},
        {"delimiter": "::"},
        {"delimiter": "\n"},
        {"format": "docx"},
        {"labels": "tico"},
        {"colums": {}},
        {"block_mb": 0},
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IngestParams(path="x", **params)


def test_the_language_is_normalised_before_it_enters_a_key() -> None:
    keys = [IngestParams(path=path, language=label).data() for path, label in (("x", "en"), ("y", "English"))]
    assert keys[0] == keys[1] and keys[0]["language"] == "eng"


def test_the_licence_reason() -> None:
    licences = [
        "CC-BY-4.0",
        "cc0-1.0",
        "MIT",
        "CC-BY-NC-4.0",
        "CC-BY-ND-4.0",
        "unknown",
        None,
        "CC-BY-SA-3.0-IGO",
        "GPL-3.0",
    ]
    batch = records(["x"] * len(licences), licence=licences)
    drops = Ingest.reasons["licence"].drops(batch, IngestParams(path="x"), ())
    assert drops.to_pylist() == [False, False, False, True, True, True, True, False, True]
    only = IngestParams(path="x", permissive=["unknown"])
    assert Ingest.reasons["licence"].drops(batch, only, ()).to_pylist().count(False) == 1
    assert Ingest.reasons["licence"].params == ("permissive",)


def test_snapshot_and_partitions_follow_the_files(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"d/{number}.txt").parent.mkdir(exist_ok=True)
        (tmp_path / f"d/{number}.txt").write_text(str(number))
    stage = ingest(tmp_path, state=str(tmp_path / "state"), path="d")
    before, keys = stage.snapshot(), {p.digest for p in stage.partitions()}
    assert stage.snapshot() == before
    (tmp_path / "d/new.txt").write_text("new")
    assert stage.snapshot() != before and len(keys - {p.digest for p in stage.partitions()}) <= 1
    (tmp_path / "d/new.txt").unlink()
    assert ingest(tmp_path, path="d").snapshot() == before


def test_import_is_light() -> None:
    code = (
        "import sys, medcorpus.stages.ingest; "
        "print([m for m in ('pandas', 'datasets', 'fasttext', 'numba', 'pyarrow.parquet') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_locale_does_not_matter(tmp_path: Path) -> None:
    write_lines(tmp_path / "ยา.jsonl", {"text": "ยา"})
    (tmp_path / "b.csv").write_text("text\nยา\n", "utf-8")
    code = (
        "import sys; from medcorpus.core.stage import Context; from medcorpus.stages.ingest import *\n"
        "s = Ingest(IngestParams(path='.'), Context('s', sys.argv[1]))\n"
        "print([i for p in s.partitions() for b in s.read(p.spec, print) for i in b['id'].to_pylist()])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **settings},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for settings in (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            {"LC_ALL": "C.UTF-8"},
        )
    }
    assert len(outputs) == 1 and outputs.pop().count("'") == 4


def test_what_the_data_leaves_out_is_counted_but_no_error(tmp_path: Path) -> None:
    """Nine rows of ten without text, a picture, an old translation: told, and the budget of 2% still holds."""
    write_lines(tmp_path / "d/a.jsonl", {"text": "one"}, *[{"text": None}] * 9)
    (tmp_path / "d/scan.png").write_bytes(b"\x89PNG")
    (tmp_path / "d/fr.po").write_text(
        'msgid "wound"\nmsgstr "plaie"\n\n#, fuzzy\nmsgid "leg"\nmsgstr "jambon"\n\n#~ msgid "x"\n#~ msgstr "y"\n'
    )
    bad: list[Bad] = []
    rows = sum(batch.num_rows for batch in batches(ingest(tmp_path, path="d"), bad))
    assert rows == 2 and {one.reason for one in bad} == {"null_text", "no_reader", "fuzzy", "obsolete"}
    assert all(one.reason == one.error for one in bad)
    command = [sys.executable, "-m", "medcorpus", "ingest", "d", "out", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    write_lines(tmp_path / "d/a.jsonl", {"text": "one"}, {"txt": "two"})
    command[-2] = "other"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 3 and "max_error_rate" in done.stderr


def test_the_key_knows_the_registry_and_the_model(tmp_path: Path) -> None:
    from medcorpus.core.languages import registry
    from medcorpus.text.lid.model import digests, shipped_model

    found = ingest(tmp_path, path="x.txt").resource_digests()
    assert found == {"source": "pubmed", "languages": registry().digest, **digests(shipped_model())}


# -- real data ----------------------------------------------------------------------------------


@real
def test_sib200(tmp_path: Path) -> None:
    bad: list[Bad] = []
    count = sum(b.num_rows for b in batches(ingest(DATA, path="lid/sib200/*.tsv.gz", quoting=False), bad))
    assert count == 205 * (701 + 99) and not bad


@real
def test_guidelines() -> None:
    rows, bad = read(DATA, path="documents/nigeria_guidelines_en/raw data", language="en", category="guideline")
    assert len(rows) == 270 and not bad and all(row["text"] for row in rows)


@real
def test_medqa() -> None:
    path = "exams/medqa_usmle_en/**/*.jsonl"
    rows, bad = read(DATA, path=path, columns={"text": "question"})
    assert len(rows) == 1273 and not bad
    assert set(json.loads(rows[0]["extra"])) >= {"options", "answer_idx"}
    columns = {"question": "question", "options": "options", "answer": "answer_idx"}
    rows, bad = read(DATA, path=path, kind="mcqa", columns=columns)
    assert len(rows) == 1273 and not bad
    for row in rows:
        (answer,) = row["mcqa"]["answers"]
        (right,) = [o["text"] for o in row["mcqa"]["options"] if o["key"] == answer]
        assert json.loads(row["extra"])["answer"] == right


@real
def test_rumedbench() -> None:
    counts = {"train_v1": 1052, "dev_v1": 256, "test_v1": 256, "private_test_v1": 512}
    for name, count in counts.items():
        rows, bad = read(DATA, path=f"exams/rumedbench_ru/RuMedDaNet/{name}.jsonl", columns={"text": "context"})
        assert len(rows) == count and not bad
    rows, bad = read(DATA, path="exams/rumedbench_ru/RuMedTest/*.jsonl", columns={"text": "question"}, language="ru")
    assert len(rows) == 397 and not bad
    rows, bad = read(DATA, path="exams/rumedbench_ru", columns={"text": "context"})
    assert len(rows) == 2076 and {error for _, error in bad} == {"missing_column"} and len(bad) == 397


# -- scale --------------------------------------------------------------------------------------


@pytest.mark.accept
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize("kind", ["jsonl.gz", "csv", "jsonl"])
def test_memory_stays_flat(tmp_path: Path, kind: str) -> None:
    """Peak memory of reading 300 MB is that of reading 60 MB (the peak of a process, not of its parent)."""
    code = (
        "import sys; from medcorpus.core.stage import Context; from medcorpus.stages.ingest import *\n"
        "s = Ingest(IngestParams(path=sys.argv[1]), Context('s', sys.argv[2])); n = 0\n"
        "for p in s.partitions():\n"
        "    for b in s.read(p.spec, print): n += b.num_rows\n"
        "print(n, *[l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')])"
    )
    text = "Der Patient hat Fieber. ผู้ป่วยมีไข้ " * 40
    peaks = []
    for megabytes in (60, 300):
        path = tmp_path / f"{megabytes}.{kind}"
        with gzip.open(path, "wb", 1) if kind.endswith("gz") else path.open("wb") as sink:
            sink.write(b"id,text\n" if kind == "csv" else b"")
            size = rows = 0
            while size < megabytes << 20:
                row = f'{rows},"{text}"\n' if kind == "csv" else json.dumps({"id": rows, "text": text}) + "\n"
                size += sink.write(row.encode())
                rows += 1
        done = subprocess.run(
            [sys.executable, "-c", code, path.name, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        count, peak = map(int, done.stdout.split())
        assert count == rows
        peaks.append(peak >> 10)
    assert peaks[1] < min(450, peaks[0] + 100), f"{peaks} MB"


def test_files_that_are_not_utf8_say_what_they_were_in(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Fièvre élevée".encode("cp1252"))
    (tmp_path / "b.txt").write_bytes(b"fever")
    (tmp_path / "c.csv").write_bytes("text\nгорячка и кашель, три дня\n".replace(", ", " ").encode("koi8-r"))
    (tmp_path / "d.txt").write_bytes("FiÃ¨vre".encode())
    rows, bad = read(tmp_path, path=".")
    assert not bad and [(row["text"], row["charset"], row["flags"]) for row in rows] == [
        ("Fièvre élevée", "windows-1252", None),
        ("fever", None, None),
        ("горячка и кашель три дня", "koi8-r", None),
        ("Fièvre", None, ["mojibake_repaired"]),
    ]


def test_an_encoding_nobody_knows_is_an_error_of_the_recipe() -> None:
    with pytest.raises(ValueError, match=r"unknown encoding 'windows-125l'; did you mean"):
        IngestParams(path="a", encoding="windows-125l")
    assert IngestParams(path="a", encoding="GB2312").encoding == "gb18030"
