"""Kill it, stop it, starve it, start it twice: the result is the same, to the byte, and nothing is done twice."""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.helpers import inside, medcorpus, members, parts, start, tree

WAIT = 120


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """An undisturbed run: its dataset, and how long it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    started = time.monotonic()
    medcorpus("build", "quickstart", cwd=folder)
    return tree(folder / "runs/quickstart/dataset"), time.monotonic() - started


def finish_and_compare(folder: Path, undisturbed: dict[str, bytes]) -> None:
    """Run to the end; everything published before stays as it was, the dataset equals the undisturbed one."""
    run = folder / "runs/quickstart"
    before = parts(run)
    medcorpus("build", "quickstart", cwd=folder)
    after = parts(run)
    redone = [name for name, what in before.items() if after.get(name) != what]
    assert not redone, f"done twice: {redone}"
    assert tree(run / "dataset") == undisturbed
    assert not [p for p in run.rglob("*") if ".tmp-" in p.name]
    inside("verify", run, cwd=folder)


def kill_and_resume(folder: Path, moment: float, dataset: dict[str, bytes]) -> int:
    """kill -9 of the whole process group after `moment` seconds, then run again. Returns parts found."""
    process = start("build", "quickstart", cwd=folder)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    found = len(parts(folder / "runs/quickstart")) if (folder / "runs/quickstart").exists() else 0
    finish_and_compare(folder, dataset)
    return found


@pytest.mark.parametrize("share", [0.7])
def test_kill_9_and_again(share, undisturbed, tmp_path):
    dataset, seconds = undisturbed
    kill_and_resume(tmp_path, seconds * share, dataset)


@pytest.mark.accept
@pytest.mark.timeout(3600)
def test_kill_9_at_50_random_moments(undisturbed, tmp_path):
    dataset, seconds = undisturbed
    seed = int(os.environ.get("MEDCORPUS_SEED", "20"))
    chance = random.Random(seed)
    moments = sorted(chance.uniform(0.2, seconds * 1.02) for _ in range(50))
    print(f"\nseed {seed}, an undisturbed run takes {seconds:.1f} s\n{'killed after':>14} {'parts found':>12}")
    for number, moment in enumerate(moments):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = kill_and_resume(folder, moment, dataset)
        print(f"{moment:>12.2f} s {found:>12}")
        shutil.rmtree(folder)


def test_only_the_driver_is_killed(undisturbed, tmp_path):
    """Workers notice and leave; the next run needs no lock cleared."""
    dataset, seconds = undisturbed
    process = start("build", "quickstart", cwd=tmp_path)
    time.sleep(seconds * 0.6)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(WAIT)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and members(process.pid):
        time.sleep(0.1)
    assert not members(process.pid)
    finish_and_compare(tmp_path, dataset)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_in_order(signum, code, undisturbed, tmp_path):
    dataset, seconds = undisturbed
    process = start("build", "quickstart", cwd=tmp_path)
    time.sleep(seconds * 0.6)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=WAIT)
    if process.returncode != 0:  # it may have been done just before
        assert process.returncode == code, errors
        assert "the same command goes on from there" in errors and "Traceback" not in errors
    finish_and_compare(tmp_path, dataset)


def test_two_runs_at_once(undisturbed, tmp_path):
    dataset, _ = undisturbed
    first = start("build", "quickstart", cwd=tmp_path)
    lock = tmp_path / "runs/quickstart/.lock"
    while not (lock.exists() and lock.read_text()):
        time.sleep(0.01)
    second = medcorpus("build", "quickstart", cwd=tmp_path, code=None)
    first.communicate(timeout=WAIT)
    assert first.returncode == 0
    assert second.returncode == 75 and f"process {first.pid}" in second.stderr
    finish_and_compare(tmp_path, dataset)


def test_a_file_size_limit_is_a_full_disk(undisturbed, tmp_path):
    """Works without root: writing past the limit fails as a full disk does."""
    dataset, _ = undisturbed
    size = 60_000
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # noqa: E731
    stopped = medcorpus("build", "quickstart", cwd=tmp_path, code=3, preexec_fn=limit)
    assert "free some room" in stopped.stderr and "Traceback" not in stopped.stderr
    finish_and_compare(tmp_path, dataset)


def test_a_full_disk(undisturbed, tmp_path):
    """A small tmpfs, where we may mount one."""
    dataset, _ = undisturbed
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk]).returncode:
        pytest.skip("may not mount a tmpfs here; the file size limit test covers it")
    try:
        stopped = medcorpus("build", "quickstart", cwd=disk, code=None)
        assert stopped.returncode == 3, stopped.stderr
        assert "o space left" in stopped.stderr and "Traceback" not in stopped.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        finish_and_compare(disk, dataset)
    finally:
        subprocess.run(["umount", disk], check=True)
