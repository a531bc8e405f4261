"""From recipe to plan: every problem with its line, all at once; and which change makes which work anew."""

import json
from pathlib import Path

import pytest

from medcorpus.core.errors import Missing, RecipeError
from medcorpus.core.shipped import shipped
from medcorpus.core.stage import load as load_stage
from medcorpus.core.stage import verb
from medcorpus.recipe.compile import Compiled, compile, registered
from medcorpus.recipe.load import load, shipped_recipes

GOOD = """\
name: corpus
languages: [en, zh, sw]
steps:
  - ingest: {path: "a/*.jsonl", source: a}
    id: one
  - ingest: {path: "b/*.jsonl", source: b}
    id: two
  - langid: {min_score: 0.6}
  - quality: {min_words: 5}
  - select: {drop: [wrong_language, too_short]}
    id: first_cut
  - dedup:
  - select: {drop: [duplicate, licence]}
    id: final_cut
  - shard:
"""


@pytest.fixture
def built(tmp_path):
    def build(text: str = GOOD, *overrides: str) -> Compiled:
        path = tmp_path / "r.yaml"
        path.write_text(text)
        return compile(load(str(path), overrides), "")

    return build


@pytest.fixture
def problems(built):
    """`line: message` of each problem; `--set ...: message` for what stands in no file."""

    def find(text: str, *overrides: str) -> list[str]:
        with pytest.raises(RecipeError) as caught:
            built(text, *overrides)
        assert caught.value.exit_code == 2
        return [f"{p.line or p.file}: {p.message}" for p in caught.value.problems]

    return find


@pytest.fixture
def warnings(built):
    return lambda text: [f"{w.line}: {w.message}" for w in built(text).warnings]


def steps(*lines: str, languages: str = "[en]") -> str:
    """A recipe whose items begin at line 4; the first one, on that line, is a source."""
    items = ["- ingest: {path: x.jsonl, source: x}", *lines]
    return f"name: r\nlanguages: {languages}\nsteps:\n" + "".join(f"  {line}\n" for line in items)


# -- a recipe that is right ------------------------------------------------------------------------


def test_a_plan(built, tmp_path):
    compiled = built()
    plan = compiled.plan
    assert plan.name == "corpus"
    assert compiled.languages == ("eng", "swa", "zho")
    assert compiled.warnings == []
    assert {step.id: step.inputs for step in plan.steps} == {
        "one": (),
        "two": (),
        "langid": ("one", "two"),
        "quality": ("langid",),
        "first_cut": ("quality",),
        "dedup": ("first_cut",),
        "final_cut": ("dedup",),
        "shard": ("final_cut",),
    }
    assert plan.by_id["langid"].line == 8
    assert plan.by_id["one"].context.root == str(tmp_path)
    assert plan.by_id["shard"].context.facts == {"name": "corpus", "languages": ["eng", "swa", "zho"]}
    assert len({step.key for step in plan.steps}) == len(plan.steps)
    for step in plan.steps:
        assert json.loads(json.dumps(step.params)) == step.params, "plain data"
        assert step.build().name == registered_name(step)


def registered_name(step):
    return next(key for key, path in registered().items() if path == step.stage)


def test_reasons_are_bound_with_their_limits(built):
    by_id = built().plan.by_id
    first = by_id["first_cut"].context.decisions
    assert [(d.reason, d.params, d.languages) for d in first] == [
        ("wrong_language", {"min_score": 0.6}, ("eng", "swa", "zho")),
        ("too_short", {"min_words": 5}, None),
    ]
    assert [load_stage(d.stage).name for d in first] == ["langid", "quality"]
    assert [d.reason for d in by_id["final_cut"].context.decisions] == ["duplicate", "licence"]
    assert all(not step.context.decisions for step in by_id.values() if not step.cls.decides)


def test_siblings(built):
    plan = built(steps("- langid:", "  allow_empty: true", "  max_error_rate: 0", "- quality:")).plan
    assert (plan.by_id["langid"].allow_empty, plan.by_id["langid"].max_error_rate) == (True, 0.0)
    assert (plan.by_id["quality"].allow_empty, plan.by_id["quality"].max_error_rate) == (False, 0.02)


def test_a_bare_word_is_a_step(built):
    assert [s.id for s in built(steps("- langid", "- quality")).plan.steps] == ["ingest", "langid", "quality"]


