"""Families of text-dedup with the shingles that it compares: CORPUS OUT. Runs in its environment.

Writes OUT/families.parquet: id, family (an id), shingles (hashes of 5-grams of its tokens, as it cuts them).
"""

import pickle
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from text_dedup.minhash import NON_ALPHA
from text_dedup.utils import ngrams


def main(corpus: str, out: str) -> None:
    command = [
        sys.executable,
        "-m",
        "text_dedup.minhash",
        "--path",
        "parquet",
        "--data_dir",
        corpus,
        "--split",
        "train",
    ]
    command += ["--cache_dir", f"{out}/cache", "--output", f"{out}/kept", "--column", "text", "--ngram", "5"]
    command += ["--threshold", "0.7", "--num_proc", "2", "--debug"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parent = pickle.loads(Path(out, "kept/uf.pkl").read_bytes())
    parent = getattr(parent, "parent", parent)

    def root(number: int) -> int:
        while parent.get(number, number) != number:
            number = parent[number]
        return number

    rows = datasets.load_dataset("parquet", data_dir=corpus, split="train", cache_dir=f"{out}/cache")
    ids = rows["id"]
    shingles = []
    for text in rows["text"]:
        tokens = NON_ALPHA.split(text.lower())  # empty ones are tokens there
        grams = {" ".join(gram) for gram in ngrams(tokens, 5, 5)}
        shingles.append(sorted(xxhash.xxh3_64_intdigest(gram.encode()) for gram in grams))
    table = {"id": list(ids), "family": [ids[root(n)] for n in range(len(ids))]}
    pq.write_table(pa.table(table | {"shingles": pa.array(shingles, pa.list_(pa.uint64()))}), f"{out}/families.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
