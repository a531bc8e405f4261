"""A fastText language model, and which of its labels a text may have at all.

The kernel (`lid.kernel`) runs models over the buffer of a column; the fasttext library is asked where it cannot.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, cached_property, partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from medcorpus.core.errors import Missing
from medcorpus.text.lid.normal import NORMALISE_VERSION, normalise, script_names, script_of

if TYPE_CHECKING:
    from medcorpus.text.lid.fasttext_file import FastTextFile
    from medcorpus.text.lid.weights import Weights

OWN_PREFIX = "medcorpus-langid"
"""File names of models that expect `normalise`; any other fastText file sees the text as it is."""

AS_IT_IS = "as it is, 1"
"""In place of a version of `normalise` for those others: of how scores are made, 1e-4 off those of fastText."""

NO_LANGUAGE = "zxx"
"""ISO 639-2 "no linguistic content": numbers, code, markup, or no letter at all."""

UNKNOWN = "und"
"""ISO 639-2 "undetermined": letters, but of a script or of n-grams that the model has never seen."""

NO_LETTERS, NOTHING_KNOWN = -1, -2
"""In place of a label's index: no letter at all; letters, yet of no script or no n-gram that the model knows."""


_MAY_BE = {
    "Hani": frozenset({"Hans", "Hant", "Jpan"}),
    "Hans": frozenset({"Hans", "Jpan"}),
    "Hant": frozenset({"Hant", "Jpan"}),
}


@cache
def allowed(script: str | None, labels: tuple[str, ...]) -> frozenset[str]:
    """The script gate: those of `labels` that may be said of a text whose letters are mostly in `script`.

    A text in Thai letters is in a language written in them. Latin letters prove nothing, for abbreviations and names
    are full of them in every language; so they allow every label, as does having no script. Nor can Han without kana
    tell Japanese from Chinese. A script that no label has allows none.
    """
    if script is None or script == script_names()[0]:
        return frozenset(labels)
    wanted = _MAY_BE.get(script, frozenset({script}))
    found = frozenset(label for label in labels if label.rpartition("_")[2] in wanted)
    if found and script == "Latn":
        return frozenset(labels)
    return found | (frozenset({NO_LANGUAGE}) & set(labels)) if found else found