def test_a_graph(built):
    plan = built(
        steps(
            "- langid:",
            "- quality:",
            "  id: left",
            "- quality:",
            "  id: right",
            "  from: langid",
            "- dedup:",
            "  from: [left, right, left]",
            "- shard:",
        )
    ).plan
    assert plan.by_id["right"].inputs == ("langid",)
    assert plan.by_id["dedup"].inputs == ("left", "right")
    assert plan.ancestors("shard") == ["dedup", "left", "right", "langid", "ingest"]
    assert [s.id for s in plan.until("right").steps] == ["ingest", "langid", "right"]


def test_all_sources_directly_above_and_no_others(built):
    text = steps(
        "- langid:",
        "- ingest: {path: y}",
        "  id: y",
        "- ingest: {path: z}",
        "  id: z",
        "- quality:",
        "- select: {drop: [too_short]}",
    )
    assert built(text).plan.by_id["quality"].inputs == ("y", "z")


def test_a_job_after_a_job_reads_the_same(built):
    plan = built(steps("- langid:", "- shard:", "- shard: {format: parquet}", "  id: tables")).plan
    assert plan.by_id["tables"].inputs == ("langid",)


def test_norwegian_is_a_language(built):
    assert built(GOOD.replace("[en, zh, sw]", "[en, no]")).languages == ("eng", "nob")


# -- problems --------------------------------------------------------------------------------------


def test_every_problem_at_once(problems):
    text = """\
name: bad name
langages: [en]
languages: [en, enlish]
steps:
  - ingest: {paht: "x", format: jsnl}
  - langid: {min_score: 2, colour: red}
  - langid:
  - quallity:
  - select: {drop: [wrong_langage, too_short]}
  - dedup:
    from: [nowhere, shard]
  - select: {drop: []}
    id: a b
    max_error_rate: 2
    allow_empty: maybe
  - [x]
  - {langid: , dedup: }
  - quality: {id: q, min_words: -1, min_words: 3}
  - chunk: 5
  - shard:
name: again
"""
    found = problems(text)
    for wanted in (
        "1: `name` must be a word of letters, digits, '-', '_' and '.'",
        "2: unknown key 'langages'; did you mean 'languages'?",
        "3: unknown language 'enlish'; nearest known names: English (eng)",
        "5: ingest: 'path' is required",
        "5: ingest: unknown parameter 'paht'; did you mean 'path'?",
        "5: ingest.format: Input should be ",
        "6: langid.min_score: Input should be less than or equal to 1 (got 2)",
        "6: langid: unknown parameter 'colour'",
        "7: step id 'langid' is taken by line 6 (a stage used twice needs an `id` beside it)",
        "8: unknown stage 'quallity'; did you mean 'quality'?",
        "9: select: reason 'wrong_langage' is declared by no stage; did you mean 'wrong_language'?",
        "11: from: no step above is called 'nowhere'",
        "11: from: 'shard' is no step above; it stands further down",
        "12: select.drop: Tuple should have at least 1 item after validation, not 0 (got [])",
        "13: `id` must be a word of letters, digits, '-' and '_'",
        "14: `max_error_rate` is a share from 0 to 1",
        "15: `allow_empty` is true or false",
        "16: a step is a map with one stage key",
        "17: a step has ONE stage key (found: langid, dedup); beside it only id, from, allow_empty, max_error_rate",
        "18: 'min_words' stands here again (first on line 18)",
        "18: `id` stands beside 'quality:', not inside its parameters",
        "18: quality.min_words: Input should be greater than or equal to 0 (got -1)",
        "19: chunk: parameters are a map such as {name: value}",
        "21: 'name' stands here again (first on line 1)",
    ):
        assert any(one.startswith(wanted) for one in found), wanted
    assert len(found) == 24, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name: r\nsteps:\n", ["2: `steps` is a list with one stage an item"]),
        ("name: r\n", ["1: `steps` is a list with one stage an item"]),
        ("name: r\nsteps: {langid: }\n", ["2: `steps` is a list with one stage an item"]),
        (
            "name: r\nlanguages: en\nsteps: [ingest: {path: x}]\n",
            ["2: `languages` is a list of codes, such as [en, zh, sw]"],
        ),
        ("steps: [ingest: {path: x}]\n", ["1: `name` must be a word of letters, digits, '-', '_' and '.'"]),
        (
            "name: r\nsteps:\n  - langid:\n",
            ["3: langid has no input: begin with a source such as ingest, or name `data:`"],
        ),
        (
            steps("- ingest: {path: y}", "  id: y", "  from: ingest"),
            ["7: ingest is a source and takes no input"],
        ),
        (steps("- langid:", "  from: []"), ["6: `from` is the id of a step above, or a list of them"]),
        (steps("- langid:", "  from: [[ingest]]"), ["6: `from` is the id of a step above, or a list of them"]),
        (steps("- langid:", "  from: {a: b}"), ["6: `from` is the id of a step above, or a list of them"]),
        (steps("- langid:", "  from: ingst"), ["6: from: no step above is called 'ingst'; did you mean 'ingest'?"]),
        (steps("- shard:", "- langid:"), ["6: langid cannot read what shard wrote; say `from:`"]),
        (steps("- shard:", "- langid:", "  from: shard"), ["7: from: shard wrote no rows that langid can read"]),
        (
            steps("- langid:", "- select: {drop: [duplicate]}"),
            ["6: select: reason 'duplicate' is declared by dedup, which is not above"],
        ),
        (
            steps("- dedup:", "- select:", "    drop:", "      - duplicate", "      - duplikate"),
            ["9: select: reason 'duplikate' is declared by no stage; did you mean 'duplicate'?"],
        ),
        (
            "name: r\nsteps:\n  - ingest: {path: x}\n  - langid:\n  - select: {drop: [wrong_language]}\n",
            ["5: select: 'wrong_language' needs the recipe's `languages`"],
        ),
        (
            steps("- quality:", "  id: first.cut"),
            ["6: `id` must be a word of letters, digits, '-' and '_'"],
        ),
        (steps("- quality:", "  max_error_rate: true"), ["6: `max_error_rate` is a share from 0 to 1"]),
        (steps("- quality:", "  max_error_rate: .nan"), ["6: `max_error_rate` is a share from 0 to 1"]),
        (steps("- quality: {min_words: .inf}"), None),
        (steps("- langid: {und_below: .nan}"), ["5: langid.und_below: Input should be a finite number (got nan)"]),
        (steps("- chunk:", "    max_chars: few"), None),
        (steps("- langid: 5"), ["5: langid: parameters are a map such as {name: value}"]),
        (steps("- langid: [1]"), ["5: langid: parameters are a map such as {name: value}"]),
        (
            steps("- 5:", "- langid:"),
            ["5: unknown stage '5'"],
        ),
        (
            steps("- langid: {id: x, from: y}"),
            [
                "5: `from` stands beside 'langid:', not inside its parameters",
                "5: `id` stands beside 'langid:', not inside its parameters",
            ],
        ),
        (steps("- id: x"), ["5: a step has ONE stage key (found: none); beside it only "]),
    ],
)
def test_one_problem_and_no_echo(problems, text, wanted):
    """Exactly these: one mistake is one problem, not the five that follow from it."""
    found = problems(text)
    if wanted is None:
        assert len(found) == 1, found
    else:
        assert len(found) == len(wanted), found
        assert all(one.startswith(w) for one, w in zip(found, wanted, strict=True)), found


