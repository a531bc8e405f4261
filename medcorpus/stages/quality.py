"""`quality`: how much of a text is prose, in figures that mean the same in every script.

It measures only (`text.measures` says how each figure is defined) and drops nothing; `select` does, for

    too_short    fewer words than `min_words`
    low_quality  any other limit passed

The defaults keep short medical texts: an exam question, a leaflet, a line of a dose table. They let go what
a page leaves behind besides its text: menus, style sheets, base64, rows of symbols, a line printed thirty
times. Figures about repetition say nothing about a few words, where one word in three is the most frequent
one by nature; those limits hold from `repetition_from` words on. A limit of null is off. A row without text
is measured as empty.

What is a word in Chinese, Japanese, Thai, Lao, Khmer, Burmese and other scripts without blanks, `words` says:

    fast        every 2 characters of Han and kana, every 4 of the others: near the mean, needs nothing, costs nothing
    segmented   real words, from the dictionaries of ICU (`pip install 'medcorpus[segment]'`; 5 to 18 MB/s there, other
                scripts as fast as ever); Tibetan by syllables, Yi, Javanese and Lanna by characters with their marks
    graphemes   every character with its marks is a word

Library and version are part of the step's key. Limits on words and their mean length then mean what they say there;
those of the published rules below keep the words they were published with.

The rules that large corpora were made with are there too, complete and with their published limits, as columns
(`text.rules`) and as a reason each

    gopher_repetition, gopher_quality, c4, c4_open (C4 without its rule about the ends of lines), fineweb

`measure: own` or `measure: published` takes about half the time: the figures of the others are null, and a `select` for
their reasons is refused.

They were made for English web pages: they drop most exam questions, leaflets and sentences in other languages.
`calibration: shipped` widens them by language, from edited prose in the 50 languages and some 370 more, and counts the
stop words of the language; `calibration: limits.json` takes a file of `medcorpus calibrate quality`; `none` leaves
them as published, when Gopher's stop words count only where the language is English or not known. Limits by language
belong to the key of `select`, stop words to that of this step. `limits: {gopher_words: [20, null]}` sets another least
and most in all languages, before either. A limit that can never fire is refused; null switches one off.
"""

from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from medcorpus.core.errors import RecipeError
from medcorpus.core.params import Params, decision
from medcorpus.core.schema import with_columns
from medcorpus.core.stage import Map, Reason
from medcorpus.text.rules import calibration
from medcorpus.text.rules.checks import limit_problems, range_problem
from medcorpus.text.rules.published import FIGURES, PUBLISHED, SHORT

NONE, SHIPPED = "none", "shipped"


