"""Do we say the same as the peers? Families of near-duplicates (`families`), each quality rule (`rules`), and labels of
lid.176.ftz through fastText and through our own inference, on whole documents.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import environments, families, rules
from benchmarks.measure import run

MEGABYTES = 20


def report(bench: Any) -> str:
    """All tables as Markdown; a peer that is not installed is said to be missing."""
    corpus = bench.out / f"corpus-{MEGABYTES}"
    bench.make(MEGABYTES, corpus)
    parts = [families.beside_peers(bench, corpus)]
    parts.append(rules.report(bench, corpus) if _there("datatrove") else "quality rules: datatrove is not installed")
    model = environments.lid176()
    parts.append(labels(bench, corpus, model) if model and _there("fasttext") else "labels: fasttext is not installed")
    return "\n\n".join(parts)


def _there(peer: str) -> bool:
    return environments.python(peer).exists()


def labels(bench: Any, corpus: Path, file: Path) -> str:
    """Labels and scores of lid.176.ftz beside fastText's."""
    from medcorpus.text.lid.model import Model

    folder = bench.fresh("labels")
    run([environments.python("fasttext"), bench.SCRIPTS / "fasttext_langid.py", corpus, folder / "out", file], folder)
    theirs = pq.read_table(folder / "out/labels.parquet")
    table = pq.read_table(corpus, columns=["id", "text"])
    known = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    texts = pa.array([known[id] for id in theirs["id"].to_pylist()])
    model = Model(file)
    found, scores = model.predict_array(texts)
    names = [*model.labels, "", ""]  # -1 and -2: no letters, nothing known
    equal = np.array([names[at] for at in found[:, 0]]) == np.array(theirs["label"].to_pylist())
    far = np.abs(scores[:, 0] - theirs["score"].to_numpy())[equal].max()
    share = f"{equal.mean():.2%} of {len(texts):,} documents"
    return f"lid.176.ftz: the label is fastText's for {share}, the score within {far:.1e}."