def test_an_unknown_stage_hides_nothing_and_accuses_nobody(problems):
    """What stands below it may need it; what stands above it is still above."""
    text = steps("- langid:", "- quallity:", "- select: {drop: [wrong_language, low_quality, low_qualty]}", "- dedupp:")
    assert problems(text) == [
        "6: unknown stage 'quallity'; did you mean 'quality'?",
        "7: select: reason 'low_qualty' is declared by no stage; did you mean 'low_quality'?",
        "8: unknown stage 'dedupp'; did you mean 'dedup'?",
    ]
    assert problems("name: r\nsteps:\n  - ingst: {path: x}\n  - langid:\n  - shard:\n") == [
        "3: unknown stage 'ingst'; did you mean 'ingest'?"
    ]


def test_lines_of_deep_values(problems):
    text = steps("- quality:", "    min_words: 3", "    max_digit_ratio:", "      2", "    max_menu: low")
    assert [one.split(":")[0] for one in problems(text)] == ["7", "9"]  # where its key stands


def test_problems_of_set_name_the_set(problems):
    assert problems(GOOD, "langid.min_score=2", "quality.min_wrods=1", "languages=[en, xx-nothing]", "langid.id=x") == [
        "--set langid.id=x: `id` stands beside 'langid:', not inside its parameters",
        "--set langid.min_score=2: langid.min_score: Input should be less than or equal to 1 (got 2)",
        *problems(GOOD, "languages=[en, xx-nothing]"),
        "--set quality.min_wrods=1: quality: unknown parameter 'min_wrods'; did you mean 'min_words'?",
    ]
    assert problems(GOOD, "quality.max_error_rate=7") == [
        "--set quality.max_error_rate=7: `max_error_rate` is a share from 0 to 1"
    ]


