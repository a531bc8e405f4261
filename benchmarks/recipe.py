"""`python -m benchmarks.recipe`: the whole recipe over real text, its MB/s, and where the time goes.

How it is measured: `medcorpus build benchmarks/real.yaml` as a whole process, start-up included, into an empty
folder, three times after one warm-up (which compiles kernels and fills the page cache); medians. Megabytes are
those of the records' text after reading, so compression of the input flatters nobody. Seconds of a step are
summed over workers.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RUNS = 3


def build(data: str) -> tuple[float, dict]:
    """One build into an empty folder: wall seconds and its report."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "medcorpus", "build", str(HERE / "real.yaml"), "--json"],
            cwd=folder,
            env=os.environ | {"MEDCORPUS_DATA": data},
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(done.stderr)
        report = json.loads(done.stdout)
        report["text_mb"] = text_mb(Path(folder) / "runs/real", report)
        return seconds, report


def text_mb(run: Path, report: dict) -> float:
    """Megabytes of text that the sources brought."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 0
    for folder in (run / "private/steps").iterdir():
        if folder.name.rsplit("-", 1)[0] in ("nigeria", "sib", "medqa", "rumed"):
            for part in folder.glob("*.arrow"):
                with pa.memory_map(str(part)) as stream, pa.ipc.open_stream(stream) as reader:
                    total += sum(pc.sum(pc.binary_length(batch["text"])).as_py() or 0 for batch in reader)
    return total / 1e6


def main() -> None:
    """Print the table."""
    data = os.environ.get("MEDCORPUS_DATA") or str(HERE.parents[1] / "shared" / "data")
    if not Path(data).is_dir():
        sys.exit("set MEDCORPUS_DATA to a folder with the real data (see benchmarks/real.yaml)")
    build(data)
    runs = [build(data) for _ in range(RUNS)]
    wall = statistics.median(seconds for seconds, _ in runs)
    megabytes = runs[0][1]["text_mb"]
    steps = [step["id"] for step in runs[0][1]["steps"]]
    spent = {
        step: statistics.median(next(s["seconds"] for s in report["steps"] if s["id"] == step) for _, report in runs)
        for step in steps
    }
    peak = max(step["peak_mb"] for _, report in runs for step in report["steps"])
    total = sum(spent.values())
    cores = len(os.sched_getaffinity(0))
    rows = sum(sum(s["account"]["created"].values()) for s in runs[0][1]["steps"] if not s["account"]["rows_in"])
    print(
        f"{rows:,} records, {megabytes:.1f} MB of text in 205 languages: **{wall:.1f} s, {megabytes / wall:.1f} MB/s**"
    )
    print(f"({cores} cores, {platform.machine()}, Python {platform.python_version()}; peak {peak} MiB a worker).\n")
    print("| step | seconds, all workers | share | MB/s a core |\n|---|---:|---:|---:|")
    for step, seconds in spent.items():
        rate = (
            f"{megabytes / seconds:.0f}" if seconds > 0.05 and step not in ("nigeria", "sib", "medqa", "rumed") else ""
        )
        print(f"| {step} | {seconds:.2f} | {seconds / total:.0%} | {rate} |")
    print(f"| start-up, waiting | {max(0.0, wall * cores - total):.2f} | | |")


if __name__ == "__main__":
    main()
