"""csv and tsv against the `csv` module: every record read or named, with the line it begins on."""

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.core.schema import MAX_ROW_BYTES
from medcorpus.formats.base import Options, Span
from medcorpus.formats.delimited import read_csv, read_tsv


def rows_of(path: Path, options: Options = Options(), reader=read_csv):  # noqa: B008
    rows, places, bad = [], [], []
    for chunk in reader(Span(str(path)), options):
        bad += [(one.locator, one.error) for one in chunk.bad]
        if chunk.batch.num_rows:
            chunk.batch.validate(full=True)
            assert {str(kind) for kind in chunk.batch.schema.types} == {"string"}
            rows += chunk.batch.to_pylist()
            places += chunk.places.to_pylist()
    return rows, places, bad


def read_text(tmp_path: Path, data: bytes | str, options: Options = Options(), reader=read_csv):  # noqa: B008
    (tmp_path / "a").write_bytes(data.encode() if isinstance(data, str) else data)
    return rows_of(tmp_path / "a", options, reader)


def test_every_column_is_a_string_as_written(tmp_path: Path) -> None:
    rows, places, bad = read_text(tmp_path, "id,text\n007,NA\n1.0,\n2020-01-01,null\n")
    assert not bad and places == ["L2", "L3", "L4"]
    assert [(r["id"], r["text"]) for r in rows] == [("007", "NA"), ("1.0", ""), ("2020-01-01", "null")]


def test_newlines_inside_quotes_count_and_blank_lines_too(tmp_path: Path) -> None:
    data = '\ufeffid,text\r\n1,"two\r\nlines"\r\n\r\n\r\n2,"a ""quoted"" word"\r\n3,"x\n\n\ny"\r\n4,end'
    rows, places, bad = read_text(tmp_path, data)
    assert not bad and places == ["L2", "L6", "L7", "L11"]
    assert [row["text"] for row in rows] == ["two\r\nlines", 'a "quoted" word', "x\n\n\ny", "end"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"1,2,3", "field_count"),
        (b"1", "field_count"),
        (b"1,\xff", "invalid_utf8"),
        (b"1,a\0b", "nul_byte"),
        (b"1,a\rb", "invalid_csv"),
        (b'"one",two,"three\nand"', "field_count"),
    ],
)
def test_a_bad_record_costs_that_record_and_has_its_line(tmp_path: Path, line: bytes, error: str) -> None:
    rows, places, bad = read_text(tmp_path, b'id,text\n0,"a\nb"\n' + line + b"\n9,z\n")
    after = 5 + line.count(b"\n")
    assert bad == [("L4", error)] and places == ["L2", f"L{after}"]
    assert rows[-1] == {"id": "9", "text": "z"}


def test_a_quote_inside_a_field_is_a_character(tmp_path: Path) -> None:
    rows, places, bad = read_text(tmp_path, 'id,text\n1,a 5" tube\n2,b\n3,"c" d\n4,"e\nf"\n')
    assert not bad and places == ["L2", "L3", "L4", "L5"]
    assert [row["text"] for row in rows] == ['a 5" tube', "b", "c d", "e\nf"]


@pytest.mark.parametrize("block", [8 << 20, 24])
def test_a_quote_never_closed_costs_one_line(tmp_path: Path, block: int) -> None:
    data = 'id,text\n1,a\n2,"open\n3,b\n4,c\n'
    rows, places, bad = read_text(tmp_path, data, Options(block_bytes=block))
    assert bad == [("L3", "unclosed_quote")] and places == ["L2", "L4", "L5"]
    assert [row["text"] for row in rows] == ["a", "b", "c"]


def test_without_quoting_a_quote_means_nothing(tmp_path: Path) -> None:
    rows, places, bad = read_text(
        tmp_path, 'id\ttext\n1\t"open\n2\ta"b"\tc\n3\td\r\n', Options(quoting=False), read_tsv
    )
    assert [row["text"] for row in rows] == ['"open', "d"]
    assert places == ["L2", "L4"] and bad == [("L3", "field_count")]


