"""Train the model we ship that tells medicine from everything else, in all languages at once.

    medcorpus fit domain medcorpus-domain-3.npz --sib SIB_DIR --heldout dev.tsv

SIB-200 (Adelani et al. 2024) gives each sentence of its train files a topic; HEALTH is medicine, the rest is not. As
its sentences are parallel, whole sentences are held back in all languages at once, so that the curve which weighs in
the term lists is fitted on what the linear part has not seen; then the linear part is fitted on everything. The terms
of the lists are examples of their own, so that words which no sentence happened to use count as well; and so are hard
sentences, written for medcorpus: news of hospitals, doctors' strikes and players' knees, and medicine in the words of
wards, textbooks and exams. One in two of them is held back likewise, and says where the curve lies.

Equal input and seed give equal bytes on one machine.
"""

import gzip
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from medcorpus.core.errors import Fatal
from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.text import domain_model, term_lists
from medcorpus.text.ranking import auc
from medcorpus.text.terms import count, index

HEALTH = "health"
_HELD_BACK = 5  # one sentence in so many, of each language the same
_JOINED = (4, 16)
_TERM_COUNTS = 0.2  # of a sentence: a term of the lists is an example too, with all its spellings
_HARD = Path(__file__).parents[1] / "models" / "domain-hard-sentences.tsv"
_HARD_COUNTS = 10.0  # of a sentence; they are few
_HARD_SHARE = 0.3  # of the curve
_STEPS = 50  # of Newton's method on four numbers


class Sentence(NamedTuple):
    """A labelled text; `key` is the same for translations of one another."""

    language: str
    key: str
    medical: bool
    text: str


