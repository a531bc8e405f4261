"""YAML with lines: exact places, and nothing that a recipe has no use for."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.core.errors import RecipeError
from medcorpus.recipe.yaml_lines import read

TEXT = """\
name: corpus   # a comment

languages: [en,
            zh]
steps:
  - ingest: {path: a,
             format: jsonl}
    id: one
  - langid:
      min_score: 0.6
      deep:
        - [x]
        - y: 1
  - select:
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("name",), 1),
        (("languages",), 3),
        (("languages", 0), 3),
        (("languages", 1), 4),
        (("steps", 0), 6),
        (("steps", 0, "ingest", "path"), 6),
        (("steps", 0, "ingest", "format"), 7),
        (("steps", 0, "id"), 8),
        (("steps", 1, "langid"), 9),
        (("steps", 1, "langid", "min_score"), 10),
        (("steps", 1, "langid", "deep", 0, 0), 12),
        (("steps", 1, "langid", "deep", 1, "y"), 13),
        (("steps", 2, "select"), 14),
        # what is not there is at the nearest thing around it
        (("steps", 1, "langid", "labels"), 9),
        (("steps", 2, "select", "drop", 3), 14),
        (("steps", 99), 5),
        (("nothing",), 1),
    ],
)
def test_lines(path, line):
    assert read(TEXT, "r.yaml")[1].at(*path) == line


def test_values():
    value, _, problems = read(TEXT, "r.yaml")
    assert problems == []
    assert value["languages"] == ["en", "zh"]
    assert value["steps"][1] == {"langid": {"min_score": 0.6, "deep": [["x"], {"y": 1}]}}
    assert value["steps"][2] == {"select": None}


def test_nothing():
    value, lines, problems = read("# only a comment\n", "r.yaml")
    assert (value, problems, lines.at("x")) == (None, [], 0)


def test_duplicate_keys_are_all_named_and_the_first_wins():
    value, _, problems = read("a: 1\nb:\n  c: 2\n  c: 3\na: 4\na: 5\n", "r.yaml")
    assert value == {"a": 1, "b": {"c": 2}}
    assert [str(p) for p in problems] == [
        "r.yaml:4: 'c' stands here again (first on line 3)",
        "r.yaml:5: 'a' stands here again (first on line 1)",
        "r.yaml:6: 'a' stands here again (first on line 1)",
    ]


def test_the_norway_problem():
    """YAML 1.1 reads `no` as false; a recipe in fifty languages cannot have that."""
    value, _, _ = read(
        "languages: [en, no, on, y, yes]\non: off\nno: No\nflag: true\nother: False\nday: 2024-01-31\nsign: =", "r"
    )
    assert value == {
        "languages": ["en", "no", "on", "y", "yes"],
        "on": "off",
        "no": "No",
        "flag": True,
        "other": False,
        "day": "2024-01-31",
        "sign": "=",
    }


def test_keys_are_words():
    value, _, _ = read("1: a\n1.0: b\ntrue: c\n~: d\n'': e\n", "r")
    assert value == {"1": "a", "1.0": "b", "true": "c", "~": "d", "": "e"}


def test_scalars():
    value, _, _ = read("[1, 1.5, 1.0e-5, ~, null, '1', \"é\", .inf, 0x10, a b]", "r")
    assert value == [1, 1.5, 1e-5, None, None, "1", "é", float("inf"), 16, "a b"]


def test_aliases_are_copies():
    value, _, problems = read("a: &x {k: [1]}\nb: *x\n", "r")
    assert value == {"a": {"k": [1]}, "b": {"k": [1]}}
    value["a"]["k"].append(2)
    assert value["b"] == {"k": [1]}
    assert not problems


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb(12), "r:1: too many values"),
        (bomb(12) + "\n? *a11\n: 1\n", "too many values"),
        ("a: &a [*a]", "r:1: more than 100 levels deep (an alias that contains itself?)"),
        ("a: &a\n  b: *a", "r:1: more than 100 levels deep (an alias"),
        ("[" * 100_000, "r:1: more than 100 levels deep"),
        ("- " * 100_000, "r:1: more than 100 levels deep"),
        ("\n".join(" " * n + "k:" for n in range(2000)), "r:101: more than 100 levels deep"),
        ("? &a [x]\n: 1", "r:1: a key is a word"),
    ],
    ids=["bomb", "bomb as key", "loop", "loop in map", "brackets", "dashes", "indents", "list as key"],
)
def test_what_could_hurt_is_refused_quickly(text, said):
    started = time.perf_counter()
    with pytest.raises(RecipeError) as caught:
        read(text, "r")
    assert time.perf_counter() - started < 3
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [1,\n", "r:3: not YAML: "),
        ("a: 1\n\tb: 2\n", "r:2: not YAML: "),
        ("a: b: c", "r:1: not YAML: mapping values are not allowed in this context"),
        ("a: 1\n---\nb: 2\n", "r:2: not YAML: but found another document"),
        ("a: 1\nb: *nowhere\n", "r:2: not YAML: "),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "r:2: the tag !python/object/apply:os.system is not known"),
        ("a: !!binary aGk=", "r:1: the tag !binary is not known here"),
        ("a: !!set {b, c}", "r:1: the tag !set is not known here"),
        ("a: !mine 1\n", "r:1: the tag !mine is not known here"),
        ("a: 1\n<<: {b: 1}\n", "r:2: merge keys (<<) are not known here"),
        ("a: \x00", "r: not YAML: "),
    ],
)
def test_what_is_not_yaml_is_said_with_its_line(text, said):
    with pytest.raises(RecipeError) as caught:
        read(text, "r")
    assert str(caught.value).startswith(said)
    assert caught.value.exit_code == 2


def test_tags_cannot_run_anything(tmp_path):
    target = tmp_path / "made"
    text = f"a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{target}']]"
    with pytest.raises(RecipeError):
        read(text, "r")
    assert not target.exists()


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        value, lines, _ = read(text, "r")
    except RecipeError:
        return
    assert value is None or lines.at() >= 1
