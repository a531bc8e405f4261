"""CNXML: one row a module."""

from pathlib import Path

from tests.reading import DATA, ingest, places, read, real

MODULE = """<document xmlns="http://cnx.rice.edu/cnxml" xmlns:md="http://cnx.rice.edu/mdml">
<title>กระดูก</title>
<metadata><md:content-id>m1</md:content-id><md:title>กระดูก</md:title><md:language>th</md:language>
<md:license url="http://creativecommons.org/licenses/by-nc-sa/4.0/">CC</md:license>
<md:abstract><para>You will:</para><list><item>One</item><item>Two</item></list></md:abstract></metadata>
<content><para id="a">A <term>joint</term> at 10<sup>3</sup>
  H<sub>2</sub>O.</para>
<figure><media alt="no"><image src="x.png"/></media><caption>Caption.</caption></figure>
<note><title>Note</title><para>In <emphasis>a</emphasis> note.<newline/>Line.</para>
<note><para>Within.</para></note></note>
<equation><m:math xmlns:m="http://www.w3.org/1998/Math/MathML">
<m:mfrac><m:mn>1</m:mn><m:mn>2</m:mn></m:mfrac></m:math></equation>
<table><tgroup cols="2"><thead><row><entry>Bone</entry><entry>No.</entry></row></thead>
<tbody><row><entry><list><item>a</item><item>b</item></list></entry><entry/></row></tbody></tgroup></table></content>
<glossary><definition><term>joint</term><meaning>where bones meet</meaning></definition></glossary></document>"""


def test_a_module(tmp_path: Path) -> None:
    (tmp_path / "a.cnxml").write_text(MODULE)
    (row,), bad = read("cnxml", tmp_path / "a.cnxml")
    assert not bad and "place" not in row
    assert row["text"] == (
        "กระดูก\n\nYou will:\n\nOne\nTwo\n\nA joint at 10³ H2O.\n\nCaption.\n\nNote\n\nIn a note.\nLine.\n\nWithin."
        "\n\n1/2\n\nBone\tNo.\na b\t\n\njoint\nwhere bones meet"
    )
    assert (row["title"], row["language"], row["licence"]) == ("กระดูก", "th", "CC-BY-NC-SA-4.0")
    assert row["extra"]["module"] == "m1"


def test_a_collection_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<col:collection xmlns:col="http://cnx.rice.edu/collxml"><t>x</t></col:collection>')
    assert places(read("xml", tmp_path / "a.xml")[1]) == [("", "no_rows")]
    (tmp_path / "a.xml").write_text('<document xmlns="http://cnx.rice.edu/cnxml"><title>x</title><content/></document>')
    assert places(read("xml", tmp_path / "a.xml")[1]) == [("", "null_text")]


@real
def test_openstax() -> None:
    """198 modules, and the table of contents that is none."""
    rows, bad = ingest(DATA, path="documents/openstax_anatomy_cnxml_en", language="en", licence="CC-BY-NC-SA-4.0")
    assert len(rows) == 198 and places(bad) == [("collections/anatomy-and-physiology-2e.collection.xml", "no_rows")]
    assert all(row["title"] and row["locator"].endswith("/index.cnxml") for row in rows)
    texts = [row["text"] for row in rows]
    assert sum(map(len, texts)) > 3_000_000 and not any("<" in text and "</" in text for text in texts)
    assert sum(text.count("\t") for text in texts) == 2979 - 956, "one tab fewer than cells in each row of a table"
