"""Quantiles of good text by language, and the command that writes them."""

import json
import subprocess
import sys

import numpy as np
import pytest

from medcorpus.jobs.calibrate_quality import QUANTILES, report


def test_quantiles_are_those_of_the_rows_of_a_language():
    values = np.arange(101) / 100
    language = np.array(["fin"] * 101 + ["tha"] * 49)
    made = report(language, {"x": np.append(values, np.full(49, 9.0)), "none": np.full(150, np.nan)})
    assert made["by_language"] == {"fin": {"rows": 101, "figures": {"x": list(QUANTILES)}}}
    assert made["too_few"] == {"tha": 49}
    with pytest.raises(ValueError, match="no text"):
        report(np.array([], str), {})


def test_the_command(tmp_path):
    text = "The patient number {} was given antibiotics for pneumonia and left the ward after {} days."
    lines = [json.dumps({"text": text.format(n, n + 2), "language": "en"}) for n in range(60)]
    (tmp_path / "good.jsonl").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "medcorpus", "calibrate", "quality", "r.json"]
    done = subprocess.run([*command, "--reference", "good.jsonl"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "r.json").read_text())
    low, _, middle, _, high = made["by_language"]["eng"]["figures"]["quality_words"]
    assert low == middle == high == 16
    assert "antibiotics" not in done.stdout
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 2
