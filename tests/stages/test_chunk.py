"""`chunk`: nothing lost, nothing torn, and cut where a reader would."""

import subprocess
import sys
import time
import unicodedata
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medcorpus.core.schema import RECORD, child_id
from medcorpus.core.stage import verb
from medcorpus.stages.chunk import Chunk, cuts
from tests.records import records

# Short pieces of many scripts, so that every level of cutting comes up within a few hundred characters.
PIECES = st.sampled_from(
    ["fever ", "5.5 mg. ", "Cough! ", "\n", "\n\n", " \r\n \r\n", "患者发热。", "咳嗽？」", "ผู้ป่วยมีไข้ ", "ก่ำ",
     "नमस्ते। ", "क्ष", "ຂ້ອຍ", "ជំងឺ។", "ဖျား။", "བོད་སྐད།", "ትኩሳት። ", "حُمّى؟ ", "بخار۔",
     "e\u0301", "👩\u200d⚕\ufe0f", "👍🏽", "🇪🇹", "각", "x" * 30,
     "\u0301", " ", "\u200b"]
)  # fmt: skip
TEXT = st.lists(PIECES, max_size=120).map("".join)


def torn(text, at):
    """A cut nobody may make (only the rules that need no table)."""
    after, before = text[at], text[at - 1]
    return (
        unicodedata.category(after).startswith("M")
        or after in "\u200d\ufe0f"
        or before == "\u200d"
        or before + after == "\r\n"
    )


