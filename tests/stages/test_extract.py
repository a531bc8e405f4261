"""Pages to readable text."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medcorpus.core.errors import RowError
from medcorpus.core.stage import Context, verb
from medcorpus.stages import extract as module
from medcorpus.stages.extract import Extract, ExtractParams
from medcorpus.text.html import has_markup, visible
from medcorpus.text.superscript import superscript
from tests.reading import DATA, ingest, real
from tests.records import records


def extracted(*bodies: bytes | None, **columns) -> list[dict]:
    params = {name: columns.pop(name) for name in ("of", "keep_body") if name in columns}
    stage = Extract(ExtractParams(**params), Context())
    batch = records(columns.pop("texts", [None] * len(bodies)), body=list(bodies) or None, **columns)
    made = stage.apply(batch)
    made.validate(full=True)
    return made.to_pylist()


PAGE = """<!doctype html><html lang="am"><head><title> ወባ &amp;
 ትኩሳት </title><style>p { color: red }</style><script>var x = "<p>no</p>"</script></head><body>
<!-- no --><h1>ስለ ወባ</h1><p>አንድ <b>ሁ</b>ለት<br>ሦስት</p><p hidden>no</p><div style="color: red; display:none">no</div>
<ul><li>ሀ</li><li>ለ</li></ul><noscript>no</noscript><p>5&nbsp;mg &lt; 10<sup>9</sup>/L</p></body></html>"""


def test_it_is_a_map() -> None:
    assert verb(Extract) == "map" and not ExtractParams.fields_with("decision")


def test_a_page() -> None:
    (row,) = extracted(PAGE.encode(), media_type="text/html")
    assert row["text"] == "ስለ ወባ\n\nአንድ ሁለት\nሦስት\n\n  • ሀ\n  • ለ\n\n5\u00a0mg < 10⁹/L"
    assert (row["title"], row["language"], row["body"]) == ("ወባ & ትኩሳት", "amh", None)
    assert row["extract_chars"] == len(row["text"]) and row["extract_charset"] == "utf-8"


def test_what_is_known_already_stays() -> None:
    (row,) = extracted(PAGE.encode(), title="T", language="tir", keep_body=True)
    assert (row["title"], row["language"]) == ("T", "tir") and row["body"] == PAGE.encode()
    (row,) = extracted(b'<html lang="xx-klingon"><p>x')
    assert row["language"] is None, "a label that nobody knows is no language"


def test_rows_without_a_page_pass_untouched() -> None:
    rows = extracted(None, b"%PDF-1.7 <p>x", texts=["a <b>b</b>", "t"], media_type=[None, "application/pdf"])
    assert [(row["text"], row["extract_chars"]) for row in rows] == [("a <b>b</b>", None), ("t", None)]
    assert rows[1]["body"] == b"%PDF-1.7 <p>x"


def test_marks_of_a_template_that_nobody_filled_in_go() -> None:
    assert visible("<p>{{> header}}</p>{{#if a}}<p>ወባ {{x}}</p>{{/if}}") == "ወባ {{x}}"
    assert visible(r"<p>\frac{{a}}{{b}} of {{ age }}</p>") == r"\frac{{a}}{{b}} of {{ age }}"


def test_html_in_the_text_of_a_row() -> None:
    texts = ["<p>Жар</p><p>и&nbsp;кашель</p>", "BP < 120 & rising\n  x", "a &amp; b", None, ""]
    rows = extracted(None, None, None, None, b"<p>page", texts=texts, of="text")
    assert [row["text"] for row in rows] == ["Жар\n\nи\u00a0кашель", "BP < 120 & rising\n  x", "a & b", None, ""]
    assert rows[4]["body"] == b"<p>page" and rows[3]["extract_chars"] is None and rows[0]["extract_charset"] is None
    assert has_markup("x<br>") and has_markup("&#1090;") and not has_markup("a < b & c; d > e, R&D")


def cells(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.split("\n") if "\t" in line]


def test_as_many_cells_after_as_before() -> None:
    html = """<table><thead><tr><th>ยา<th>ขนาด<th></tr></thead>
    <tr><td>ก<td></td><td><p>หนึ่ง</p><p>สอง</p></td></tr><tr><td></td><td>x<br>y</td><td><ul><li>a<li>b</ul></td></tr>
    <tr><td></td><td></td><td></td></tr></table><p>after</p>"""
    text = visible(html)
    assert cells(text) == [["ยา", "ขนาด", ""], ["ก", "", "หนึ่ง สอง"], ["", "x y", "• a • b"], ["", "", ""]]
    assert text.endswith("\n\nafter")
    rows = 15
    html = "<table>" + "".join(f"<tr>{''.join(f'<td>{r}.{c}</td>' for c in range(r))}</tr>" for r in range(2, rows))
    assert [len(row) for row in cells(visible(html))] == list(range(2, rows))


def test_tables_for_the_layout_keep_their_paragraphs() -> None:
    html = "<table><tr><td>menu<td><p>one</p><p>two</p><table><tr><td>a<td>b</table></td></tr></table>"
    assert visible(html) == "menu\n\none\n\ntwo\n\na\tb"
    assert visible("<table><tr><td><p>one</p><p>two</p></td></tr></table>") == "one\n\ntwo"
    long = f"<table><tr><td>menu<td><p>{'one ' * 300}</p><p>two</p></table>"
    assert visible(long).endswith("one\n\ntwo") and "\t" not in visible(long)


def test_a_page_that_a_script_would_show() -> None:
    assert visible('<body style="display: none"><p>x</p>') == "x"
    assert visible("<body><noscript><p>x</p></noscript>") == "x"


def test_readings_of_characters_go() -> None:
    assert (
        visible("<p><ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>の<ruby>読<rt>よ</rt></ruby>み方")
        == "漢字の読み方"
    )


@pytest.mark.parametrize(("text", "raised"), [("9", "⁹"), (" -9 ", "⁻⁹"), ("2+", "²⁺"), ("er", None), ("n", None), ("", None)])  # fmt: skip # noqa: E501
def test_raised_digits(text: str, raised: str | None) -> None:
    assert superscript(text) == raised


ROOT = Path(__file__).parents[2]
HOSTILE = {
    "deep": "<div>" * 100_000 + "x",
    "inline": "<b>" * 100_000 + "x",
    "formatting": "<b><i><p>" * 5_000 + "x",
    "attribute": f'<p title="{"x" * 20_000_000}">x',
    "unclosed": "<p" * 100_000 + ">x",
    "nul": "a\0<p\0>x\0",
    "marks": "<table><tr><td>\ufdd0\ufdd1<td>\ufdd2x",
    "tables": "<table><tr><td>" * 20_000 + "x",
    "cells": "<table>" + "<tr><td>x" * 50_000,
    "deep cells": "<div>" * 20_000 + "<table><tr><td>x<td>y</table>" * 200,
    "sup": "<sup>" * 20_000 + "1",
    "entities": "&" * 1_000_000 + "x",
    "tags": "<" * 1_000_000 + "x",
    "comments": "x<!--" * 100_000,
    "surrogates": "<p>&#xD800;x&#x110000;",
}


def test_hostile_pages_neither_crash_nor_hang() -> None:
    """In a process of its own, for a crash of the parser would end this one; the last name told is the culprit."""
    code = (
        "import time; from tests.stages.test_extract import HOSTILE; from medcorpus.text.html import page\n"
        "for name, html in HOSTILE.items():\n"
        "    print(name, flush=True); t = time.process_time(); text = page(html).text\n"
        "    assert chr(0) not in text and chr(0xfdd0) not in text; text.encode()\n"
        "    assert time.process_time() - t < 10"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-99:] + done.stderr[-500:]


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        ("กขค ยาเม็ด", "cp874", "windows-874"),
        ("糖尿病患者应当注意饮食", "gb18030", "gb2312"),
        ("糖尿病患者应当注意饮食", "utf-8", "gb2312"),  # what is valid utf-8 is utf-8
        ("“fièvre” et toux", "cp1252", "iso-8859-1"),
        ("糖尿病", "utf-16", None),
        ("糖尿病", "iso2022_jp", "iso-2022-jp"),
    ],
)
def test_encodings(text: str, encoding: str, said: str | None) -> None:
    (row,) = extracted(f"<p>{text}</p>".encode(encoding), charset=said)
    assert row["text"] == text and row["extract_charset"] and row["charset"] == said


def test_broken_bytes_and_mended_ones() -> None:
    with pytest.raises(RowError, match="invalid_utf8: byte"):
        extracted("<p>糖尿病患者应当注意饮食</p>".encode() + b"\xff<p>", charset="utf-8")
    (row,) = extracted("<p>Fièvre élevée, été</p>".encode().decode("latin-1").encode(), flags=[["x"]])
    assert row["text"] == "Fièvre élevée, été" and row["flags"] == ["x", "mojibake_repaired"]


def test_what_cannot_be_read_is_a_row_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROW_BYTES", 10)
    with pytest.raises(RowError, match="larger"):
        extracted("<p>糖尿病患者".encode())


@real
def test_the_gold_phrases_of_real_pages_are_found() -> None:
    """What people marked as content of 120 pages; two phrases are spelled otherwise (a Bengali letter) in the page."""
    rows, _ = ingest(DATA, path="web/trafilatura_gold/**/*.html")
    stage = Extract(ExtractParams(), Context())
    body = [row["body"] for row in rows]
    charset = [row["charset"] for row in rows]
    started = time.perf_counter()
    made = stage.apply(records([None] * len(rows), body=body, charset=charset))
    assert time.perf_counter() - started < 20
    texts = {row["locator"].rpartition("/")[2]: " ".join(text.split()) for row, text in zip(rows, made["text"].to_pylist(), strict=True)}  # fmt: skip # noqa: E501
    assert all(len(text) > 200 and "\ufffd" not in text[:2000] for text in texts.values())
    gold = json.loads((DATA / "web/trafilatura_gold/evaldata.json").read_bytes()).values()
    phrases = [
        (one["file"], " ".join(phrase.split())) for one in gold if one["file"] in texts for phrase in one["with"]
    ]
    lost = [phrase for file, phrase in phrases if phrase not in texts[file]]
    assert len(phrases) > 300 and len(lost) <= 2


@real
def test_fragments_of_a_mislabelled_site() -> None:
    rows, _ = ingest(DATA, path="web/safebirth_mislabelled")
    made = Extract(ExtractParams(), Context()).apply(records([None] * len(rows), body=[row["body"] for row in rows]))
    texts = made["text"].to_pylist()
    assert all("<" not in text and len(text) > 50 for text in texts) and made["body"].null_count == len(rows)


@real
def test_leaflets() -> None:
    """26 FHIR bundles of two documents, 7 pages, and 15 PDFs that nobody reads yet."""
    rows, bad = ingest(DATA, path="documents/epi_leaflets_eu")
    assert sum(row["body"] is not None for row in rows) == 7 and len(rows) == 7 + 2 * 26
    assert len(bad) == 15 and {(one.error, one.message) for one in bad} == {("no_reader", "no reader for .pdf")}
