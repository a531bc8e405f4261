"""Workbooks as people keep them: odd cells, several sheets, formulas, damage."""

import datetime
import sys
import zipfile
from pathlib import Path

import pytest

from medcorpus.core.errors import Missing
from medcorpus.formats.base import Options, Span
from medcorpus.formats.xlsx import read as read_xlsx
from tests.stages.test_ingest import read

openpyxl = pytest.importorskip("openpyxl")


def book(path: Path, sheets: dict[str, list[list]]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def rows(path: Path, **options) -> tuple[list[tuple], list[tuple[str, str]]]:
    found, bad = [], []
    for chunk in read_xlsx(Span(str(path)), Options(**options)):
        bad += [(one.locator, one.error) for one in chunk.bad]
        if chunk.places is not None:
            found += list(zip(chunk.places.to_pylist(), *(c.to_pylist() for c in chunk.batch.columns), strict=True))
    return found, bad


def test_cells_of_every_kind(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"Données": [
        ["q", "n", "when", "ok", None, "q"],
        [None, None],
        ["Fièvre", 5.0, datetime.datetime(2024, 5, 1), True, "x", "y"],
        ["ไข้", 2.5, datetime.datetime(2024, 5, 1, 10, 30), False],
        ["'=1+1", "=1+1", datetime.time(8, 15), "#N/A"],
        ["a\nb", 1234567890123, datetime.date(2024, 2, 29)],
    ]})  # fmt: skip
    assert rows(path) == ([
        ("Données!R3", "Fièvre", "5", "2024-05-01", "true", "x", "y"),
        ("Données!R4", "ไข้", "2.5", "2024-05-01T10:30:00", "false", None, None),
        ("Données!R5", "'=1+1", None, "08:15:00", None, None, None),
        ("Données!R6", "a\nb", "1234567890123", "2024-02-29", None, None, None),
    ], [])  # fmt: skip


def test_sheets(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"One": [["text"], ["a"]], "Notes": [["what"], ["b"]], "Two": [[], ["text"], ["c"]], "Empty": []})  # fmt: skip # noqa: E501
    assert rows(path, required=("text",)) == (
        [("One!R2", "a"), ("Two!R3", "c")],
        [("Notes", "missing_column")],
    )
    assert rows(path, sheet="Two") == ([("Two!R3", "c")], [])
    assert rows(path, sheet="two") == ([], [("", "missing_sheet")])
    assert rows(path, sheet="Empty") == ([], [("", "empty")])
    assert rows(path, sheet="One", header=("x",)) == ([("One!R1", "text"), ("One!R2", "a")], [])


def test_more_cells_than_names(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"S": [["text"], ["a", "b"], ["c"]]})
    assert rows(path) == ([("S!R3", "c")], [("S!R2", "field_count")])


def test_many_rows(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"S": [["text"], *([n] for n in range(9000))]})
    found, bad = rows(path)
    assert len(found) == 9000 and found[-1] == ("S!R9001", "8999") and not bad


def test_damage(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"S": [["text"], *([f"row {n}"] for n in range(2000))]})
    (tmp_path / "b.xlsx").write_bytes(path.read_bytes()[:3000])
    (tmp_path / "c.xlsx").write_bytes(b"\xd0\xcf\x11\xe0 an old workbook, or one with a password")
    (tmp_path / "d.xlsx").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "e.xlsx", "w") as parts:
        parts.writestr("a.txt", "no workbook")
    for name in "bcde":
        assert rows(tmp_path / f"{name}.xlsx") == ([], [("", "broken")])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "f.xlsx", "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info, data[: len(data) // 2] if "sheet1" in info.filename else data)
    found, bad = rows(tmp_path / "f.xlsx")
    assert 100 < len(found) < 2000 and [error for _, error in bad] == ["broken"]


def test_through_ingest_and_in_an_archive(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"S": [["question", "answer", "lang"], ["Q", "R", "fr"], ["S", None, "fr"]]})
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as sink:
        sink.write(path, "a.xlsx")
    columns = {"question": "question", "answer": "answer", "language": "lang"}
    for name, place in (("a.xlsx", "a.xlsx"), ("z.zip", "z.zip!/a.xlsx")):
        found, bad = read(tmp_path, path=name, kind="qa", columns=columns)
        assert [(r["locator"], r["text"], r["language"]) for r in found] == [(f"{place}#S!R2", "Q\n\nR", "fra")]
        assert bad == [(f"{place}#S!R3", "null_text")]


def test_without_openpyxl_the_cure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(Missing, match=r"pip install 'medcorpus\[xlsx\]'"):
        list(read_xlsx(Span(str(tmp_path / "a.xlsx")), Options()))
