"""HTML files: bytes as they are, and what the page says of its encoding."""

import gzip
from pathlib import Path

import pytest

from medcorpus.core.schema import MAX_ROW_BYTES, record_id
from medcorpus.formats.markup.html import declared
from tests.reading import DATA, ingest, places, read, real


def test_a_page_is_a_row_of_bytes(tmp_path: Path) -> None:
    page = '<meta charset="windows-874"><p>ยา</p>'.encode("cp874")
    (tmp_path / "a b'c.html").write_bytes(page)
    (row,), bad = ingest(tmp_path, path=".", licence="CC0-1.0", language="th")
    assert not bad and row["text"] is None and row["body"] == page and row["extra"] is None
    assert (row["media_type"], row["charset"], row["licence"]) == ("text/html", "windows-874", "CC0-1.0")
    assert row["locator"] == "a b'c.html" and row["id"] == record_id(b"s", b"a b'c.html", page)


def test_suffixes_and_content(tmp_path: Path) -> None:
    for name in ("a.html", "b.htm", "c.xhtml", "d"):
        (tmp_path / name).write_text("<!doctype html><p>x")
    (tmp_path / "e.html.gz").write_bytes(gzip.compress(b"<p>x"))
    (tmp_path / "f.xml").write_text('<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><p>x</p></html>')
    rows, bad = ingest(tmp_path, path=".")
    assert not bad and {row["locator"] for row in rows} == {"a.html", "b.htm", "c.xhtml", "d", "e.html.gz", "f.xml"}
    assert all(row["body"] and row["text"] is None for row in rows)


def test_pages_and_texts_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>x")
    (tmp_path / "b.txt").write_text("y")
    (tmp_path / "c.html").write_text("<p>z")
    rows, bad = ingest(tmp_path, path=".", columns={"text": "abstract"})
    assert not bad and [(row["body"], row["text"]) for row in rows] == [(b"<p>x", None), (None, "y"), (b"<p>z", None)]


def test_files_that_are_no_row(tmp_path: Path) -> None:
    for data, error in (
        (b"", "empty"),
        (b"x" * (MAX_ROW_BYTES + 1), "too_large"),
        (gzip.compress(b"fever " * 9999)[:-9], "broken"),
    ):
        (tmp_path / "a.html").write_bytes(data)
        assert [bad.error for bad in read("html", tmp_path / "a.html")[1]] == [error]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"<meta charset=utf-8>", "utf-8"),
        (b'<META http-equiv="Content-Type" content="text/html; charset=GB2312">', "gb2312"),
        (b'<?xml version="1.0" encoding="EUC-JP"?><html>', "euc-jp"),
        (b"\xff\xfe<\0p\0", "utf-16"),
        (b"\xef\xbb\xbf<meta charset=latin1>", "utf-8"),
        (b"<p>charset=koi8-r</p>", None),
    ],
)
def test_declared_encodings(body: bytes, name: str | None) -> None:
    assert declared(body) == name


@real
def test_web_pages() -> None:
    """120 pages, three not utf-8, names with blanks and quotes; and the 178 fragments of Hesperian."""
    rows, bad = ingest(DATA, path="web/trafilatura_gold/**/*.html")
    assert len(rows) == 120 and not bad
    assert sum(row["charset"] not in (None, "utf-8", "utf8") for row in rows) >= 3
    rows, bad = ingest(DATA, path="web/safebirth_mislabelled")
    assert len(rows) == 178 and not places(bad) and len({row["body"] for row in rows}) == 41
    folder = {"language": {"from": "folder"}}
    rows, bad = ingest(DATA, path="web/safebirth_mislabelled", columns=folder)
    assert {row["language"] for row in rows} == {"eng", "fra", "spa", "swa"} and not bad
