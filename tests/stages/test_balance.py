"""`balance` against what the papers ask for, and against rows taken one by one."""

import math
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medcorpus.core.languages import registry
from medcorpus.core.stage import verb
from medcorpus.stages.balance import Balance, targets
from medcorpus.text.hashes import hashes
from tests.records import records

LANGUAGES = ["eng", "tha", "zho", "ara", "hin", "amh", "hau", "und", None]
TEXTS = ["Fever.", "ไข้สูง", "发热三天", "حمى", "बुखार है", "ትኩሳት", "zazzaɓi mai tsanani", "", None]


def params(**given):
    return Balance.Params.model_validate(given)


def stage(**given):
    made = Balance(params(**given))
    made.open()
    return made


def run(stage, *batches):
    """The three phases as the engine runs them; all rows, in order."""
    decided = stage.resolve([stage.emit(iter([batch])) for batch in batches])
    out = []
    for number, batch in enumerate(batches):
        written = stage.apply(batch, decided.filter(pc.equal(decided["part"], number)))
        assert written.select(batch.schema.names).equals(batch)
        assert [written.schema.field(field.name) for field in Balance.writes] == list(Balance.writes)
        out += written.to_pylist()
    return out


def epochs(rows):
    return {row["id"]: row["balance_epochs"] for row in rows}


# -- how much of each group -----------------------------------------------------------------------

SIZES = st.dictionaries(st.text("abcdef", max_size=3), st.integers(0, 10_000), max_size=8)


@given(SIZES, st.integers(1, 12_000))
def test_a_cap(sizes, cap):
    assert targets(sizes, params(cap=cap)) == {name: min(n, cap) for name, n in sizes.items()}


@given(SIZES, st.integers(1, 20), st.one_of(st.none(), st.integers(1, 100_000)))
def test_unimax_is_as_even_as_its_epochs_allow(sizes, most, budget):
    wanted = targets(sizes, params(unimax=most, budget=budget))
    total = sum(sizes.values()) if budget is None else budget
    assert wanted.keys() == sizes.keys()
    assert sum(wanted.values()) == min(total, most * sum(sizes.values()))
    assert all(0 <= wanted[name] <= most * n for name, n in sizes.items())
    highest = max(wanted.values(), default=0)
    for name, n in sizes.items():  # who has less than another has all that may be had
        assert wanted[name] >= highest - 1 or wanted[name] == most * n


def test_unimax_worked_by_hand():
    """Budget 100, N = 2. 5 -> 10 of 33; 20 -> 40 of 45; what is left, 50, is less than 2 x 1000."""
    assert targets({"en": 1000, "sw": 20, "ha": 5}, params(unimax=2, budget=100)) == {"ha": 10, "sw": 40, "en": 50}


@given(SIZES, st.floats(1, 100), st.integers(100_000, 10_000_000))
def test_temperature_shares(sizes, temperature, budget):
    wanted = targets(sizes, params(temperature=temperature, budget=budget))
    total = sum(n ** (1 / temperature) for n in sizes.values() if n)
    for name, n in sizes.items():
        share = n ** (1 / temperature) / total if n else 0
        assert abs(wanted[name] - budget * share) <= 0.5 + 1e-6


@given(SIZES)
def test_temperature_one_is_as_it_comes(sizes):
    assert targets(sizes, params(temperature=1)) == sizes


def test_temperature_worked_by_hand():
    """XLM-R: alpha = 0.3. 10,000 times the data is 10,000^0.3 = 15.85 times the share."""
    wanted = targets({"en": 1_000_000, "ha": 100}, params(temperature=1 / 0.3, budget=1_000_000))
    assert wanted["en"] / wanted["ha"] == pytest.approx(10_000**0.3, rel=1e-4)
    assert sum(wanted.values()) == 1_000_000


# -- which rows -----------------------------------------------------------------------------------

