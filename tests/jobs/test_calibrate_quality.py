"""Limits by language from good text, the quantiles behind them, and the command that writes both."""

import json
import random

import numpy as np
import pyarrow as pa
import pytest

from medcorpus.jobs import calibrate_quality as job
from medcorpus.jobs.calibrate_quality import QUANTILES, Measured, StopWords, derive, passages, report
from medcorpus.text.rules import calibration
from medcorpus.text.rules.checks import POSSIBLE
from medcorpus.text.rules.published import FIGURES, PUBLISHED
from tests.cli.helpers import inside, medcorpus


def test_quantiles_are_those_of_the_rows_of_a_language():
    values = np.arange(101) / 100
    language = np.array(["fin"] * 101 + ["tha"] * 49)
    made = report(language, {"x": np.append(values, np.full(49, 9.0)), "none": np.full(150, np.nan)})
    assert made["by_language"] == {"fin": {"rows": 101, "figures": {"x": list(QUANTILES)}}}
    assert made["too_few"] == {"tha": 49}
    with pytest.raises(ValueError, match="no text"):
        report(np.array([], str), {})


def measured(**rows):
    """Texts as published limits like them, but for what `rows` says: language -> (rows, figure -> value)."""
    language, figures = [], {name: [] for name in FIGURES}
    for code, (count, values) in rows.items():
        language += [code] * count
        for name in FIGURES:
            least, most = next((rules[name] for rules in PUBLISHED.values() if name in rules), (None, None))
            usual = least if least is not None else 0 if most is None else most
            figures[name].append(np.full(count, values.get(name, usual), float))
    return Measured(np.array(language, str), {name: np.concatenate(parts) for name, parts in figures.items()}, {})


def test_a_limit_is_the_quantile_drawn_to_that_of_the_script():
    long, usual = {"gopher_word_length": 12.0}, {"gopher_word_length": 10.0}
    made = derive(measured(fin=(100, long), deu=(900, usual), fra=(900, usual), eng=(50, usual), rus=(500, long)))
    pool = (12 + 10 * 3) / 4
    assert made.limits["deu"]["gopher_word_length"][1] == pytest.approx((900 * 10 + 100 * pool) / 1000, abs=1e-3)
    assert made.limits["fin"]["gopher_word_length"][1] == 12, "what good text of the language shows passes"
    assert made.scripts["Latn"]["gopher_word_length"][1] == pool
    assert made.scripts["Cyrl"]["gopher_word_length"][1] == pytest.approx((12 * 2 + 10 * 3) / 5), "one language: of all"


def test_limits_are_widened_only_unless_asked():
    strict = {"gopher_words": 90, "fineweb_ended_lines": 1.0, "gopher_alpha_words": 0.95}
    assert derive(measured(deu=(500, strict))).limits["deu"] == {"gopher_stop_words": (None, None)}
    tight = derive(measured(deu=(500, strict)), tighten=True).limits["deu"]
    assert (tight["gopher_words"][0], tight["gopher_alpha_words"][0]) == (90, 0.95)


def test_a_limit_that_could_not_fire_is_off():
    extreme = {"gopher_top_2_gram": 2.82, "gopher_word_length": 3141.0, "fineweb_ended_lines": 0.0, "c4_sentences": 0.0}
    limits = derive(measured(hau=(500, extreme))).limits["hau"]
    assert limits["gopher_top_2_gram"] == limits["fineweb_ended_lines"] == limits["c4_sentences"] == (None, None)
    assert limits["gopher_word_length"] == (3, None)
    assert POSSIBLE["gopher_word_length"] == (0, 100)


def test_figures_of_lines_and_repetition_are_taken_from_long_texts():
    short = {"gopher_words": 9, "gopher_top_2_gram": 0.6, "fineweb_short_lines": 1.0}
    limits = derive(measured(hau=(500, short), lin=(500, {}))).limits["hau"]
    assert limits["gopher_words"][0] == 9
    assert "gopher_top_2_gram" not in limits and "fineweb_short_lines" not in limits
    with pytest.raises(ValueError, match="no text"):
        derive(Measured(np.array([], str), {}, {}))


