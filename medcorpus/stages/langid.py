"""Tell language and script of each row, or say `und`: never a guess.

The model is ours (see `models/medcorpus-langid-2.md`), `lid176`, `glotlid`, or any fastText file given by path;
or `langdetect`, which is slow. With `ensemble` several are asked about every row: the language that most of them name
wins, and where no two agree the row is `und`. The label a source came with stays in `langid_declared`, so that lies
can be seen. `langdetect` may also be asked for a seeded second opinion on rows the model is unsure of: when it
disagrees the row becomes `und`.

Of a long text its beginning and its end are read first: where they agree and each is sure, that is the answer, else
the whole is read (`whole: true` reads it always; on real documents of more than 200 characters the two ways agree on
99.7%, and the first takes a quarter of the time). Where they may be in unrelated languages, and two pieces of the text
surely are, it is `mixed`. English abbreviations in Chinese or Arabic, or Danish that reads like Norwegian, do
not make a text mixed. A line full of the marks of code or data (`"comment": "",`) is `und`, whatever its words.
"""

from importlib.metadata import version
from logging import WARNING
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.errors import Missing, nearest
from medcorpus.core.languages import UnknownLanguage, registry
from medcorpus.core.log import event
from medcorpus.core.params import Params, decision, fill, place
from medcorpus.core.schema import with_columns
from medcorpus.core.stage import Map, Reason, Resources

if TYPE_CHECKING:
    from medcorpus.text.lid.model import Model

UNDETERMINED = "und"
NO_LANGUAGE = "zxx"  # no linguistic content
SHIPPED = "medcorpus"
MIXED = "mixed"
LANGDETECT = "langdetect"
FILES = {"lid176": ("lid.176.bin", "lid.176.ftz"), "glotlid": ("glotlid.bin", "model_v3.bin", "model.bin")}
SOURCES = {"lid176": "fasttext.cc, Joulin et al. 2017", "glotlid": "cis-lmu/glotlid on the Hub, Kargaran et al. 2023"}
_PIECES, _PIECE, _SURE = 4, 200, 0.95  # of a text of at least so many bytes together; sure of a piece
_SAMPLE, _SAMPLED, _LONG, _AGREED = 2, 160, 1024, 0.7  # pieces of so many bytes, of texts of so many; sure of each
_LABELS = 12  # looked at in a row: enough for all that a model splits one language into


