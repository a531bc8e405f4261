"""TMX: one row a variant, the variants of a unit in one group."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.reading import DATA, ingest, places, read, real

MEMORY = """<?xml version="1.0"?><tmx version="1.4"><header srclang="en" datatype="text"/><body>
<tu tuid="A:1"><prop type="note">http://x</prop><tuv xml:lang="en"><seg>fever <bpt i="1">&lt;b></bpt>and<ept i="1">
&lt;/b></ept> cough</seg></tuv><tuv xml:lang="am"><seg>ትኩሳት</seg></tuv></tu>
<tu><tuv lang="en"><seg>pain</seg></tuv><tuv xml:lang="kr"><seg> </seg></tuv></tu>
<tu><tuv xml:lang="kr"><seg>kǝla</seg></tuv></tu></body></tmx>"""


def test_variants(tmp_path: Path) -> None:
    (tmp_path / "a.tmx").write_text(MEMORY)
    rows, bad = read("tmx", tmp_path / "a.tmx")
    assert places(bad) == [("tu=2/tuv[2]", "null_text")]
    assert [(row["place"], row["text"], row["language"], row["group"]) for row in rows] == [
        ("tu=1/tuv[1]", "fever and cough", "en", "tu=1"),
        ("tu=1/tuv[2]", "ትኩሳት", "am", "tu=1"),
        ("tu=2/tuv[1]", "pain", "en", "tu=2"),
        ("tu=3/tuv[1]", "kǝla", "kr", "tu=3"),
    ]
    assert rows[0]["extra"] == {"tuid": "A:1", "srclang": "en", "note": "http://x"}


def test_kanuri_is_not_korean_when_the_labels_are_said_to_be_those_of_tico19(tmp_path: Path) -> None:
    (tmp_path / "a.tmx").write_text(MEMORY)
    (tmp_path / "b.tmx").write_text(MEMORY)
    rows, bad = ingest(tmp_path, path=".", labels="tico19")
    assert [row["language"] for row in rows][:4] == ["eng", "amh", "eng", "kau"]
    assert [row["group"] for row in rows][:2] == ["a.tmx#tu=1"] * 2 and rows[4]["group"] == "b.tmx#tu=1"
    rows, bad = ingest(tmp_path, path="a.tmx")
    assert [one.error for one in bad if one.locator == "a.tmx#tu=3/tuv[1]"] in ([], ["unknown_language"])
    assert "kor" not in {row["language"] for row in rows}


def test_a_memory_that_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "a.tmx").write_text(MEMORY[: MEMORY.index("<tu><tuv xml")])
    rows, bad = read("tmx", tmp_path / "a.tmx")
    assert len(rows) == 3 and bad[-1].error == "invalid_xml" and bad[-1].locator.startswith("L5:")


@real
@pytest.mark.parametrize(
    ("some", "memories", "of"),
    [
        ("all.en-[fk]*", 7, {"kau": 1, "khm": 1, "fas": 2, "fra": 1}),
        pytest.param("all.*", 38, {"kau": 1, "por": 1, "tir": 3, "fas": 2}, marks=pytest.mark.accept),
    ],
)
def test_tico19(some: str, memories: int, of: dict[str, int]) -> None:
    """Memories of 3,071 units, each in a zip; one unit of the older Persian one has no Persian side."""
    rows, bad = ingest(DATA, path=f"documents/tico19_tmx/{some}", labels="tico19", licence="CC0-1.0")
    assert len(rows) == memories * 3071 * 2 - 1 and not bad
    counts = Counter(row["language"] for row in rows)
    assert counts["eng"] == memories * 3071 and "kor" not in counts
    assert {code: counts[code] for code in of} == {code: n * 3071 - (code == "fas") for code, n in of.items()}
    assert len({row["group"] for row in rows}) == memories * 3071
    english = Counter(row["text"] for row in rows if row["language"] == "eng")
    assert len(english) < 3341 and max(english.values()) >= memories, "English comes again with every language"
    first = rows[0]
    name = first["locator"].partition("!")[0].removesuffix(".zip")
    assert first["locator"] == f"{name}.zip!/{name}#tu=1/tuv[1]" and json.loads(first["extra"])["tuid"]