ROWS = st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(LANGUAGES)), max_size=30)
METHODS = st.sampled_from([{"cap": 3}, {"cap": 1}, {"temperature": 3}, {"unimax": 2}, {"unimax": 4, "budget": 25},
                           {"temperature": 1.5, "budget": 70}])  # fmt: skip


def slow(rows, params):
    """Epochs by id: whole rounds, then row after row by rising hash until there is enough."""
    size = {row["id"]: 1 if params.unit == "rows" else len(row["text"] or "") for row in rows}
    groups = defaultdict(list)
    for row in rows:
        groups[row["language"] or "und"].append(row["id"])
    wanted = targets({name: sum(size[i] for i in ids) for name, ids in groups.items()}, params)
    out = {}
    for name, ids in groups.items():
        have = sum(size[i] for i in ids)
        rounds, rest = divmod(wanted[name], have) if have else (1, 0)
        for i in sorted(ids, key=lambda i: hashes(pa.array([i]), params.seed)[0]):
            out[i] = rounds + (rest > 0)
            rest -= size[i]
    return out


@settings(max_examples=150, deadline=None)
@given(ROWS, METHODS, st.sampled_from(["rows", "chars"]), st.integers(0, 30), st.integers(0, 30))
def test_equals_oracle_in_any_order_and_cut(rows, method, unit, cut, turn):
    rows = rows[turn:] + rows[:turn]
    batch = records([text for text, _ in rows], language=[language for _, language in rows])
    made = stage(**method, unit=unit)
    expected = slow(batch.to_pylist(), made.params)
    cut = min(cut, len(rows))
    assert epochs(run(made, batch)) == expected
    assert epochs(run(made, batch.slice(cut), batch.slice(0, 0), batch.slice(0, cut))) == expected
    several = made.emit(iter([batch.slice(0, cut), batch.slice(cut)]))
    assert several.equals(made.emit(iter([batch])).combine_chunks())


def test_the_target_is_met_to_a_row():
    texts = ["word " * (number % 7 + 1) for number in range(500)]
    batch = records(texts, language=["eng", "tha"] * 250)
    for method in ({"cap": 1001}, {"unimax": 3, "budget": 20_000}, {"temperature": 4, "budget": 9_999}):
        made = stage(**method, unit="chars")
        seen, sizes = Counter(), Counter()
        for row in run(made, batch):
            seen[row["language"]] += row["balance_epochs"] * len(row["text"])
            sizes[row["language"]] += len(row["text"])
        wanted = targets(sizes, made.params)
        assert all(wanted[name] <= seen[name] < wanted[name] + 35 for name in sizes)


def test_a_new_row_moves_one_row_at_most():
    batch = records(["x"] * 400, language=["eng"] * 200 + ["tha"] * 200)
    for method in ({"cap": 50}, {"unimax": 2, "budget": 300}):
        before = epochs(run(stage(**method), batch.slice(0, 399)))
        after = epochs(run(stage(**method), batch))
        moved = [i for i in before if before[i] != after[i]]
        assert len(moved) <= 1
        assert all(row["language"] == "tha" for row in batch.to_pylist() if row["id"] in moved)


def test_the_seed_chooses_other_rows_as_many():
    batch = records(["x"] * 1000, language="eng")
    one, two = (epochs(run(stage(cap=500, seed=seed), batch)) for seed in (1, 2))
    assert sum(one.values()) == sum(two.values()) == 500
    both = sum(one[i] * two[i] for i in one)
    assert 200 < both < 300  # 250 by chance, standard deviation 8


def test_ids_that_come_twice_are_taken_together():
    batch = records(["a", "a", "b"], language="eng", locator=["1", "1", "2"])
    for made in (run(stage(cap=1), batch), run(stage(cap=1), batch.slice(1), batch.slice(0, 1))):
        by_id = defaultdict(set)
        for row in made:
            by_id[row["id"]].add(row["balance_epochs"])
        assert sorted(map(tuple, by_id.values())) == [(0,), (1,)]


# -- groups ---------------------------------------------------------------------------------------


