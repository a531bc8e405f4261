"""MinHash deduplication by datatrove, as its example has it: CORPUS OUT. Runs in datatrove's environment."""

import sys

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers.jsonl import JsonlWriter

WORKERS = 2


def main(corpus: str, out: str) -> None:
    config = MinhashConfig(n_grams=5)  # 14 buckets of 8 hashes: its defaults, for a similarity of about 0.72
    reader = ParquetReader(corpus, glob_pattern="*.parquet", text_key="text", id_key="id")
    steps = [
        ([reader, MinhashDedupSignature(f"{out}/signatures", config=config)], WORKERS),
        ([MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config, save_cluster_id=True)], 1),
        (
            [
                ParquetReader(corpus, glob_pattern="*.parquet", text_key="text", id_key="id"),
                MinhashDedupFilter(
                    f"{out}/remove", exclusion_writer=JsonlWriter(f"{out}/removed"), load_cluster_ids=True
                ),
                JsonlWriter(f"{out}/kept"),
            ],
            WORKERS,
        ),
    ]
    for number, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(
            pipeline=pipeline, tasks=tasks, workers=min(tasks, WORKERS), logging_dir=f"{out}/logs/{number}"
        ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
