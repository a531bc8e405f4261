"""The paper's variants, each by settings alone: they begin as the dense model, train, and export to stock."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from medcorpus.training import loss, precision, weights
from medcorpus.training.moe import routing
from medcorpus.training.moe.upcycle import Upcycling, parity, upcycle
from tests.training import tiny

NAMES, LANGUAGES = ["a", "b", "c"], {"fra": 0, "deu": 1, "swa": 2}
VARIANTS = {
    "vanilla top-k, all layers": ({"layers": None}, "free"),
    "language-specific, all layers": ({"layers": None, "top_k": 1, "shared": True}, "hybrid"),
    "hybrid-k, all layers": ({"layers": None}, "hybrid"),
    "Post-MoE, last 2": ({"layers": 2}, "hybrid"),
    "Post-MoE, last 3": ({"layers": 3}, "hybrid"),
    "Post-MoE, last 4": ({"layers": 4}, "hybrid"),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tiny.model(Qwen2Config(**tiny.SIZES | {"num_hidden_layers": 5})).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", VARIANTS)
def test_variant(base, tmp_path, name):
    settings, train = VARIANTS[name]
    said = upcycle(base, tmp_path / "moe", Upcycling(NAMES, LANGUAGES, **settings))
    assert len(said["moe_layers"]) == (settings["layers"] or 5) and said["moe_layers"][-1] == 4
    assert parity(base, tmp_path / "moe").relative <= 1e-5
    model = precision.trainable(weights.load(tmp_path / "moe").train())
    routing.install(model, routing.Routing(train=train), languages=list(LANGUAGES))
    objective, x = loss.Objective(model), tiny.ids(3, 16)
    optimizer = precision.MasterAdamW(precision.groups(model, 3e-2))
    own = torch.tensor([[0], [1], [2]]).expand(-1, 16)
    targets, totals = loss.targets(x, torch.ones_like(x), torch.ones_like(x)), []
    for _ in range(4):
        with routing.experts(model, own, own):
            totals.append(objective(x, targets).total / 45)
        optimizer.zero_grad()
        totals[-1].backward()
        optimizer.step()
    assert totals[-1] < totals[0]
    counts = routing.statistics(model)
    worked = counts.used[:, range(3), range(3)] / counts.tokens  # slots of the own expert for each token
    assert (worked == 1).all() if train == "hybrid" else (worked < 1).any()
    assert (counts.used.sum(-1) == counts.tokens * settings.get("top_k", 2)).all()
    model.eval()
    expected = model(x).logits
    weights.save(model, tmp_path / "out")
    stock = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    assert (stock(x).logits - expected).abs().max() <= 1e-5 * expected.abs().max()
