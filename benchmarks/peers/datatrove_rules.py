"""Every rule of datatrove's filters alone, text by text: TEXTS OUT [LINES].

TEXTS: parquet with id, text, language (as datatrove names it) and tokens (lists of strings). LINES: parquet with line
and tokens of every line of the texts, stripped and without citations. With it `tokens` are the words, and sentences are
what spaCy's sentencizer makes of them; without it datatrove cuts both itself. OUT: parquet with id and a column for
each rule, true where it drops the text; c4_lines and c4_open_lines are the number of lines that C4's rules leave, null
where they drop the whole text.
"""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import spacy
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    c4_filters,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)
from spacy.tokens import Doc

REPETITION = {"dup_line_frac": 0, "dup_para_frac": 0, "dup_line_char_frac": 0, "dup_para_char_frac": 0, "top_n_grams": (), "dup_n_grams": ()}  # fmt: skip # noqa: E501
QUALITY = dict.fromkeys(
    ("min_doc_words", "max_doc_words", "min_avg_word_length", "max_avg_word_length", "max_symbol_word_ratio",
     "max_bullet_lines_ratio", "max_ellipsis_lines_ratio", "max_non_alpha_words_ratio", "min_stop_words")
)  # fmt: skip
FINEWEB = {"line_punct_thr": 0, "short_line_thr": 2, "char_duplicates_ratio": 2, "new_line_ratio": 1e9}


def rules(language: str) -> dict:
    """Name of our figure -> the filter with only that rule."""

    def repetition(**rule):
        return GopherRepetitionFilter(**REPETITION | rule, language=language)

    def quality(**rule):
        return GopherQualityFilter(**QUALITY | rule, language=language)

    def fineweb(**rule):
        return FineWebQualityFilter(**FINEWEB | rule, language=language)

    tops, repeats = (
        {2: 0.2, 3: 0.18, 4: 0.16},
        dict(zip(range(5, 11), (0.15, 0.14, 0.13, 0.12, 0.11, 0.10), strict=True)),
    )
    return {
        "gopher_duplicate_lines": repetition(dup_line_frac=0.3),
        "gopher_duplicate_paragraphs": repetition(dup_para_frac=0.3),
        "gopher_duplicate_line_chars": repetition(dup_line_char_frac=0.2),
        "gopher_duplicate_paragraph_chars": repetition(dup_para_char_frac=0.2),
        **{f"gopher_top_{n}_gram": repetition(top_n_grams=((n, limit),)) for n, limit in tops.items()},
        **{f"gopher_duplicate_{n}_grams": repetition(dup_n_grams=((n, limit),)) for n, limit in repeats.items()},
        "gopher_words": quality(min_doc_words=50, max_doc_words=100_000),
        "gopher_word_length": quality(min_avg_word_length=3, max_avg_word_length=10),
        "gopher_hashes, gopher_ellipses": quality(max_symbol_word_ratio=0.1),
        "gopher_bullet_lines": quality(max_bullet_lines_ratio=0.9),
        "gopher_ellipsis_lines": quality(max_ellipsis_lines_ratio=0.3),
        "gopher_alpha_words": quality(max_non_alpha_words_ratio=0.8),
        "gopher_stop_words": quality(min_stop_words=2),
        "c4_lines": LinesLeft(min_num_sentences=-1, language=language),
        "c4_open_lines": LinesLeft(min_num_sentences=-1, filter_no_terminal_punct=False, language=language),
        "c4_banned": C4QualityFilter(min_num_sentences=-1, language=language),
        "c4_open_banned": C4QualityFilter(min_num_sentences=-1, filter_no_terminal_punct=False, language=language),
        "c4_sentences": C4QualityFilter(filter_lorem_ipsum=False, filter_curly_bracket=False, language=language),
        "c4_open_sentences": C4QualityFilter(
            filter_no_terminal_punct=False, filter_lorem_ipsum=False, filter_curly_bracket=False, language=language
        ),
        "fineweb_ended_lines": fineweb(line_punct_thr=0.12),
        "fineweb_short_lines": fineweb(short_line_thr=0.67),
        "fineweb_duplicate_chars": fineweb(char_duplicates_ratio=0.01),
        "fineweb_newlines": fineweb(new_line_ratio=0.3),
    }


class LinesLeft(C4QualityFilter):
    """Says how many lines are left."""

    def filter(self, doc: Document) -> int | None:
        self.left = 0
        kept = super().filter(doc) is True
        return self.left if kept else None

    def stat_update(self, *names, **more) -> None:
        self.left += "line-kept" in names


def hand_over(rows: list[dict], lines: list[dict]) -> None:
    """Let the filters use the tokens that are given."""
    words = {row["text"]: row["tokens"] for row in rows}
    for module in (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
        module.split_into_words = lambda text, language: words[text]
    vocab, sentencizer = spacy.blank("xx").vocab, spacy.blank("xx").add_pipe("sentencizer")
    sentences = {row["line"]: list(sentencizer(Doc(vocab, row["tokens"])).sents) or [row["line"]] for row in lines}
    c4_filters.split_into_sentences = lambda line, language: sentences[line]


def main(texts: str, out: str, lines: str = "") -> None:
    rows = pq.read_table(texts).to_pylist()
    names = list(rules("eng"))
    made: dict[str, list] = {}
    filters: dict[str, dict] = {}
    for row in rows:
        if row["language"] not in filters:
            try:
                found = rules(row["language"])
                found["c4_sentences"].filter(Document(text="Enough words. For two.", id="0"))
            except Exception:  # no tokenizer, or one that needs more
                found = {}
            filters[row["language"]] = found
    if lines:
        hand_over(rows, pq.read_table(lines).to_pylist())
    for row in rows:
        made.setdefault("id", []).append(row["id"])
        for name in names:
            one = filters[row["language"]].get(name)
            said = one.filter(Document(text=row["text"], id=row["id"])) if one else None
            counted = said is None or isinstance(one, LinesLeft)
            made.setdefault(name, []).append(said if counted else said is not True)
        for lines_left, name in (("c4_lines", "c4_sentences"), ("c4_open_lines", "c4_open_sentences")):
            if made[lines_left][-1] is None:  # a text that is dropped for a phrase: nobody counts its sentences
                made[name][-1] = None
    pq.write_table(pa.table(made), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
