"""Run the command line as a user does: in a process of its own, in a folder of its own."""

import contextlib
import gc
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

from medcorpus.cli import run

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def environment() -> dict[str, str]:
    """A user's environment, without what the test machine adds."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    return keep | {"PYTHONWARNINGS": "default", "COLUMNS": "160", "NO_COLOR": "1"}


def medcorpus(*args: object, cwd: Path, code: int | None = 0, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Run `medcorpus ARGS` and check its exit code (None: any)."""
    done = subprocess.run(
        [sys.executable, "-m", "medcorpus", *map(str, args)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        **kwargs,
    )
    assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def inside(*args: object, cwd: Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """`medcorpus ARGS` in this process, where its start is not what is tested: torch alone takes seconds to import.

    Workers are processes all the same, of one template for all calls.
    """
    command = list(map(str, args))
    out, err = io.StringIO(), io.StringIO()
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            ended = run(command)
    finally:  # what a build leaves behind in a process that it thinks is its own
        gc.enable()
        for each, handler in handlers.items():
            signal.signal(each, handler)
    done = subprocess.CompletedProcess(command, ended, out.getvalue(), err.getvalue())
    assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def start(*args: object, cwd: Path, **kwargs: object) -> subprocess.Popen[str]:
    """Start `medcorpus ARGS` in a process group of its own, to be killed or stopped: with two workers."""
    return subprocess.Popen(
        [sys.executable, "-m", "medcorpus", *map(str, args)],
        cwd=cwd,
        env=environment() | {"MEDCORPUS_WORKERS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **kwargs,
    )


def members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by relative path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def parts(run: Path) -> dict[str, tuple[int, int]]:
    """Published parts of a run with inode and time of change: what must not be done twice."""
    return {
        str(p.relative_to(run)): (p.stat().st_ino, p.stat().st_mtime_ns)
        for p in run.rglob("*.arrow")
        if "steps" in p.parts and ".tmp-" not in str(p)
    }
