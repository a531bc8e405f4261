"""Names and published limits of the rules of Gopher, C4 and FineWeb. See `rules`, which computes the figures."""

FIGURES = {
    "gopher_duplicate_lines": ("duplicate_runs", "runs"),
    "gopher_duplicate_line_chars": ("duplicate_run_chars", "chars"),
    "gopher_duplicate_paragraphs": ("duplicate_paragraphs", "paragraphs"),
    "gopher_duplicate_paragraph_chars": ("duplicate_paragraph_chars", "chars"),
    **{f"gopher_top_{n}_gram": (f"top_{n}", "chars") for n in (2, 3, 4)},
    **{f"gopher_duplicate_{n}_grams": (f"repeated_{n}", "chars") for n in range(5, 11)},
    "gopher_words": ("words", ""),
    "gopher_word_length": ("word_chars", "words"),
    "gopher_hashes": ("hashes", "tokens"),
    "gopher_ellipses": ("ellipses", "tokens"),
    "gopher_bullet_lines": ("bullet_lines", "lines"),
    "gopher_ellipsis_lines": ("ellipsis_lines", "lines"),
    "gopher_alpha_words": ("alpha", "tokens"),
    "gopher_stop_words": ("stop_words", ""),
    "c4_sentences": ("c4_sentences", ""),
    "c4_lines": ("c4_lines", "lines"),
    "c4_banned": ("c4_banned", ""),
    "c4_open_sentences": ("c4_open_sentences", ""),
    "c4_open_lines": ("c4_open_lines", "lines"),
    "c4_open_banned": ("c4_open_banned", ""),
    "fineweb_ended_lines": ("ended_lines", "full_lines"),
    "fineweb_short_lines": ("short_lines", "full_lines"),
    "fineweb_duplicate_chars": ("duplicate_line_chars", "line_chars"),
    "fineweb_newlines": ("newlines", "tokens"),
}
"""figure -> (count, count that it is divided by; "": it is the count itself)."""

PUBLISHED: dict[str, dict[str, tuple[float | None, float | None]]] = {
    "gopher_repetition": {
        "gopher_duplicate_lines": (None, 0.30),
        "gopher_duplicate_paragraphs": (None, 0.30),
        "gopher_duplicate_line_chars": (None, 0.20),
        "gopher_duplicate_paragraph_chars": (None, 0.20),
        "gopher_top_2_gram": (None, 0.20),
        "gopher_top_3_gram": (None, 0.18),
        "gopher_top_4_gram": (None, 0.16),
        "gopher_duplicate_5_grams": (None, 0.15),
        "gopher_duplicate_6_grams": (None, 0.14),
        "gopher_duplicate_7_grams": (None, 0.13),
        "gopher_duplicate_8_grams": (None, 0.12),
        "gopher_duplicate_9_grams": (None, 0.11),
        "gopher_duplicate_10_grams": (None, 0.10),
    },
    "gopher_quality": {
        "gopher_words": (50, 100_000),
        "gopher_word_length": (3, 10),
        "gopher_hashes": (None, 0.1),
        "gopher_ellipses": (None, 0.1),
        "gopher_bullet_lines": (None, 0.9),
        "gopher_ellipsis_lines": (None, 0.3),
        "gopher_alpha_words": (0.8, None),
        "gopher_stop_words": (2, None),
    },
    "c4": {"c4_sentences": (5, None), "c4_banned": (None, 0)},
    "c4_open": {"c4_open_sentences": (5, None), "c4_open_banned": (None, 0)},
    "fineweb": {
        "fineweb_ended_lines": (0.12, None),
        "fineweb_short_lines": (None, 0.67),
        "fineweb_duplicate_chars": (None, 0.01),
        "fineweb_newlines": (None, 0.3),
    },
}
"""rule set -> figure -> (least, most) that a text may have. `c4_open` is C4 without the rule that a line ends in a
terminal mark, as FineWeb has it."""

SHORT = (
    "gopher_words", "gopher_word_length", "gopher_hashes", "gopher_ellipses", "gopher_alpha_words", "c4_banned",
    "c4_open_banned",
)  # fmt: skip
"""Figures that a sentence has as well as a page. The others are about lines, sentences, stop words and repetition, and
say nothing about a few words, where one in three is the most frequent by nature. Limits by language on those are
derived from, and hold for, texts of 30 words and more; published limits hold for every text, as published."""