@settings(max_examples=200)
@given(TEXT, st.integers(20, 90), st.integers(0, 20))
def test_parts_put_together_are_the_text(text, most, least):
    spans = cuts(text, most, 0, least)
    parts = [text[begin:end] for begin, end in spans]
    assert "".join(parts) == text
    assert all(parts) or not text
    assert not any(torn(text, begin) for begin, _ in spans[1:])
    if "\u0301\u0301" not in text:
        assert all(len(part) <= most for part in parts[:-1])
        assert len(parts[-1]) <= most + least
    if len(parts) > 1:
        assert len(parts[-1]) >= least
        assert all(len(part) > most // 2 for part in parts[:-1])


@settings(max_examples=200)
@given(TEXT, st.integers(20, 90), st.data())
def test_overlap(text, most, data):
    overlap = data.draw(st.integers(0, most // 4))
    spans = cuts(text, most, overlap)
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    for (_, end), (begin, later) in pairwise(spans):
        assert end - overlap <= begin <= end < later
        assert not torn(text, begin)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a" * 60 + "\n \n" + "b" * 10 + "\n" + "c" * 60, "a" * 60 + "\n \n"),
        ("a" * 60 + "\r\nb. " + "c" * 60, "a" * 60 + "\r\n"),
        ("a" * 60 + "\r\n" + "b" * 10 + "\n" + "c" * 60, "a" * 60 + "\r\n" + "b" * 10 + "\n"),  # no blank line
        ("a" * 60 + " b. " + "c" * 60, "a" * 60 + " b. "),
        ("a" * 60 + " 5.5 mg " + "c" * 60, "a" * 60 + " 5.5 mg "),
        ("病" * 60 + "。" + "。" + "”" + "热" * 60, "病" * 60 + "。。”"),
        ("क" * 60 + "। " + "ख" * 60, "क" * 60 + "। "),
        ("ጤ" * 60 + "።" + "ና" * 60, "ጤ" * 60 + "።"),
        ("ខ" * 60 + "។" + "គ" * 60, "ខ" * 60 + "។"),
        ("ဖ" * 60 + "။" + "ခ" * 60, "ဖ" * 60 + "။"),
        ("ب" * 60 + "۔" + "ت" * 60, "ب" * 60 + "۔"),
        ("ب" * 60 + "؟ " + "ت" * 60, "ب" * 60 + "؟ "),
        ("ཀ" * 60 + "།" + "ཁ" * 10 + "་" + "ག" * 60, "ཀ" * 60 + "།"),
        ("ཀ" * 60 + "་" + "ག" * 60, "ཀ" * 60 + "་"),
        ("ก" * 60 + " " + "ข" * 60, "ก" * 60 + " "),
        ("ก" * 100 + "่" + "ข" * 60, "ก" * 99),
        ("x" * 98 + "👩\u200d⚕" + "y" * 60, "x" * 98),
        ("x" * 99 + "\u1100\u1161\u11a8" + "y" * 60, "x" * 99),
        ("x" * 150, "x" * 100),
        ("x" + "\u0301" * 200 + "y" * 90, "x" + "\u0301" * 200),
    ],
)
def test_where_it_cuts(text, first):
    (begin, end), *_ = cuts(text, 100)
    assert text[begin:end] == first


@pytest.mark.parametrize(
    ("text", "first", "language"),
    [
        ("word " * 12 + "ends. Seen by Dr. Smith, e.g. in Fig. 2 for 2.5 mg of it", "word " * 12 + "ends. ", "eng"),
        ("Wort " * 12 + "endet. Am 3. Mai, z. B. um 5. Uhr und dann und wann und so", "Wort " * 12 + "endet. ", "deu"),
        ("слово " * 10 + "конец. Осмотрен д-р. Петровым, т.е. вчера, и он же", "слово " * 10 + "конец. ", "rus"),
        ("word " * 12 + "ends. The next line goes\non and on and on and on and on", "word " * 12 + "ends. ", "eng"),
        ("字" * 60 + "。「痛い。」と言った人が来てまた" + "字" * 40, "字" * 60 + "。", "jpn"),
    ],
)
def test_never_inside_a_sentence_when_it_can_be_avoided(text, first, language):
    (begin, end), *_ = cuts(text + " and more" * 4, 100, language=language)
    assert text[begin:end] == first


def stage(**params):
    return Chunk(Chunk.Params(**params))


def apply(batch, **params):
    out, parent = stage(**params).apply(batch)
    assert out.schema == batch.schema.append(Chunk.writes[0])
    assert parent.to_pylist() == sorted(parent.to_pylist())
    return out.to_pylist(), parent.to_pylist()


def test_rows():
    text = "A sentence of some words. " * 24
    batch = records(
        ["short", text, text, None, text],
        kind=["text", "text", "qa", "text", "text"],
        group=[None, None, "g", None, "g"],
        body=b"raw",
        language="en",
        title="Title",
        quality_words=[1, 2, 3, 4, 5],
    )
    rows, parent = apply(batch, max_chars=200)
    before = batch.to_pylist()
    assert parent == [0, 1, 1, 1, 2, 3, 4, 4, 4]
    for row, up in zip(rows, parent, strict=True):
        if up in (0, 2, 3):
            assert row == before[up] | {"chunk_index": None}
            continue
        index = row["chunk_index"]
        assert row["id"] == child_id(before[up]["id"], f"chunk={index}", row["text"].encode())
        assert row["parents"] == [before[up]["id"]]
        assert row["group"] == (before[up]["group"] or before[up]["id"])
        assert row["locator"] == f"{before[up]['locator']}#chunk={index}"
        assert row["body"] is None
        assert (row["language"], row["title"], row["quality_words"]) == ("en", "Title", before[up]["quality_words"])
    assert "".join(row["text"] for row in rows[1:4]) == text
    assert [row["chunk_index"] for row in rows[1:4]] == [0, 1, 2]
    assert len({row["id"] for row in rows}) == len(rows)


def test_a_rest_too_short_to_stand_alone():
    rows, _ = apply(records(["x " * 101]), max_chars=200, min_chars=50)
    assert (len(rows), rows[0]["chunk_index"], rows[0]["parents"]) == (1, None, None)
    rows, _ = apply(records(["x " * 101]), max_chars=200, min_chars=2)
    assert [len(row["text"]) for row in rows] == [200, 2]


def test_empty_batch():
    assert apply(records([])) == ([], [])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.one_of(st.none(), TEXT), st.sampled_from(["text", "qa"])), min_size=1, max_size=6))
def test_batches_of_one_make_the_same_rows(rows):
    batch = records([text for text, _ in rows], kind=[kind for _, kind in rows])
    params = {"max_chars": 200, "min_chars": 30, "overlap": 20}
    whole, parent = apply(batch, **params)
    single = [(row, at) for at in range(len(rows)) for row in apply(batch.slice(at, 1), **params)[0]]
    assert list(zip(whole, parent, strict=True)) == single


@pytest.mark.parametrize("unit", ["x", " ", "\n", ".", "\u0301", "a.", "。", "་", "\r\n", '. "', "ก่"])
def test_time_is_linear(unit):
    text = unit * (300_000 // len(unit))
    begin = time.process_time()
    assert "".join(text[a:b] for a, b in cuts(text, 4000)) == text
    assert time.process_time() - begin < 3


@pytest.mark.parametrize(
    "params", [{"max_chars": 100}, {"overlap": 1500}, {"overlap": -1}, {"min_chars": 5000}, {"unknown": 1}]
)
def test_parameters_are_checked(params):
    with pytest.raises(ValidationError):
        Chunk.Params(**params)


def test_contract():
    assert verb(Chunk) == "expand"
    assert set(Chunk.reads) <= set(RECORD.names)
    assert isinstance(Chunk.writes[0], pa.Field)
    code = "import sys, medcorpus.stages.chunk; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
