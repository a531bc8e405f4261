import json

import pytest
from pydantic import ValidationError

from medcorpus.core.errors import Fatal, RecipeError
from medcorpus.core.stage import Context
from medcorpus.jobs.tune import PLANNED, TOKENS, Tune, TuneParams
from medcorpus.training.plan.build import Settings
from medcorpus.training.plan.tokens import fingerprint
from medcorpus.training.reader import Reader
from tests.training.helpers import Given, batch, mcqa, qa, save_tokenizer, text

ROWS = [
    mcqa("Another?", ["a", "b"], "A", source="usmle", split="train", locator="6"),
    text("Fever and cough. " * 3, source="web", locator="1"),
    qa("बुखार?", "आराम", language="hin", source="chat", locator="2"),
    mcqa("Which?", ["a", "b"], "B", source="usmle", split="train", locator="3"),
    mcqa("Asked", ["a", "b"], "A", source="usmle", split="test", locator="4"),
    qa("fièvre?", "repos", language="fra", source="chat", locator="5"),
]


def planned(tmp_path, rows=ROWS, languages=(), facts=None, **params):
    folder, out = save_tokenizer(tmp_path / "tokenizer"), tmp_path / "out"
    out.mkdir(exist_ok=True)
    known = {
        "tokenizer": str(folder),
        "experts": {"hin": 1},
        "expert_names": ["a", "b"],
        "earlier": [],
        "asked": set(),
        "shards": "s",
    }
    context = Context("stage1", languages=languages, facts=known | (facts or {}))
    given = {"window": 96, "mix": {"text": 1.0, "instruction": 1.0, "mcqa": 1.0}, **params}
    return Tune(TuneParams(**given), context).run(Given([batch(rows)]), out), out


def test_rows_become_a_plan_without_the_test_split(tmp_path):
    plan, out = planned(tmp_path)
    figures = plan["figures"]
    assert figures["documents"] == 5 and figures["left_out"] == {"eng: split test": 1}
    assert plan["shards"] == "s" and plan["template"].startswith("chat-1-") and plan["experts"] == ["a", "b"]
    assert json.loads((out / "plan.json").read_text())["digest"] == plan["digest"]
    reader = Reader(out)
    experts = {
        reader.languages[of]: expert
        for of, expert in zip(reader.spans["language"], reader.spans["expert"], strict=True)
    }
    assert experts == {"eng": -1, "hin": 1, "fra": -1}


def test_languages_of_the_recipe(tmp_path):
    figures = planned(tmp_path, languages=("hin",), mix={"qa": 1.0})[0]["figures"]
    assert figures["by_language"].keys() == {"hin"} and figures["left_out"] == {"fra: another language": 1}


def test_questions_of_an_exam_are_refused_or_dropped(tmp_path):
    asked = {fingerprint(batch(ROWS).to_pylist()[3])}
    with pytest.raises(Fatal, match=r"1 rows to train on are questions of an evaluate step"):
        planned(tmp_path, facts={"asked": asked})
    figures = planned(tmp_path, facts={"asked": asked}, exams_seen="drop")[0]["figures"]
    assert figures["left_out"]["eng: asked in an exam"] == 1 and figures["by_kind"]["mcqa"]["spans"] == 1


def test_what_the_mix_does_not_name_is_not_tokenised(tmp_path):
    plan, _ = planned(tmp_path, mix={"mcqa": 1.0})
    assert plan["figures"]["by_kind"].keys() == {"mcqa"} and plan["figures"]["left_out"] == {"eng: split test": 1}
    replayed, _ = planned(tmp_path, mix={"mcqa": 1.0}, replay=1.0, facts={"earlier": [{"instruction": 1.0}]})
    assert replayed["figures"]["by_kind"].keys() == {"mcqa", "qa"}


def test_bad_mixes_and_templates_say_so(tmp_path):
    with pytest.raises(RecipeError, match=r"no row is of the mix key 'mcqa/usmel'; did you mean 'mcqa/usmle'"):
        planned(tmp_path, mix={"mcqa/usmel": 1.0})
    with pytest.raises(Fatal, match=r"stage1: no document of the mix"):
        planned(tmp_path, mix={"qa": 0.0})
    for wrong, message in (
        ({"window": 64, "overlap": 64}, "overlap .64. must be smaller"),
        ({"hand_over": "best"}, "needs rows to judge by"),
        ({"mix": {"text": -1}}, "text: not below 0"),
        ({"mix": {}}, "at least 1"),
        ({"rates": {"rooter": 2}}, "rates"),
    ):
        with pytest.raises(ValidationError, match=message):
            TuneParams(**{"mix": {"text": 1.0}, **wrong})


def test_the_plan_knows_every_parameter_that_decides_it():
    assert set(PLANNED) == set(Settings.__dataclass_fields__)
    assert set(TOKENS) <= set(TuneParams.fields_with("data"))
