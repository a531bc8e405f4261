"""Which reader a file gets."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medcorpus import formats


@pytest.mark.parametrize("name", formats.READERS)
def test_every_reader_is_there(name: str) -> None:
    assert callable(formats.reader(name))
    assert all(formats.by_suffix(f"a{suffix}.gz") == name for suffix in formats.READERS[name][1])


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.jsonl.gz", "jsonl"),
        ("A.TSV.ZST", "tsv"),
        ("ቅጽ.v2.csv.xz", "csv"),
        ("a.md", "md"),
        ("a.gz", None),
        ("a", None),
    ],
)
def test_suffixes(name: str, format: str | None) -> None:
    assert formats.by_suffix(name) == format


def test_content_tells_where_the_name_does_not(tmp_path: Path) -> None:
    def guess(data: bytes) -> str:
        (tmp_path / "part-00000").write_bytes(data)
        return formats.guess(str(tmp_path / "part-00000"))

    table = pa.table({"text": ["a"]})
    lines = b"".join(json.dumps({"text": "x" * 1000}).encode() + b"\n" for _ in range(200))
    assert guess(b'{"a": 1}\n{"a": 2}\n') == guess(gzip.compress(lines)) == "jsonl"
    assert guess(b'{\n  "a": 1\n}\n') == guess(b"[1]\n") == guess(b' [{"a": 1}]') == "json"
    assert guess(b"id\ttext\n1\ta\n") == "tsv"
    assert guess(b"id,text\n1,a\n2,b\n") == "csv"
    pq.write_table(table, tmp_path / "t")
    assert formats.guess(str(tmp_path / "t")) == "parquet"
    for new in (pa.ipc.new_file, pa.ipc.new_stream):
        with new(tmp_path / "t", table.schema) as writer:
            writer.write_table(table)
        assert formats.guess(str(tmp_path / "t")) == "arrow"
    for data in (b"", b"Fever, cough.\nPain, rash.\nAnd so, on.\n", b"\xff\xd8\xff\xe0"):
        with pytest.raises(formats.UnknownFormat, match=r"part-00000 is not known; known formats: jsonl, json, csv"):
            guess(data)


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        (b'\xef\xbb\xbf{"a": 1}\n{"a": 2}', "jsonl"),
        (json.dumps({"a": "x" * 100_000}).encode() + b"\n{}", "jsonl"),
        (b'{"a": 1}\n', "json"),
        (json.dumps({"a": "x" * 100_000}).encode(), "json"),
        (b'{\n"a": 1\n}', "json"),
        (b'[{"a": 1}]', "json"),
        (b'{"a":\n', "json"),
        (b"", "json"),
    ],
)
def test_a_json_file_of_lines_is_jsonl(tmp_path: Path, data: bytes, format: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    assert formats.guess(str(tmp_path / "a.json")) == format
