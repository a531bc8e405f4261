"""FHIR: one row a Composition."""

import json
from pathlib import Path

from tests.reading import DATA, ingest, places, read, real


def section(title: str, html: str, code: str = "1", within: str = "") -> str:
    return (
        f'<section><title value="{title}"/><code><coding><code value="{code}"/></coding></code><text>'
        f'<status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">{html}</div></text>{within}</section>'
    )


BUNDLE = (
    '<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Bundle><entry><resource><Composition><language value="hi"/>'
    '<text><div xmlns="http://www.w3.org/1999/xhtml">whole</div></text><title value="सारांश"/>'
    + section(
        "सारांश",
        "<p>\u00a0</p>",
        within=section("1. नाम", "<p>दवा 5&#160;mg</p><p>y</p>", "200000029792")
        + section("2. खाली", "")
        + section(
            "3. खुराक", "<table><tr><td><p>a</p></td><td></td><td>10<sup>9</sup></td></tr></table><ul><li>x</li></ul>"
        ),
    )
    + "</Composition></resource></entry></Bundle></resource></entry><entry><resource><Composition>"
    '<language value="hi"/><title value="पर्चा"/><text><div>केवल</div></text></Composition></resource></entry></Bundle>'
)


def test_compositions(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(BUNDLE)
    rows, bad = read("xml", tmp_path / "a.xml")
    assert not bad and [row["place"] for row in rows] == ["composition=1", "composition=2"]
    first, second = rows
    assert first["text"] == "सारांश\n\n1. नाम\n\nदवा 5\u00a0mg\n\ny\n\n3. खुराक\n\na\t\t10⁹\n  • x"
    assert (first["title"], first["language"], second["title"]) == ("सारांश", "hi", "पर्चा")
    assert second["text"] == "केवल" and second["extra"]["medicine"] == first["extra"]["medicine"] == "दवा 5\u00a0mg"
    records, _ = ingest(tmp_path, path="a.xml")
    assert {row["group"] for row in records} == {"a.xml"} and records[0]["language"] == "hin"


def test_bundles_without_a_document_and_broken_ones(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text('<Bundle xmlns="http://hl7.org/fhir"><entry><resource/></entry></Bundle>')
    assert places(read("xml", tmp_path / "a.xml")[1]) == [("", "no_rows")]
    (tmp_path / "a.xml").write_text(BUNDLE[:-80])
    rows, (bad,) = read("xml", tmp_path / "a.xml")
    assert [row["place"] for row in rows] == ["composition=1"] and bad.error == "invalid_xml"


@real
def test_leaflets() -> None:
    """26 bundles, each a summary of product characteristics and a package leaflet, all Spanish."""
    rows, bad = ingest(DATA, path="documents/epi_leaflets_eu/**/*.xml")
    assert len(rows) == 52 and not bad and {row["language"] for row in rows} == {"spa"}
    assert {row["title"] for row in rows[1::2]} == {"Prospecto"} and len({row["group"] for row in rows}) == 26
    assert all(len(row["text"]) > 5_000 for row in rows)
    assert all(json.loads(row["extra"]).get("medicine") for row in rows)
