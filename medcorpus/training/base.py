"""A dense model with random weights: everything can be tried without a download."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from medcorpus.core.errors import Fatal, nearest
from medcorpus.training import weights

# Names in a recipe -> names in transformers; heads share key_value_heads, ffn is the inner width.
SIZES = {
    "hidden": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads",
    "key_value_heads": "num_key_value_heads", "ffn": "intermediate_size", "context": "max_position_embeddings",
}  # fmt: skip
SMALL = {"hidden": 128, "layers": 4, "heads": 4, "key_value_heads": 2, "ffn": 384, "context": 2048}
KINDS = ("qwen3", "qwen2", "llama", "mistral")


def build(
    out: Path,
    tokenizer: Path,
    sizes: Mapping[str, Any] | None = None,
    kind: str = "qwen3",
    tied: bool = True,
    seed: int = 0,
) -> Path:
    """Write a dense model of `kind` with random weights and the tokenizer of the folder `tokenizer` into `out`.

    sizes: keys of SIZES, defaults as in SMALL. The same seed gives the same weights. Raises Fatal for sizes that
    cannot be.
    """
    sizes = dict(sizes or {})
    for key in sizes:
        if key not in SIZES:
            raise Fatal(f"a model has no size '{key}'{nearest(key, list(SIZES))}")
    if kind not in KINDS:
        raise Fatal(f"a random base is one of {', '.join(KINDS)}, not '{kind}'{nearest(kind, list(KINDS))}")
    full = SMALL | sizes
    if any(not isinstance(value, int) or value < 1 for value in full.values()):
        raise Fatal(f"sizes are whole numbers from 1, not {full}")
    if full["hidden"] % (2 * full["heads"]) or full["heads"] % full["key_value_heads"]:
        raise Fatal("hidden must be an even multiple of heads, and heads a multiple of key_value_heads")
    words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
    more = {"head_dim": full["hidden"] // full["heads"]} if kind == "qwen3" else {}
    config = AutoConfig.for_model(
        kind,
        **{SIZES[key]: value for key, value in full.items()},
        **more,
        vocab_size=len(words),
        tie_word_embeddings=tied,
        pad_token_id=words.pad_token_id,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
    )
    with weights.new_folder(out) as made:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        weights.save(model, made)
        weights.copy_beside(tokenizer, made)
    return out
