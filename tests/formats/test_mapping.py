"""Columns to records: what is taken, what is refused, what is kept."""

import datetime
import json
from decimal import Decimal

import pyarrow as pa
import pytest

from medcorpus.core.schema import MAX_ROW_BYTES, RECORD, record_id
from medcorpus.formats.base import Chunk, locators, row_places
from medcorpus.formats.mapping import Mapping, MissingColumn, as_records, record_ids, to_records
from tests.records import records


def chunk(utf8: bool = True, **columns) -> Chunk:
    batch = pa.RecordBatch.from_pydict(columns)
    return Chunk(batch, row_places(0, batch.num_rows), utf8=utf8)


def mapped(given: Chunk, **how):
    batch, bad = to_records(given, locators(given, "f.csv"), Mapping(source="s", **how))
    assert batch.schema.equals(RECORD, check_metadata=True)
    batch.validate(full=True)
    return batch.to_pylist(), [(one.locator, one.error) for one in bad]


def test_identity_is_that_of_the_schema() -> None:
    rows, bad = mapped(chunk(text=["Fièvre", ""]))
    assert not bad and [row["id"] for row in rows] == [
        record_id(b"s", b"f.csv#row=0", "Fièvre".encode()),
        record_id(b"s", b"f.csv#row=1", b""),
    ]
    texts = pa.array(["x", "a", "ผู้", "b"]).slice(1, 2)
    assert record_ids(pa.array(["s", "s"]), pa.array(["1", "2"]), texts).to_pylist() == [
        record_id(b"s", b"1", b"a"),
        record_id(b"s", b"2", "ผู้".encode()),
    ]


def test_columns_of_equal_name_are_taken_and_the_others_kept() -> None:
    rows, _ = mapped(chunk(text=["t"], title=["T"], category=["sports"], source=["web"], n=[3]))
    assert rows[0]["title"] == "T" and rows[0]["category"] is None and rows[0]["source"] == "s"
    assert rows[0]["extra"] == '{"category":"sports","source":"web","n":3}'


def test_columns_that_are_named_are_the_only_ones_taken() -> None:
    given = chunk(body=["t"], title=["T"], meta=[{"lang": "pt-BR", "topic": "exam"}])
    rows, _ = mapped(given, columns={"text": "body", "language": "meta.lang", "category": "meta.topic"})
    assert (rows[0]["text"], rows[0]["language"], rows[0]["category"]) == ("t", "por", "exam")
    assert rows[0]["title"] is None
    assert json.loads(rows[0]["extra"]) == {"title": "T", "meta": {"lang": "pt-BR", "topic": "exam"}}
    for keep, extra in (("none", None), (("title",), '{"title":"T"}')):
        assert mapped(given, columns={"text": "body"}, keep=keep)[0][0]["extra"] == extra


def test_constants_fill_what_the_column_leaves_open() -> None:
    given = chunk(text=["a", "b", "c"], language=["de", None, " "], licence=[None, "MIT", ""])
    rows, _ = mapped(given, constants={"language": "eng", "licence": "unknown", "split": "train"})
    assert [row["language"] for row in rows] == ["deu", "eng", "eng"]
    assert [row["licence"] for row in rows] == ["unknown", "MIT", "unknown"]
    assert {row["split"] for row in rows} == {"train"}


def test_labels_are_normalised_and_unknown_ones_named() -> None:
    given = chunk(text=["a", "b", "c", "d"], language=["zh-CN", "xx-klingon", "__label__eng_Latn", "xx-klingon"])
    batch, bad = to_records(given, locators(given, "f"), Mapping(source="s"))
    assert batch["language"].to_pylist() == ["zho", "eng"]
    assert [one.locator for one in bad] == ["f#row=1", "f#row=3"]
    assert {one.error for one in bad} == {"unknown_language"} and "'xx-klingon'" in bad[0].message
    given = chunk(text=["a"], c=["sports"])
    _, bad = to_records(given, locators(given, "f"), Mapping(source="s", columns={"category": "c"}))
    assert bad[0].error == "unknown_category" and "'sports'" in bad[0].message


def test_rows_that_cannot_be_a_record() -> None:
    big = "x" * (MAX_ROW_BYTES + 1)
    assert mapped(chunk(text=[None, "a\0b", big, "good"]))[1] == [
        ("f.csv#row=0", "null_text"),
        ("f.csv#row=1", "nul_byte"),
        ("f.csv#row=2", "too_large"),
    ]
    given = chunk(utf8=False, text=pa.array([b"good", b"caf\xe9"]))
    assert mapped(given)[1] == [("f.csv#row=1", "invalid_utf8")]
    lies = pa.Array.from_buffers(pa.string(), 2, given.batch["text"].buffers())
    assert mapped(chunk(utf8=False, text=lies))[1] == [("f.csv#row=1", "invalid_utf8")]