def test_set_changes_the_plan(built):
    step = built(GOOD, "quality.min_words=9", "quality.max_error_rate=0.5").plan.by_id["quality"]
    assert (step.params["min_words"], step.max_error_rate) == (9, 0.5)
    assert built(GOOD, "languages=[fr]").languages == ("fra",)


# -- variables -------------------------------------------------------------------------------------


def test_variables_in_places_only(problems, built, monkeypatch):
    monkeypatch.setenv("MEDCORPUS_SET", "/data")
    monkeypatch.delenv("MEDCORPUS_UNSET", raising=False)
    text = """\
name: r
steps:
  - ingest:
      path: ["${MEDCORPUS_SET}/a", "${MEDCORPUS_UNSET}/b", "${MEDCORPUS_UNSET:-c}/d"]
      licence: ${MEDCORPUS_SET}
      columns: {text: "${MEDCORPUS_SET}"}
      url: ${MEDCORPUS_SET:-x}
"""
    assert problems(text) == [
        "4: ingest.path: the environment variable MEDCORPUS_UNSET is not set",
        "5: ingest.licence: ${MEDCORPUS_SET} may stand in paths and endpoints only",
        "6: ingest.columns: ${MEDCORPUS_SET} may stand in paths and endpoints only",
        "7: ingest.url: ${MEDCORPUS_SET} may stand in paths and endpoints only",
    ]
    plan = built('name: r\nsteps:\n  - ingest: {path: "${MEDCORPUS_SET}/a"}\n').plan
    assert plan.steps[0].params["path"] == "${MEDCORPUS_SET}/a", (
        "it is filled when used, so that no plan holds a secret"
    )


def test_a_model_that_is_not_there_says_the_cure(built):
    with pytest.raises(Missing, match=r"no model file .*lid\.bin; use `model: medcorpus`"):
        built(steps("- langid: {model: lid.bin}"))


# -- keys ------------------------------------------------------------------------------------------


@pytest.fixture
def keys(built):
    return lambda text=GOOD, *overrides: {step.id: step.key for step in built(text, *overrides).plan.steps}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {id for id in before if before[id] != after[id]}


CUTS = {"first_cut", "dedup", "final_cut", "shard"}


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        # a limit: the select that looks at it, and what follows
        ("langid.min_score=0.7", CUTS),
        ("quality.min_words=6", CUTS),
        ("one.permissive=[CC0-1.0]", {"final_cut", "shard"}),
        ("two.permissive=[CC0-1.0]", set()),  # of two sources equally near, a reason looks at the one named first
        # a limit that no select looks at
        ("langid.sure=0.9", set()),
        ("quality.max_menu=0.1", set()),
        # the recipe's languages are such a limit
        ("languages=[en, zh]", CUTS),
        ("languages=[zh, en, swa, en]", set()),
        # data: the stage, and what follows
        ("langid.und_below=0.4", {"langid", "quality"} | CUTS),
        ("one.licence=MIT", {"one", "langid", "quality"} | CUTS),
        ("final_cut.drop=[duplicate]", {"final_cut", "shard"}),
        ("final_cut.drop=[licence, duplicate]", {"final_cut", "shard"}),  # which reason is first may change
        ("shard.shard_mb=1", {"shard"}),
        # neither places, nor speed, nor siblings, nor the name, nor the same value written again
        ("one.path=elsewhere/*.jsonl", set()),
        ("one.block_mb=1", set()),
        ("quality.max_error_rate=0.5", set()),
        ("quality.allow_empty=true", set()),
        ("name=other", set()),
        ("langid.min_score=0.60", set()),
        ("langid.und_below=0.3", set()),
    ],
)
def test_what_changes_which_keys(keys, override, wanted):
    assert changed(keys(), keys(GOOD, override)) == wanted


def test_ids_stay_out_of_keys(keys):
    renamed = GOOD.replace("first_cut", "cut1").replace("final_cut", "cut2")
    renamed = renamed.replace("id: one", "id: uno").replace("  - dedup:", "  - dedup:\n    id: twins")
    assert list(keys(renamed).values()) == list(keys().values())


def test_comments_order_of_keys_and_the_folder_stay_out_of_keys(keys, tmp_path):
    lines = GOOD.replace('{path: "a/*.jsonl", source: a}', '{source: a, path: "a/*.jsonl"}  # a comment')
    before = keys()
    assert keys(lines) == before
    other = tmp_path / "elsewhere" / "other.yaml"
    other.parent.mkdir()
    other.write_text(GOOD)
    assert {s.id: s.key for s in compile(load(str(other)), str(tmp_path / "state")).plan.steps} == before


