"""Keys: the same work gets the same key, on every machine and in every release."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.core.keys import canonical, digest, partition_key, step_key

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def shuffled(value):
    """Equal to `value`, with the keys of every map in another order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(values)
def test_canonical_is_json_and_knows_no_order(value):
    raw = canonical(value)
    assert json.loads(raw) == value
    assert canonical(shuffled(value)) == raw


def test_canonical_bytes():
    assert canonical({"b": [1, 2.5, None, True], "a": "é 发"}) == '{"a":"é 发","b":[1,2.5,null,true]}'.encode()
    assert canonical([]) == b"[]"
    assert canonical((1, 2)) == canonical([1, 2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"deep": [-float("inf")]}])
def test_nan_and_infinity_are_refused(value):
    with pytest.raises(ValueError):
        canonical(value)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_what_is_not_json_is_refused(value):
    with pytest.raises(TypeError):
        digest(value)


GOLDEN = {
    "digest": "71d77e187866a1e5be66e2a9a48c2ea3",
    "step": "fe25b9f572f25f1a1b033259f5397c3a",
    "partition": "975aa59921fa198f",
}


def example() -> str:
    return step_key("langid", 1, {"und_below": 0.3, "labels": None}, {"model": "aa"}, [["low", {"min": 1}]], ["f" * 32])


def test_digests_never_change():
    """These are on users' disks. If one changes on purpose, bump `SCHEME`."""
    assert digest({"a": [1, "é"], "b": None}) == GOLDEN["digest"]
    assert example() == GOLDEN["step"]
    assert partition_key("0" * 32, ["a", "b"]) == GOLDEN["partition"]


def test_digests_are_the_same_in_another_process():
    code = "from tests.core.test_keys import example; print(example())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == example()


def test_everything_that_matters_changes_a_step_key():
    same = {"stage": "a", "version": 1, "params": {}, "resources": {}, "decisions": [], "upstream": ["u", "v"]}
    keys = {step_key(**same)}
    for change in (
        {"stage": "b"},
        {"version": 2},
        {"params": {"x": 1}},
        {"resources": {"model": "d"}},
        {"decisions": [{"reason": "r"}]},
        {"upstream": ["u"]},
        {"upstream": ["v", "u"]},  # the order of inputs is the order of rows
        {"upstream": ["uv"]},
    ):
        keys.add(step_key(**(same | change)))
    assert len(keys) == 9
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)


def test_partition_keys():
    assert len(partition_key("s", ["a"])) == 16
    found = {
        partition_key(*about) for about in [("s", ["a"]), ("t", ["a"]), ("s", ["a", "b"]), ("s", ["ab"]), ("s", [])]
    }
    assert len(found) == 5
    assert partition_key("s", iter(["a"])) == partition_key("s", ("a",))
