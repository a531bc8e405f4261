"""Dolma's taggers of Gopher's and C4's rules: CORPUS OUT. It has none of FineWeb's, and reads jsonl.gz only.

The corpus is written as such first, which is part of the time: parquet is what everybody is given.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

WHEN = "2020-01-01T00:00:00.000Z"


def main(corpus: str, out: str) -> None:
    documents = Path(out, "documents")
    documents.mkdir(parents=True)
    for part in sorted(Path(corpus).glob("*.parquet")):
        with gzip.open(documents / f"{part.stem}.jsonl.gz", "wt", compresslevel=1, encoding="utf-8") as file:
            for batch in pq.ParquetFile(part).iter_batches(columns=["id", "text"]):
                for row in batch.to_pylist():
                    file.write(json.dumps(row | {"source": "bench", "added": WHEN, "created": WHEN}) + "\n")
    command = [str(Path(sys.executable).with_name("dolma")), "tag", "--documents", f"{documents}/*.jsonl.gz"]
    sys.exit(subprocess.run([*command, "--taggers", "gopher_v2", "c4_v2", "--processes", "2"]).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