def fit(
    train: list[Sentence], out: Path, *, heldout: list[Sentence] | None = None, seed: int = 1, epochs: int = 10,
    lr: float = 0.1, l2: float = 0.01,
) -> dict[str, Any]:  # fmt: skip
    """Train on `train`, write the model to `out` and a report beside it (`.json`), which is also returned.

    The report has settings, size and digest, sentences by language, and with `heldout` the area under the ROC curve
    of score, linear part, and terms alone, pooled and by language. Raises Fatal when a class is empty.
    """
    medical = np.array([one.medical for one in train])
    if not train or medical.all() or not medical.any():
        raise Fatal("fit domain needs medical sentences and others; one of the two is missing")
    keys = sorted({one.key for one in train})
    back = {key for number, key in enumerate(keys) if number % _HELD_BACK == 0}
    held_back = np.array([one.key in back for one in train])
    settings = {"seed": seed, "epochs": epochs, "lr": lr, "l2": l2}
    hard = read(_HARD)
    first = _linear([one for one, held in zip(train, held_back, strict=True) if not held], hard[::2], settings)
    rest = joined([one for one, held in zip(train, held_back, strict=True) if held])
    curves = _curves(first, rest, hard[1::2])
    last = _linear(train, hard, settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fit-", dir=out.parent) as folder:
        made = Path(folder, out.name)
        steps = last.weights.astype(np.float32) * last.scale
        domain_model.save(made, steps, {"intercept": last.intercept} | curves)
        model = domain_model.load(made)
        report: dict[str, Any] = {
            "settings": settings, "features_version": domain_model.VERSION, "terms": term_lists.digest(),
            "digest": model.digest, "bytes": made.stat().st_size, "curves": curves,
            "sentences": len(train), "medical": int(medical.sum()),
        }  # fmt: skip
        if heldout:
            report["heldout"] = measure(model, heldout)
        written = Path(folder, "report.json")
        written.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for path, place in ((written, out.with_suffix(".json")), (made, out)):
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            path.replace(place)
    return report


def _linear(train: list[Sentence], hard: list[Sentence], settings: dict[str, Any]) -> domain_model.DomainModel:
    listed = [", ".join(term).replace("*", "") for code in term_lists.languages() for term in term_lists.shipped(code)]
    texts = [one.text for one in train] + listed + [one.text for one in hard]
    medical = [one.medical for one in train] + [True] * len(listed) + [one.medical for one in hard]
    counts = np.repeat([1.0, _TERM_COUNTS, _HARD_COUNTS], [len(train), len(listed), len(hard)])
    weights, intercept = domain_model.train(pa.array(texts), np.array(medical), counts, **settings)
    scale = float(np.abs(weights).max()) / 127
    small = np.rint(weights / scale).astype(np.int8)
    return domain_model.DomainModel(small, scale, intercept, (1, 0, 0, 0), (1, 0), "")


def term_figures(sentences: list[Sentence]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(density, distinct terms, whether the language has a list) of each sentence."""
    density, distinct = np.zeros(len(sentences), np.float32), np.zeros(len(sentences), np.int64)
    listed = np.zeros(len(sentences), np.bool_)
    rows = defaultdict(list)
    for row, one in enumerate(sentences):
        rows[one.language].append(row)
    for language, which in rows.items():
        terms = term_lists.shipped(language)
        if terms:
            found = count(pa.array([sentences[row].text for row in which]), index(terms))
            density[which], distinct[which], listed[which] = found.density, found.distinct, True
    return density, distinct, listed


def joined(sentences: list[Sentence]) -> list[Sentence]:
    """The sentences, and texts of 4 and 16 of one language and class, so that curves hold for documents too."""
    alike = defaultdict(list)
    for one in sentences:
        alike[one.language, one.medical].append(one)
    made = list(sentences)
    for (language, medical), group in sorted(alike.items()):
        for size in _JOINED:
            for start in range(0, len(group) - size + 1, max(1, size // 4)):
                text = " ".join(one.text for one in group[start : start + size])
                made.append(Sentence(language, "", medical, text))
    return made


def _curves(model: domain_model.DomainModel, held: list[Sentence], hard: list[Sentence]) -> dict[str, Any]:
    """Coefficients of both logistic curves (see `domain_model.DomainModel.score`), from text `model` has not seen.

    `hard` weighs _HARD_SHARE: without it half of the news of hospitals is kept, by it alone textbooks are dropped.
    """
    curves = {}
    read, read_hard = _columns(model, held), _columns(model, hard)
    for name in ("with_terms", "without"):
        (x, y), (hard_x, hard_y) = read[name], read_hard[name]
        counts = np.full(len(y), (1 - _HARD_SHARE) / max(1, len(y)))
        hard_counts = np.full(len(hard_y), _HARD_SHARE / max(1, len(hard_y)))
        everything = zip((x, y, counts), (hard_x, hard_y, hard_counts), strict=True)
        beta = _logistic(*(np.concatenate(both) for both in everything))
        curves[name] = [round(float(one), 6) for one in beta]
    return curves


def _columns(model: domain_model.DomainModel, sentences: list[Sentence]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each curve what it weighs, and the truth; `with_terms` has the rows of languages with a list, if any has."""
    z = domain_model.logits(pa.array([one.text for one in sentences]), model)
    density, distinct, listed = term_figures(sentences)
    medical = np.array([one.medical for one in sentences])
    rows = listed if listed.any() else np.ones(len(z), np.bool_)
    evidence = np.stack(domain_model.evidence(z, density, distinct), 1)
    return {
        "with_terms": (evidence[rows], medical[rows]),
        "without": (np.stack([z, np.ones(len(z))], 1), medical),
    }


def _logistic(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Logistic regression by Newton's method, rows weighed by `counts` and both classes the same: a score of 0.5 is
    even odds."""
    weight = len(y) * np.where(y, 0.5 * counts / (counts @ y or 1), 0.5 * counts / (counts @ ~y or 1))
    beta = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = x.T @ (weight * (p - y)) + 1e-3 * beta
        bend = (x * (weight * p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(len(beta))
        beta -= np.linalg.solve(bend, slope)
    return beta


def measure(model: domain_model.DomainModel, sentences: list[Sentence]) -> dict[str, Any]:
    """Areas under the ROC curve: of the score, its linear part, and density of terms; pooled, and by language."""
    medical = np.array([one.medical for one in sentences])
    z = domain_model.logits(pa.array([one.text for one in sentences]), model)
    density, distinct, listed = term_figures(sentences)
    score = model.score(z, density, distinct, listed)
    language = np.array([one.language for one in sentences])
    figures: dict[str, Any] = {"sentences": len(sentences)}
    for name, rows in (("all", np.ones(len(z), np.bool_)), ("with a term list", listed)):
        if medical[rows].any() and not medical[rows].all():
            parts = {"score": score, "linear": z, "density": density}
            figures[name] = {part: round(auc(medical[rows], values[rows]), 4) for part, values in parts.items()}
    figures["by_language"] = {
        code: round(auc(medical[rows], score[rows]), 4)
        for code in sorted(set(language[listed].tolist()))
        if medical[rows := language == code].any() and not medical[rows].all()
    }
    return figures


def read(path: Path) -> list[Sentence]:
    """`language TAB 1 or 0 TAB text` of a tsv or tsv.gz, medical being 1; every line is a key of its own.

    Raises Fatal with the line that is not so, or whose language nobody knows.
    """
    found = []
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            parts = line.rstrip("\r\n").split("\t", 2)
            if len(parts) != 3 or parts[1] not in ("0", "1"):
                raise Fatal(f"{path}:{number}: expected language TAB 1 or 0 TAB text")
            try:
                language = registry().normalise(parts[0])
            except UnknownLanguage as error:
                raise Fatal(f"{path}:{number}: {error}") from None
            found.append(Sentence(language, str(number), parts[1] == "1", parts[2]))
    return found


def from_sib(folder: Path, part: str = "train") -> list[Sentence]:
    """The sentences of SIB-200's `part` (train or dev). Raises Fatal when the folder holds none."""
    found = list(_sib(folder, part))
    if not found:
        raise Fatal(f"no *.{part}.tsv.gz in {folder}")
    return found


def _sib(folder: Path, part: str) -> Iterator[Sentence]:
    for path in sorted(folder.glob(f"*.{part}.tsv.gz")):
        label = path.name.partition(".")[0]
        try:
            language = registry().label(label, "sib200").code
        except UnknownLanguage:
            language = label
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
            head = next(stream).rstrip("\r\n").split("\t")
            for line in stream:
                row = dict(zip(head, line.rstrip("\r\n").split("\t"), strict=True))
                yield Sentence(language, row["index_id"], row["category"] == HEALTH, row["text"])
