"""Workers are copies of a template that has nothing of the driver, and no thread that a copy would miss."""

import os
import signal
import subprocess
import sys
import threading
from multiprocessing import forkserver
from pathlib import Path

import pytest

from medcorpus.engine import early
from medcorpus.engine.parts import read_part
from tests.engine.test_run import run
from tests.engine.toy import Environment, Files, Length, Slow, step

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no template")


def test_a_template_has_no_threads_of_its_own() -> None:
    """jemalloc, in Arrow, has one, and knows how to be copied."""
    script = "import os, medcorpus.engine.template, medcorpus.stages.ingest\nfor t in os.listdir('/proc/self/task'):"
    script += " print(open(f'/proc/self/task/{t}/comm').read().strip())"
    threads = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in threads if name != "jemalloc_bg_thd"] == [threads[0]]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text("eng a text\nfra un texte\n")
    return folder


def test_workers_have_the_environment_of_now(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    early.template()
    monkeypatch.setenv("MEDCORPUS_OF_NOW", "yes")
    runner = run(tmp_path / "run", step(Files, path=str(corpus)), step(Environment, variable="MEDCORPUS_OF_NOW"))
    last = runner.plan.steps[-1]
    said = [
        value
        for part in runner.parts(last.id)
        for batch in read_part(runner.store, f"{last.folder}/{part.key}.arrow")
        for value in batch["environment"].to_pylist()
    ]
    assert said == ["yes"] * 12


def test_a_template_that_dies_takes_no_part_with_it(corpus: Path, tmp_path: Path) -> None:
    steps = (step(Files, path=str(corpus)), step(Slow, log=str(tmp_path / "log")), step(Length))
    early.template()
    killed = forkserver._forkserver._forkserver_pid
    threading.Timer(0.3, os.kill, (killed, signal.SIGKILL)).start()
    runner = run(tmp_path / "run", *steps)
    assert forkserver._forkserver._forkserver_pid != killed or not Path(f"/proc/{killed}").exists()
    assert len(runner.parts("length")) == 6


def test_a_folder_for_temporary_files_that_no_socket_fits_in(tmp_path: Path) -> None:
    far = tmp_path / ("x" * 120)
    far.mkdir()
    (tmp_path / "a.txt").write_text("The patient should drink plenty of water.")
    (tmp_path / "c.yaml").write_text("name: c\nlanguages: [en]\nsteps:\n  - ingest: {path: a.txt}\n  - shard:\n")
    command = [sys.executable, "-m", "medcorpus", "build", "c.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"TMPDIR": str(far)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/c/dataset/state.json").exists()


def test_kernels_are_loaded_without_what_compiles_them_and_compiled_all_the_same(tmp_path: Path) -> None:
    module = tmp_path / "one.py"
    module.write_text("from numba import njit\n@njit(cache=True)\ndef f(x):\n    return x + 1.5\n")
    script = """
from medcorpus.core import light
light.kernels()
from numba.core.registry import cpu_target
refreshed, asked = [], cpu_target.target_context.refresh
cpu_target.target_context.refresh = lambda: (refreshed.append(1), asked())
from one import f
print(f(1), len(f.stats.cache_hits), bool(refreshed))
print(f(2.0), f.stats.cache_misses == {} or len(f.stats.cache_misses))
"""
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPATH": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said[0].splitlines()[0] == "2.5 0 True", "compiled"
    assert said[1].splitlines()[0] == "2.5 1 False", "loaded"
    assert [each.splitlines()[1].split()[0] for each in said] == ["3.5", "3.5"]
