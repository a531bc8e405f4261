"""One expert more: a language that did not fit gets its own, a copy of the expert it had, to be trained further.

With k = 1 the model still computes what it did: a token that chose the old expert finds two equal ones. With k > 1 such
a token may now use both copies, where it used the old expert and another one: `upcycle.parity` says how much that is,
and training mends it. An offset cannot hide the copy, as routers have no bias.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from medcorpus.core.errors import Fatal, nearest
from medcorpus.training import weights
from medcorpus.training.moe import upcycle

_ROUTER = re.compile(r"model\.layers\.\d+\.mlp\.gate\.weight")


def add_expert(source: Path, out: Path, name: str, like: str | int, languages: Sequence[str] = ()) -> dict[str, Any]:
    """Write the checkpoint of `source` with one expert more into `out`; returns a summary.

    name: of the new expert, which gets the next index. like: name or index of the expert that is copied, router row
    included. languages: those that lead to the new expert from now on. Raises Fatal when `source` is no mixture in a
    stock architecture, `like` is no expert of it or `name` is one already.
    """
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=True)
    except (OSError, ValueError) as error:
        raise Fatal(f"{source} has no config.json that transformers can read ({str(error)[:200]})") from error
    if config.model_type not in ("qwen2_moe", "qwen3_moe"):
        raise Fatal(f"{source} is '{config.model_type}'; experts can be added to qwen2_moe and qwen3_moe")
    known = upcycle.description(config)
    names = list(known["experts"])
    if name in names:
        raise Fatal(f"{source} has an expert '{name}' already")
    if str(like) not in names and not (str(like).isdigit() and int(like) < len(names)):
        raise Fatal(f"{source} has no expert '{like}'{nearest(str(like), names)}; it has {', '.join(names)}")
    old, new = names.index(str(like)) if str(like) in names else int(like), len(names)
    mine = re.compile(rf"(model\.layers\.\d+\.mlp\.experts\.){old}(\..*)")
    source_weights = weights.Checkpoint(source)
    if not any(mine.fullmatch(tensor) for tensor in source_weights.files):
        raise Fatal(f"{source} has no tensors of expert {old}: its experts are not stored one by one")
    with weights.new_folder(out) as made:
        shards = weights.Shards(made)
        for tensor_name, tensor in source_weights.tensors():
            if _ROUTER.fullmatch(tensor_name):
                tensor = torch.cat([tensor, tensor[old : old + 1]])
            shards.add(tensor_name, tensor)
            if match := mine.fullmatch(tensor_name):
                shards.add(f"{match[1]}{new}{match[2]}", tensor.clone())
        shards.finish()
        config.num_experts = new + 1
        leads = dict(known["languages"]) | dict.fromkeys(languages, new)
        config.medcorpus = known | {"experts": [*names, name], "languages": leads}
        config.save_pretrained(made)
        weights.copy_beside(source, made)
    return {
        "expert": name,
        "index": new,
        "like": names[old],
        "languages": list(languages),
        "parameters": weights.parameters(out),
    }
