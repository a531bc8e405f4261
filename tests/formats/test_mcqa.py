"""Options and answers as exam files write them."""

import json

import pytest

from medcorpus.formats.mcqa import WrongShape, item, parse_answers, parse_options, readable

ABC = [("A", "one"), ("B", "two"), ("C", "three")]


@pytest.mark.parametrize(
    "options",
    [
        "(A) one\n(B) two\n(C) three",
        "  (A)one \r\n (B)  two\n\n(C) three\n",
        json.dumps({"A": "one", "B": "two", "C": "three"}),
        json.dumps(["one", "two", "three"]),
        json.dumps([{"key": "A", "text": "one"}, {"key": "B", "text": "two"}, {"key": "C", "text": "three"}]),
        json.dumps([{"label": "A", "text": "one"}, {"label": "B", "text": "two"}, {"label": "C", "text": "three"}]),
    ],
)
def test_shapes_of_options(options: str) -> None:
    assert parse_options(options) == ABC


def test_an_option_may_go_over_lines_and_hold_brackets() -> None:
    assert parse_options("(A) one (see (B))\nmore\n(B) two") == [("A", "one (see (B))\nmore"), ("B", "two")]
    assert parse_options("(1) 左\n(2) 右") == [("1", "左"), ("2", "右")]


@pytest.mark.parametrize(
    "options",
    ["", "one, two", "(A) one", "Which? (A) one\n(B) two", "(A) one\n(A) two", "[1, 2]", '{"A": 1, "B": 2}', "[", "[]"],
)
def test_other_shapes_are_refused(options: str) -> None:
    with pytest.raises(WrongShape):
        parse_options(options)


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        ("B", ["B"]),
        ("(B)", ["B"]),
        ("b", ["B"]),
        ("(CA)", ["A", "C"]),
        ("A, C", ["A", "C"]),
        ("A;B/C", ["A", "B", "C"]),
        ('["C", "A"]', ["A", "C"]),
        ("", []),
        (None, []),
    ],
)
def test_shapes_of_answers(answer: str | None, keys: list[str]) -> None:
    assert parse_answers(answer, ABC) == keys


@pytest.mark.parametrize("answer", ["D", "one", "A or D", "2"])
def test_answers_that_are_no_key_are_refused(answer: str) -> None:
    with pytest.raises(WrongShape) as caught:
        parse_answers(answer, ABC)
    assert caught.value.args == ("answer", "the answer is not the key of an option")


def test_readable_text() -> None:
    assert readable(item("Which?", "(A) one\n(B) two", "A", None)) == "Which?\n\nA. one\nB. two"
