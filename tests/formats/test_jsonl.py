"""jsonl against the `json` module: every line read or named, whichever way a block takes."""

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medcorpus.formats.base import Options, Span
from medcorpus.formats.jsonl import read

OPTIONS = Options(wanted=("text", "meta.lang"), required=("text",))


def rows_of(path: Path, options: Options = OPTIONS) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    rows, bad = [], []
    for chunk in read(Span(str(path)), options):
        bad += [(one.locator, one.error) for one in chunk.bad]
        chunk.batch.validate(full=True)
        extras = chunk.extra.to_pylist() if chunk.extra is not None else [None] * chunk.batch.num_rows
        for row, place, extra in zip(chunk.batch.to_pylist(), chunk.places.to_pylist(), extras, strict=True):
            rows.append({**row, "place": place, "extra": extra})
    return rows, bad


def lines_of(tmp_path: Path, *lines: bytes | str, options: Options = OPTIONS):
    data = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines)
    (tmp_path / "a.jsonl").write_bytes(data)
    return rows_of(tmp_path / "a.jsonl", options)


GOOD = '{"text": "fever"}'

BAD = {
    "invalid_json": ['{"text": "a"', "{'text': 'a'}", '{"text": "a",}', '{"text": "a\tb"}', "fever", '{"text": "a"} x'],
    "not_an_object": ['["a"]', '"a"', "3", "true", "null"],
    "invalid_utf8": [b'{"text": "\xff"}', b'{"text": "a", "other": "\xc3("}'],
    "duplicate_key": [
        '{"text": "a", "text": "b"}',
        '{"text": "a", "meta": {}, "meta": {}}',
        '{"text": "a", "meta": {"lang": "a", "lang": "a"}}',
        '{"text": "a", "meta.lang": "a", "meta.lang": "b"}',
    ],
    "nul_byte": [b'{"text": "a\0b"}', b"\0\0\0"],
    "invalid_unicode": ['{"text": "\\ud800"}', '{"text": "a", "other": "x\\udc00y"}'],
    "missing_column": ['{"txt": "a"}', "{}"],
}


@pytest.mark.parametrize(("error", "line"), [(error, line) for error, lines in BAD.items() for line in lines])
def test_a_bad_line_costs_that_line_and_has_its_number(tmp_path: Path, error: str, line: str | bytes) -> None:
    rows, bad = lines_of(tmp_path, GOOD, "", line, GOOD)
    assert bad == [("L3", error)]
    assert [row["place"] for row in rows] == ["L1", "L4"]


def test_two_objects_on_a_line_and_one_on_two(tmp_path: Path) -> None:
    rows, bad = lines_of(tmp_path, GOOD + GOOD, '{"text":', '"b"}', GOOD)
    assert bad == [("L1", "invalid_json"), ("L2", "invalid_json"), ("L3", "not_an_object")] or bad == [
        ("L1", "invalid_json"),
        ("L2", "invalid_json"),
        ("L3", "invalid_json"),
    ]
    assert [row["place"] for row in rows] == ["L4"]


def test_messages_hold_no_text(tmp_path: Path) -> None:
    secret = "Mohammed_Okonkwo"
    lines = [
        f'{{"{secret} is": "{secret}"}}',
        f'{{"text": {secret}',
        f'"{secret}"',
        f'{{"text": "a", "text": "{secret}"}}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    messages = [bad.message for chunk in read(Span(str(tmp_path / "a.jsonl")), OPTIONS) for bad in chunk.bad]
    assert len(messages) == 4 and not any(secret in message for message in messages)


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"txet": "a", "id": 1}\n')
    (chunk,) = read(Span(str(tmp_path / "a.jsonl")), OPTIONS)
    assert chunk.bad[0].message == "no column 'text'; the columns are txet, id; did you mean 'txet'?"


def test_values_that_are_no_strings_become_their_json(tmp_path: Path) -> None:
    values = ["5", "1.5", "true", '["a", 1]', '{"k": "ü"}', "12345678901234567890123"]
    rows, bad = lines_of(tmp_path, *(f'{{"text": {value}}}' for value in values))
    assert not bad
    assert [row["text"] for row in rows] == ["5", "1.5", "true", '["a",1]', '{"k":"ü"}', "12345678901234567890123"]


def test_null_is_kept_as_null_and_dates_as_written(tmp_path: Path) -> None:
    rows, bad = lines_of(tmp_path, '{"text": null}', '{"text": "2020-01-01"}')
    assert not bad and [row["text"] for row in rows] == [None, "2020-01-01"]


