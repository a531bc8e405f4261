"""Language identification by one fastText process, whole texts: CORPUS OUT MODEL. Writes id, label, score."""

import sys
from pathlib import Path

import fasttext
import pyarrow as pa
import pyarrow.parquet as pq


def main(corpus: str, out: str, model: str) -> None:
    known = fasttext.load_model(model)
    ids, labels, scores = [], [], []
    for part in sorted(Path(corpus).glob("*.parquet")):
        for batch in pq.ParquetFile(part).iter_batches(columns=["id", "text"]):
            for id, text in zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True):
                (label,), (score,) = known.predict(text.replace("\n", " "))
                ids.append(id)
                labels.append(label.removeprefix("__label__"))
                scores.append(float(score))
    Path(out).mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": ids, "label": labels, "score": pa.array(scores, pa.float32())})
    pq.write_table(table, f"{out}/labels.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
