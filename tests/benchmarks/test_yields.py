"""What limits by language keep of text they were not derived from, and of junk. Floors may rise, never fall."""

import pytest

from benchmarks.yields import GOOD, good, junk, whole
from medcorpus.cli.calibrate_quality import SHOWN, count, markdown
from medcorpus.core.languages import registry
from tests.cli.helpers import SHARED

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not here")


@pytest.fixture(scope="module")
def sentences():
    batches = list(good(SHARED, GOOD["SIB-200 dev"]))
    return count(batches, "none"), count(batches, "shipped")


def test_nothing_is_lost_and_most_is_won(sentences):
    before, after = sentences
    for code, counts in before.items():
        for name in SHOWN:
            if name != "gopher_quality":  # published, its stop words are asked of English alone
                assert after[code][name] >= counts[name], (code, name)
        if code in registry().mission and counts["rows"] >= 50:
            assert after[code]["gopher_quality"] >= 0.9 * counts["rows"], code
            assert counts["gopher_quality"] <= 0.2 * counts["rows"], code


def test_code_is_dropped_as_before():
    code = junk(SHARED)["scripts and style sheets"]
    before, after = whole(count(code, "none")), whole(count(code, "shipped"))
    assert after["all"]["all"] <= before["all"]["all"] + 0.05 * before["all"]["rows"]
    assert "scripts" in markdown({"scripts": (before, after)})
