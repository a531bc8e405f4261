"""Gettext: one row a finished translation."""

from pathlib import Path

import pytest

from tests.reading import ingest, places, read

CATALOGUE = r"""# Translators
msgid ""
msgstr ""
"Language: am\n"
"Content-Type: text/plain; charset=UTF-8\n"

#: a.c:1
msgid "Take \"one\"\ttablet"
msgstr ""
"አንድ "
"ክኒን\n"

#, fuzzy, c-format
msgid "fever"
msgstr "ትኩሳት"
msgctxt "body"
msgid "%d day"
msgid_plural "%d days"
msgstr[0] "ቀን"
msgstr[1] "ቀናት"

msgid "pain"
msgstr ""

#~ msgid "old"
#~ msgstr "አሮጌ"
"""


def test_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "am.po").write_text(CATALOGUE)
    rows, bad = read("po", tmp_path / "am.po")
    assert [(row["place"], row["text"], row["group"], row["language"]) for row in rows] == [
        ("L9", "አንድ ክኒን\n", "L8", "am"),
        ("L19", "ቀን", "L17", "am"),
        ("L20", "ቀናት", "L17", "am"),
    ]
    assert rows[0]["extra"] == {"msgid": 'Take "one"\ttablet'}
    assert rows[2]["extra"] == {"msgid": "%d day", "msgid_plural": "%d days", "msgctxt": "body", "form": 1}
    assert places(bad) == [("L15", "fuzzy"), ("L23", "null_text"), ("L26", "obsolete")]
    assert [row["language"] for row in ingest(tmp_path, path=".")[0]] == ["amh"] * 3


def test_a_wrong_line_costs_its_entry(tmp_path: Path) -> None:
    (tmp_path / "a.po").write_text('msgid "a"\nmsgstr "b\nmsgid "c"\nmsgstr "d"\n\nmsgid "e"\nmsgid "f"\nmsgstr "g"\n')
    rows, bad = read("po", tmp_path / "a.po")
    assert [row["text"] for row in rows] == ["d"]
    assert places(bad) == [("L2", "invalid_po"), ("L7", "invalid_po")]


@pytest.mark.parametrize("charset", ["EUC-JP", "koi8-r"])
def test_the_charset_of_the_header(tmp_path: Path, charset: str) -> None:
    text = {"EUC-JP": "発熱がある", "koi8-r": "жар"}[charset]
    body = f'msgid ""\nmsgstr "Content-Type: text/plain; charset={charset}\\n"\n\nmsgid "fever"\nmsgstr "{text}"\n'
    (tmp_path / "a.po").write_bytes(body.encode(charset))
    assert [row["text"] for row in read("po", tmp_path / "a.po")[0]] == [text]


def test_catalogues_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pot").write_text('msgid ""\nmsgstr ""\n')
    assert places(read("po", tmp_path / "a.pot")[1]) == [("", "no_rows")]
    (tmp_path / "a.pot").write_bytes(b"")
    assert places(read("po", tmp_path / "a.pot")[1]) == [("", "empty")]
