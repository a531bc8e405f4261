"""Terms by ahocorasick_rs, DFA, over lower-cased text: CORPUS OUT TERMS. Prints seconds of matching, from Arrow."""

import sys
import time
from pathlib import Path

import ahocorasick_rs
import pyarrow.parquet as pq


def main(corpus: str, out: str, terms: str) -> None:
    names = [line.lower() for line in Path(terms).read_text("utf-8").splitlines() if line]
    matcher = ahocorasick_rs.AhoCorasick(names, implementation=ahocorasick_rs.Implementation.DFA)
    column = pq.read_table(corpus, columns=["text"])["text"]
    started, hits = time.process_time(), 0
    for chunk in column.chunks:
        for text in chunk.to_pylist():
            hits += len(matcher.find_matches_as_indexes(text.lower()))
    print(f"{time.process_time() - started:.6f} {hits}")


if __name__ == "__main__":
    main(*sys.argv[1:])
