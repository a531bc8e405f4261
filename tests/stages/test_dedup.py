"""`dedup` against an oracle that compares all pairs, and against what must never happen."""

import random
import subprocess
import sys
from itertools import combinations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcorpus.core.schema import RECORD
from medcorpus.core.stage import verb
from medcorpus.stages.dedup import Dedup
from tests.records import records

STAGE = Dedup(Dedup.Params())
STAGE.open()


def mcqa(answers, rationale=None, options=("a", "b")):
    return {
        "question": "?",
        "options": [{"key": key, "text": text} for key, text in zip("AB", options, strict=True)],
        "answers": answers,
        "rationale": rationale,
        "rationale_origin": None,
    }


def run(*batches, shuffle=None, parts=None):
    """The three phases as the engine runs them; one list of rows per batch."""
    emitted = []
    for number, batch in enumerate(batches):
        rows = STAGE.emit(batch)
        assert rows.num_rows == batch.num_rows
        assert rows.schema.field("bucket").type == pa.uint8()
        part = pa.array([number] * rows.num_rows, pa.int32())
        row = pa.array(range(rows.num_rows), pa.int64())
        emitted.append(pa.table([*rows.columns, part, row], names=[*rows.schema.names, "part", "row"]))
    table = pa.concat_tables(emitted)
    order = list(range(table.num_rows))
    if shuffle is not None:
        random.Random(shuffle).shuffle(order)
    table = table.take(pa.array(order, pa.int64()))
    decisions = []
    for buckets in (range(128), range(128, 256)):
        share = table.filter(pa.compute.is_in(table["bucket"], pa.array(buckets, pa.uint8())))
        decisions.append(STAGE.resolve(share))
        assert decisions[-1].schema.names == ["part", "row", *(field.name for field in Dedup.decision_fields)]
        for field in Dedup.decision_fields:
            assert decisions[-1].schema.field(field.name).type == field.type
    decided = pa.concat_tables(decisions)
    out = []
    for number, batch in enumerate(batches):
        mine = decided.filter(pa.compute.equal(decided["part"], number))
        written = STAGE.apply(batch, mine)
        assert written.select(batch.schema.names).equals(batch)
        out.append(written.to_pylist())
    return out


def verdicts(rows):
    keys = ("dedup_duplicate_of", "dedup_family", "dedup_family_size")
    return {row["id"]: tuple(row[key] for key in keys) for row in rows}


def oracle(rows):
    """All pairs, union by repeated painting, then one walk in survivor order."""

    def answers(row):
        value = row["mcqa"]
        if not value or not value["answers"]:
            return None
        options = [(option["key"], option["text"]) for option in value["options"]]
        return options, sorted(value["answers"])

    def copies(a, b):
        if a["text"].split() != b["text"].split() or not a["text"].split():
            return False
        return answers(a) is None or answers(b) is None or answers(a) == answers(b)

    colour = {row["id"]: row["id"] for row in rows}
    for _ in rows:
        for a, b in combinations(rows, 2):
            if copies(a, b):
                low = min(colour[a["id"]], colour[b["id"]])
                colour = {name: low if c in (colour[a["id"]], colour[b["id"]]) else c for name, c in colour.items()}

    def rank(row):
        permissive = (row["licence"] or "").startswith(("CC-BY-4", "CC0"))
        rationale = bool(row["mcqa"] and row["mcqa"]["rationale"])
        return (-permissive, -rationale, -(answers(row) is not None), -len(" ".join(row["text"].split())), row["id"])

    kept, of = [], {}
    for row in sorted(rows, key=rank):
        of[row["id"]] = next((other["id"] for other in kept if copies(row, other)), None)
        if of[row["id"]] is None:
            kept.append(row)
    sizes = {name: list(colour.values()).count(c) for name, c in colour.items()}
    return {
        row["id"]: (of[row["id"]], colour[row["id"]] if sizes[row["id"]] > 1 else None, sizes[row["id"]])
        for row in rows
    }


ROW = st.tuples(
    st.sampled_from(["", " ", "x", "x ", "y", "y\n"]),
    st.sampled_from([None, "CC-BY-4.0", "CC-BY-NC-4.0", "CC0-1.0", "unknown"]),
    st.sampled_from(
        [None, None, mcqa([]), mcqa(None), mcqa(["A"]), mcqa(["A"], "why"), mcqa(["B"]), mcqa(["B", "A"]),
         mcqa(["A", "B"], "so"), mcqa(["A"], options=("a", "c"))]
    ),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(ROW, max_size=10), st.integers(0, 10), st.integers())
