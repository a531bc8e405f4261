"""`medcorpus moe` on tiny checkpoints."""

import json

import pytest

from medcorpus.cli.moe import show
from medcorpus.training.moe.published import import_published
from tests.cli.helpers import inside, medcorpus
from tests.training import tiny
from tests.training.test_published import published


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    published(folder / "published", experts=7)
    tiny.model(tiny.DENSE["qwen3"]()).save_pretrained(folder / "dense")
    return folder


def test_import_then_add_an_expert_then_look(folder):
    said = json.loads(medcorpus("moe", "import", "published", "stock", "--json", cwd=folder).stdout)
    assert said["experts"] == 7 and said["moe_layers"] == [1, 2]
    done = inside(
        "moe",
        "add-expert",
        "stock",
        "more",
        "--name",
        "Hausa",
        "--from",
        "Kongolese",
        "--languages",
        "ha, ff",
        cwd=folder,
    )
    assert "index: 7" in done.stdout and "languages: hau, ful" in done.stdout and "difference: " in done.stdout
    found = json.loads(inside("moe", "show", "more", "--json", cwd=folder).stdout)
    assert found["experts"][4:] == ["Indo-European", "Afro-Asian", "Kongolese", "Hausa"]
    assert found["languages"]["hau"] == found["languages"]["ful"] == 7 and found["languages"]["swa"] == 6
    assert found["parameters"]["experts"] == 2 * 8 * 3 * 32 * 48


def test_a_person_sees_the_same(folder, capsys):
    import_published(folder / "published", folder / "seen", [f"family {e}" for e in range(7)], {"hau": 6})
    show(folder / "seen")
    shown = capsys.readouterr()
    assert "family 6" in shown.out and "hau" in shown.out and "qwen2_moe" in shown.out and shown.err == ""
    assert f"{2 * 7 * 3 * 32 * 48:,}" in shown.out and "GFLOP a token" in shown.out


def test_bad_input(folder):
    assert "not a published Apollo-MoE" in inside("moe", "import", "dense", "x", cwd=folder, code=3).stderr
    assert (
        "no expert map 'papers'" in inside("moe", "import", "dense", "x", "--map", "papers", cwd=folder, code=2).stderr
    )
    wrong = inside(
        "moe", "add-expert", "dense", "x", "--name", "a", "--from", "b", "--languages", "Klingon", cwd=folder, code=2
    )
    assert "Klingon" in wrong.stderr
    medcorpus("moe", "nonsense", cwd=folder, code=2)
