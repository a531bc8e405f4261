"""Row `families`: near-duplicate removal on the big corpus beside what is exactly so, and one worker beside two.

Guard off, threshold 0.7. Every pair of our own shingles with a Jaccard similarity of 0.8 and more (`oracle`) has to
share a family; with SAMPLED < 1, every pair whose later document is drawn (seed 11). One worker and two have to give
the same families and the same bytes. Shingles lie in a file that is mapped, so memory hangs on the index of the oracle
(about 0.7 GiB) and 100 bytes a document, not on the text.
"""

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.families import ABOVE, THRESHOLD, families_of, parts
from benchmarks.measure import run
from benchmarks.oracle import Sets, alike

SAMPLED, SEED = 1.0, 11


def report(bench: Any) -> str:
    """What was found, as Markdown."""
    corpus = bench.out / f"corpus-{bench.given.big}"
    size = bench.make(bench.given.big, corpus)
    built = {}
    for workers in (1, 2):
        folder = bench.fresh("exactness")
        command = bench.ours("dedup", corpus, "--set", "dedup.guard=false", "--workers", str(workers))
        run(command, folder, {"CORPUS": str(corpus)})
        built[workers] = families_of(folder / "runs/bench", corpus), digest(folder / "runs/bench/dataset")
    family = built[1][0]
    started = time.process_time()
    sets = shingled(corpus, bench.fresh("exactness") / "shingles")
    asked = np.random.default_rng(SEED).random(len(family)) < SAMPLED
    pairs = alike(sets, THRESHOLD + ABOVE, asked)
    seconds = time.process_time() - started
    found = int((family[pairs[:, 0]] == family[pairs[:, 1]]).sum())
    bench.fresh("exactness")
    same, equal = (built[1][0] == built[2][0]).all(), built[1][1] == built[2][1]
    return (
        f"Families in {size:,.0f} MB, {len(family):,} documents: of {len(pairs):,} pairs with an exact Jaccard "
        f"similarity of {THRESHOLD + ABOVE:g} and more {found / max(1, len(pairs)):.3%} are in one family (bar 99.5%)"
        f"{f'; pairs of {SAMPLED:.0%} of the documents, seed {SEED}' if SAMPLED < 1 else ''}. "
        f"Two workers make {'the same' if same else 'OTHER'} families as one, and "
        f"{'the same' if equal else 'OTHER'} bytes. "
        f"The oracle took {seconds:.0f} s of processor time."
    )


def shingled(corpus: Path, file: Path) -> Sets:
    """Our shingles of a corpus, in `file`."""
    from medcorpus.text.shingles import shingles

    sizes = [np.zeros(1, np.int64)]
    with file.open("wb") as out:
        for part in parts(corpus):
            for batch in pq.ParquetFile(part).iter_batches(columns=["text"], batch_size=8192):
                made = shingles(batch["text"])
                made.values.tofile(out)
                sizes.append(np.diff(made.offsets))
    return Sets(np.memmap(file, np.uint32, "r+"), np.cumsum(np.concatenate(sizes)))


def digest(folder: Path) -> str:
    """SHA-256 over names and bytes of the data files of a dataset."""
    state = hashlib.sha256()
    for file in sorted(folder.rglob("*.arrow")):
        state.update(str(file.relative_to(folder)).encode())
        with file.open("rb") as stream:
            state.update(hashlib.file_digest(stream, "sha256").digest())
    return state.hexdigest()
