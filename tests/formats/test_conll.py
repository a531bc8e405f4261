"""Words with labels: documents, sentences, spans."""

import json
from pathlib import Path

from medcorpus.formats.base import Options, Span
from medcorpus.formats.conll import read


def rows(path: Path, data: bytes, **options) -> tuple[list[tuple], list[tuple[str, str]]]:  # type: ignore[no-untyped-def]
    path.write_bytes(data)
    found, bad = [], []
    for chunk in read(Span(str(path)), Options(**options)):
        bad += [(one.locator, one.error) for one in chunk.bad]
        if chunk.places is not None:
            columns = (chunk.places, *chunk.batch.columns)
            found += zip(*(column.to_pylist() for column in columns), strict=True)
    return found, bad


LINES = """CASE: O

Il B-Premise x
a I-Premise
mal I-Premise
ici O
A B-Claim
B B-Claim
C I-Premise


CASE: O
จบ I-Claim
"""


def test_documents_and_spans(tmp_path: Path) -> None:
    found, bad = rows(tmp_path / "a.conll", LINES.encode(), records="CASE:")
    assert not bad and [(place, text) for place, text, _ in found] == [
        ("L1", "CASE:\nIl a mal ici A B C"),
        ("L12", "CASE: จบ"),
    ]
    spans = [json.loads(spans) for _, _, spans in found]
    assert [[(s["id"], s["text"]) for s in one] for one in spans] == [
        [("Premise", "Il a mal"), ("Claim", "A"), ("Claim", "B"), ("Premise", "C")],
        [("Claim", "จบ")],
    ]
    for (_, text, _), one in zip(found, spans, strict=True):
        assert all(text[s["start"] :].startswith(s["text"]) for s in one)


def test_without_a_marker_the_file_is_one_document(tmp_path: Path) -> None:
    assert [place for place, *_ in rows(tmp_path / "a.conll", LINES.encode())[0]] == ["L1"]
    docs = b"-DOCSTART- O\n\na O\n\n-DOCSTART- O\nb\n\nc O\n"
    assert [row[:2] for row in rows(tmp_path / "a.conll", docs)[0]] == [("L3", "a"), ("L5", "b\nc")]


def test_block_size_changes_nothing(tmp_path: Path) -> None:
    data = (LINES + "\n").encode() * 50
    whole = rows(tmp_path / "a.conll", data, records="CASE:")
    assert len(whole[0]) == 100
    for size in (7, 64, 1000):
        assert rows(tmp_path / "a.conll", data, records="CASE:", block_bytes=size) == whole


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    assert rows(tmp_path / "a.conll", b"") == ([], [("", "empty")])
    found, bad = rows(tmp_path / "a.conll", b"a O\ncaf\xe9 O\nb O\n")
    assert [row[1] for row in found] == ["a b"] and bad == [("L2", "invalid_utf8")]
