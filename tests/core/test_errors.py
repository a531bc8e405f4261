"""Errors say what happens next, and with which exit code."""

import pickle

import pytest

from medcorpus.core import errors
from medcorpus.core.errors import MedcorpusError, Problem, RecipeError, nearest


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("MedcorpusError", 1),
        ("RecipeError", 2),
        ("Fatal", 3),
        ("PartitionError", 3),
        ("Retryable", 3),
        ("RowError", 3),
        ("Missing", 4),
        ("Refused", 5),
        ("Locked", 75),
    ],
)
def test_exit_codes(name, code):
    cls = getattr(errors, name)
    assert cls.exit_code == code
    assert issubclass(cls, MedcorpusError)
    assert str(pickle.loads(pickle.dumps(cls("what")))) == "what", "errors travel between processes"


def test_fatal_is_fatal():
    assert all(issubclass(cls, errors.Fatal) for cls in (errors.Missing, errors.Refused, errors.Locked))
    assert not issubclass(errors.PartitionError, errors.Fatal)


def test_a_problem_says_where():
    assert str(Problem("r.yaml", 7, "what")) == "r.yaml:7: what"
    assert str(Problem("r.yaml", 0, "what")) == "r.yaml: what"
    assert str(Problem("", 0, "what")) == "what"


def test_a_recipe_error_shows_all_problems_in_order():
    error = RecipeError([Problem("r.yaml", 12, "b"), Problem("r.yaml", 7, "c"), Problem("r.yaml", 7, "a")])
    assert str(error) == "r.yaml:7: a\nr.yaml:7: c\nr.yaml:12: b"
    assert pickle.loads(pickle.dumps(RecipeError("one sentence"))).problems == [Problem("", 0, "one sentence")]
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)


def test_nearest():
    assert nearest("quallity", ["langid", "quality", "select"]) == "; did you mean 'quality'?"
    assert nearest("zzz", ["langid", "quality"]) == ""
    assert nearest("x", []) == ""