class LangidParams(Params):
    """What `langid` may be told."""

    model: str = place(
        SHIPPED,
        description="`medcorpus` for the shipped model, `lid176`, `glotlid`, `langdetect`, or a fastText file.",
    )
    ensemble: tuple[str, ...] = place((), description="More models to ask about every row; most of all must agree.")
    whole: bool = Field(False, description="Read the whole of every text, also where pieces of it agree.")
    mixed: bool = Field(True, description="Say `mixed` where sure parts of a long text are in unrelated languages.")
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

    name, version, Params = "langid", 6, LangidParams
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

    def _path(self, model: str) -> Path:
        from medcorpus.text.lid.model import shipped_model

        if model == SHIPPED:
            return shipped_model()
        if model in FILES:
            folder = Path(self.context.state or Path.home() / ".cache" / "medcorpus") / "models"
            found = [folder / name for name in FILES[model] if (folder / name).is_file()]
            if not found:
                raise Missing(f"langid: put {' or '.join(FILES[model])} ({SOURCES[model]}) into {folder}")
            return found[0]
        path = Path(self.context.root) / fill(model)
        if not path.is_file():
            raise Missing(
                f"langid: there is no model file {path}{nearest(model, [SHIPPED, *FILES, LANGDETECT])}; "
                f"use `model: {SHIPPED}` or put the file there"
            )
        return path

    def _names(self) -> tuple[str, ...]:
        return (self.params.model, *self.params.ensemble)

    def resource_digests(self) -> dict[str, str]:
        """The models, and what their texts go through first, decide what is written."""
        from hashlib import blake2b, file_digest

        from medcorpus.text.lid.model import AS_IT_IS, OWN_PREFIX
        from medcorpus.text.lid.normal import NORMALISE_VERSION

        digests = {}
        for number, name in enumerate(self._names()):
            at = str(number or "")
            if name == LANGDETECT:
                digests[f"model{at}"] = f"{LANGDETECT} {version(LANGDETECT)}"
                continue
            path = self._path(name)
            with path.open("rb") as stream:
                digests[f"model{at}"] = file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest()
            digests[f"normalise{at}"] = str(NORMALISE_VERSION) if path.name.startswith(OWN_PREFIX) else AS_IT_IS
        return digests

    def open(self) -> None:
        """Load the models and their kernels, and look up what each of their labels stands for."""
        from medcorpus.text.lid.line import SCRIPTS
        from medcorpus.text.lid.model import Model

        models = [None if name == LANGDETECT else Model(self._path(name)) for name in self._names()]
        known: list[list[tuple[str, str | None]]] = []
        for name, model in zip(self._names(), models, strict=True):
            labels = self.params.labels or ("lid176" if name == "lid176" else None)
            found = [(lang.code, None) for lang in registry()] if model is None else [
                self._code(label, labels) for label in model.labels
            ]  # fmt: skip
            if model is not None:
                self._check_labels(model, [code for code, _ in found])
            known.append([*found, (UNDETERMINED, None), (UNDETERMINED, None)])  # NOTHING_KNOWN and NO_LETTERS: -2, -1
            if model is not None:
                model.predict_array(pa.array([""]))
        codes = sorted({code for found in known for code, _ in found} | {MIXED})
        scripts = sorted({script for found in known for _, script in found if script} | set(SCRIPTS[1:]))
        self._codes, self._scripts = pa.array(codes), pa.array(scripts)
        self._undetermined, self._mixed = codes.index(UNDETERMINED), codes.index(MIXED)
        self._voters = [
            (
                model,
                np.array([codes.index(code) for code, _ in found]),
                np.array([scripts.index(script) if script else -1 for _, script in found]),
            )
            for model, found in zip(models, known, strict=True)
        ]
        self._script_seen = np.array([-1] + [scripts.index(script) for script in SCRIPTS[1:]])
        kin = [f"{one.family}/{one.branch}" if (one := registry().get(code)) else code for code in codes]
        self._kin = np.unique(kin, return_inverse=True)[1]

    def warm(self) -> None:
        """What is asked only of long texts, of those in parts, and of those that the model does not know."""
        from medcorpus.text.composing import composed
        from medcorpus.text.lid.code import is_code
        from medcorpus.text.lid.line import scripts
        from medcorpus.text.pieces import pieces

        composed(pa.array(["e\u0301"]))  # first: by when `dedup` and `domain` want it, it is there
        is_code(pa.array(["warm"]))
        scripts(pieces(pa.array(["warm"]), 1, 1)[0])

    def _check_labels(self, model: "Model", codes: list[str]) -> None:
        """Refuse a model none of whose labels is a language; tell of those that we do not know, which become `und`."""
        unknown = [
            label
            for label, code in zip(model.labels, codes, strict=True)
            if code == UNDETERMINED and not label.startswith((UNDETERMINED, NO_LANGUAGE))
        ]
        if not unknown:
            return
        try:
            registry().normalise(unknown[0])
        except UnknownLanguage as error:
            told = f"{len(unknown):,} of the {len(codes):,} labels of {model.path.name} are not known: {error}"
            if len(unknown) == len(codes):
                raise Missing(f"langid: {model.path} is no language model: {told}") from None
            event(f"langid: {told}; they become `und`", WARNING)

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Score every row by its text."""
        from medcorpus.text.lid.code import is_code
        from medcorpus.text.lid.line import scripts

        texts = batch["text"]
        said = [self._read(which, texts) for which in range(len(self._voters))]
        code, script, score = self._vote([one[:3] for one in said])
        marked = is_code(texts)
        code[marked], score[marked] = self._undetermined, 1.0  # as sure as of a text without letters
        code[score < self.params.und_below] = self._undetermined
        second = pa.nulls(batch.num_rows, pa.string())
        if self.params.second_opinion == "langdetect":
            unsure = score < self.params.unsure_below
            others = [second_opinion(text or "") for text in texts.filter(pa.array(unsure)).to_pylist()]
            second = pc.replace_with_mask(second, pa.array(unsure), pa.array(others, pa.string()))
            agrees = pc.equal(second, self._codes.take(pa.array(code)))
            code[unsure & ~pc.fill_null(agrees, False).to_numpy(zero_copy_only=False)] = self._undetermined
        if self.params.mixed:  # last: of two languages at once no model is sure
            apart = np.flatnonzero(said[0][3])
            code[apart[self._is_mixed(texts.take(pa.array(apart)))]] = self._mixed
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

    def _read(self, which: int, texts: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What `_ask` says of each row, of its two ends where they agree; and whether those may be unrelated."""
        from medcorpus.text.pieces import pieces

        apart = np.ones(len(texts), np.bool_)
        lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
        long = np.flatnonzero(lengths >= _LONG)
        whole = self.params.whole or self._voters[which][0] is None
        if not len(long) or (whole and not (self.params.mixed and which == 0)):
            return *self._ask(which, texts), apart
        found, _ = pieces(texts.take(pa.array(long)), _SAMPLE, _SAMPLED)
        ends = [part.reshape(-1, _SAMPLE) for part in self._ask(which, found)]
        code, _, score = ends
        known = (code != self._undetermined).all(1)
        apart[long] = ~known | (self._kin[code[:, 0]] != self._kin[code[:, 1]])
        if whole:
            return *self._ask(which, texts), apart
        agreed = known & (code[:, 0] == code[:, 1]) & (score.min(1) >= _AGREED)
        rest = np.delete(np.arange(len(texts)), long[agreed])
        read = self._ask(which, texts.take(pa.array(rest)))
        parts = [np.empty(len(texts), part.dtype) for part in read]
        for part, of_rest, of_ends in zip(parts, read, ends, strict=True):
            part[rest] = of_rest
            part[long[agreed]] = of_ends[agreed].mean(axis=1) if of_ends is score else of_ends[agreed, 0]
        return *parts, apart

    def _ask(self, which: int, texts: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Language, script (-1: not said) and score of each row, as one of the models sees it."""
        model, code_of, script_of = self._voters[which]
        if model is None:
            said = [second_opinion(text or "") for text in texts.to_pylist()]
            code = pc.index_in(pa.array(said, pa.string()), self._codes).fill_null(self._undetermined).to_numpy().copy()
            return code, np.full(len(said), -1), (code != self._undetermined).astype(np.float64)
        return self._best(*model.predict_array(texts, k=_LABELS), code_of, script_of)

    def _best(
        self, labels: np.ndarray, scores: np.ndarray, code_of: np.ndarray, script_of: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each row the language whose labels score most together.

        A model that knows ten sorts of Arabic is sure of none of them, yet sure that it is Arabic.
        """
        codes = code_of[labels]
        sums = np.zeros(codes.shape)
        for other in range(codes.shape[1]):
            sums += (codes == codes[:, other : other + 1]) * scores[:, other : other + 1].astype(np.float64)
        rows, best = np.arange(len(codes)), sums.argmax(axis=1)
        return codes[rows, best], script_of[labels[rows, best]], np.minimum(sums[rows, best], 1.0)

    def _vote(self, said: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What most models say, the first of them winning a draw; its score is that of all, nought from the others."""
        if len(said) == 1:
            return said[0]
        codes, scripts, scores = (np.stack(part, 1) for part in zip(*said, strict=True))
        same = codes[:, :, None] == codes[:, None, :]
        votes = same.sum(2) - (codes == self._undetermined) * codes.shape[1]
        rows, best = np.arange(len(codes)), votes.argmax(axis=1)
        code = np.where(votes[rows, best] >= 2, codes[rows, best], self._undetermined)
        agree = same[rows, best]
        return code, scripts[rows, best], (scores * agree).sum(1) / codes.shape[1]

    def _is_mixed(self, texts: pa.Array) -> np.ndarray:
        """Rows of which two pieces are surely in languages of different branches."""
        from medcorpus.text.pieces import pieces

        found, rows = pieces(texts, _PIECES, _PIECE)
        mixed = np.zeros(len(texts), np.bool_)
        if len(rows):
            code, _, score = self._ask(0, found)
            code = np.where((score >= _SURE) & (code != self._undetermined), code, -1).reshape(-1, _PIECES)
            kin = np.where(code >= 0, self._kin[code], -1)
            most = kin.max(axis=1)
            least = np.where(kin < 0, np.iinfo(np.int64).max, kin).min(axis=1)
            mixed[rows] = (most >= 0) & (least != most) & (least <= most)
        return mixed

    def _code(self, label: str, labels: str | None) -> tuple[str, str | None]:
        """Language and script behind a label of the model.

        A label that the registry does not know becomes `und`: foreign models have 2,000 of them.
        """
        try:
            code, script = registry().label(label, labels)
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