class Model:
    """A fastText language model: ours, lid.176, GlotLID, or any other supervised file.

    `normalised` says whether texts pass `normalise` first (our own, told apart by `OWN_PREFIX`) or only
    have their line breaks folded. `digest` is the blake2b (32 hex digits) of the file. Raises Missing when
    there is no such file, or none that is a whole fastText model, or when the report beside one of ours (`.json`)
    says that it is of another file or wants another normal form.

    `predict` asks the fasttext library and is slow. `predict_array` runs the model itself, over the buffer of a
    column (`lid.kernel`), and says the same; only models of kinds that the kernel does not know go to the library.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise Missing(f"language model {self.path} is not there; leave `model` out to use the shipped one")
        self.normalised = self.path.name.startswith(OWN_PREFIX)
        with self.path.open("rb") as stream:
            self.digest = file_digest(stream, partial(blake2b, digest_size=16)).hexdigest()
        if self.normalised:
            self._check_report()
        self._file = self._read()
        names = self._file.labels if self._file else (label.removeprefix("__label__") for label in self._model.labels)
        self.labels = tuple(sorted(names))
        """All labels the model knows, without `__label__`, sorted."""

    def _check_report(self) -> None:
        """Refuse a file of ours that its report, where there is one, says to be another or to want other input."""
        place = self.path.with_suffix(".json")
        try:
            told = json.loads(place.read_bytes())
            digest, version = told.get("digest"), told.get("normalise_version")
        except FileNotFoundError:
            return
        except (ValueError, AttributeError):
            raise Missing(f"{place} is not the report of {self.path.name}: no JSON of `medcorpus fit langid`") from None
        if digest != self.digest:
            raise Missing(
                f"{place} is the report of another model file than {self.path.name} (digest {digest}, not"
                f" {self.digest}); take both from one place, or fit them again"
            )
        if version != NORMALISE_VERSION:
            raise Missing(
                f"{self.path} wants text in normal form {version}, and this medcorpus makes form {NORMALISE_VERSION};"
                " fit it again, or install the medcorpus that made it"
            )

    def _read(self) -> "FastTextFile | None":
        """What the kernel can run of the file, None when only the library can."""
        from medcorpus.text.lid.fasttext_file import NotSupported, check, read

        try:
            with suppress(NotSupported):
                return read(self.path)
            check(self.path)
        except ValueError as error:
            raise Missing(f"{self.path} is not a fastText model: {error}; fetch it or fit it again") from None
        return None

    @cached_property
    def _model(self) -> Any:
        # The class, not load_model(): that one prints a warning on every call in some releases.
        from fasttext.FastText import _FastText

        try:
            return _FastText(model_path=str(self.path))
        except ValueError as error:
            raise Missing(f"{self.path} is not a fastText model: {error}; fetch it or fit it again") from None

    @cached_property
    def _weights(self) -> "Weights | None":
        """What the kernel needs, None when it cannot run this model. Takes the place of the file as read."""
        if self._file is None:
            return None
        from medcorpus.text.lid.fasttext_file import NotSupported
        from medcorpus.text.lid.weights import weights

        file, self._file = self._file, None
        try:
            return weights(file, self.labels, self.normalised)
        except NotSupported:
            return None

    def prepare(self, text: str) -> str:
        """What the model is shown of `text`."""
        if self.normalised:
            return normalise(text)
        return " ".join(text.splitlines()).encode("utf-8", "replace").decode()

    def predict(self, texts: Sequence[str], k: int = 2) -> tuple[list[tuple[str, ...]], list[tuple[float, ...]]]:
        """The best `k` labels of each text, best first, and their probabilities in [0, 1].

        Rules before the model: no letter left after preparing -> (`zxx`,), (1.0,); our own model, and most
        letters in a script that none of its labels has -> (`und`,), (0.0,), where the model would answer
        anything, now and then with confidence. The same when it knows not one n-gram of the text. Of our own
        model only labels count that the script allows (`allowed`). Labels are raw, as the model's makers wrote them.
        """
        lines = [self.prepare(text) for text in texts]
        labels: list[tuple[str, ...]] = [(NO_LANGUAGE,)] * len(lines)
        scores: list[tuple[float, ...]] = [(1.0,)] * len(lines)
        asked, scripts = [], []
        for i, line in enumerate(lines):
            if not any(map(str.isalpha, line)):
                continue
            script = script_of(line) if self.normalised else None
            if not allowed(script, self.labels):
                labels[i], scores[i] = (UNKNOWN,), (0.0,)
            else:
                asked.append(i)
                scripts.append(script)
        if not asked:
            return labels, scores
        many = len(self.labels) if self.normalised else k
        rows = self._model.f.multilinePredict([lines[i] + "\n" for i in asked], many, 0.0, "strict")
        for i, script, names, numbers in zip(asked, scripts, *rows, strict=True):
            plain = [name.removeprefix("__label__") for name in names]
            may = allowed(script, self.labels)
            kept = [n for n, label in enumerate(plain) if label in may]
            whole = sum(_probability(numbers[n]) for n in kept) if len(kept) < len(plain) else 1.0
            labels[i] = tuple(plain[n] for n in kept[:k]) or (UNKNOWN,)
            scores[i] = tuple(_probability(_probability(numbers[n]) / (whole or 1.0)) for n in kept[:k]) or (0.0,)
        return labels, scores

    def predict_array(self, texts: pa.Array | pa.ChunkedArray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """`predict` for a string column: indexes into `labels` (int32[n, k]) and scores (float32[n, k]), best first.

        Two indexes are no labels: NO_LETTERS, score 1, and NOTHING_KNOWN, score 0, which also fills rows that have
        fewer than `k`. A null is the empty text.
        """
        if self._weights is not None:
            from medcorpus.text.lid.kernel import predict

            return predict(texts, self._weights, k)
        index = {NO_LANGUAGE: NO_LETTERS, UNKNOWN: NOTHING_KNOWN} | {name: i for i, name in enumerate(self.labels)}
        labels, scores = np.full((len(texts), k), NOTHING_KNOWN, np.int32), np.zeros((len(texts), k), np.float32)
        found = self.predict([text or "" for text in texts.to_pylist()], k)
        for row, (names, numbers) in enumerate(zip(*found, strict=True)):
            labels[row, : len(names)] = [index[name] for name in names]
            scores[row, : len(names)] = numbers
        return labels, scores


def _probability(value: float) -> float:
    """`value` within [0, 1]; fastText adds 1e-5 to each, and a quantised output can be NaN."""
    return min(float(value), 1.0) if value > 0 else 0.0


def digests(path: Path) -> dict[str, str]:
    """What decides the answers of a model: its file, and the version of `normalise` where it goes before it."""
    with path.open("rb") as stream:
        model = file_digest(stream, partial(blake2b, digest_size=16)).hexdigest()
    return {"model": model, "normalise": str(NORMALISE_VERSION) if path.name.startswith(OWN_PREFIX) else AS_IT_IS}


def shipped_model() -> Path:
    """Path of the model that comes with medcorpus (its card lies beside it)."""
    return Path(__file__).resolve().parents[2] / "models" / f"{OWN_PREFIX}-2.ftz"