def test_delimiter_and_header_may_be_given(tmp_path: Path) -> None:
    options = Options(delimiter=";", header=("id", "text"))
    assert read_text(tmp_path, "1;a\n2;b\n", options)[:2] == (
        [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}],
        ["L1", "L2"],
    )


def test_names_of_columns_are_made_unique(tmp_path: Path) -> None:
    rows, _, _ = read_text(tmp_path, "\n, text ,text,\n1,2,3,4\n")
    assert list(rows[0]) == ["column_1", "text", "text_2", "column_4"]


def test_a_header_that_is_no_text_stops_the_file(tmp_path: Path) -> None:
    assert read_text(tmp_path, b"\xff\xfd,text\n1,a\n")[2] == [("", "header")]
    assert read_text(tmp_path, b"")[2] == [("", "empty")]
    assert read_text(tmp_path, b"id,text\n") == ([], [], [])


def test_a_record_above_the_limit_is_told_and_the_rest_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.write(b"id,text\n1,a\n2," + b"x" * (MAX_ROW_BYTES + 1) + b"\n3,b\n")
    rows, places, bad = rows_of(tmp_path / "a")
    assert bad == [("L3", "too_large")] and places == ["L2", "L4"] and rows[1]["text"] == "b"


def test_a_quote_left_open_before_a_line_above_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.write(b'id,text\n1,"open\n2,' + b"x" * (MAX_ROW_BYTES + 1) + b"\n3,b\n")
    _, places, bad = rows_of(tmp_path / "a")
    assert bad == [("L2", "unclosed_quote"), ("L3", "too_large")] and places == ["L4"]


def test_a_quote_left_open_beyond_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.write(b'id,text\n1,"open\n')
        for number in range(MAX_ROW_BYTES // 1000 + 1000):
            file.write(b"%d,%s\n" % (number, b"y" * 1000))
    rows, places, bad = rows_of(tmp_path / "a")
    assert bad == [("L2", "unclosed_quote")] and places[:2] == ["L3", "L4"]
    assert len(rows) == MAX_ROW_BYTES // 1000 + 1000


FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ['"', '""', "\n", "\r\n", "a\nb", ",", '","', "ผู้ป่วย", "مريض", "患者", "በሽተኛ", "=1+1", " a "]
)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.lists(FIELDS, min_size=2, max_size=2), max_size=12),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    newline=st.sampled_from(["\n", "\r\n"]),
    block=st.sampled_from([1, 17, 64, 8 << 20]),
)
def test_round_trip_against_csv(rows: list[list[str]], quoting: int, newline: str, block: int) -> None:
    if quoting == csv.QUOTE_MINIMAL and newline == "\n":  # then csv leaves a carriage return bare and unreadable
        rows = [[field.replace("\r", "") for field in row] for row in rows]
    sink = io.StringIO()
    writer = csv.writer(sink, quoting=quoting, lineterminator=newline)
    writer.writerow(["id", "text"])
    expected = []
    for row in rows:
        expected.append(f"L{sink.getvalue().count(chr(10)) + 1}")
        writer.writerow(row)
    found, places, bad = _read_bytes(sink.getvalue().encode(), block)
    assert not bad
    assert [[row["id"], row["text"]] for row in found] == rows
    assert places == expected


@settings(max_examples=300, deadline=None)
@given(
    data=st.text(st.sampled_from('ab",\n\r'), max_size=60) | st.text(st.sampled_from('a",\n'), max_size=30),
    block=st.sampled_from([1, 5, 8 << 20]),
)
def test_any_text_gives_what_csv_gives_in_any_block_size(data: str, block: int) -> None:
    """Both ways through a block agree with csv, up to a quote that is never closed."""
    found, places, bad = _read_bytes(b"id,text\n" + data.encode(), block)
    whole = _read_bytes(b"id,text\n" + data.encode(), 8 << 20)
    assert (found, places, bad) == whole
    if any(error == "unclosed_quote" for _, error in bad):
        return
    expected = []
    reader = csv.reader(io.StringIO(data, newline="\n"))
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            continue
        if len(row) == 2:
            expected.append(row)
    assert [[row["id"], row["text"]] for row in found] == expected


def _read_bytes(data: bytes, block: int):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(data)
        return rows_of(path, Options(block_bytes=block))
