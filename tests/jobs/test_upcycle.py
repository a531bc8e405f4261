import pytest
from pydantic import ValidationError

from medcorpus.core.stage import Context
from medcorpus.jobs.upcycle import Upcycle, UpcycleParams
from tests.training.helpers import Given, batch, text

LANGUAGES = ("amh", "eng", "hau", "tha", "zho")


def upcycled(tmp_path, **params):
    job = Upcycle(UpcycleParams(**params), Context("up", languages=LANGUAGES))
    return job.run(Given([batch([text("x")])]), tmp_path)["upcycling"]


def test_experts_of_families(tmp_path):
    made = upcycled(tmp_path)
    names, of = made["experts"], made["languages"]
    assert names[of["zho"]] == "Sino-Tibetan" and names[of["amh"]] == names[of["hau"]] == "Afro-Asiatic"
    assert of["tha"] != of["zho"] != of["eng"] and "und" not in of
    published = upcycled(tmp_path, experts="apollo-moe")
    assert len(published["experts"]) == 7 and published["languages"]["hau"] == published["experts"].index("Kongolese")
    assert "amh" not in published["languages"], "the published table has no Amharic"


def test_one_expert_a_language_or_any_number(tmp_path):
    made = upcycled(tmp_path, experts="languages")
    assert made["experts"] == list(LANGUAGES) and made["languages"]["zho"] == 4
    assert upcycled(tmp_path, experts=5) | {"seed": 0} == upcycled(tmp_path, experts=5)
    assert upcycled(tmp_path, experts=5)["languages"] == {}


def test_bad_parameters():
    with pytest.raises(ValidationError, match="families"):
        UpcycleParams(experts="clans")
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        UpcycleParams(drop=1.5)
