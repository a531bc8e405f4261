"""Finding recipes, reading them, and `--set`."""

import pytest

from medcorpus.core.errors import RecipeError
from medcorpus.recipe.load import find, load, shipped_recipes

RECIPE = """\
name: test
languages: [en]
steps:
  - ingest: {path: a.jsonl}
    id: one
  - langid:
  - quality: {min_words: 3}
    max_error_rate: 0.1
  - dedup
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    return str(path)


def test_load(path):
    recipe = load(path)
    assert recipe.file == path
    assert recipe.value["name"] == "test"
    assert recipe.lines.at("steps", 2, "quality", "min_words") == 7
    assert recipe.problems == []


def test_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + RECIPE.replace("\n", "\r\n").encode())
    recipe = load(str(path))
    assert recipe.value["languages"] == ["en"]
    assert recipe.lines.at("steps", 2, "quality", "min_words") == 7


def test_not_utf8(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"name: caf\xe9")
    with pytest.raises(RecipeError, match=r"r\.yaml: not UTF-8 \(byte 9\)"):
        load(str(path))


@pytest.mark.parametrize("text", ["", "# nothing", "[a, b]", "just words"])
def test_not_a_map(tmp_path, text):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"r\.yaml:1: a recipe is a map with `name`, `languages` and `steps`"):
        load(str(path))


def test_find_a_file(path, tmp_path):
    assert str(find(path)) == path
    without = tmp_path / "noend"
    without.write_text(RECIPE)
    assert find(str(without)) == without
    with pytest.raises(RecipeError, match=r"none\.yaml: no such recipe file"):
        find("none.yaml")
    with pytest.raises(RecipeError, match="no such recipe file"):
        (tmp_path / "folder.yaml").mkdir()
        find(str(tmp_path / "folder.yaml"))


def test_find_a_shipped_one(tmp_path, monkeypatch):
    assert "quickstart" in shipped_recipes()
    (tmp_path / "quickstart").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find("quickstart").name == "quickstart.yaml"
    with pytest.raises(
        RecipeError, match=r"no shipped recipe is called 'quikstart'; did you mean 'quickstart'\?"
    ) as caught:
        find("quikstart")
    assert "(shipped: " in str(caught.value)
    assert caught.value.exit_code == 2


def changed(path, *overrides):
    recipe = load(path, overrides)
    assert recipe.problems == []
    return recipe.value


@pytest.mark.parametrize(
    ("override", "where", "value"),
    [
        ("quality.min_words=5", (2, "quality", "min_words"), 5),
        ("quality.share=1e-5", (2, "quality", "share"), "1e-5"),  # pydantic reads it as a number
        ("quality.share=0.25", (2, "quality", "share"), 0.25),
        ("quality.list=[a, 2, true]", (2, "quality", "list"), ["a", 2, True]),
        ("quality.map={a: 1}", (2, "quality", "map"), {"a": 1}),
        ("quality.text=a=b", (2, "quality", "text"), "a=b"),
        ("quality.text='5'", (2, "quality", "text"), "5"),
        ("quality.word=no", (2, "quality", "word"), "no"),
        ("quality.none=", (2, "quality", "none"), None),
        ("quality.max_error_rate=0.5", (2, "max_error_rate"), 0.5),
        ("one.allow_empty=true", (0, "allow_empty"), True),
        ("langid.model=x", (1, "langid", "model"), "x"),
        ("dedup.a=1", (3, "dedup", "a"), 1),
    ],
)
def test_set(path, override, where, value):
    found = changed(path, override)["steps"]
    for part in where:
        found = found[part]
    assert found == value


def test_set_leaves_the_rest_alone(path):
    steps = changed(path, "quality.other=1")["steps"]
    assert steps[2] == {"quality": {"min_words": 3, "other": 1}, "max_error_rate": 0.1}


def test_the_last_set_wins(path):
    assert changed(path, "quality.min_words=5", "quality.min_words=6")["steps"][2]["quality"]["min_words"] == 6


def test_set_at_the_top(path):
    value = changed(path, "languages=[en, no]", "name=other", "data=[runs/a]")
    assert (value["languages"], value["name"], value["data"]) == (["en", "no"], "other", ["runs/a"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("quality.min_words", "write it as <step id>.<param>=<value>"),
        ("qualty.min_words=1", "no step is called 'qualty'; did you mean 'quality'?"),
        ("ingest.path=x", "no step is called 'ingest'"),  # its id is `one`
        ("steps=[]", "only languages, name and data can be set without a step id"),
        ("quality.min_words=[1", "not YAML: "),
        ("quality.min_words=" + "[" * 5000, "more than 100 levels deep"),
    ],
)
def test_a_wrong_set_is_a_problem_like_others(path, override, said):
    recipe = load(path, (override, "langid.model=x"))
    assert [p.file for p in recipe.problems] == [f"--set {override}"]
    assert recipe.problems[0].message.startswith(said)
    assert recipe.value["steps"][1]["langid"] == {"model": "x"}, "the others are still applied"


@pytest.mark.parametrize("steps", ["5", "{a: 1}", "[5, [a], {}, {id: 3}]", "[{id: [a], langid: }]", "[{langid: 5}]"])
def test_set_on_a_recipe_that_is_wrong_itself(tmp_path, steps):
    path = tmp_path / "r.yaml"
    path.write_text(f"name: x\nsteps: {steps}\n")
    load(str(path), ("langid.model=x",))
