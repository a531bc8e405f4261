"""Language identification by datatrove with lid.176.ftz: CORPUS OUT MODEL."""

import sys

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.filters import LanguageFilter
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils.lid import FT176LID

WORKERS = 2


def main(corpus: str, out: str, model: str) -> None:
    FT176LID.MODEL_URL = model
    LocalPipelineExecutor(
        pipeline=[
            ParquetReader(corpus, glob_pattern="*.parquet", text_key="text", id_key="id"),
            LanguageFilter(language_threshold=0.0, label_only=True),
            JsonlWriter(f"{out}/labelled"),
        ],
        tasks=WORKERS,
        workers=WORKERS,
        start_method="fork",
        logging_dir=f"{out}/logs",
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
