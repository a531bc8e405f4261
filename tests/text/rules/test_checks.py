"""Limits that never fire and stop words that are none are refused, with what to do; those that work are not."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcorpus.text.rules import figures
from medcorpus.text.rules.checks import POSSIBLE, limit_problem, limit_problems, stop_word_problems
from medcorpus.text.rules.published import FIGURES, PUBLISHED
from medcorpus.text.rules.words import MOST_STOP_WORDS, STOP_WORDS, stop_table


def test_published_limits_and_words_are_fine():
    for limits in PUBLISHED.values():
        assert limit_problems(limits) == []
    assert stop_word_problems(STOP_WORDS) == []
    assert set(POSSIBLE) == set(FIGURES)


FINEWEB2 = {  # what stands in configurations of FineWeb2 (huggingface/fineweb-2, configs/*.yml), under our names
    "gopher_top_2_gram": (None, 2.82),  # hau_Latn
    "gopher_top_3_gram": (None, 3.257),  # hau_Latn
    "gopher_top_4_gram": (None, 3.311),  # hau_Latn
    "gopher_word_length": (None, 3141),  # xho_Latn
    "fineweb_ended_lines": (0.0, None),  # lao_Laoo and 1,689 more
    "gopher_duplicate_lines": (None, 1.2),  # 64 configurations are above 1
}


@pytest.mark.parametrize("figure", FINEWEB2)
def test_mistakes_of_a_published_configuration(figure):
    problem = limit_problem(figure, FINEWEB2[figure])
    assert problem and "can never fire" in problem and "null switches it off" in problem


@pytest.mark.parametrize(
    ("figure", "limit", "said"),
    [
        ("gopher_duplicate_11_grams", (None, 0.1), "did you mean 'gopher_duplicate_10_grams'"),
        ("gopher_word", (3, None), "did you mean 'gopher_words'"),
        ("gopher_words", (float("nan"), None), "nan is no limit"),
        ("gopher_words", (None, float("inf")), "inf is no limit"),
        ("gopher_words", ("many", None), "'many' is no number"),
        ("gopher_words", (True, None), "True is no number"),
        ("gopher_words", (3,), "[least, most]"),
        ("gopher_words", 3, "[least, most]"),
        ("gopher_words", (9, 8), "least 9 is above most 8"),
        ("gopher_words", (None, -1), "drops every text"),
        ("c4_banned", (None, 1e9), "can never fire"),
        ("gopher_bullet_lines", (None, 1), "can never fire"),
        ("gopher_alpha_words", (1.5, None), "least 1.5 drops every text"),
    ],
)
def test_other_limits(figure, limit, said):
    assert said in limit_problem(figure, limit)


def test_no_more_stop_words_are_asked_for_than_there_are():
    assert "drops every text" in limit_problem("gopher_stop_words", (9, None), words=8)
    assert limit_problem("gopher_stop_words", (8, None), words=8) is None


@given(
    st.lists(
        st.sampled_from(["a", "B", "fever ", "#", "...", "\n", "- x", "1", ".", "a a a a ", "熱", "ไข้"]), max_size=40
    )
)
def test_no_figure_leaves_what_is_possible(pieces):
    found = figures.figures(figures.counts(pa.array(["".join(pieces)])))
    beyond_one = {"gopher_top_2_gram", "gopher_top_3_gram", "gopher_top_4_gram", "gopher_ellipses"}  # see POSSIBLE
    for name, values in found.items():
        assert POSSIBLE[name][0] <= values[0]
        assert values[0] <= POSSIBLE[name][1] or name in beyond_one, name


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (",", "has no letter"), ("·", "has no letter"), ("12", "has no letter"),
        ("\u200b", "has no letter"),  # 123 configurations of FineWeb2 list such a word, lao_Laoo the zero-width space
        ("", "is no word"), (" ", "is no word"), (None, "is no word"),
        ("The", "write 'the'"), ("of the", "name its words"), ("don't", "cut into 'don', \"'t\""),
        ("word,", "is never one word of a text"), ("我们", "in its script a stop word has 1"),
        ("ใน", "in its script a stop word has 3"),
    ],
)  # fmt: skip
def test_stop_words_that_no_text_can_show(word, said):
    (problem,) = stop_word_problems([word])
    assert said in problem and repr(word) in problem


def test_stop_words_twice_or_too_many():
    assert "is there twice" in stop_word_problems(["é", "e\u0301"])[0]
    many = [chr(0x61 + n % 26) + chr(0x61 + n // 26) for n in range(MOST_STOP_WORDS + 1)]
    assert "at most 32" in stop_word_problems(many)[0]
    with pytest.raises(ValueError, match="at most 32"):
        stop_table([many])


@given(st.text(st.sampled_from("abé'’.,- ิท่ีกน热の한1 ा"), min_size=1, max_size=4))
def test_a_word_without_problem_is_found_in_a_text(word):
    """The check says what the kernel can see: a word that passes is counted in a text that holds it."""
    if stop_word_problems([word]):
        return
    found = figures.counts(pa.array([f"x {word} y", "x y"]), stop_table([[word]]))
    assert found["stop_words"].tolist() == [1, 0]


def test_counts_go_by_the_list_of_each_row():
    lists = stop_table([["the", "of"], [], ["的", "是"], ["ที่", "และ"], ["는", "다"], ["के", "है"]])
    texts = ["the end of the day", "the end", "他是我的朋友的朋友", "และที่ไหน ที่", "그는 왔다", "दिन के बाद है"]
    found = figures.counts(pa.array(texts), lists, np.arange(6))
    assert found["stop_words"].tolist() == [2, 0, 2, 2, 2, 2]
