"""Where a field comes from: what may be said, and what comes of it."""

import json

import pyarrow as pa
import pytest
from pydantic import ValidationError

from medcorpus.formats.base import Chunk, row_places
from medcorpus.formats.columns import Column, strings
from medcorpus.formats.mcqa import WrongShape
from medcorpus.formats.rows import Rows
from medcorpus.formats.turns import parse_spans, parse_turns
from medcorpus.stages.ingest import IngestParams


def value(column: dict | str, file: str = "a.csv", role: str = "text", **columns: list) -> list:
    batch = pa.RecordBatch.from_pydict(columns or {"x": [None]})
    rows = Rows(Chunk(batch, row_places(0, batch.num_rows)), row_places(0, batch.num_rows))
    array = strings(rows, Column.model_validate(column), file, role)
    assert array is not None and array.type == pa.string()
    return array.to_pylist()


@pytest.mark.parametrize(
    ("column", "file", "made"),
    [
        ({"from": "name"}, "d/fr/x.v2.json.gz", "x.v2.json.gz"),
        ({"from": "stem"}, "d/fr/x.v2.json.gz", "x.v2"),
        ({"from": "extension"}, "d/covid.AM", "AM"),
        ({"from": "extension"}, "d/covid", None),
        ({"from": "folder"}, "d/fr/x.json", "fr"),
        ({"from": "folder"}, "x.json", None),
        ({"from": "folder"}, "a.zip!/es/x.json", "es"),
        ({"from": "stem", "pattern": r"^all\.en-(.+)$"}, "all.en-kr.tmx.zip!/all.en-kr.tmx", "kr"),
        ({"from": "stem", "pattern": r"^all\.en-(.+)$", "map": {"kr": "kau"}}, "all.en-kr.tmx", "kau"),
        ({"from": "stem", "split": "_", "part": -2}, "a_b_zh_qa.json", "zh"),
        ({"from": "stem", "split": "_", "part": 9}, "a_b.json", None),
        ({"from": "stem", "pattern": "[0-9]+"}, "ab12.json", "12"),
        ({"value": "fr"}, "x", "fr"),
    ],
)
def test_from_the_name_of_the_file(column: dict, file: str, made: str | None) -> None:
    assert value(column, file) == [made]


def test_joined_columns() -> None:
    both = {"columns": ["a", "b"]}
    assert value(both, a=["x", None, ""], b=["y", "z", None]) == ["x\n\ny", "z", None]
    assert value({**both, "join": " "}, a=["x"], b=["y"]) == ["x y"]
    assert value(both, a=[json.dumps(["p", {"k": ["q", 5]}, None])], b=["[not json"]) == ["p\nq\n5\n\n[not json"]
    assert value({"column": "a", "join": "\n"}, a=['["p", "q"]']) == ["p\nq"]
    assert value({"column": "a"}, a=['["p", "q"]']) == ['["p", "q"]']


def test_values_are_changed_each_once_in_their_row() -> None:
    column = {"column": "l", "map": {"jp": "ja", "English": "en"}}
    assert value(column, l=["jp", None, "fr", "jp", "English"]) == ["ja", None, "fr", "ja", "en"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({}, "say one of"),
        ({"column": "a", "value": "b"}, "say one of"),
        ({"from": "path"}, "'name', 'stem', 'extension' or 'folder'"),
        ({"column": "a", "split": "_"}, "go together"),
        ({"column": "a", "pattern": "("}, "not a regular expression"),
        ({"column": "a", "pattern": "(a)(b)"}, "at most one group"),
        ({"column": "a", "as": "text"}, "columns.text: `as` may be left out only"),
        ({"colum": "a"}, "Extra inputs"),
        ({"column": ""}, "at least 1 character"),
    ],
)
def test_what_cannot_be_meant_is_refused(column: dict, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        IngestParams(path="x", columns={"text": column})
    assert message in str(caught.value)


def test_a_recipe_is_written_down_as_it_was_said() -> None:
    said = {"text": "body", "language": {"from_": "stem", "split": "_", "part": 1}}
    params = IngestParams(path="x", columns={"text": {"column": "body"}, "language": said["language"]})
    assert json.loads(json.dumps(params.model_dump(mode="json")))["columns"] == said
    assert IngestParams.model_validate(params.model_dump(mode="json")) == params
    assert params.data()["columns"] == said


@pytest.mark.parametrize(
    ("turns", "count"),
    [
        (["q", "a", "q", "a"], 4),
        ([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], 2),
        ([{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], 2),
        (
            [
                {"role": "system", "content": "s"},
                {"role": "Patient", "content": "q"},
                {"role": "Doctor", "content": "a"},
            ],
            3,
        ),
        (["q"], None),
        ([], None),
        ("q", None),
        ([["q", "a"]], None),
        ([{"role": "user", "content": "q"}], None),
        ([{"role": "narrator", "content": "q"}, {"role": "assistant", "content": "a"}], None),
        ([{"role": "user", "content": None}, {"role": "assistant", "content": "a"}], None),
    ],
)
def test_turns(turns: object, count: int | None) -> None:
    if count is None:
        with pytest.raises(WrongShape):
            parse_turns(json.dumps(turns))
    else:
        made = parse_turns(json.dumps(turns))
        assert len(made) == count and {turn["role"] for turn in made} >= {"user", "assistant"}


@pytest.mark.parametrize(
    "spans", [[{"text": "b", "start": 0}], [{"text": "", "start": 0}], [{"start": 1}], ["a"], {}, 3]
)
def test_spans_that_are_wrong(spans: object) -> None:
    with pytest.raises(WrongShape):
        parse_spans(json.dumps(spans), 0, "abc", 0)
    assert parse_spans('[{"quote": "bc", "start": 2, "id": 5}]', 1, "abc", 10) == [
        {"id": "5", "start": 11, "end": 13, "quote": "bc"}
    ]
