"""Tell language and script of each row, or say `und`: never a guess.

The model is ours (see `models/medcorpus-langid-2.md`) or any fastText file, such as lid.176 or GlotLID,
given by path. The label a source came with stays in `langid_declared`, so that lies can be seen.
`langdetect` may be asked for a seeded second opinion on rows the model is unsure of: when it disagrees
the row becomes `und`.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.errors import Missing
from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.core.params import Params, decision, fill, place
from medcorpus.core.schema import with_columns
from medcorpus.core.stage import Map, Reason, Resources

UNDETERMINED = "und"
NO_LANGUAGE = "zxx"  # no linguistic content
SHIPPED = "medcorpus"
_LABELS = 12  # looked at in a row: enough for all that a model splits one language into


class LangidParams(Params):
    """What `langid` may be told."""

    model: str = place(
        SHIPPED, description="`medcorpus` for the shipped model, or the path of a fastText file (lid.176, GlotLID)."
    )
    labels: Literal["lid176", "sib200"] | None = Field(
        None, description="Whose labels the model speaks, where an alias means different things (`als`)."
    )
    und_below: float = Field(0.3, ge=0, le=1, description="Below this score the language is `und`.")
    second_opinion: Literal["none", "langdetect"] = Field(
        "none", description="Ask another identifier about unsure rows; disagreement makes `und`."
    )
    unsure_below: float = Field(0.7, ge=0, le=1, description="Rows below this score get the second opinion.")
    min_score: float = decision(0.5, ge=0, le=1, description="Below this score a row is `wrong_language`.")
    sure: float = decision(0.7, ge=0, le=1, description="From this score on, a contradicted label is `mislabelled`.")


def _wrong_language(batch: pa.RecordBatch, params: LangidParams, languages: tuple[str, ...]) -> pa.Array:
    wanted = pc.is_in(batch["language"], pa.array(languages, pa.string()))
    unsure = pc.less(pc.fill_null(batch["language_score"], 0.0), params.min_score)
    return pc.or_(pc.invert(wanted), unsure)


def _mislabelled(batch: pa.RecordBatch, params: LangidParams, _: tuple[str, ...]) -> pa.Array:
    differs = pc.not_equal(batch["langid_declared"], batch["language"])
    known = pc.and_(pc.not_equal(batch["language"], UNDETERMINED), pc.not_equal(batch["langid_declared"], UNDETERMINED))
    return pc.and_(pc.and_(differs, known), pc.greater_equal(batch["language_score"], params.sure))


class Langid(Map):
    """Writes `language`, `script`, `language_score`; keeps what was declared."""

    name, version, Params = "langid", 1, LangidParams
    compiles = True
    resources = Resources(memory_mb=600)  # model, tables and compiled kernels 190; a row of 32 MB in parts (NFD) 230
    reads = ("text", "language")
    writes = (
        pa.field("language", pa.string()),
        pa.field("script", pa.string()),
        pa.field("language_score", pa.float32()),
        pa.field("langid_declared", pa.string()),
        pa.field("langid_second", pa.string()),
    )
    reasons = {
        "wrong_language": Reason(
            "not one of the recipe's languages, or not surely so",
            _wrong_language, ("min_score",), languages=True, score="language_score",
        ),
        "mislabelled": Reason(
            "the source's own label names another language", _mislabelled, ("sure",), score="language_score"
        ),
    }  # fmt: skip

    def _path(self) -> Path:
        from medcorpus.text.lid import shipped_model

        if self.params.model == SHIPPED:
            return shipped_model()
        path = Path(self.context.root) / fill(self.params.model)
        if not path.is_file():
            raise Missing(f"langid: there is no model file {path}; use `model: {SHIPPED}` or put the file there")
        return path

    def resource_digests(self) -> dict[str, str]:
        """The model, what its texts go through first, and what its labels stand for decide what is written."""
        from medcorpus.text.lid import digests

        return digests(self._path()) | {"languages": registry().digest}

    def open(self) -> None:
        """Load the model and its kernels, and look up what each of its labels stands for."""
        from medcorpus.text.lid import Model
        from medcorpus.text.lid_line import SCRIPTS

        self._model = Model(self._path())
        self._model.predict_array(pa.array([""]))
        known = [self._code(label) for label in self._model.labels]
        known += [(UNDETERMINED, None)] * 2  # where NOTHING_KNOWN and NO_LETTERS, -2 and -1, lead
        codes = sorted({code for code, _ in known})
        scripts = sorted({script for _, script in known if script} | set(SCRIPTS[1:]))
        self._codes, self._scripts = pa.array(codes), pa.array(scripts)
        self._undetermined = codes.index(UNDETERMINED)
        self._code_of = np.array([codes.index(code) for code, _ in known])
        self._script_of = np.array([scripts.index(script) if script else -1 for _, script in known])
        self._script_seen = np.array([-1] + [scripts.index(script) for script in SCRIPTS[1:]])

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score every row by its whole text."""
        from medcorpus.text.lid_line import scripts

        texts = batch["text"]
        labels, scores = self._model.predict_array(texts, k=_LABELS)
        code, script, score = self._best(labels, scores)
        code[score < self.params.und_below] = self._undetermined
        second = pa.nulls(batch.num_rows, pa.string())
        if self.params.second_opinion == "langdetect":
            unsure = score < self.params.unsure_below
            others = [second_opinion(text or "") for text in texts.filter(pa.array(unsure)).to_pylist()]
            second = pc.replace_with_mask(second, pa.array(unsure), pa.array(others, pa.string()))
            agrees = pc.equal(second, self._codes.take(pa.array(code)))
            code[unsure & ~pc.fill_null(agrees, False).to_numpy(zero_copy_only=False)] = self._undetermined
        look = np.flatnonzero((code == self._undetermined) | (script < 0))
        script[look] = self._script_seen[scripts(texts.take(pa.array(look)))]
        return with_columns(
            batch,
            {
                "language": self._codes.take(pa.array(code)),
                "script": self._scripts.take(pa.array(script, mask=script < 0)),
                "language_score": pa.array(score, pa.float32()),
                "langid_declared": batch["language"],
                "langid_second": second,
            },
        )

    def _best(self, labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Language, script (-1: not said) and score of each row: the sum over all labels of that language.

        A model that knows ten sorts of Arabic is sure of none of them, yet sure that it is Arabic.
        """
        codes = self._code_of[labels]
        sums = np.zeros(codes.shape)
        for other in range(codes.shape[1]):
            sums += (codes == codes[:, other : other + 1]) * scores[:, other : other + 1].astype(np.float64)
        rows, best = np.arange(len(codes)), sums.argmax(axis=1)
        return codes[rows, best], self._script_of[labels[rows, best]], np.minimum(sums[rows, best], 1.0)

    def _code(self, label: str) -> tuple[str, str | None]:
        """Language and script behind a label of the model.

        A label that the registry does not know becomes `und`: foreign models have 2,000 of them.
        """
        try:
            code, script = registry().label(label, self.params.labels)
        except UnknownLanguage:
            code = UNDETERMINED
        return (UNDETERMINED, None) if code in (UNDETERMINED, NO_LANGUAGE) else (code, script)


def second_opinion(text: str) -> str:
    """What langdetect says, seeded so that the same text always gets the same answer; `und` if nothing."""
    from langdetect import DetectorFactory, LangDetectException, detect

    DetectorFactory.seed = 0
    try:
        return registry().normalise(detect(text[:4000]), "langdetect")
    except (LangDetectException, UnknownLanguage):
        return UNDETERMINED
