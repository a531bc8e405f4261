"""Published Apollo-MoE checkpoints (`upcycling-qwen2-moe`) as stock `qwen2_moe`, which transformers 5 can open.

Their own code cannot run there. The tensors have the names of `qwen2_moe` already; what is missing is a shared expert,
which the stock architecture always has: zeros. Two fields of their configuration are not to be believed: which layers
are mixtures was fixed in the code whatever `mlp_only_layers` said, so the tensors are asked; and the language gate
worked in training only, so at inference the model is plain top-k over weights that do not sum to 1.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, Qwen2Config

from medcorpus.core.errors import Fatal, Missing
from medcorpus.training import weights
from medcorpus.training.moe import upcycle

KIND = "upcycling-qwen2-moe"
_EXPERT = re.compile(r"model\.layers\.(\d+)\.mlp\.experts\.(\d+)\.down_proj\.weight")


def import_published(
    source: Path, out: Path, experts: Sequence[str] | None = None, languages: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Write the checkpoint of the folder `source` as a stock one into `out`; returns a summary.

    experts: their names by index (default: the index). languages: language -> expert, the map it was trained with.
    Raises Fatal when `source` is no such checkpoint or its experts are not the same in all layers.
    """
    file = source / "config.json"
    if not file.exists():
        raise Missing(f"{source} has no config.json")
    theirs = json.loads(file.read_text(encoding="utf-8"))
    if theirs.get("model_type") != KIND:
        raise Fatal(f"{source} is '{theirs.get('model_type')}', not a published Apollo-MoE ('{KIND}')")
    checkpoint = weights.Checkpoint(source)
    found: dict[int, set[int]] = {}
    for name in checkpoint.files:
        if match := _EXPERT.fullmatch(name):
            found.setdefault(int(match[1]), set()).add(int(match[2]))
    counts = {len(numbers) for numbers in found.values()}
    if len(counts) != 1 or any(numbers != set(range(len(numbers))) for numbers in found.values()):
        raise Fatal(f"{source} has no experts, or not the same ones in every layer that has some")
    count = counts.pop()
    if experts is not None and len(experts) != count:
        raise Fatal(f"{source} has {count} experts, the names are {len(experts)}")
    shared = any(".shared_expert.down_proj." in name for name in checkpoint.files)
    config = _config(
        theirs, sorted(found), count, shared, list(experts or map(str, range(count))), dict(languages or {})
    )
    weights.check_tokenizer(source, config.vocab_size)
    with weights.new_folder(out) as made:
        shards = weights.Shards(made)
        for name, tensor in checkpoint.tensors():
            dtype = tensor.dtype
            if not name.endswith("inv_freq") and not (name == "lm_head.weight" and config.tie_word_embeddings):
                shards.add(name, tensor)
        for layer in [] if shared else sorted(found):
            for part, shape in upcycle.null_shapes(config.hidden_size).items():
                shards.add(f"model.layers.{layer}.mlp.{part}.weight", torch.zeros(shape, dtype=dtype))
        shards.finish()
        config.save_pretrained(made)
        weights.copy_beside(source, made)
    return {
        "moe_layers": sorted(found),
        "experts": count,
        "top_k": config.num_experts_per_tok,
        "parameters": weights.parameters(out),
    }


def _config(
    theirs: dict[str, Any], moe: list[int], count: int, shared: bool, experts: list[str], languages: dict[str, int]
) -> PreTrainedConfig:
    """Their settings under the names of the stock architecture, read as the Qwen2 that theirs extends."""
    own = {"model_type", "architectures", "auto_map", "transformers_version", "mlp_only_layers", "num_experts"}
    qwen2 = Qwen2Config(**{key: value for key, value in theirs.items() if key not in own})
    plan = upcycle.Upcycling(
        experts,
        languages,
        layers=len(moe),
        top_k=theirs.get("num_experts_per_tok", 2),
        normalise=theirs.get("norm_topk_prob", False),
        shared=shared,
    )
    config = upcycle.target_config(qwen2, plan, moe)
    config.medcorpus["source"] = KIND
    return config
