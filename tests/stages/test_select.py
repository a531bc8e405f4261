"""`select`: the first reason marks, the others are flags, nothing else changes."""

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medcorpus.core.params import Params, decision
from medcorpus.core.stage import Context, Decision, Map, Reason
from medcorpus.stages.select import Select
from tests.records import records


class Scored(Map):
    """Declares reasons over columns of its own; `d` may be unknown of a row."""

    class Params(Params):
        least: int = decision(3)

    name = "scored"
    reasons: ClassVar = {
        name: Reason(name, lambda batch, params, _, column=f"scored_{name}": batch[column]) for name in "abcd"
    } | {
        "low": Reason("low", lambda batch, params, _: pc.less(batch["scored_n"], params.least), ("least",)),
        "foreign": Reason(
            "foreign",
            lambda batch, params, languages: pc.invert(pc.is_in(batch["language"], pa.array(languages, pa.string()))),
            languages=True,
        ),
    }


def select(*reasons: Decision | str) -> Select:
    path = f"{Scored.__module__}:Scored"
    bound = tuple(r if isinstance(r, Decision) else Decision(r, path, {}) for r in reasons)
    stage = Select(Select.Params(drop=tuple(d.reason for d in bound)), Context("cut", decisions=bound))
    stage.open()
    return stage


def scored(held: list[dict], flags: list | None = None) -> pa.RecordBatch:
    columns = {f"scored_{name}": pa.array([row.get(name, False) for row in held], pa.bool_()) for name in "abcd"}
    if flags is not None:
        columns["flags"] = flags
    return records([f"text {n}" for n in range(len(held))], **columns)


def test_the_first_reason_named_marks():
    batch = scored([{}, {"a": True}, {"b": True, "a": True}, {"c": True, "b": True, "a": True}, {"c": True}])
    made = select("b", "a").apply(batch)
    assert made["drop_reason"].to_pylist() == [None, "a", "b", "b", None]
    assert made["flags"].to_pylist() == [None, None, ["a"], ["a"], None]
    assert select("a", "b").apply(batch)["drop_reason"].to_pylist() == [None, "a", "a", "a", None]


def test_a_null_is_no_reason():
    batch = scored([{"d": None}, {"d": True}, {"d": None, "a": True}])
    made = select("d", "a").apply(batch)
    assert made["drop_reason"].to_pylist() == [None, "d", "a"]
    assert made["flags"].to_pylist() == [None, None, None]


def test_flags_that_were_there_stay():
    batch = scored([{"a": True, "b": True}, {"a": True, "b": True}, {}, {}], [["old"], ["b", "old"], [], None])
    made = select("a", "b").apply(batch)
    assert made["flags"].to_pylist() == [["old", "b"], ["b", "old"], [], None]


def test_limits_and_languages_come_from_the_recipe():
    batch = records(["x", "y", "z"], language=["eng", "fra", None], scored_n=[1, 5, 9])
    path = f"{Scored.__module__}:Scored"
    low = Decision("low", path, {"least": 6})
    foreign = Decision("foreign", path, {}, ("eng", "fra"))
    made = select(low, foreign).apply(batch)
    assert made["drop_reason"].to_pylist() == ["low", "low", "foreign"]
    assert select(Decision("low", path, {"least": 0})).apply(batch)["drop_reason"].null_count == 3


def test_nothing_else_changes():
    batch = scored([{"a": True}, {}])
    made = select("a").apply(batch)
    assert made.schema.equals(batch.schema, check_metadata=True)
    assert made.drop_columns(["drop_reason", "flags"]).equals(batch.drop_columns(["drop_reason", "flags"]))
    assert batch["drop_reason"].null_count == 2


def test_no_rows():
    made = select("a", "b").apply(scored([]))
    assert made.num_rows == 0
    assert made.schema == scored([]).schema


@pytest.mark.parametrize("drop", [[], None, "a"])
def test_drop_is_a_list_of_reasons(drop):
    with pytest.raises(ValidationError):
        Select.Params(drop=drop)


rows = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abcd"), st.none() | st.booleans()),
        st.none() | st.lists(st.sampled_from(["a", "b", "old"]), max_size=3),
    ),
    max_size=12,
)


@settings(max_examples=200)
@given(rows, st.permutations("abcd"), st.data())
def test_against_a_slow_and_obvious_way(rows, order, data):
    reasons = order[: data.draw(st.integers(1, 4))]
    batch = scored([held for held, _ in rows], [flags for _, flags in rows])
    start = data.draw(st.integers(0, len(rows)))
    stage = select(*reasons)
    made = stage.apply(batch.slice(start))  # slices, as the engine halves batches
    made.validate(full=True)
    for (held, flags), marked, flagged in zip(
        rows[start:], made["drop_reason"].to_pylist(), made["flags"].to_pylist(), strict=True
    ):
        holding = [reason for reason in reasons if held.get(reason)]
        assert marked == (holding[0] if holding else None)
        new = [reason for reason in holding[1:] if reason not in (flags or [])]
        assert flagged == (flags if not new else [*(flags or []), *new])
    halves = [stage.apply(batch.slice(0, start)), stage.apply(batch.slice(start))]
    assert pa.Table.from_batches(halves) == pa.Table.from_batches([stage.apply(batch)]), "batches do not matter"
