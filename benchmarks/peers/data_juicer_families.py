"""Families of Data-Juicer with the shingles that it compares: CORPUS OUT. Runs in its environment.

Writes OUT/families.parquet: id, family (an id), shingles (hashes of 5 words between blanks, as it cuts them).
"""

import hashlib
import sys

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data_juicer.ops.common.helper_func import split_on_whitespace
from data_juicer.ops.deduplicator.document_minhash_deduplicator import DocumentMinhashDeduplicator


def shingles(text: str) -> np.ndarray:
    """64 bits of each window of `tokenization: space`."""
    words = split_on_whitespace(text.lower())
    grams = {" ".join(words[at : at + 5]) for at in range(len(words) - 4)}
    hashes = b"".join(hashlib.blake2b(gram.encode(), digest_size=8).digest() for gram in grams)
    return np.frombuffer(hashes, np.uint64)


def main(corpus: str, out: str) -> None:
    operator = DocumentMinhashDeduplicator(tokenization="space", window_size=5, jaccard_threshold=0.7)
    rows = datasets.load_dataset("parquet", data_dir=corpus, split="train", cache_dir=f"{out}/cache")
    rows = rows.select_columns(["id", "text"])
    family = {id: id for id in rows["id"]}
    hashed = rows.map(operator.compute_hash, num_proc=2)
    _, pairs = operator.process(hashed, show_num=len(rows) + 1)  # so many are shown: all
    for members in pairs.values():
        for member in members:
            family[member["id"]] = members[0]["id"]
    values = pa.array([shingles(text) for text in rows["text"]], pa.list_(pa.uint64()))
    table = pa.table({"id": list(family), "family": list(family.values()), "shingles": values})
    pq.write_table(table, f"{out}/families.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
