"""MedQuAD: one row a pair; answers taken away are counted."""

from collections import Counter
from pathlib import Path

from tests.reading import DATA, ingest, places, read, real

PAGE = """<?xml version="1.0"?>
<Document id="7" source="NIHSeniorHealth" url="https://x.org/7"><Focus>Fever</Focus>
<FocusAnnotations><UMLS><CUIs><CUI>C0015967</CUI></CUIs><SemanticTypes><SemanticType>T184</SemanticType></SemanticTypes>
<SemanticGroup>Disorders</SemanticGroup></UMLS></FocusAnnotations>
<QAPairs>
<QAPair pid="1"><Question qid="7-1" qtype="treatment">What   is
 given ?</Question><Answer>Rest:          -   water.
                
Call a doctor   &lt; 3 days.</Answer></QAPair>
<QAPair pid="2"><Question qid="7-2" qtype="causes">Why ?</Question><Answer> </Answer></QAPair>
<QAPair pid="3"><Question qid="7-3" qtype="symptoms">पहचान ?</Question><Answer>ताप</Answer></QAPair>
</QAPairs></Document>"""


def test_pairs(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(PAGE)
    rows, bad = read("xml", tmp_path / "a.xml")
    assert places(bad) == [("qa=2", "null_text")]
    assert [(row["place"], row["question"], row["answer"]) for row in rows] == [
        ("qa=1", "What is given ?", "Rest: - water.\n\nCall a doctor < 3 days."),
        ("qa=3", "पहचान ?", "ताप"),
    ]
    assert rows[0]["title"] == "Fever" and rows[0]["url"] == "https://x.org/7" and rows[0]["group"] == ""
    assert rows[0]["extra"] == {
        "document": "7", "publisher": "NIHSeniorHealth", "focus": "Fever", "qid": "7-1", "qtype": "treatment",
        "cui": ["C0015967"], "semantic_type": ["T184"], "semantic_group": ["Disorders"],
    }  # fmt: skip
    records, bad = ingest(tmp_path, path="a.xml", language="en")
    assert places(bad) == [("a.xml#qa=2", "null_text")]
    first = records[0]
    assert (first["kind"], first["locator"], first["group"], first["language"]) == ("qa", "a.xml#qa=1", "a.xml", "eng")
    assert first["text"] == "What is given ?\n\n" + first["turns"][1]["content"]


def test_other_spellings(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        '<doc docid="7" corpus="NINDS" url="u"><doctitle-focus>ALS</doctitle-focus><qaPairs><pair pid="1">'
        '<question qid="7-1" qtype="x">Q</question><answer>A</answer></pair></qaPairs></doc>'
    )
    (row,), bad = read("xml", tmp_path / "a.xml")
    assert not bad and (row["question"], row["answer"], row["title"]) == ("Q", "A", "ALS")
    assert row["extra"]["publisher"] == "NINDS" and row["extra"]["document"] == "7"


def test_a_file_that_breaks_off_keeps_its_pairs(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(PAGE[:-60])
    rows, bad = read("medquad", tmp_path / "a.xml")
    assert len(rows) >= 1 and bad[-1].error == "invalid_xml" and ":" in bad[-1].locator
    (tmp_path / "a.xml").write_text("<Document><QAPairs></QAPairs></Document>")
    assert places(read("xml", tmp_path / "a.xml")[1]) == [("", "no_rows")]


def test_what_to_keep(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(PAGE)
    assert "extra" not in read("medquad", tmp_path / "a.xml", keep="none")[0][0]
    assert read("medquad", tmp_path / "a.xml", keep=("qtype",))[0][0]["extra"] == {"qtype": "treatment"}


@real
def test_medquad() -> None:
    """8,173 pairs in 1,460 files: three collections have no answers, six files of the NIDDK no pairs."""
    rows, bad = ingest(DATA, path="documents/medquad_en", language="en", licence="CC-BY-4.0")
    assert len(rows) == 5264
    assert Counter(one.error for one in bad) == {"null_text": 2909, "no_rows": 6}
    empty = Counter(one.locator.split("/")[0] for one in bad if one.error == "null_text")
    assert empty == {"10_MPlus_ADAM_QA": 649, "11_MPlusDrugs_QA": 1468, "12_MPlusHerbsSupplements_QA": 792}
    assert all("   " not in row["text"] and row["url"] for row in rows)
    assert max(len(row["text"]) for row in rows) > 10_000 and len({row["id"] for row in rows}) == 5264
