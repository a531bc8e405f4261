"""The wheel runs the quickstart from an empty folder, alone in a bare environment too."""

import ast
import importlib.metadata
import json
import os
import re
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


def test_it_finds_what_it_ships(wheel, tmp_path):
    """Unpacked, with the libraries of this environment: recipe, languages and texts, but no kernels, which numba would
    compile anew for another folder."""
    there = tmp_path / "there"
    zipfile.ZipFile(wheel).extractall(there)
    environment = os.environ | {"PYTHONPATH": str(there), "PYTHONSAFEPATH": "1"}
    run = lambda *command: subprocess.run(  # noqa: E731
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run("-c", "import medcorpus; print(medcorpus.__file__)").stdout.startswith(str(there))
    assert run("-m", "medcorpus", "check", "quickstart").returncode == 0
    done = run("-m", "medcorpus", "build", "quickstart", "--until", "articles", "--json")
    assert done.returncode == 0, done.stderr
    (articles,) = [step for step in json.loads(done.stdout)["steps"] if step["id"] == "articles"]
    assert sum(articles["account"]["created"].values()) > 100


def test_what_it_imports_it_requires(wheel):
    """Every library that is imported where a module begins is among the requirements, those without an extra."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
        required = re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra ==)", metadata, re.M)
        own = {canonical(name) for name in required}
        for name in archive.namelist():
            if name.endswith(".py") and not name.startswith(OPTIONAL):
                for module in imported(ast.parse(archive.read(name))):
                    libraries = {canonical(library) for library in PROVIDED.get(module, [module])}
                    assert module in sys.stdlib_module_names | {"medcorpus"} or libraries & own, f"{name}: {module}"


PROVIDED = importlib.metadata.packages_distributions()
OPTIONAL = ("medcorpus/training/",)  # runs without the rest, and with torch and transformers


def canonical(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def imported(tree: ast.Module) -> set[str]:
    """First names of what a module imports as soon as it is imported."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.accept
@pytest.mark.timeout(600)
def test_it_runs_the_quickstart_in_a_bare_environment(wheel, tmp_path):
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    install = [home / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel)]
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
