"""Reports about limits: figures against counting by hand, and the command on files."""

import json
import subprocess
import sys

import numpy as np
import pytest

from medcorpus.core.errors import Missing
from medcorpus.jobs.calibrate_domain import report
from medcorpus.jobs.domain_curves import draw, points, precision


def test_figures_are_what_counting_gives():
    medical = np.array([True] * 60 + [False] * 20)
    score = np.array([0.9] * 54 + [0.05] * 6 + [0.8] * 2 + [0.1] * 18)
    made = report(medical, np.array(["eng"] * 80), score, medical & (score > 0.95))
    half = made["all"]["at 0.5"]
    assert half == {
        "precision": round(54 / 56, 4), "balanced_precision": round(0.9 / (0.9 + 0.1), 4), "recall": 0.9,
        "false_positive_rate": 0.1,
    }  # fmt: skip
    assert made["all"]["mmedc"]["recall"] == 0.0
    assert made["all"]["mmedc"]["precision"] is None
    assert made["all"]["best"] == {"recall": 0.9, "min_score": 0.8}
    assert made["by_language"].keys() == {"eng"}
    assert [point["recall"] for point in made["curve"] if point["min_score"] in (0.05, 0.5, 0.95)] == [1.0, 0.9, 0.0]


def test_few_rows_have_no_language_of_their_own_and_one_class_is_refused():
    medical = np.array([True] * 40 + [False] * 40)
    language = np.array(["eng"] * 49 + ["fra"] * 31)
    assert report(medical, language, medical * 1.0, medical)["by_language"] == {}
    with pytest.raises(ValueError, match="both medical and other"):
        report(np.ones(3, bool), language[:3], np.ones(3), np.ones(3, bool))


def test_the_command(tmp_path):
    good = ["The patient had fever and was given antibiotics for pneumonia in both lungs."] * 3
    bad = ["The football club won the final in front of a crowd that sang all night."] * 3
    for name, texts in (("good", good), ("bad", bad)):
        lines = [json.dumps({"text": f"{text} ({number})"}) for number, text in enumerate(texts)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "medcorpus", "calibrate", "domain"]
    given = ["--medical", "good.jsonl", "--other", "bad.jsonl"]
    done = subprocess.run([*command, "r.json", *given], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "r.json").read_text())
    assert made["rows"] == 6
    assert made["all"]["at 0.5"]["recall"] == 1.0
    assert made["all"]["at 0.5"]["precision"] == 1.0
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert "fever" not in done.stdout + (tmp_path / "r.json").read_text()
    for more in (["r.txt", *given], ["r.json", "--medical", "good.jsonl"]):
        assert subprocess.run([*command, *more], cwd=tmp_path, capture_output=True).returncode == 2


def test_curves_are_what_counting_gives():
    wanted = np.array([True, False, True, True, False])
    wrong, right = points(wanted, np.array([0.9, 0.8, 0.8, 0.3, 0.1]))
    assert wrong.tolist() == [0, 0, 0.5, 0.5, 1]
    assert right.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert precision(wrong, right).tolist() == pytest.approx([1, 1, 4 / 7, 2 / 3, 1 / 2])
    with pytest.raises(ValueError, match="both classes"):
        points(wanted[:1], np.ones(1))


def test_without_matplotlib_the_report_stands_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    truth = np.array([True, False])
    with pytest.raises(Missing, match=r"medcorpus\[report\]"):
        draw(tmp_path / "r.png", truth, truth * 1.0, truth, np.array(["eng", "eng"]), truth | True, {})
    assert not list(tmp_path.iterdir())
