"""The lists that are shipped: whole, of every language of the mission, and read as people write them."""

import pytest

from medcorpus.core.errors import Fatal
from medcorpus.core.languages import registry
from medcorpus.text import term_lists
from medcorpus.text.terms import index, tokens


def test_every_language_of_the_mission_has_a_list():
    assert set(term_lists.languages()) == set(registry().mission)


@pytest.mark.parametrize("code", registry().mission)
def test_a_list_can_be_looked_for_and_says_nothing_twice(code):
    own = term_lists.read(term_lists.FOLDER / f"{code}.txt")
    assert len(own) >= 60
    seen = [tuple(tokens(spelling)) for term in own for spelling in term]
    assert len(seen) == len(set(seen))
    made = index(term_lists.shipped(code))
    assert made.size == len(term_lists.shipped(code)) >= len(own)


def test_scripts_bring_their_international_list():
    assert len(term_lists.shipped("fra")) > len(term_lists.read(term_lists.FOLDER / "fra.txt")) + 100
    assert set(term_lists.international("srp")) == {"international_cyrl", "international_latn"}
    assert term_lists.international("tha") == []
    assert term_lists.shipped("xxx") == ()


def test_what_is_written_on_to_a_word():
    assert "الحمى" in dict.fromkeys(one for term in term_lists.shipped("ara") for one in term)
    assert "והכבד" in dict.fromkeys(one for term in term_lists.shipped("heb") for one in term)


def test_lines_comments_and_spellings(tmp_path):
    path = tmp_path / "eng.txt"
    path.write_text("# head\n\nliver | livers  # an organ\ncardi*\n", encoding="utf-8")
    assert term_lists.read(path) == [("liver", "livers"), ("cardi*",)]
    path.write_text("liver\n12 | 13\n", encoding="utf-8")
    with pytest.raises(Fatal, match=r"eng\.txt:2: the term '12' has no letter"):
        term_lists.read(path)


def test_the_digest_follows_the_lists(tmp_path):
    before = term_lists.digest()
    (tmp_path / "eng.txt").write_text("liver\n")
    with_mine = term_lists.digest(tmp_path)
    (tmp_path / "eng.txt").write_text("livers\n")
    assert len({before, with_mine, term_lists.digest(tmp_path)}) == 3
