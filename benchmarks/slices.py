"""`python -m benchmarks.slices [DAYS] [ROWS]`: a corpus that grows by a file a day, against all of it at once.

Prints what each phase of `dedup` cost on the first, a middle and the last day (processor-bound seconds, summed over
workers; tasks run), and checks that the dataset of the last day equals one built from scratch, to the byte.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

RECIPE = """
name: daily
steps:
  - ingest: {path: in/*.jsonl, licence: CC0-1.0}
  - dedup:
  - select: {drop: [duplicate]}
  - shard:
"""
WORDS = 40_000
LENGTH = 60


def write_slice(path: Path, day: int, rows: int) -> None:
    """`rows` texts of 60 words; a fifth are copies, a tenth near copies of texts of this or an earlier day."""
    rng = random.Random(day)

    def text(number: int) -> list[str]:
        chance = random.Random(number)
        return [f"w{chance.randrange(WORDS)}x" for _ in range(LENGTH)]

    with path.open("w") as file:
        for number in range(rows):
            kind = rng.random()
            if kind < 0.3 and day * rows + number:
                words = text(rng.randrange(day * rows + number))
                if kind < 0.1:
                    words[rng.randrange(LENGTH)] = "edited"
            else:
                words = text(day * rows + number)
            file.write(json.dumps({"text": " ".join(words)}) + "\n")


def build(folder: Path) -> tuple[dict, float]:
    """One build: the report of `dedup`, and wall seconds of the whole."""
    (folder / "daily.yaml").write_text(RECIPE)
    started = time.perf_counter()
    command = [sys.executable, "-m", "medcorpus", "build", "daily.yaml", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    steps = {step["id"]: step for step in json.loads(done.stdout)["steps"]}
    return steps["dedup"], time.perf_counter() - started


def digest(folder: Path) -> str:
    """Of everything in the dataset."""
    sink = sha256()
    for path in sorted((folder / "runs/daily/dataset").iterdir()):
        sink.update(path.name.encode() + path.read_bytes())
    return sink.hexdigest()


def main() -> None:
    """Print the table."""
    days, rows = (int(value) for value in (*sys.argv[1:], 10, 20_000)[:2])
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as all_:
        grown, whole = Path(one), Path(all_)
        (grown / "in").mkdir()
        print(f"{days} slices of {rows:,} rows\n")
        print("| slice | parts | emit s (tasks) | resolve s | apply s (tasks) | build s |\n|---|--:|--:|--:|--:|--:|")
        for day in range(days):
            write_slice(grown / f"in/{day:03}.jsonl", day, rows)
            report, wall = build(grown)
            phases = report["phases"]
            if day in (0, days // 2 - 1, days - 1):
                emit, resolve, apply = (phases[name] for name in ("emit", "resolve", "apply"))
                print(
                    f"| {day + 1} | {report['parts']} | {emit['seconds']:.2f} ({emit['tasks']}) "
                    f"| {resolve['seconds']:.2f} | {apply['seconds']:.2f} ({apply['tasks']}) | {wall:.1f} |"
                )
        (whole / "in").symlink_to(grown / "in")
        _, wall = build(whole)
        same = digest(grown) == digest(whole)
        print(f"\nfrom scratch: {wall:.1f} s, {'byte-equal' if same else 'NOT EQUAL'}")
        sys.exit(not same)


if __name__ == "__main__":
    main()
