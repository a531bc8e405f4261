"""Tiny models: a second or less to make, every trait that matters (grouped heads, ties, scaling, sharding)."""

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)

torch.set_num_threads(1)
SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
DENSE = {
    "qwen2": lambda **k: Qwen2Config(**SIZES | k),
    "qwen2-tied": lambda **k: Qwen2Config(**SIZES | {"tie_word_embeddings": True} | k),
    "qwen3": lambda **k: Qwen3Config(**SIZES | {"head_dim": 16} | k),
    "qwen3-tied": lambda **k: Qwen3Config(**SIZES | {"head_dim": 8, "tie_word_embeddings": True} | k),
    "llama": lambda **k: LlamaConfig(**SIZES | {"rope_parameters": LLAMA3} | k),
    "llama-tied": lambda **k: LlamaConfig(**SIZES | {"tie_word_embeddings": True, "rms_norm_eps": 1e-5} | k),
    "mistral": lambda **k: MistralConfig(**SIZES | {"head_dim": 16, "sliding_window": None} | k),
    "mistral-window": lambda **k: MistralConfig(**SIZES | {"sliding_window": 8} | k),
}


def model(config, seed: int = 0, std: float = 0.15):
    """A model whose biases and norms are random too: zeros and ones would hide what is swapped or lost."""
    torch.manual_seed(seed)
    made = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight.normal_(1.0 if "norm" in name else 0.0, std)
    return made.eval()


def moe(kind: str = "qwen3", experts: int = 4, top_k: int = 2, normalise: bool = True, seed: int = 0, **more):
    """A mixture with random experts and router in the last two layers."""
    config = (Qwen3MoeConfig if kind == "qwen3" else Qwen2MoeConfig)(
        **SIZES,
        moe_intermediate_size=48,
        num_experts=experts,
        num_experts_per_tok=top_k,
        norm_topk_prob=normalise,
        mlp_only_layers=[0],
        **{"shared_expert_intermediate_size": 16} | more if kind == "qwen2" else more,
    )
    return model(config, seed)


def ids(rows: int = 2, length: int = 12, vocab: int = 96, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, vocab, (rows, length), generator=torch.Generator().manual_seed(seed))
