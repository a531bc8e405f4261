"""`domain`: is it about medicine? Terms counted, and a model asked, in every language.

`domain_terms` different medical terms, `domain_density` the share of characters inside one, and `domain_score` how
medical the text reads, 0 to 1: a small linear model over its words, with the terms weighed in, which tells news of a
hospital's new roof from a page on its patients. The lists are plain files in `medcorpus/terms`, one for each of the
50 languages; put your own in a folder (`terms: lists/`, `lists/swa.txt` for Swahili, one term a line) and they are
read as well. A row's `language` says which list is used; in other languages the model alone decides.

A row is `not_medical` when its score is below `min_score`, or it has fewer terms than `min_terms`, or a smaller share
than `min_density` (null: off). `preset: mmedc` puts MMedC's rule in place of these: both counts against the limits
that project published for six languages (Qiu et al. 2024), on proper words; other languages keep `min_score`.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.errors import Missing, RecipeError
from medcorpus.core.params import Params, decision, fill, place
from medcorpus.core.schema import with_columns
from medcorpus.core.stage import Map, Reason, Resources

SHIPPED = "medcorpus"

MMEDC = {
    "eng": (5, 0.04), "zho": (5, 0.05), "jpn": (5, 0.05), "rus": (4, 0.02), "spa": (4, 0.04), "fra": (4, 0.04),
}  # fmt: skip
"""Different terms and share of characters by language: thresholds of MMedC's released filter."""


class DomainParams(Params):
    """What `domain` may be told."""

    model: str = place(SHIPPED, description="`medcorpus` for the shipped model, or the path of one from `fit domain`.")
    terms: str | None = place(None, description="Folder of more term lists, one `<code>.txt` a language.")
    only_mine: bool = Field(False, description="Use the lists in `terms` alone, without those of medcorpus.")
    min_score: float | None = decision(0.5, ge=0, le=1, description="Below this score a row is `not_medical`.")
    min_terms: int | None = decision(None, ge=0, description="Fewer different terms make a row `not_medical`.")
    min_density: float | None = decision(
        None, ge=0, le=1, description="A smaller share of characters in terms makes a row `not_medical`."
    )
    preset: Literal["mmedc"] | None = decision(
        None, description="`mmedc`: the published limits on terms and share for en, zh, ja, ru, es, fr."
    )


def _not_medical(batch: pa.RecordBatch, params: DomainParams, _: tuple[str, ...]) -> pa.Array:
    drops = pa.repeat(pa.scalar(False), batch.num_rows)
    for column, limit in (
        ("domain_score", params.min_score), ("domain_terms", params.min_terms), ("domain_density", params.min_density),
    ):  # fmt: skip
        if limit is not None:
            drops = pc.or_(drops, pc.less(batch[column], pa.scalar(limit, batch[column].type)))
    if params.preset == "mmedc":
        known = pc.is_in(batch["language"], pa.array(list(MMEDC)))
        drops = pc.if_else(known, pc.invert(keeps_mmedc(batch)), drops)
    return drops


def keeps_mmedc(batch: pa.RecordBatch) -> pa.Array:
    """Rows of `domain` that MMedC's rule would keep; none of languages for which it has no limits."""
    place = pc.index_in(batch["language"], pa.array(list(MMEDC)))
    terms, density = (pa.array([limits[which] for limits in MMEDC.values()]).take(place) for which in (0, 1))
    enough = pc.greater_equal(batch["domain_terms"], terms)
    dense = pc.greater_equal(batch["domain_density"], density.cast(pa.float32()))
    return pc.fill_null(pc.and_(enough, dense), False)


class Domain(Map):
    """Writes the figures about medicine; `select` drops."""

    name, version, Params = "domain", 1, DomainParams
    compiles = True
    resources = Resources(memory_mb=400)
    reads = ("text", "language")
    writes = (
        pa.field("domain_terms", pa.int32()),
        pa.field("domain_density", pa.float32()),
        pa.field("domain_score", pa.float32()),
    )
    reasons = {
        "not_medical": Reason(
            "reads less medical than asked, or has too few medical terms",
            _not_medical, ("min_score", "min_terms", "min_density", "preset"), score="domain_score",
        ),
    }  # fmt: skip

    def _model(self) -> Path:
        from medcorpus.text.domain_model import shipped_model

        if self.params.model == SHIPPED:
            return shipped_model()
        return Path(self.context.root) / fill(self.params.model)

    def _lists(self) -> Path | None:
        if self.params.terms is None:
            if self.params.only_mine:
                raise RecipeError("domain: `only_mine` needs `terms`, the folder of your lists")
            return None
        folder = Path(self.context.root) / fill(self.params.terms)
        if not any(folder.glob("*.txt")):
            raise Missing(f"domain: there is no list `<language>.txt` in {folder}")
        return folder

    def resource_digests(self) -> dict[str, str]:
        """The model and the lists decide what is written."""
        from medcorpus.text import domain_model, term_lists

        return {"model": domain_model.load(self._model()).digest, "terms": term_lists.digest(self._lists())}

    def open(self) -> None:
        """Load model, lists and kernels; an index is built when a language is first met."""
        from medcorpus.core.languages import UnknownLanguage, registry
        from medcorpus.text import domain_model, term_lists
        from medcorpus.text.terms import Index

        self._loaded = domain_model.load(self._model())
        self._mine: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._indexes: dict[str, Index | None] = {}
        folder = self._lists()
        for path in sorted(folder.glob("*.txt")) if folder else ():
            try:
                code = registry().normalise(path.stem)
            except UnknownLanguage as error:
                raise RecipeError(f"domain: the list {path.name} is named after no language: {error}") from None
            self._mine[code] = term_lists.extended(code, term_lists.read(path))
        domain_model.logits(pa.array([""]), self._loaded)

    def warm(self) -> None:
        """Count terms, which waits until a language is met, also in texts in parts."""
        from medcorpus.text.terms import count, index

        count(pa.array(["warm", "e\u0301"]), index([["warm"]]))

    def _index(self, language: str) -> Any:
        from medcorpus.text import term_lists
        from medcorpus.text.terms import index

        if language not in self._indexes:
            own = () if self.params.only_mine else term_lists.shipped(language)
            terms = (*self._mine.get(language, ()), *own)
            self._indexes[language] = index(terms) if terms else None
        return self._indexes[language]

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Figures of every row."""
        from medcorpus.text.domain_model import logits
        from medcorpus.text.terms import count

        rows = batch.num_rows
        distinct, density = np.zeros(rows, np.int32), np.zeros(rows, np.float32)
        listed = np.zeros(rows, np.bool_)
        languages = batch["language"].dictionary_encode()
        codes = languages.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        for number, language in enumerate(languages.dictionary.to_pylist()):
            terms = self._index(language)
            if terms is not None:
                which = np.flatnonzero(codes == number)
                found = count(batch["text"].take(pa.array(which)), terms)
                distinct[which], density[which], listed[which] = found.distinct, found.density, True
        score = self._loaded.score(logits(batch["text"], self._loaded), density, distinct, listed)
        return with_columns(
            batch,
            {
                "domain_terms": pa.array(distinct, pa.int32()),
                "domain_density": pa.array(density, pa.float32()),
                "domain_score": pa.array(score, pa.float32()),
            },
        )
