"""Files of limits: read, written, refused with every problem in them; and the one that is shipped."""

import json

import pytest

from medcorpus.core.errors import Missing, RecipeError
from medcorpus.core.languages import registry
from medcorpus.text.rules import calibration
from medcorpus.text.rules.calibration import Calibration, check, limits_for
from medcorpus.text.rules.published import PUBLISHED

HEAD = {"kind": calibration.KIND, "version": 1}


def test_what_is_shipped_has_no_problem_and_covers_the_mission():
    path = calibration.shipped_path()
    assert path.stat().st_size < 200_000
    made, problems = check(json.loads(path.read_text(encoding="utf-8")))
    assert made and problems == []
    without = set(registry().mission) - set(made.limits)
    assert without == {"doi"}, "there is no text in Dogri yet"
    assert set(registry().mission) - set(made.stop_words) == {"doi"}
    bound = made.only("gopher_quality")
    assert limits_for(bound, "doi") == made.only("gopher_quality")["scripts"]["Deva"]
    assert limits_for(bound, None) == limits_for(bound, "und") == bound["all"]
    for limits in made.limits.values():  # widened only
        for name, (least, most) in limits.items():
            published = next(rules[name] for rules in PUBLISHED.values() if name in rules)
            assert least is None or least <= published[0]
            assert most is None or most >= published[1]


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_what_is_written_is_read(tmp_path, suffix):
    given = Calibration(
        {"deu": {"gopher_words": (12, 100000), "fineweb_ended_lines": (None, None)}},
        {"Latn": {"gopher_words": (11, 100000)}},
        {"c4_sentences": (1, None)},
        {"deu": ["und", "die"], "tha": ["ที่", "และ"]},
        30,
    )
    path = tmp_path / f"limits{suffix}"
    calibration.write(path, given, {"tail": 0.01})
    assert calibration.read(path) == given
    assert given.only("gopher_quality") == {
        "from_words": 30,
        "limits": {"deu": {"gopher_words": [12, 100000]}},
        "scripts": {"Latn": {"gopher_words": [11, 100000]}},
        "all": {},
        "listed": ["deu", "tha"],
    }
    assert given.only("c4")["listed"] == []
    bound = given.only("gopher_quality")
    assert limits_for(bound, "deu")["gopher_words"] == [12, 100000]
    assert limits_for(bound, "fra")["gopher_words"] == [11, 100000], "of its script"
    assert limits_for(bound, "tha") == {}


def test_all_problems_at_once_with_file_language_and_figure(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(
        json.dumps(
            HEAD
            | {
                "stop_word": {},
                "from_words": -1,
                "limits": {
                    "hau": {"gopher_top_2_gram": [None, 2.82], "gopher_word": [1, None]},
                    "Germann": {"gopher_words": [10, None]},
                    "eng": {"gopher_stop_words": [3, None]},
                },
                "scripts": {"Latn": [1]},
                "stop_words": {"lao": ["\u200b"], "eng": ["the", "of"], "kor": []},
            }
        )
    )
    with pytest.raises(RecipeError) as refused:
        calibration.read(path)
    told = [str(problem) for problem in refused.value.problems]
    for wanted in (
        "unknown key 'stop_word'; did you mean 'stop_words'?",
        "limits: hau: gopher_top_2_gram: most 2.82 can never fire",
        "limits: hau: gopher_word: there is no such figure; did you mean 'gopher_words'?",
        "limits: unknown language 'Germann'; nearest known names: German (deu)",
        "limits: eng: gopher_stop_words: least 3 drops every text, none has more than 2",
        "scripts: Latn: a map of figures",
        "stop_words: lao: '\\u200b' has no letter",
        "stop_words: kor: a list with words in it",
        "from_words: a number of words, not -1",
    ):
        assert any(one.startswith(f"{path}: ") and wanted in one for one in told), wanted
    assert len(told) == 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "no file of limits"),
        ('{"kind": "medcorpus quality limits", "version": 2}', "version 2"),
        ('{"kind": "medcorpus quality limits", "version": 1, "limits": [1]}', "limits: a map"),
        ('{"kind": "medcorpus quality limits", "version": 1, "all": {"gopher_words": [NaN, null]}}', "nan is no limit"),
    ],
)
def test_files_that_are_none(tmp_path, text, said):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RecipeError, match=said):
        calibration.read(tmp_path / "x.json")
    with pytest.raises(Missing, match="calibrate quality"):
        calibration.read(tmp_path / "none.json")
    with pytest.raises(RecipeError):
        calibration.write(tmp_path / "y.json", Calibration({}, {}, {"gopher_words": (0, None)}, {}, 30), {})
    assert not (tmp_path / "y.json").exists()
