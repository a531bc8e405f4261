"""`python -m benchmarks.scale [MILLIONS ...]`: short records in growing numbers through `dedup`: time and memory.

Default 1 2 5 10. Peak memory is the largest resident set of any process less what it only maps from files, as the
kernel counts it (RssAnon), looked at ten times a second.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RECIPE = """
name: scale
steps:
  - ingest: {path: in/*.parquet}
  - dedup:
  - select: {drop: [duplicate]}
  - shard:
"""
PIECE, WORDS, LENGTH = 250_000, 50_000, 16


def write(folder: Path, rows: int) -> int:
    """Records of 16 words, every fifth a copy, every tenth with one word changed. Returns bytes of text."""
    rng = np.random.default_rng(7)
    vocabulary = np.array(["".join(rng.choice(list("bcdfglmnprstaeiou"), 5)) for _ in range(WORDS)])
    total = 0
    for piece in range(rows // PIECE):
        words = rng.integers(0, WORDS, (PIECE, LENGTH))
        words[::5] = words[rng.integers(0, PIECE, PIECE // 5)]
        near = np.arange(3, PIECE, 10)
        words[near] = words[rng.integers(0, PIECE, len(near))]
        words[near, rng.integers(0, LENGTH, len(near))] = rng.integers(0, WORDS, len(near))
        text = vocabulary[words[:, 0]].astype(object)
        for column in range(1, LENGTH):
            text = text + " " + vocabulary[words[:, column]]
        table = pa.table({"text": pa.array(text, pa.string())})
        total += table.nbytes
        pq.write_table(table, folder / f"{piece:04}.parquet", compression="zstd")
    return total


def anonymous_mb(group: int) -> int:
    """The largest anonymous resident set in a process group, in MiB."""
    largest = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            stat = (status.parent / "stat").read_text().rpartition(")")[2].split()
            if int(stat[2]) == group:
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
                largest = max(largest, int(lines.get("RssAnon", "0 kB").split()[0]) >> 10)
        except (OSError, ValueError):
            continue
    return largest


def main() -> None:
    """Print the table."""
    print("| records | text MB | wall s | dedup: emit s | resolve s | apply s | anonymous memory, largest process |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for millions in [float(m) for m in sys.argv[1:]] or [1, 2, 5, 10]:
        with tempfile.TemporaryDirectory() as folder:
            rows = int(millions * 1_000_000)
            (Path(folder) / "in").mkdir()
            size = write(Path(folder) / "in", rows)
            (Path(folder) / "scale.yaml").write_text(RECIPE)
            command = [sys.executable, "-m", "medcorpus", "build", "scale.yaml", "--json"]
            started = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
            peak = [0]

            def watch(process=process, peak=peak) -> None:
                while process.poll() is None:
                    peak[0] = max(peak[0], anonymous_mb(process.pid))
                    time.sleep(0.1)

            watcher = threading.Thread(target=watch)
            watcher.start()
            out, err = process.communicate()
            wall = time.perf_counter() - started
            watcher.join()
            if process.returncode:
                sys.exit(err)
            steps = {step["id"]: step for step in json.loads(out)["steps"]}
            emit, resolve, apply = (steps["dedup"]["phases"][n]["seconds"] for n in ("emit", "resolve", "apply"))
            print(
                f"| {rows:,} | {size / 1e6:,.0f} | {wall:.0f} | {emit:.1f} | {resolve:.1f} | {apply:.1f} "
                f"| {peak[0]:,} MiB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
