"""Run a command as a user would, whole processes with their start-up: wall seconds, processor seconds, peak memory."""

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """Memory in MiB is the sum over the process and its children: all that is resident, a page that several of them
    share counted once (PSS), and of that the anonymous part (mapped files not counted)."""

    seconds: float
    cpu: float
    resident: int
    anonymous: int
    output: str


def run(command: list[str | Path], cwd: Path, env: dict[str, str] | None = None) -> Run:
    """Run `command` to its end. Exits with its standard error when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env=os.environ | (env or {}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    peak = [0, 0]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
    watcher.start()
    output, errors = process.communicate()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{errors[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu, peak[0] >> 10, peak[1] >> 10, output)


def _watch(root: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.5):  # looking costs milliseconds
        resident = anonymous = 0
        for pid in _tree(root):
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Pss")}
            resident += sizes.get("Pss", 0)
            anonymous += sizes.get("Pss_Anon", 0)
        peak[0], peak[1] = max(peak[0], resident), max(peak[1], anonymous)


def _tree(root: int) -> list[int]:
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                queue += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found
