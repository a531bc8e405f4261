"""Parameters: one declaration, four roles."""

import pytest
from pydantic import Field, ValidationError

from medcorpus.core.params import Params, decision, fill, place, role_of, speed, variables


class Example(Params):
    words: int = Field(3, ge=1, description="How many words.")
    share: float = 0.5
    limit: float = decision(0.7, ge=0, le=1, description="Where to cut.")
    threads: int = speed(2, description="How many threads.")
    path: str = place("x", description="Where it lies.")


def test_every_field_has_a_role():
    roles = {name: role_of(field) for name, field in Example.model_fields.items()}
    assert roles == {"words": "data", "share": "data", "limit": "decision", "threads": "speed", "path": "place"}
    assert Example.fields_with("data", "place") == ["words", "share", "path"]
    assert Example.fields_with() == []


def test_only_data_goes_into_the_key():
    plain = Example().data()
    assert plain == {"words": 3, "share": 0.5}
    assert Example(limit=0.1, threads=9, path="y").data() == plain
    assert Example(words=4).data() != plain


def test_equal_values_written_differently_are_the_same_data():
    assert Example(share=1).data() == Example(share=1.0).data() == Example(share="1").data()
    assert type(Example(share=1).data()["share"]) is float


@pytest.mark.parametrize(
    "given",
    [
        {"wrods": 3},
        {"share": float("nan")},
        {"share": float("inf")},
        {"share": "nan"},
        {"words": 0},
        {"words": "three"},
        {"limit": 1.5},
    ],
)
def test_refused(given):
    with pytest.raises(ValidationError):
        Example(**given)


def test_frozen():
    with pytest.raises(ValidationError):
        Example().words = 4


def test_a_wrong_default_is_found_when_it_is_used():
    class Wrong(Params):
        share: float = decision(2, le=1)

    with pytest.raises(ValidationError):
        Wrong()


def test_bounds_and_descriptions_survive_the_role():
    field = Example.model_fields["limit"]
    assert field.description == "Where to cut."
    assert Example.model_json_schema()["properties"]["limit"]["maximum"] == 1


def test_fill(monkeypatch):
    monkeypatch.setenv("MEDCORPUS_TEST", "/data")
    monkeypatch.delenv("MEDCORPUS_UNSET", raising=False)
    assert fill("${MEDCORPUS_TEST}/a/${MEDCORPUS_TEST}") == "/data/a//data"
    assert fill("${MEDCORPUS_UNSET:-here}/x") == "here/x"
    assert fill("${MEDCORPUS_UNSET:-}x") == "x"
    assert fill("${MEDCORPUS_TEST:-here}") == "/data"
    assert fill("$HOME ${not a name} $${") == "$HOME ${not a name} $${"
    with pytest.raises(KeyError, match="MEDCORPUS_UNSET"):
        fill("a/${MEDCORPUS_UNSET}")


def test_a_filled_value_is_not_filled_again(monkeypatch):
    monkeypatch.setenv("MEDCORPUS_TEST", "${HOME}")
    assert fill("${MEDCORPUS_TEST}") == "${HOME}"


def test_variables():
    assert variables("${A}/${B:-b}/${C:-}") == [("A", None), ("B", "b"), ("C", "")]
    assert variables("plain $A") == []