def group(**columns):
    by = columns.pop("by")
    return [row["balance_group"] for row in run(stage(cap=9, by=by), records(["x"] * 3, **columns))]


def test_groups():
    languages = ["hau", None, "xx-unheard-of"]
    assert group(by="language", language=languages) == ["hau", "und", "xx-unheard-of"]
    assert group(by="family", language=languages) == [registry()["hau"].family, "und", "und"]
    assert group(by="category", category=["exam", None, "web"]) == ["exam", "none", "web"]
    assert group(by="source", source=["a", "b", "a"]) == ["a", "b", "a"]
    assert group(by=["category", "language"], category="exam", language="tha") == ["exam|tha"] * 3
    odd = group(by=["category", "source"], category=["a|b", "a", "a\\"], source=["c", "b|c", "|b|c"])
    assert odd == ["a\\|b|c", "a|b\\|c", "a\\\\|\\|b\\|c"] and len(set(odd)) == 3


def test_a_family_is_one_group():
    assert registry()["ara"].family == registry()["hau"].family == registry()["amh"].family
    rows = run(stage(cap=2, by="family"), records(["x"] * 6, language=["ara", "hau", "amh"] * 2))
    assert sum(row["balance_epochs"] for row in rows) == 2
    assert stage(cap=2, by="family").resource_digests().keys() == {"families"}
    assert stage(cap=2).resource_digests() == {}


def test_the_reason_is_zero_epochs():
    batch = records(["x"] * 5, language="eng")
    made = stage(cap=2)
    written = made.apply(batch, made.resolve([made.emit(iter([batch]))]))
    drops = Balance.reasons["over_cap"].drops(written, made.params, ())
    assert drops.to_pylist() == [value == 0 for value in written["balance_epochs"].to_pylist()]
    assert drops.true_count == 3
    again = made.apply(written, made.resolve([made.emit(iter([written]))]))
    assert again.equals(written)


def test_empty():
    assert run(stage(cap=1), records([])) == []
    assert stage(unimax=1).resolve([]).num_rows == 0
    rows = run(stage(unimax=3, unit="chars"), records([None, "", ""], language=["eng", "eng", "tha"]))
    assert [row["balance_epochs"] for row in rows] == [1, 1, 1]


# -- words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "say one of cap, temperature, unimax .found: none"),
        ({"cap": 1, "unimax": 2}, "found: cap, unimax"),
        ({"cap": 1, "budget": 5}, "budget goes with"),
        ({"cap": 0}, "greater than or equal to 1"),
        ({"unimax": 0.5}, "valid integer"),
        ({"temperature": 0.3}, "greater than or equal to 1"),
        ({"temperature": math.inf}, "finite"),
        ({"cap": 1, "by": "tongue"}, "language"),
        ({"cap": 1, "by": []}, "at least 1"),
        ({"cap": 1, "by": ["source", "source"]}, "twice: source, source"),
        ({"cap": 1, "unit": "bytes"}, "rows"),
        ({"cap": 1, "limit": 2}, "limit"),
    ],
)
def test_bad_parameters(given, complaint):
    with pytest.raises(ValidationError, match=complaint):
        params(**given)


def test_figures_and_notes():
    table = Balance.figures()
    assert len({tuple(row) for row in table}) == 1
    assert next(row for row in table if row["method"] == "unimax 5")["of 100"] == "5x 0.05%"
    assert stage(cap=1000).notes() == ["at most 1,000 rows for each language"]
    assert "3 times" in stage(unimax=3, budget=10_000).notes()[0] and "10,000 rows" in stage(unimax=3, budget=10_000).notes()[0]  # fmt: skip # noqa: E501
    assert "n^(1/5)" in stage(temperature=5, unit="chars").notes()[0]


def test_contract():
    assert verb(Balance) == "gather"
    code = "import sys, medcorpus.stages.balance; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert np.dtype(np.int64) == stage(cap=1).emit(iter([records(["x"])]))["size"].to_numpy().dtype
