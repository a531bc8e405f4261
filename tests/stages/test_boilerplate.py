"""`boilerplate` against an oracle that counts lines in dictionaries, and in every script."""

import subprocess
import sys
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medcorpus.core.stage import verb
from medcorpus.stages.boilerplate import Boilerplate, _repeated
from tests.records import records
from tests.text.test_shingles import SENTENCES, tokens
from tests.text.test_units import slow as cut
from tests.text.test_units import solid, wordy


def stage(**params):
    made = Boilerplate(Boilerplate.Params.model_validate(params))
    made.open()
    return made


def run(stage, *batches):
    """The three phases as the engine runs them; all rows, in order."""
    decided = stage.resolve([stage.emit(iter([batch])) for batch in batches])
    out = []
    for number, batch in enumerate(batches):
        written = stage.apply(batch, decided.filter(pc.equal(decided["part"], number)))
        same = [name for name in batch.schema.names if name != "text"]
        assert written.select(same).equals(batch.select(same))
        assert [written.schema.field(field.name) for field in Boilerplate.writes] == list(Boilerplate.writes)
        out += written.to_pylist()
    return out


def shown(rows):
    return [(row["text"], row["boilerplate_lines"]) for row in rows]


# -- the oracle -----------------------------------------------------------------------------------


def slow(rows, params):
    """(text, share, lines) by id."""
    documents = defaultdict(set)
    texts = {row["id"]: row["text"] if row["kind"] == "text" else None for row in rows}

    def key(row, unit):
        return (tuple(tokens(unit)), row["source"] if params.within == "source" else "")

    for row in rows:
        for unit in cut(texts[row["id"]], params.unit == "paragraph"):
            if len(unit.split()) >= params.min_words:
                documents[key(row, unit)].add(row["id"])
    out = {}
    for row in rows:
        found = cut(texts[row["id"]], params.unit == "paragraph")
        repeated = [
            len(unit.split()) >= params.min_words and len(documents[key(row, unit)]) >= params.seen for unit in found
        ]
        gone = [
            again and params.remove and row["id"] != min(documents[key(row, unit)])
            for unit, again in zip(found, repeated, strict=True)
        ]
        left = "".join(unit for unit, goes in zip(found, gone, strict=True) if not goes).strip()
        share = sum(solid(unit) for unit, again in zip(found, repeated, strict=True) if again)
        whole = max(1, sum(map(solid, found)))
        text = row["text"] if not any(gone) else left if wordy(left) else ""
        out[row["id"]] = (text, pytest.approx(share / whole), sum(repeated))
    return out


LINES = ["All rights reserved here", "all RIGHTS reserved, here!", "We use cookies today", "Home", "dose 5 mg",
         "dose 50 mg", "", "  ", "---", "Page one of many", "one two three"]  # fmt: skip
ROWS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(LINES), max_size=6),
        st.sampled_from(["\n", "\r\n", "\n\n", "\u2029"]),
        st.sampled_from(["text", "text", "text", "qa"]),
        st.sampled_from(["ward", "web"]),
    ),
    max_size=9,
)


@settings(max_examples=200, deadline=None)
@given(
    ROWS,
    st.sampled_from(["line", "paragraph"]),
    st.integers(2, 4),
    st.sampled_from(["corpus", "source"]),
    st.booleans(),
    st.integers(0, 9),
)
def test_equals_oracle_in_any_order_and_cut(rows, unit, seen, within, remove, where):
    texts = [glue.join(lines) for lines, glue, _, _ in rows]
    batch = records(texts, kind=[row[2] for row in rows], source=[row[3] for row in rows])
    made = stage(unit=unit, seen=seen, within=within, remove=remove, min_words=3)
    expected = slow(batch.to_pylist(), made.params)
    where = min(where, len(rows))
    one = run(made, batch)
    other = run(made, batch.slice(where), batch.slice(0, 0), batch.slice(0, where))
    for found in (one, other):
        assert {
            row["id"]: (row["text"], row["boilerplate_share"], row["boilerplate_lines"]) for row in found
        } == expected
    several = made.emit(iter([batch.slice(0, where), batch.slice(where)]))
    assert several.equals(made.emit(iter([batch])))


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(1, 9), st.integers(0, 9))
def test_ranges_of_hashes_change_nothing(rows, at_once, where):
    batch = records([glue.join(lines) for lines, glue, _, _ in rows])
    made = stage(min_words=1)
    parts = [made.emit(iter([part])) for part in (batch.slice(where), batch.slice(0, where))]
    first = np.cumsum([0, *(len(part["id"].chunk(0).values) for part in parts)])
    one, many = (_repeated(parts, first, 2, size) for size in (1 << 23, at_once))
    assert sorted(zip(*map(np.ndarray.tolist, one), strict=True)) == list(
        zip(*map(np.ndarray.tolist, many), strict=True)
    )


# -- in every script ----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", SENTENCES)
def test_a_header_goes_and_stays_once(header):
    bodies = [f"{name} {header[::-1]} {name}" for name in ("α", "β", "γ", "δ")]
    batch = records([f"{header}\r\n{body}\n{header}\n" for body in bodies])
    rows = run(stage(seen=4, min_words=3, remove=True), batch)
    kept = min(batch["id"].to_pylist())
    for row, body, text in zip(rows, bodies, batch["text"].to_pylist(), strict=True):
        assert row["text"] == (text if row["id"] == kept else body)
        assert row["boilerplate_lines"] == 2
        assert row["boilerplate_share"] == pytest.approx(2 * solid(header) / solid(text))
    assert shown(run(stage(seen=5, min_words=3, remove=True), batch)) == [
        (text, 0) for text in batch["text"].to_pylist()
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("500", "850"), ("५००", "८५०"), ("٥٠٠", "٨٥٠"), ("๕๐๐", "๘๕๐"), ("5", "50"), ("0.5", "5")]
)
def test_a_dose_keeps_lines_apart(one, other):
    line = "Take {} mg of it with food and water"
    batch = records([line.format(dose) for dose in (one, other, one)])
    assert [row["boilerplate_lines"] for row in run(stage(seen=2), batch)] == [1, 0, 1]


