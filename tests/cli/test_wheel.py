"""The wheel, alone in a bare environment, runs the quickstart from an empty folder."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_it_holds_what_travels_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "medcorpus/shipped/language_families.yaml",
        "medcorpus/shipped/recipes/quickstart.yaml",
        "medcorpus/shipped/recipes/quickstart/articles.jsonl",
        "medcorpus/models/medcorpus-langid-2.ftz",
        "medcorpus/models/medcorpus-quality-1.json",
    ):
        assert needed in names, needed
    assert not [n for n in names if n.startswith(("tests", "benchmarks")) or n.endswith((".pyc", ".nbc", ".nbi"))]
    assert wheel.stat().st_size < 8_000_000


@pytest.mark.timeout(600)
def test_it_runs_the_quickstart_in_a_bare_environment(wheel, tmp_path):
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    python = home / "bin/python"
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, env=clean)
    if done.returncode and "CI" not in os.environ:
        pytest.skip(f"no package index within reach: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "empty"
    folder.mkdir()
    run = lambda *args: subprocess.run(  # noqa: E731
        [home / "bin/medcorpus", *args], cwd=folder, env=clean | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True, text=True,
    )  # fmt: skip
    done = run("build", "quickstart")
    assert done.returncode == 0, done.stderr
    assert (folder / "runs/quickstart/dataset/state.json").exists()
    assert run("verify", "runs/quickstart").returncode == 0
    assert run("doctor").returncode == 0
    again = run("build", "quickstart")
    assert again.returncode == 0 and "nothing to do" in again.stderr