def texts_with(words, rest, count=60, length=40, seed=1):
    rng = random.Random(seed)
    return [" ".join(rng.choices(words, k=length // 2) + rng.choices(rest, k=length // 2)) for _ in range(count)]


def test_stop_words_are_the_words_of_most_texts():
    rest = [f"{a}{b}ng" for a in "bcdfghklmnpr" for b in "aeiou"]
    words = ["der", "die", "und", "in", "zu", "den", "von", "mit", ",", "12", "Der"]
    counted = StopWords()
    counted.add(["deu"] * 60, pa.array(texts_with(words, rest)))
    counted.add(["fra"] * 9, pa.array(texts_with(words, rest, count=9)))
    made, asked = counted.lists(0.01)["deu"]
    assert asked == 2 and set(made) == set(words) - {",", "12", "Der"}
    assert "fra" not in counted.lists(0.01), "nine texts say too little"


def test_stop_words_where_blanks_part_none():
    texts = [
        "这是我的朋友,他不在这里的医院。" * 5,
        "他的病人是在家里不吃药的。" * 5,
        "患者的体温是正常的,他不在医院。" * 5,
    ]
    counted = StopWords()
    counted.add(["zho"] * 60, pa.array([f"{text}{chr(0x4E00 + n)}" for n in range(20) for text in texts]))
    assert {"的", "是", "在", "他", "不"} <= set(counted.lists(0.01)["zho"][0])
    thai = [
        f"ผู้ป่วยที่มีไข้และไอได้รับการรักษาที่โรงพยาบาลและกลับบ้านที่{chr(0xE01 + n % 40)}ของเขา และได้ยาที่ดีที่สุดของการรักษา" * 2
        for n in range(60)
    ]
    counted = StopWords()
    counted.add(["tha"] * 60, pa.array(thai))
    made, _ = counted.lists(0.01)["tha"]
    assert all(len(word) == 3 for word in made) and {"ที่", "และ", "การ"} & set(made)


def test_a_language_in_two_scripts_has_the_words_of_both():
    latin, cyrillic = ["je", "i", "u", "da", "se", "na", "su", "od"], ["је", "и", "у", "да", "се", "на", "су", "од"]
    counted = StopWords()
    counted.add(["srp"] * 60, pa.array(texts_with(latin, [f"{a}{b}lnica" for a in "bdglmnprst" for b in "aeiou"])))
    counted.add(["srp"] * 60, pa.array(texts_with(cyrillic, [f"{a}{b}лница" for a in "бдглмнпрст" for b in "аеиоу"])))
    made, _ = counted.lists(0.01)["srp"]
    assert {"je", "и"} <= set(made)


def test_long_texts_are_cut_at_lines():
    lines = ["x" * 100 for _ in range(7)]
    pieces = passages("\n".join(lines))
    assert "\n".join(pieces) == "\n".join(lines) and all(len(piece) >= job.PASSAGE for piece in pieces[:-1])
    assert passages("one line") == passages("") == passages("two\nlines") == []


HAUSA = ["da", "a", "na", "ta", "ya", "kuma", "cikin", "ba"]


@pytest.fixture
def good(tmp_path):
    rest = [f"{a}{b}nki" for a in "bdfgjk" for b in "aiu"]
    lines = [{"text": text, "language": "hau"} for text in texts_with(HAUSA, rest, length=60)]
    english = "The patient number {} was given antibiotics for pneumonia and left the ward after {} days."
    lines += [{"text": english.format(n, n + 2), "language": "en"} for n in range(60)]
    (tmp_path / "good.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_the_command_writes_limits_that_a_recipe_uses(good):
    medcorpus("calibrate", "quality", "mine.yaml", "--reference", "good.jsonl", "--quantiles", "q.json", cwd=good)
    made = calibration.read(good / "mine.yaml")
    assert set(made.limits) == {"eng", "hau"} and set(made.stop_words["hau"]) <= set(HAUSA)
    assert made.limits["eng"]["gopher_words"][0] <= 16
    low, _, middle, _, high = json.loads((good / "q.json").read_text())["by_language"]["eng"]["figures"][
        "quality_words"
    ]
    assert low == middle == high == 16
    steps = ["ingest: {path: good.jsonl}", "quality: {calibration: CAL}", "select: {drop: [gopher_quality]}", "shard:"]
    kept = {}
    for name in ("mine.yaml", "none"):
        recipe = "name: c\nsteps:\n" + "".join(f"  - {step}\n" for step in steps).replace("CAL", name)
        (good / "c.yaml").write_text(recipe)
        done = json.loads(inside("build", "c.yaml", "--json", cwd=good).stdout)
        kept[name] = sum(done["steps"][2]["account"]["rows_out"].values())
        if name == "mine.yaml":
            plan = json.loads(inside("build", "c.yaml", "--dry-run", "--json", cwd=good).stdout)["steps"]
            assert all(step["to_run"] == 0 for step in plan)
            text = (good / "mine.yaml").read_text().replace("tail: 0.01", "tail: 0.02")
            (good / "mine.yaml").write_text(text.replace("gopher_words:\n    - 16", "gopher_words:\n    - 15"))
            assert text != (good / "mine.yaml").read_text()
            plan = json.loads(inside("build", "c.yaml", "--dry-run", "--json", cwd=good).stdout)["steps"]
            ran = {step["id"]: step["to_run"] for step in plan}
            assert ran["ingest"] == 0 and ran["select"] != 0 and ran["quality"] == 0, "a limit costs a select, no score"
    assert kept == {"mine.yaml": 120, "none": 0} or kept["mine.yaml"] > 100 > kept["none"]


def test_the_command_shows_what_is_kept(good):
    command = ("calibrate", "quality", "mine.json", "--reference", "good.jsonl")
    shown = inside(*command, "--check", "good.jsonl", cwd=good).stdout
    assert "| source | language | rows |" in shown and "| eng | 60 |" in shown and "0% → 100%" in shown
    assert "antibiotics" not in shown


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("m.json",), "--reference FILES"),
        (("m.txt", "--reference", "good.jsonl"), ".json or .yaml"),
    ],
)
def test_wrong_usage(good, args, said):
    assert said in inside("calibrate", "quality", *args, cwd=good, code=2).stderr


def test_check_names_what_is_wrong_in_a_file(good):
    (good / "bad.json").write_text(json.dumps({
        "kind": calibration.KIND, "version": 1, "limits": {"hausaa": {"gopher_top_2_gram": [None, 2.82]}},
        "stop_words": {"lao": ["\u200b"]},
    }))  # fmt: skip
    unknown = "unknown language 'hausaa'; nearest known names: Hausa (hau)"
    for name, code, said in (
        ("bad.json", 2, (unknown, "2.82 can never fire", "has no letter")),
        ("none.json", 4, ("there is no file", "calibrate quality")),
    ):  # fmt: skip
        recipe = (
            f"name: c\nsteps:\n  - ingest: {{path: good.jsonl}}\n  - quality: {{calibration: {name}}}\n  - shard:\n"
        )
        (good / "c.yaml").write_text(recipe)
        told = inside("check", "c.yaml", cwd=good, code=code).stderr
        assert all(one in told for one in said), told


def test_help_teaches():
    from pathlib import Path

    told = medcorpus("calibrate", "--help", cwd=Path.cwd()).stdout
    for wanted in ("calibration: OUT", "--tighten", "--tail", "--check", "--quantiles"):
        assert wanted in told