def test_nested_columns_and_columns_with_a_dot(tmp_path: Path) -> None:
    lines = ['{"text": "a", "meta": {"lang": "sw", "n": 1}}', '{"text": "b", "meta.lang": "am"}', '{"text": "c"}']
    rows, _ = lines_of(tmp_path, *lines)
    assert [row["meta.lang"] for row in rows] == ["sw", "am", None]
    slow, _ = lines_of(tmp_path, *lines, '{"text": "d", "meta": "none"}')
    assert slow[:3] == rows and slow[3]["meta.lang"] is None


def test_crlf_bom_blanks_and_no_last_newline(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n\r\n  {"text": "b"} \r\n   \n{"text": "c"}')
    rows, bad = rows_of(tmp_path / "a.jsonl")
    assert not bad and [(row["text"], row["place"]) for row in rows] == [("a", "L1"), ("b", "L3"), ("c", "L5")]


def test_other_columns_stay_as_they_are_written(tmp_path: Path) -> None:
    line = (
        '{"id": 1.10, "text": "t", "big": 12345678901234567890123, "e": "\\u00e9 {\\"", "n": {"a": [1, {"b": "x, y"}]}}'
    )
    expected = '{"id":1.10,"big":12345678901234567890123,"e":"\\u00e9 {\\"","n":{"a":[1,{"b":"x, y"}]}}'
    assert lines_of(tmp_path, line)[0][0]["extra"] == expected
    assert lines_of(tmp_path, line, "broken")[0][0]["extra"] == expected
    some = Options(wanted=("text",), required=("text",), keep=("e", "id", "text"))
    assert lines_of(tmp_path, line, options=some)[0][0]["extra"] == '{"id":1.10,"text":"t","e":"\\u00e9 {\\""}'
    none = Options(wanted=("text",), required=("text",), keep="none")
    assert lines_of(tmp_path, line, options=none)[0][0]["extra"] is None


def test_nan_and_escaped_keys_in_other_columns(tmp_path: Path) -> None:
    rows, bad = lines_of(tmp_path, '{"text":"a","x":NaN,"y":[-Infinity]}', '{"t\\u0065xt":"b","\\u006b":"I N"}')
    assert not bad
    assert [(row["text"], row["extra"]) for row in rows] == [("a", '{"x":null,"y":[null]}'), ("b", '{"k":"I N"}')]


def test_a_key_twice_that_nobody_asked_for_is_kept(tmp_path: Path) -> None:
    line = '{"text":"a","x":1,"x":{"k":1,"k":2},"meta":{"n":1,"n":2}}'
    for others in ((), ("broken",)):
        rows, _ = lines_of(tmp_path, line, *others)
        assert rows[0]["extra"] == '{"x":1,"x":{"k":1,"k":2},"meta":{"n":1,"n":2}}'


def test_deep_nesting_is_a_bad_line(tmp_path: Path) -> None:
    rows, bad = lines_of(tmp_path, GOOD, '{"text":"a","x":' + "[" * 100_000 + "]" * 100_000 + "}", GOOD)
    assert bad == [("L2", "invalid_json")] and len(rows) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NICE = st.fixed_dictionaries(
    {"text": st.text()}, optional={"meta": st.fixed_dictionaries({"lang": st.text()}), "x": VALUES, "": VALUES}
)
ANY = st.fixed_dictionaries({"text": VALUES}, optional={"meta": VALUES, "x": VALUES}) | VALUES


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    values=st.lists(NICE | st.none(), max_size=12) | st.lists(ANY, max_size=8),
    ascii=st.booleans(),
    block=st.sampled_from([16, 100, 8 << 20]),
    newline=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_round_trip_against_json(values: list, ascii: bool, block: int, newline: str, last: bool) -> None:
    lines = ["" if value is None else json.dumps(value, ensure_ascii=ascii) for value in values]
    data = newline.join(lines) + (newline if last and lines else "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_bytes(data.encode())
        rows, bad = rows_of(path, Options(wanted=OPTIONS.wanted, required=OPTIONS.required, block_bytes=block))
    expected, wrong = [], []
    for number, line in enumerate(lines, 1):
        value = json.loads(line) if line else None
        if line and (not isinstance(value, dict) or "text" not in value):
            wrong.append(f"L{number}")
        elif line:
            rest = {key: item for key, item in value.items() if key not in OPTIONS.wanted}
            expected.append((f"L{number}", value["text"], rest or None))
    assert [place for place, error in bad if error != "empty"] == wrong
    assert [row["place"] for row in rows] == [place for place, _, _ in expected]
    for row, (_, text, rest) in zip(rows, expected, strict=True):
        assert row["text"] == text if isinstance(text, str) or text is None else _same(json.loads(row["text"]), text)
        assert _same(json.loads(row["extra"]) if row["extra"] else None, rest)


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, (int, float)):
        return math.isclose(one, two)
    return one == two
