"""JSON documents: which parts are rows, what is told instead of lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.formats import base
from medcorpus.formats.base import Chunk, Options, Span
from medcorpus.formats.json import read
from medcorpus.formats.members import count_members


def chunks(path: Path, document: Any, **options: Any) -> list[Chunk]:
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode())
    return list(read(Span(str(path)), Options(**options)))


@pytest.fixture
def rows(tmp_path: Path):  # type: ignore[no-untyped-def]
    def rows(document: Any, *wanted: str, **options: Any) -> tuple[list[tuple], list[tuple[str, str]]]:
        found, bad = [], []
        for chunk in chunks(tmp_path / "d.json", document, wanted=wanted, **options):
            bad += [(one.locator, one.error) for one in chunk.bad]
            if chunk.places is not None:
                columns = [chunk.places, *chunk.batch.columns, chunk.extra]
                found += list(zip(*(column.to_pylist() for column in columns), strict=True))
        return found, bad

    return rows


HEADQA = {"version": "1", "exams": {"C/1": {"year": 2013, "data": [{"q": "a"}, {"q": "b"}]}, "C~2": {"year": 2014, "data": [{"q": "c"}]}}}  # fmt: skip # noqa: E501


def test_a_list_of_objects(rows) -> None:
    assert rows([{"q": "a", "n": 1.5}, {"q": "b", "o": ["x"]}], "q") == (
        [("/0", "a", '{"n":1.5}'), ("/1", "b", '{"o":["x"]}')],
        [],
    )


def test_an_object_of_objects_is_keyed(rows) -> None:
    assert rows({"123": {"Q": "a"}, "456": {"Q": "b"}}, "Q", "_key") == (
        [("/123", "a", "123", None), ("/456", "b", "456", None)],
        [],
    )


def test_any_other_object_is_a_row(rows) -> None:
    document = {"title": "Malaria", "parts": [{"x": 1}]}
    assert rows(document, "title") == ([("", "Malaria", '{"parts":[{"x":1}]}')], [])


def test_the_document_itself(rows) -> None:
    assert rows({"a": {"b": 1}}, "a.b", records=".") == ([("", "1", '{"a":{"b":1}}')], [])
    assert rows([{"q": 1}], "q", records=".") == rows([{"q": 1}], "q")


def test_a_path_with_what_is_around_a_row(rows) -> None:
    assert rows(HEADQA, "q", "_up.year", "_up.version", "_key", records="exams.*.data") == (
        [
            ("/exams/C~11/data/0", "a", "2013", "1", "0", None),
            ("/exams/C~11/data/1", "b", "2013", "1", "1", None),
            ("/exams/C~02/data/0", "c", "2014", "1", "0", None),
        ],
        [],
    )
    assert rows(HEADQA, "q", records="exams.*.data.*") == rows(HEADQA, "q", records="exams.*.data")


def test_rows_that_are_no_objects(rows) -> None:
    assert rows({"12": "yes", "13": None}, "_key", "_value", records="*") == (
        [("/12", "12", "yes", None), ("/13", "13", None, None)],
        [],
    )
    assert rows([["q", "a"], "text"], "_value") == ([("/0", '["q","a"]', None), ("/1", "text", None)], [])


def test_nested_columns_and_list_items(rows) -> None:
    document = [{"qas": [{"question": "why"}], "qas.0.id": "odd"}]
    assert rows(document, "qas.0.question", "qas.1.question", "qas.0.id", keep="none") == (
        [("/0", "why", None, "odd", None)],
        [],
    )


def test_a_path_that_leads_nowhere_is_told(rows) -> None:
    assert rows(HEADQA, "q", records="exam.*") == ([], [("/exam", "no_records")])
    assert rows({"exams": {"a": {"data": [{"q": 1}]}, "b": {}}}, "q", records="exams.*.data") == (
        [("/exams/a/data/0", "1", None)],
        [("/exams/b/data", "no_records")],
    )
    assert rows({"a": "text"}, "q", records="a.*") == ([], [("/a", "no_records")])
    assert rows({"a": []}, "q", records="a") == ([], [("", "no_records")])


def test_a_required_column_that_is_not_there(rows) -> None:
    assert rows([{"q": "a"}, {"Q": "b"}], "q", required=("q",)) == ([("/0", "a", None)], [("/1", "missing_column")])


@pytest.mark.parametrize(
    ("data", "place", "error"),
    [
        (b'{"success": true, "obj":\n', "L2", "invalid_json"),
        (b'[\n {"a": 1},\n {"a": tru}\n]', "L3", "invalid_json"),
        (b'[{"a": NaN}]', "L1", "invalid_json"),
        (b'[{"a": Infinity}]', "L1", "invalid_json"),
        (b'[{"a": "\\ud800"}]', "L1", "invalid_json"),
        (b'[{"a": "caf\xe9"}]', "", "invalid_utf8"),
        (b"", "", "empty"),
        (b" \n", "", "empty"),
        (b"[" * 5000 + b"]" * 5000, "L1", "invalid_json"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(rows, data: bytes, place: str, error: str) -> None:
    assert rows(data, "a") == ([], [(place, error)])


def test_line_and_column_are_in_the_message(tmp_path: Path) -> None:
    (chunk,) = chunks(tmp_path / "d.json", b'[\n {"a": 1},\n {"a": tru}\n]', wanted=("a",))
    assert chunk.bad[0].message.startswith("not JSON at line 3, column ")


def test_keys_that_stand_twice(rows) -> None:
    assert rows(b'{"1": {"q": "a"}, "1": {"q": "b"}}', "q") == ([("/1", "b", None)], [("/1", "duplicate_key")])
    assert rows(b'[{"q": "a", "q": "b"}, {"q": "c", "n": 1, "n": 2}]', "q") == (
        [("/1", "c", '{"n":2}')],
        [("/0", "duplicate_key")],
    )
    assert rows(b'{"d": [1], "d": [2]}', "_value", records="d") == ([], [("/d", "duplicate_key")])
    assert rows(b'[{"q": "a: b", "n": {":": "\\":"}}]', "q")[1] == []


def test_long_numbers_stay_as_they_are(rows) -> None:
    assert rows(b'[{"n": 123456789012345678901234, "m": -12345678901234567890123}]', "n") == (
        [("/0", "123456789012345678901234", '{"m":-12345678901234567890123}')],
        [],
    )


def test_a_byte_order_mark(rows) -> None:
    assert rows(b'\xef\xbb\xbf[{"q": "a"}]', "q")[0] == [("/0", "a", None)]


def test_a_document_beyond_the_limit(rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medcorpus.formats.json.MOST_IN_MEMORY", 1000)
    assert rows([{"q": "x" * 1000}], "q") == ([], [("", "too_large")])
    assert base.MOST_IN_MEMORY == 512 << 20


def test_many_rows_come_in_chunks(tmp_path: Path) -> None:
    sizes = [c.batch.num_rows for c in chunks(tmp_path / "d.json", [{"q": n} for n in range(9000)], wanted=("q",))]
    assert sizes == [4096, 4096, 808]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def _members(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_members, value.values()))
    return sum(map(_members, value)) if isinstance(value, list) else 0


@given(JSON, st.booleans())
def test_members_are_counted_as_they_are_written(value: Any, ascii: bool) -> None:
    assert count_members(json.dumps(value, ensure_ascii=ascii).encode("utf-8", "surrogatepass")) == _members(value)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON), max_size=5))
def test_every_element_is_a_row_or_told(tmp_path_factory: pytest.TempPathFactory, document: list[Any]) -> None:
    found = chunks(tmp_path_factory.mktemp("x") / "d.json", json.dumps(document).encode(), wanted=("a",))
    if found and found[0].bad and found[0].bad[0].error == "invalid_json":  # half a character
        return
    assert sum(c.batch.num_rows + len(c.bad) for c in found) == len(document)
    values = [value for c in found for value in c.batch["a"].to_pylist()]
    for value, row in zip(values, document, strict=True):
        if not isinstance(row.get("a"), str) and value is not None:
            assert json.loads(value) == row["a"]


def test_lists_by_name(rows) -> None:
    lists = {"en_words": ["cell", "gene"], "jp_words": ["細胞"]}
    assert rows(lists, "_name", "_key", "_value", records="*") == (
        [("/en_words/0", "en_words", "0", "cell", None), ("/en_words/1", "en_words", "1", "gene", None),
         ("/jp_words/0", "jp_words", "0", "細胞", None)], [],
    )  # fmt: skip
    assert rows([{"a": 1}], "_name") == ([("/0", "", '{"a":1}')], [])
