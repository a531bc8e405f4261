"""`python -m benchmarks.reader`: how fast the loader feeds a training, on one core.

How it is measured: a plan over made-up documents (lengths log-normal, as consultations and leaflets have them) is
written to disk as `train --prepare` writes it; every row is then read once, in micro-batches, as the loop does. Tokens
are those that are not padding; the clock is processor time, so a busy machine does not matter much. The first pass
fills the page cache and does not count.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from medcorpus.training.plan.build import Settings, build
from medcorpus.training.plan.tokens import Documents
from medcorpus.training.reader import Reader


def write(folder: Path, tokens: int, window: int) -> float:
    """Token files and their plan; returns the processor seconds that the plan took."""
    chance = np.random.default_rng(0)
    lengths = np.clip(chance.lognormal(5.5, 1.0, 2 * tokens // 400), 8, window).astype(np.int64)
    lengths = lengths[np.cumsum(lengths) <= tokens]
    count, total = len(lengths), int(lengths.sum())
    np.save(folder / "tokens.npy", chance.integers(0, 150_000, total).astype(np.uint32))
    np.save(folder / "learnt.npy", chance.random(total) < 0.4)
    learnt = np.maximum(1, lengths // 3)
    documents = Documents(
        ids=[f"{number:032x}" for number in chance.integers(0, 2**62, count)],
        kind=np.zeros(count, np.int16),
        source=np.zeros(count, np.int32),
        language=chance.integers(0, 50, count).astype(np.int16),
        start=np.cumsum(lengths) - lengths,
        length=lengths,
        learnt=learnt,
        fingerprint=np.zeros(count, np.uint64),
        kinds=["qa"],
        sources=["made"],
        languages=[f"l{number}" for number in range(50)],
        left_out=Counter(),
    )
    began = time.process_time()
    build(documents, Settings({"qa": 1.0}, window=window), folder, {f"l{n}": n % 7 for n in range(50)})
    return time.process_time() - began


def read(folder: Path, rows: int) -> tuple[int, float]:
    """Tokens read and processor seconds, in micro-batches of `rows` rows."""
    reader, tokens = Reader(folder), 0
    began = time.process_time()
    for step in range(reader.steps):
        for some in reader.micro_batches(step, rows):
            reader.batch(some)
            tokens += reader.count(some[some >= 0])
    return tokens, time.process_time() - began


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=20_000_000)
    parser.add_argument("--window", type=int, default=4096)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        planned = write(Path(place), asked.tokens, asked.window)
        print(f"plan of {asked.tokens:,} tokens: {planned:.2f} s of processor time\n")
        print("| rows of a micro-batch | million tokens/s, one core |\n|--:|--:|")
        read(Path(place), 4)
        for rows in (1, 4, 16):
            tokens, seconds = read(Path(place), rows)
            print(f"| {rows} | {tokens / seconds / 1e6:.1f} |")


if __name__ == "__main__":
    main()