def test_any_type_of_column_becomes_text() -> None:
    for array, text in (
        (pa.array(["a"], pa.large_string()), "a"),
        (pa.array(["a"], pa.string_view()), "a"),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.array([b"a"], pa.large_binary()), "a"),
        (pa.array([7]), "7"),
        (pa.array([["a", "b"]]), '["a","b"]'),
    ):
        assert mapped(chunk(text=array))[0][0]["text"] == text


def test_other_columns_of_any_type_become_json() -> None:
    values = {
        "when": [datetime.datetime(2020, 1, 2, 3)],
        "raw": [b"\xff"],
        "sum": [Decimal("1.10")],
        "nan": [float("nan")],
        "none": pa.array([None], pa.int64()),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
    }
    extra = json.loads(mapped(chunk(text=["t"], **values))[0][0]["extra"])
    assert extra == {"when": "2020-01-02T03:00:00", "raw": "/w==", "sum": "1.10", "nan": None, "map": [["k", 1]]}


@pytest.mark.parametrize("columns", [None, {"text": "txt"}, {"title": "titel"}])
def test_a_column_that_is_not_there_is_named_with_the_nearest(columns: dict | None) -> None:
    given = chunk(txet=["a"]) if columns is None else chunk(text=["a"], title=["T"])
    with pytest.raises(MissingColumn, match=r"no column '.*'; the columns are .*; did you mean"):
        to_records(given, locators(given, "f"), Mapping(source="s", columns=columns))


def test_what_does_not_look_like_a_name_is_not_shown() -> None:
    with pytest.raises(MissingColumn) as caught:
        given = chunk(**{"Patient has fever, HIV positive": ["x"], "id": ["1"]})
        to_records(given, locators(given, "f"), Mapping(source="s"))
    assert "no column 'text'; the columns are id and 1 more" in str(caught.value)


def test_question_and_answer() -> None:
    given = chunk(question=["Q1", "Q2", None], answer=["A1", None, "A3"], n=[1, 2, 3])
    rows, bad = mapped(given, kind="qa")
    assert bad == [("f.csv#row=2", "null_text"), ("f.csv#row=1", "null_text")]
    (row,) = rows
    assert row["text"] == "Q1\n\nA1" and row["kind"] == "qa" and row["extra"] == '{"n":1}'
    assert row["turns"] == [{"role": "user", "content": "Q1"}, {"role": "assistant", "content": "A1"}]


def test_multiple_choice() -> None:
    given = chunk(
        q=["Q1", "Q2", "Q3"],
        options=["(A) one\n(B) two", "one or two", "(A) one\n(B) two"],
        answer=["(B)", "A", "Z"],
        rationale=["because", None, None],
    )
    rows, bad = mapped(given, kind="mcqa", columns={"question": "q"})
    assert bad == [("f.csv#row=1", "options"), ("f.csv#row=2", "answer")]
    (row,) = rows
    assert row["text"] == "Q1\n\nA. one\nB. two" and row["extra"] is None
    assert row["mcqa"]["answers"] == ["B"] and row["mcqa"]["rationale"] == "because"
    lists = chunk(question=["Q"], options=[["one", "two"]])
    assert mapped(lists, kind="mcqa")[0][0]["mcqa"]["options"][1] == {"key": "B", "text": "two"}


def test_records_pass_as_they_are() -> None:
    batch = records(["a", "b"], language=["eng", None], quality_words=[1, 2])
    given = Chunk(batch, row_places(0, 2), utf8=False)
    made, bad = as_records(given, locators(given, "f"), batch.schema, {"language": "und", "licence": "MIT"})
    assert not bad and made.drop_columns(["language", "licence"]) == batch.drop_columns(["language", "licence"])
    assert made["language"].to_pylist() == ["eng", "und"] and made["licence"].to_pylist() == ["MIT", "MIT"]
    holes = Chunk(batch.set_column(0, "id", pa.array([None, "x"])), row_places(0, 2))
    made, bad = as_records(holes, locators(holes, "f"), batch.schema, {})
    assert made.num_rows == 1 and [(one.locator, one.error) for one in bad] == [("f#row=0", "null_field")]
    with pytest.raises(MissingColumn, match="no column 'id'"):
        as_records(Chunk(batch.drop_columns(["id"]), row_places(0, 2)), given.places, batch.schema, {})
