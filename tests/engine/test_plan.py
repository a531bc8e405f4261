"""Plans: keys, privacy, and where a run of steps is cut."""

import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.core.stage import Context, Decision, verb
from medcorpus.engine.plan import Plan, Step, units, with_keys
from tests.engine import stages_for_tests as stages
from tests.engine.stages_for_tests import (
    Ask,
    Compare,
    Costly,
    Cut,
    Mask,
    Model,
    Read,
    Score,
    Split,
    Write,
    chain,
    plan,
    step,
)


def cut(plan: Plan, *cut_after: str) -> str:
    """The units of a plan: `a bc d`."""
    return " ".join("".join(one.id for one in unit.steps) for unit in units(plan, cut_after))


@pytest.mark.parametrize(
    ("classes", "wanted"),
    [
        ([Read, Score, Score, Score], "a bcd"),  # after a Source
        ([Read, Score, Cut], "a b c"),  # before a select ...
        ([Read, Score, Cut, Score, Mask], "a b cde"),  # ... but not after it
        ([Read, Cut, Cut], "a b c"),
        ([Read, Score, Costly, Score], "a bc d"),  # after what is costly
        ([Read, Costly, Costly], "a b c"),
        ([Read, Score, Split, Score], "a bc d"),  # after an Expand
        ([Read, Split, Split], "a b c"),
        ([Read, Score, Compare, Score], "a b c d"),  # around a barrier
        ([Read, Score, Write], "a b c"),  # before a Job
        ([Read, Score, Ask, Ask, Score], "a b cd e"),  # what waits and what computes run in different places
        ([Read, Ask, Split], "a b c"),
        ([Read], "a"),
        ([Read, Write], "a b"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_where_a_chain_is_cut(classes, wanted):
    assert cut(chain(*classes)) == wanted


def test_a_fork_is_cut():
    forked = plan(
        step(Read, "a"),
        step(Score, "b", ["a"]),
        step(Score, "c", ["b"]),
        step(Score, "d", ["b"]),
        step(Score, "e", ["d"]),
    )
    assert cut(forked) == "a b c de"


def test_a_join_is_cut():
    joined = plan(
        step(Read, "a"),
        step(Read, "b"),
        step(Score, "c", ["a", "b"]),
        step(Score, "d", ["c"]),
        step(Score, "e", ["a"]),
        step(Score, "f", ["d", "e"]),
        step(Score, "g", ["f"]),
    )
    assert cut(joined) == "a b cd e fg"
    assert units(joined)[2].inputs == ("a", "b")


def test_branches_that_lie_between_each_other():
    """The order of the recipe may go back and forth between branches."""
    mixed = plan(
        step(Read, "a"),
        step(Read, "b"),
        step(Score, "c", ["a"]),
        step(Score, "d", ["b"]),
        step(Score, "e", ["c"]),
        step(Score, "f", ["d"]),
    )
    assert cut(mixed) == "a b ce df"


def test_cut_after_what_is_on_disk():
    maps = chain(Read, Score, Score, Score, Score)
    assert cut(maps) == "a bcde"
    assert cut(maps, "c") == "a bc de"
    assert cut(maps, "b", "d") == "a b cd e"
    assert cut(maps, "e", "a", "nobody") == "a bcde"


def test_verbs_and_ends():
    found = units(chain(Read, Score, Split, Compare, Score, Cut, Write))
    assert [unit.verb for unit in found] == ["source", "map", "gather", "map", "map", "job"]
    assert [unit.last.id for unit in found] == ["a", "c", "d", "e", "f", "g"]
    assert [unit.inputs for unit in found] == [(), ("a",), ("c",), ("d",), ("e",), ("f",)]


def test_until():
    forked = plan(
        step(Read, "a"),
        step(Score, "b", ["a"]),
        step(Score, "c", ["b"]),
        step(Read, "x"),
        step(Score, "d", ["b", "x"]),
        step(Write, "e", ["d"]),
    )
    assert [s.id for s in forked.until("c").steps] == ["a", "b", "c"]
    assert [s.id for s in forked.until("d").steps] == ["a", "b", "x", "d"]
    assert forked.until("e") == Plan("test", tuple(s for s in forked.steps if s.id != "c"))
    assert cut(forked.until("c")) == "a bc", "a branch that does not run cuts nothing"
    assert {s.id: s.key for s in forked.until("d").steps}.items() <= {s.id: s.key for s in forked.steps}.items()


def test_ancestors_are_nearest_first_and_named_once():
    diamond = plan(
        step(Read, "a"),
        step(Score, "b", ["a"]),
        step(Score, "c", ["b"]),
        step(Score, "d", ["a"]),
        step(Score, "e", ["c", "d"]),
    )
    assert diamond.ancestors("e") == ["c", "d", "b", "a"]
    assert diamond.ancestors("a") == []


STAGES = [Score, Costly, Ask, Cut, Mask, Split, Compare, Write]


@st.composite
def graphs(draw) -> Plan:
    """Any graph: each step reads one or two steps above it (never a Job)."""
    made: list[Step] = []
    for number in range(draw(st.integers(1, 10))):
        id = f"s{number}"
        above = [s.id for s in made if verb(s.cls) != "job"]
        if not made or draw(st.integers(0, 4)) == 0:
            made.append(step(Read, id))
        else:
            inputs = draw(st.lists(st.sampled_from(above), min_size=1, max_size=2, unique=True))
            made.append(step(draw(st.sampled_from(STAGES)), id, inputs))
    return plan(*made)


@given(graphs(), st.sets(st.integers(0, 9)))
def test_units_of_any_graph(graph, written):
    found = units(graph, {f"s{n}" for n in written})
    ids = [one.id for unit in found for one in unit.steps]
    assert sorted(ids) == sorted(graph.by_id), "every step stands in one unit"
    done: set[str] = set()
    readers = {s.id: [t.id for t in graph.steps if s.id in t.inputs] for s in graph.steps}
    for unit in found:
        assert set(unit.inputs) <= done, "what a unit reads was written before"
        for one, two in zip(unit.steps, unit.steps[1:], strict=False):
            assert two.inputs == (one.id,)
            assert readers[one.id] == [two.id]
            assert int(one.id[1:]) not in written
            assert verb(one.cls) == "map" and not one.cls.costly and not two.cls.decides
            assert verb(two.cls) in ("map", "expand")
        done.add(unit.last.id)


@given(graphs())
def test_a_step_is_private_until_something_above_protects(graph):
    for one in graph.steps:
        ways = paths(graph, one.id)
        assert one.private == any(not any(graph.by_id[id].cls.protects for id in way) for way in ways)
        assert one.folder == f"{'private/' if one.private else ''}steps/{one.id}-{one.key[:8]}"
        assert one.rejects == f"rejects/{one.id}-{one.key[:8]}"


def paths(graph: Plan, id: str) -> list[list[str]]:
    """Every way from a source down to `id`."""
    inputs = graph.by_id[id].inputs
    return [[*way, id] for up in inputs for way in paths(graph, up)] if inputs else [[id]]


def test_private_where_one_way_is_unprotected():
    joined = plan(
        step(Read, "a"),
        step(Mask, "b", ["a"]),
        step(Score, "c", ["b"]),
        step(Score, "d", ["a"]),
        step(Cut, "e", ["c", "d"]),
        step(Mask, "f", ["e"]),
    )
    assert {s.id: s.private for s in joined.steps} == {
        "a": True,
        "b": False,
        "c": False,
        "d": True,
        "e": True,
        "f": False,
    }


# -- keys ------------------------------------------------------------------------------------------


def keyed(**params) -> str:
    return with_keys([step(Score, **params)])[0].key


def test_only_data_parameters_are_in_the_key_of_a_step():
    plain = keyed()
    assert keyed(width=1) == plain, "a default that is written down is still the default"
    assert keyed(limit=0.9, threads=8, where="there") == plain
    assert keyed(width=2) != plain


def test_what_enters_a_key(monkeypatch):
    before = chain(Read, Model, Score)
    monkeypatch.setattr(Model, "digest", "two")
    after = chain(Read, Model, Score)
    assert [a.key == b.key for a, b in zip(before.steps, after.steps, strict=True)] == [True, False, False]
    monkeypatch.setattr(Score, "version", 2)
    newer = chain(Read, Model, Score)
    assert [a.key == b.key for a, b in zip(after.steps, newer.steps, strict=True)] == [True, True, False]


def test_ids_and_places_of_the_recipe_are_in_no_key():
    one, two = plan(step(Read, "a"), step(Score, "b", ["a"])), plan(step(Read, "x"), step(Score, "y", ["x"]))
    assert [s.key for s in one.steps] == [s.key for s in two.steps]
    moved = [
        replace(s, context=Context(s.id, "/elsewhere", "/state", ("eng",), facts={"name": "n"})) for s in one.steps
    ]
    assert [s.key for s in with_keys(moved)] == [s.key for s in one.steps]


def test_decisions_are_in_the_key_of_the_step_that_decides():
    def key(*decisions):
        return with_keys([step(Cut, decisions=decisions)])[0].key

    score = f"{stages.__name__}:Score"
    low, high = Decision("low", score, {"limit": 0.5}), Decision("high", score, {"limit": 0.5})
    keys = [key(), key(low), key(high), key(low, high), key(high, low), key(Decision("low", score, {"limit": 0.6}))]
    keys.append(key(Decision("low", score, {"limit": 0.5}, ("eng",))))
    assert len(set(keys)) == 7


def test_a_step_is_plain_data():
    """It travels to workers that were spawned."""
    for one in chain(Read, Score, Cut).steps:
        assert pickle.loads(pickle.dumps(one)) == one
        assert one.build().name == one.cls.name