class QualityParams(Params):
    """Limits, but for `words`, which changes columns."""

    words: Literal["fast", "segmented", "graphemes"] = Field(
        "fast", description="words of scripts without blanks: every 2 or 4 characters, ICU's, or every character"
    )
    measure: Literal["all", "own", "published"] = Field(
        "all", description="only our own figures, or only those of the published rules; the others are null"
    )
    min_words: int | None = decision(4, ge=0, description="fewest words (see `words`)")
    min_letter_ratio: float | None = decision(
        0.2, ge=0, le=1, description="smallest share of letters and marks in what is no space"
    )
    max_digit_ratio: float | None = decision(0.5, ge=0, le=1, description="largest share of digits")
    max_symbol_ratio: float | None = decision(
        0.2, ge=0, le=1, description="largest share of symbols (+ = < | # * @ { } ...; not punctuation)"
    )
    max_mean_word_length: float | None = decision(20.0, gt=0, description="longest mean word, in characters")
    max_longest_run: int | None = decision(200, ge=1, description="longest run of one character")
    max_braced: float | None = decision(
        0.3, ge=0, le=1, description="largest share of text between { and } (style sheets, scripts, JSON)"
    )
    max_duplicate_lines: float | None = decision(
        0.3, ge=0, le=1, description="largest share of text in lines seen before in the same document"
    )
    max_top_word: float | None = decision(0.4, ge=0, le=1, description="largest share of the most frequent word")
    max_repeated_ngrams: float | None = decision(
        0.6, ge=0, le=1, description="largest share of text in groups of 5 words seen before"
    )
    max_menu: float | None = decision(
        0.6, ge=0, le=1, description="largest share of words in what looks like a menu (short items, bars of links)"
    )
    repetition_from: int = decision(30, ge=0, description="words from which the limits on repetition and menus hold")
    calibration: str = decision(
        NONE, description="published limits by language: `shipped`, `none`, or a file of `calibrate quality`"
    )
    limits: dict[str, tuple[float | None, float | None]] = decision(
        {}, description="least and most of a published rule's figure, in place of those of `calibration`"
    )

    @model_validator(mode="after")
    def _limits_that_can_fire(self) -> Self:
        problems = [f"limits: {problem}" for problem in limit_problems(self.limits)]
        for name in ("min_words", *_LIMITS):
            value = getattr(self, name)
            bounds = (value, None) if name.startswith("min_") else (None, value)
            if value is not None and (problem := range_problem(*bounds, *_POSSIBLE.get(name, (0, 1)))):
                problems.append(f"{name}: {problem}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


# limit -> (column, whether it holds only from `repetition_from` words on)
_LIMITS = {
    "min_letter_ratio": ("quality_letter_ratio", False),
    "max_digit_ratio": ("quality_digit_ratio", False),
    "max_symbol_ratio": ("quality_symbol_ratio", False),
    "max_mean_word_length": ("quality_mean_word_length", False),
    "max_longest_run": ("quality_longest_run", False),
    "max_braced": ("quality_braced", False),
    "max_duplicate_lines": ("quality_duplicate_lines", True),
    "max_top_word": ("quality_top_word", True),
    "max_repeated_ngrams": ("quality_repeated_ngrams", True),
    "max_menu": ("quality_menu", True),
}
_ROW = 32 * 2**20  # bytes, the longest row
_POSSIBLE = {"min_words": (0, _ROW), "max_mean_word_length": (0, 100), "max_longest_run": (0, _ROW)}  # others: 0 to 1


def _beyond(batch: pa.RecordBatch, name: str, limit: float) -> pa.Array:
    """Rows on the wrong side of a limit, compared in the column's own type: 0.3 is not above 0.3."""
    column = batch.column(_LIMITS[name][0])
    compare = pc.less if name.startswith("min_") else pc.greater
    return compare(column, pa.scalar(limit, column.type))


def _too_short(batch: pa.RecordBatch, params: QualityParams, languages: tuple[str, ...]) -> pa.Array:
    if params.min_words is None:
        return pa.repeat(pa.scalar(False), batch.num_rows)
    return pc.less(batch.column("quality_words"), params.min_words)


def _low_quality(batch: pa.RecordBatch, params: QualityParams, languages: tuple[str, ...]) -> pa.Array:
    drops = pa.repeat(pa.scalar(False), batch.num_rows)
    enough = pc.greater_equal(batch.column("quality_words"), params.repetition_from)
    for name, (_, repetition) in _LIMITS.items():
        limit = getattr(params, name)
        if limit is not None:
            beyond = _beyond(batch, name, limit)
            drops = pc.or_(drops, pc.and_(beyond, enough) if repetition else beyond)
    return drops


def _outside(batch: pa.RecordBatch, params: QualityParams, languages: tuple[str, ...], rules: str) -> pa.Array:
    """Rows outside a limit of the rule set `rules`, that of their language where there is one."""
    bound = _bound(params.calibration, rules)
    codes = batch.column("language").dictionary_encode()
    known = [*codes.dictionary.to_pylist(), None]
    at = codes.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
    by_language = [calibration.limits_for(bound, code) if bound else {} for code in known]
    enough = batch.column("quality_gopher_words").to_numpy(zero_copy_only=False) >= (
        bound["from_words"] if bound else 0
    )
    drops = np.zeros(batch.num_rows, bool)
    for name, published in PUBLISHED[rules].items():
        limits = [params.limits.get(name, found.get(name, published)) for found in by_language]
        if name == "gopher_stop_words":
            asked = (*bound["listed"],) if bound else ("eng", None)
            limits = [limit if code in asked else (None, None) for limit, code in zip(limits, known, strict=True)]
        least, most = (
            np.array([off if limit[side] is None else limit[side] for limit in limits], np.float32)[at]
            for side, off in ((0, -np.inf), (1, np.inf))
        )
        values = batch.column(f"quality_{name}").to_numpy(zero_copy_only=False)
        beyond = (values < least) | (values > most)
        drops |= beyond if name in SHORT else beyond & enough
    return pa.array(drops)


def _bound(given: Any, rules: str) -> dict[str, Any] | None:
    """What `calibration` says of a rule set: None as published, or what `limits_of` put in its place."""
    if given == NONE or isinstance(given, dict):
        return None if given == NONE else given
    return _read(given).only(rules)


def _read(given: str, root: str = ".") -> calibration.Calibration:
    return calibration.shipped() if given == SHIPPED else calibration.read(Path(root) / given)


_RULES = {
    "gopher_repetition": "a limit of Gopher on repeated lines, paragraphs and n-grams (Rae et al. 2021)",
    "gopher_quality": "a limit of Gopher on words, symbols, bullets and stop words (Rae et al. 2021)",
    "c4": "C4: too few sentences in lines that end as one, or lorem ipsum or { (Raffel et al. 2020)",
    "c4_open": "C4 without the rule on the ends of lines, as FineWeb uses it",
    "fineweb": "a limit of FineWeb on lines: ends, length, duplicates, number (Penedo et al. 2024)",
}


class Quality(Map):
    """Adds the figures of `text.measures` and `text.rules` as columns."""

    name, version = "quality", 4
    compiles = True
    Params = QualityParams
    reads = ("text", "language")
    writes = (
        pa.field("quality_chars", pa.int32()),
        pa.field("quality_letters", pa.int32()),
        pa.field("quality_words", pa.int32()),
        pa.field("quality_letter_ratio", pa.float32()),
        pa.field("quality_digit_ratio", pa.float32()),
        pa.field("quality_symbol_ratio", pa.float32()),
        pa.field("quality_mean_word_length", pa.float32()),
        pa.field("quality_longest_run", pa.int32()),
        pa.field("quality_braced", pa.float32()),
        pa.field("quality_duplicate_lines", pa.float32()),
        pa.field("quality_top_word", pa.float32()),
        pa.field("quality_repeated_ngrams", pa.float32()),
        pa.field("quality_menu", pa.float32()),
        *(pa.field(f"quality_{name}", pa.float32()) for name in FIGURES),
    )
    reasons = {
        "too_short": Reason("fewer words than min_words", _too_short, ("min_words",), score="quality_words"),
        "low_quality": Reason(
            "too few letters, too many digits or symbols, code, or repetition",
            _low_quality,
            (*_LIMITS, "repetition_from"),
        ),
        **{
            name: Reason(said, partial(_outside, rules=name), ("calibration", "limits"), usual=False)
            for name, said in _RULES.items()
        },
    }

    @classmethod
    def limits_of(cls, reason: str, params: dict[str, Any], root: str) -> dict[str, Any]:
        """With the limits that `calibration` names, so that a `select` hangs on them and not on where they lie.

        Raises RecipeError for a reason whose figures `measure` leaves out.
        """
        if params.get("measure", "all") not in ("all", "published" if reason in _RULES else "own"):
            raise RecipeError(f"measure: {params['measure']} leaves out what the reason '{reason}' looks at")
        found = super().limits_of(reason, params, root)
        if found.get("calibration", NONE) != NONE:
            found["calibration"] = _read(found["calibration"], root).only(reason)
        return found

    def _stop_words(self) -> dict[str, list[str]]:
        """By language; Gopher's English ones when nothing else is asked for."""
        if self.params.calibration == NONE:
            return {}
        return _read(self.params.calibration, self.context.root).stop_words

    def resource_digests(self) -> dict[str, str]:
        """Stop words decide what a column holds; so does what cuts words, when a library does."""
        digests = {}
        if self.params.calibration != NONE:
            digests["stop_words"] = _read(self.params.calibration, self.context.root).stop_words_digest
        if self.params.words == "segmented":
            from medcorpus.text.segment import words

            digests["words"] = words.name()
        return digests

    @cached_property
    def _stops(self) -> tuple[np.ndarray, dict[str | None, int], int]:
        """(lists for the kernel, the list of a language, the list of other ones).

        The first list is English, asked as well of text whose language is not known; the second is empty.
        """
        from medcorpus.text.rules.words import STOP_WORDS, stop_table

        listed = self._stop_words()
        places = {code: at + 2 for at, code in enumerate(listed)} | {"eng": 0, None: 0}
        return stop_table([listed.get("eng", STOP_WORDS), [], *listed.values()]), places, 1 if listed else 0

    def open(self) -> None:
        """Load the kernels and the stop words."""
        from medcorpus.text.rules import figures

        self._counts(pa.array(["warm"]))
        figures.counts(pa.array(["warm"]), self._stops[0])

    def _counts(self, texts: pa.Array) -> dict[str, Any]:
        from medcorpus.text import measures

        if self.params.words == "fast":
            return measures.counts(texts)
        from medcorpus.text.segment import words

        return measures.counts(texts, words.breaks(texts, dictionary=self.params.words == "segmented"))

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`batch` with the columns of `writes`."""
        from medcorpus.text import measures
        from medcorpus.text.rules import figures

        found: dict[str, Any] = {}
        if self.params.measure != "published":
            found = self._counts(batch.column("text"))
            found |= measures.shares(found)
        if self.params.measure != "own":
            found |= figures.figures(figures.counts(batch.column("text"), *self._listed(batch)))
        made = {field: found.get(field.name.removeprefix("quality_")) for field in self.writes}
        return with_columns(
            batch,
            {
                field.name: (
                    field,
                    pa.nulls(batch.num_rows, field.type) if values is None else pa.array(values).cast(field.type),
                )
                for field, values in made.items()
            },
        )

    def _listed(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Lists of stop words, and which of them is that of a row."""
        stops, places, other = self._stops
        codes = batch.column("language").dictionary_encode()
        lists = [places.get(code, other) for code in (*codes.dictionary.to_pylist(), None)]
        return stops, np.array(lists, np.int64)[codes.indices.fill_null(len(lists) - 1).to_numpy(zero_copy_only=False)]