def test_digits_of_a_script_are_the_same_number():
    batch = records(
        ["Call us on 112 if you feel worse", "call us on ١١٢, if you feel worse.", "Call us on 113 if you feel worse"]
    )
    assert [row["boilerplate_lines"] for row in run(stage(seen=2), batch)] == [1, 1, 0]


def test_headings_stay():
    """Han: 2 characters a word, Thai: 4. Nobody's "side effects" is boilerplate."""
    for heading in ("Possible side effects", "副作用和禁忌", "ผลข้างเคียง", "የጎንዮሽ ጉዳቶች"):
        rows = run(stage(seen=2, remove=True), records([f"{heading}\n{n}" for n in "abc"]))
        assert [row["boilerplate_lines"] for row in rows] == [0, 0, 0]


# -- what is removed and what is not ------------------------------------------------------------------

NOTICE = "We use cookies to make this page better"


def test_paragraphs():
    notice = "We use cookies to make\nthis page better"
    batch = records([f"{notice}\n\n{name}\n{name}" for name in "abc"])
    assert [row["boilerplate_lines"] for row in run(stage(seen=3, min_words=3), batch)] == [2, 2, 2]
    rows = run(stage(seen=3, unit="paragraph", remove=True), batch)
    assert sorted(row["text"] for row in rows if "cookies" not in row["text"]) == sorted(
        f"{name}\n{name}" for name, row in zip("abc", rows, strict=True) if "cookies" not in row["text"]
    )
    assert sum("cookies" in row["text"] for row in rows) == 1


@pytest.mark.parametrize("kind", ["mcqa", "qa", "dialogue"])
def test_questions_and_turns_are_left_alone(kind):
    batch = records([f"{NOTICE}\n{n}" for n in "abcde"], kind=["text", "text", kind, kind, "text"])
    rows = run(stage(seen=2, remove=True), batch)
    assert [row["boilerplate_lines"] for row in rows] == [1, 1, 0, 0, 1]
    assert [row["text"] for row in rows[2:4]] == batch["text"].to_pylist()[2:4]
    assert sum(NOTICE in row["text"] for row in rows if row["kind"] == "text") == 1
    assert not any(row["boilerplate_lines"] for row in run(stage(seen=4), batch)), "they are not counted either"


def test_per_source():
    batch = records([NOTICE] * 4, source=["a", "a", "b", "c"])
    assert [row["boilerplate_lines"] for row in run(stage(seen=2, within="source"), batch)] == [1, 1, 0, 0]
    assert [row["boilerplate_lines"] for row in run(stage(seen=2), batch)] == [1, 1, 1, 1]


def test_reasons():
    made = stage(seen=3, remove=True)
    batch = records([NOTICE, f" {NOTICE}!\n---", f"{NOTICE}\nbody", "", None])
    written = made.apply(batch, made.resolve([made.emit(iter([batch]))]))
    first = min(batch["id"].to_pylist()[:3])
    only = Boilerplate.reasons["only_boilerplate"].drops(written, made.params, ()).fill_null(False).to_pylist()
    assert only == [row["text"] == "" and row["boilerplate_lines"] > 0 for row in written.to_pylist()]
    assert only == [i != first and n < 2 for n, i in enumerate(batch["id"].to_pylist())]
    drops = Boilerplate.reasons["boilerplate"].drops
    assert drops(written, made.params, ()).to_pylist() == [True, True, True, False, False]
    share = written["boilerplate_share"].to_pylist()[2]
    assert drops(written, Boilerplate.Params(max_share=share), ()).to_pylist()[2] is False
    kept = stage(seen=3)
    assert kept.apply(batch, kept.resolve([kept.emit(iter([batch]))]))["text"].equals(batch["text"])


def test_a_line_many_times_in_one_document_is_in_one_document():
    assert shown(run(stage(seen=2), records([f"{NOTICE}\n" * 50, "x"]))) == [(f"{NOTICE}\n" * 50, 0), ("x", 0)]


def test_empty():
    assert run(stage(), records([])) == []
    assert stage().resolve([]).num_rows == 0
    assert [row["boilerplate_lines"] for row in run(stage(), records([None, "", " \n"]))] == [0, 0, 0]


def test_a_new_document_changes_no_decision_of_others_when_it_shares_nothing():
    made = stage(seen=2, remove=True)
    base, more = records([NOTICE, NOTICE, "other"]), records(["new and alone with all it says"], locator=["n"])
    one, two = (made.resolve([made.emit(iter([b])) for b in batches]) for batches in ([base], [base, more]))
    assert one.equals(two)


# -- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [{"seen": 1}, {"min_words": 0}, {"unit": "word"}, {"within": "web"}, {"max_share": 1.1}, {"sen": 3}]
)
def test_bad_parameters(given):
    with pytest.raises(ValidationError):
        Boilerplate.Params.model_validate(given)


def test_contract():
    assert verb(Boilerplate) == "gather"
    assert stage(seen=1000).notes() == ["lines in 1,000 documents are counted"]
    assert stage(unit="paragraph", within="source", remove=True).notes() == [
        "paragraphs in 10 documents of a source are removed"
    ]
    code = "import sys, medcorpus.stages.boilerplate; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert pa.types.is_uint64(stage().emit(iter([records(["x"])]))["hash"].type.value_type)
