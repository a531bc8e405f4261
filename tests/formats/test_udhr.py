"""The Universal Declaration: one row a file, its language by the file's key."""

import json
from pathlib import Path

from tests.reading import DATA, ingest, places, read, real

TEXT = """<udhr iso639-3='{iso}' xml:lang='{lang}' key='{key}' n='x' dir='rtl' iso15924='Arab'
 xmlns="http://www.unhchr.ch/udhr"><title>الإعلان</title>
<preamble><title>الديباجة</title><para>لما كان
الاعتراف</para></preamble>
<article number="1"><title>المادة ١</title>
<orderedlist><listitem tag="1"><para>يولد</para></listitem><listitem><para>جميع</para>
</listitem></orderedlist></article></udhr>"""


def test_a_declaration(tmp_path: Path) -> None:
    (tmp_path / "udhr_arb.xml").write_text(TEXT.format(iso="arb", lang="ar", key="arb"))
    (row,), bad = read("xml", tmp_path / "udhr_arb.xml")
    assert not bad and row["text"] == "الإعلان\n\nالديباجة\n\nلما كان الاعتراف\n\nالمادة ١\n\nيولد\n\nجميع"
    assert row["title"] == "الإعلان" and row["language"] == "ara" and row["extra"]["iso15924"] == "Arab"


def test_the_key_comes_before_the_codes(tmp_path: Path) -> None:
    for name, iso, lang, key in (("a", "und", "und", "007"), ("b", "lat", "la", "lat_1"), ("c", "fra", "fr", "q-q-q")):
        (tmp_path / f"{name}.xml").write_text(TEXT.format(iso=iso, lang=lang, key=key))
    rows, bad = ingest(tmp_path, path=".")
    assert not bad and [row["language"] for row in rows] == ["cri", "lat", "fra"]
    (tmp_path / "d.xml").write_text(TEXT.format(iso="q-q", lang="", key=""))
    assert places(ingest(tmp_path, path="d.xml")[1]) == [("d.xml", "unknown_language")]


@real
def test_the_collection() -> None:
    """464 files, and two that are no declaration: an index without text, a template of `@`."""
    rows, bad = ingest(DATA, path="lid/udhr_unicode", licence="public-domain")
    assert len(rows) == 464
    assert places(bad) == [("data/udhr/index.xml", "null_text"), ("data/udhr/template.xml", "null_text")]
    assert all(row["language"] and json.loads(row["extra"])["key"] for row in rows)
    assert len({row["language"] for row in rows}) > 350
