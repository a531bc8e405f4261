"""Kernels on one core: processor seconds from an Arrow column to the answer, the least of some runs."""

import re
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.table import Row

RUNS = 3
BATCH = 4096
TERMS = 5000


def column(folder: Path) -> pa.ChunkedArray:
    """The texts of a corpus."""
    return pq.read_table(folder, columns=["text"])["text"]


def timed(work: str, texts: pa.ChunkedArray, kernel: Callable[[pa.Array], object], bar: float | None) -> Row:
    """A row for `kernel`, called once for each chunk."""
    kernel(texts.chunk(0).slice(0, 10))
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        for chunk in texts.chunks:
            kernel(chunk)
        times.append(round(time.process_time() - started, 3))
    return Row(work, "medcorpus, one core", times, texts.nbytes / 1e6 / sorted(times)[RUNS // 2], 0, 0, None, bar)


def rows(folder: Path) -> list[Row]:
    """One for each kernel."""
    from medcorpus.text import measures
    from medcorpus.text.lid.model import Model, shipped_model
    from medcorpus.text.rules import figures

    texts = column(folder)
    model = Model(shipped_model())
    return [
        timed("kernel: rules of Gopher, C4, FineWeb", texts, lambda chunk: figures.figures(figures.counts(chunk)), 40),
        timed("kernel: our own measures", texts, lambda chunk: measures.shares(measures.counts(chunk)), None),
        timed("kernel: language identification, default setting", texts, langid(), 40),
        timed("kernel: language identification, whole texts", texts, model.predict_array, None),
    ]


def langid() -> Callable[[pa.Array], object]:
    """The stage as it is by default, over rows of `texts` as they come in a build."""
    from medcorpus.core.schema import RECORD
    from medcorpus.core.stage import Context
    from medcorpus.stages.langid import Langid

    stage = Langid(Langid.Params(), Context("langid"))
    stage.open()
    fields = [RECORD.field(name) for name in stage.reads]

    def apply(texts: pa.Array) -> None:
        for start in range(0, len(texts), BATCH):
            part = texts.slice(start, BATCH)
            stage.apply(pa.record_batch([part, pa.nulls(len(part), pa.string())], schema=pa.schema(fields)))

    return apply


def terms(folder: Path, out: Path) -> tuple[Row, Path] | None:
    """A row for counting TERMS terms, and the file with them; None without the kernel.

    Terms are words and pairs of words of the corpus of middling frequency, as those of a medical list are.
    """
    try:
        from medcorpus.text import terms as kernel
    except ImportError:
        return None
    texts = column(folder)
    often: Counter[str] = Counter()
    for text in texts.slice(0, 5000).to_pylist():
        words = re.findall(r"[^\W\d_]{4,}", text.lower())
        often.update(words)
        often.update(map(" ".join, pairwise(words)))
    names = [name for name, _ in often.most_common(2000 + TERMS * 4)][2000::4]
    file = out / "terms.txt"
    file.write_text("\n".join(names), "utf-8")
    index = kernel.index([[name] for name in names])
    work = f"kernel: {len(names):,} terms on token boundaries"
    return timed(work, texts, lambda chunk: kernel.count(chunk, index), 220), file