def test_a_step_in_the_middle_changes_what_follows(keys):
    more = GOOD.replace("  - dedup:", "  - chunk:\n  - dedup:")
    after = keys(more)
    after.pop("chunk")
    assert changed(keys(), after) == {"dedup", "final_cut", "shard"}


def test_reasons_belong_to_the_nearest_step(built):
    text = steps(
        "- quality: {min_words: 2}",
        "  id: loose",
        "- select: {drop: [too_short]}",
        "  id: cut1",
        "- chunk:",
        "- quality: {min_words: 9}",
        "  id: strict",
        "- select: {drop: [too_short]}",
        "  id: cut2",
    )
    by_id = built(text).plan.by_id
    assert by_id["cut1"].context.decisions[0].params == {"min_words": 2}
    assert by_id["cut2"].context.decisions[0].params == {"min_words": 9}


# -- warnings --------------------------------------------------------------------------------------


def test_a_barrier_before_the_cut(warnings):
    late = steps("- langid:", "- quality:", "- dedup:", "- select: {drop: [too_short, wrong_language, duplicate]}")
    assert warnings(late) == [
        "7: dedup sees rows that are dropped later (too_short, wrong_language); put a select before it"
    ]
    right = steps(
        "- quality:", "- select: {drop: [too_short]}", "  id: cut", "- dedup:", "- select: {drop: [duplicate]}"
    )
    assert warnings(right) == []
    assert warnings(steps("- quality:", "- dedup:", "- select: {drop: [duplicate]}")) == [], "nothing is dropped later"


def test_a_limit_that_nothing_looks_at(warnings):
    text = steps(
        "- langid: {min_score: 0.9, und_below: 0.1}", "- quality: {min_words: 2}", "- select: {drop: [too_short]}"
    )
    assert warnings(text) == ["5: langid: min_score has no effect, no select below names 'wrong_language'"]
    above = steps("- quality:", "- select: {drop: [too_short]}", "- langid: {min_score: 0.9}")
    assert warnings(above) == ["7: langid: min_score has no effect, no select below names 'wrong_language'"]


def test_a_limit_of_the_wrong_step(warnings):
    text = GOOD.replace("source: b}", "source: b, permissive: [MIT]}")
    assert warnings(text) == ["6: two: permissive has no effect, 'licence' looks at step one"]


# -- data ------------------------------------------------------------------------------------------


@pytest.fixture
def finished(tmp_path, monkeypatch):
    for name in ("one", "two"):
        dataset = tmp_path / "runs" / name / "dataset"
        dataset.mkdir(parents=True)
        (dataset / "state.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_data_is_the_first_steps_input(built, finished):
    plan = built("name: r\ndata: [runs/one, two]\nsteps:\n  - langid:\n").plan
    source, step = plan.steps
    assert verb(source.cls) == "source"
    assert [Path(path) for path in source.params["path"]] == [
        finished / "runs/one/dataset",
        finished / "runs/two/dataset",
    ]
    assert step.inputs == (source.id,)


def test_problems_of_data(problems, finished):
    assert problems("name: r\ndata: [runs/one, runs/none]\nsteps:\n  - langid:\n") == [
        "2: data: runs/none is no finished run (no dataset in it); run its recipe first"
    ]
    recipe = finished / "later.yaml"
    recipe.write_text("name: r\ndata: [runs/one, runs/none]\nsteps:\n  - langid:\n")
    (warning,) = compile(load(str(recipe)), "", data_there=False).warnings
    assert warning.line == 2 and "runs/none is no finished run yet" in warning.message
    assert problems("name: r\ndata: runs/one\nsteps:\n  - ingest: {path: x}\n") == [
        "2: `data` is the first step's input, but the first step is a source; drop one of them"
    ]
    assert problems("name: r\ndata: runs/one\nsteps:\n  - langid:\n    id: data\n") == [
        "4: step id 'data' is taken by the recipe's `data`"
    ]


# -- what we ship ----------------------------------------------------------------------------------

RECIPES = sorted(shipped("recipes").rglob("*.yaml"))


def test_the_recipes_are_found():
    assert len(RECIPES) >= 1
    assert {path.stem for path in RECIPES} >= set(shipped_recipes()) >= {"quickstart"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_compiles_without_a_warning(path):
    compiled = compile(load(str(path)), "", data_there=False)
    assert [one for one in compiled.warnings if "is no finished run yet" not in one.message] == []
    assert compiled.plan.name == path.stem


def test_a_reason_whose_figures_are_left_out(problems):
    (problem,) = problems(GOOD.replace("{min_words: 5}", "{measure: published}"))
    assert "measure: published leaves out what the reason 'too_short' looks at" in problem
