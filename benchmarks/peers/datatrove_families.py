"""Families of datatrove with the shingles that it compares: CORPUS OUT. Runs in its environment.

Writes OUT/families.parquet: id, family (an id), shingles (hashes of 5-grams of its tokens, as it makes them).
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import ParquetReader

WORKERS = 2


class Signature(MinhashDedupSignature):
    """Keeps the shingles, one file for each of WORKERS."""

    def __init__(self, out: str, config: MinhashConfig):
        super().__init__(f"{out}/signatures", config=config)
        self.out = out

    def get_shingles(self, text):
        found = super().get_shingles(text)
        self.kept.append(np.unique(found))
        return found

    def run(self, data, rank: int = 0, world_size: int = 1):
        ids, self.kept = [], []

        def seen():
            for document in data:
                ids.append(document.id)
                yield document

        super().run(seen(), rank, world_size)
        table = {"id": ids, "shingles": pa.array(self.kept, pa.list_(pa.uint64()))}
        pq.write_table(pa.table(table), f"{self.out}/shingles-{rank}.parquet")


def main(corpus: str, out: str) -> None:
    config = MinhashConfig(n_grams=5)
    reader = ParquetReader(corpus, glob_pattern="*.parquet", text_key="text", id_key="id")
    steps = [
        ([reader, Signature(out, config)], WORKERS),
        ([MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config, save_cluster_id=True)], 1),
    ]
    for number, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(
            pipeline=pipeline, tasks=tasks, workers=min(tasks, WORKERS), logging_dir=f"{out}/logs/{number}"
        ).run()
    tables, families, first = [], [], {}
    for rank in range(WORKERS):
        tables.append(pq.read_table(f"{out}/shingles-{rank}.parquet"))
        ids = tables[-1]["id"].to_pylist()
        family = list(ids)
        clusters = Path(f"{out}/remove/{rank:06d}.clusters")
        if clusters.exists():
            for row, cluster in np.fromfile(clusters, "<u4").reshape(-1, 2).tolist():
                family[row] = first.setdefault(cluster, ids[row])
        families += family
    table = pa.concat_tables(tables).append_column("family", pa.array(families))
    pq.write_table(table, f"{out}/families.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