def test_equals_oracle_in_any_order(rows, cut, seed):
    texts, licences, questions = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    batch = records(texts, licence=licences, mcqa=questions)
    want = oracle(batch.to_pylist())
    whole = run(batch)
    assert verdicts(whole[0]) == want
    cut = min(cut, len(rows))
    second, first = run(batch.slice(cut), batch.slice(0, cut), shuffle=seed)
    assert verdicts(first + second) == want


def test_a_plain_copy():
    batch = records(["Fever and cough.", "Something else.", "Fever  and\u00a0cough.\n"])
    rows = run(batch)[0]
    small, large = sorted((rows[0], rows[2]), key=lambda row: row["id"])
    assert (small["dedup_duplicate_of"], large["dedup_duplicate_of"]) == (None, small["id"])
    assert {row["dedup_family"] for row in (small, large)} == {small["id"]}
    assert [row["dedup_family_size"] for row in rows] == [2, 1, 2]
    assert rows[1]["dedup_family"] is None
    (reason,) = Dedup.reasons.values()
    marked = reason.drops(STAGE.apply(batch, _decided(batch)), STAGE.params, ())
    assert sum(marked.to_pylist()) == 1


def _decided(batch):
    rows = STAGE.emit(batch)
    count = rows.num_rows
    extra = [pa.array([0] * count, pa.int32()), pa.array(range(count), pa.int64())]
    return STAGE.resolve(pa.table([*rows.columns, *extra], names=[*rows.schema.names, "part", "row"]))


def test_survivor_order():
    texts = ["q"] * 5
    batch = records(
        texts,
        licence=["unknown", "CC-BY-NC-4.0", "CC-BY-4.0", "MIT", None],
        mcqa=[mcqa(["A"], "why"), None, None, mcqa(["A"]), mcqa(["A"])],
        kind=["mcqa", "text", "qa", "mcqa", "mcqa"],
    )
    rows = run(batch)[0]
    assert [row["dedup_duplicate_of"] for row in rows] == [
        rows[3]["id"],
        rows[3]["id"],
        rows[3]["id"],
        None,
        rows[3]["id"],
    ]


def test_answers_that_differ_both_stay():
    batch = records(["q", "q", "q"], mcqa=[mcqa(["A"]), mcqa(["B"]), None], kind=["mcqa", "mcqa", "text"])
    rows = run(batch)[0]
    assert [row["dedup_duplicate_of"] is None for row in rows] == [True, True, False]
    assert {row["dedup_family_size"] for row in rows} == {3}
    rows = run(batch.slice(0, 2))[0]
    assert [row["dedup_family_size"] for row in rows] == [1, 1]


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("CC0", True), ("CC0-1.0", True), ("CC-BY-4.0", True), ("cc-by-sa-3.0", True), ("CC-BY", True),
        ("CC BY 4.0", True), ("CC-BY-SA", True), ("MIT", True), ("Apache-2.0", True), ("public-domain", True),
        ("Public Domain Mark 1.0", True), ("CC-BY-3.0-IGO", True), ("CC-BY-NC-4.0", False), ("CC-BY-ND-4.0", False),
        ("CC-BY-NC-SA-4.0", False), ("unknown", False), ("", False), (None, False), ("mitre", False),
        ("proprietary", False), ("GPL-3.0", False),
    ],
)  # fmt: skip
def test_permissive(licence, permissive):
    rank = STAGE.emit(records(["x"], licence=licence)).column("rank").to_pylist()
    assert rank == [4 if permissive else 0]


def test_empty_texts_and_batches():
    rows = run(records([None, "", " \u3000"]))[0]
    assert [row["dedup_family_size"] for row in rows] == [1, 1, 1]
    assert run(records([]))[0] == []


def test_written_again_over_old_columns():
    batch = records(["x", "x"])
    once = STAGE.apply(batch, _decided(batch))
    assert STAGE.apply(once, _decided(once)).equals(once)
    assert [once.schema.field(field.name) for field in Dedup.writes] == list(Dedup.writes)


def test_contract():
    assert verb(Dedup) == "gather"
    assert set(Dedup.reads) <= set(RECORD.names)
    code = "import sys, medcorpus.stages.dedup; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
