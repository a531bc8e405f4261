"""A dense language model becomes a Post-MoE: the last layers' FFN becomes several experts, copies at first.

The result is a stock architecture, without code of ours: Qwen3 becomes `qwen3_moe`; Qwen2, Llama 3 and Mistral become
`qwen2_moe`, whose shared expert is made of zeros (sigmoid(0) * 0 adds nothing) and whose attention biases are zeros
where the base has none. Experts are equal and their weights sum to 1, so the model computes what the dense one does,
in every mode of routing: `parity` measures it. Post-MoE: https://arxiv.org/abs/2410.10626.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig, Qwen2MoeConfig, Qwen3MoeConfig

from medcorpus.core.errors import Fatal
from medcorpus.training import weights

BASES = ("qwen2", "qwen3", "llama", "mistral")
ABSENT = 3.0  # logit of an expert whose languages have no text, where those with text spread by 1
NULL = 64  # width of a shared expert of zeros: some engines want it divisible by their tensor parallelism
_SAME = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps",
    "tie_word_embeddings", "attention_dropout", "rope_parameters", "pad_token_id", "bos_token_id", "eos_token_id",
    "dtype",
)  # fmt: skip
_TENSOR = re.compile(
    r"model\.(embed_tokens|norm)\.weight|lm_head\.weight|model\.layers\.\d+\.(input_layernorm|post_attention_layernorm"
    r"|self_attn\.[qkvo]_proj|self_attn\.[qk]_norm|mlp\.(gate|up|down)_proj)\.(weight|bias)"
)
_FFN = re.compile(r"model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj\.weight")


@dataclass(frozen=True)
class Upcycling:
    """What to make of a dense model.

    experts: their names, by index. languages: language -> index of its expert (it may be empty: nothing is forced).
    layers: the last so many become mixtures, None: all. top_k: experts a token uses. normalise: their weights sum to 1;
    without it, as in the paper's code, the model begins damaged. noise: each expert's weights get normal noise of so
    many of their standard deviations. drop: share of each expert's inner units that begin anew (drop-upcycling,
    https://arxiv.org/abs/2502.19261). shared: an expert that always works beside the routed ones (language-specific
    routing of the paper). router: `zero`, or `hidden`: directions of the languages' mean hidden states.
    """

    experts: Sequence[str]
    languages: Mapping[str, int] = field(default_factory=dict)
    layers: int | None = 2
    top_k: int = 2
    normalise: bool = True
    noise: float = 0.0
    drop: float = 0.0
    shared: bool = False
    router: Literal["zero", "hidden"] = "zero"
    seed: int = 0

    def __post_init__(self) -> None:
        count = len(self.experts)
        wrong = [f"{name} -> {e}" for name, e in self.languages.items() if not 0 <= e < count]
        for bad, message in (
            (count < 1 or len(set(self.experts)) != count, f"experts need different names, not {list(self.experts)}"),
            (not 1 <= self.top_k <= max(count, 1), f"top_k is 1 to {count} (experts), not {self.top_k}"),
            (wrong, f"languages lead to experts 0..{count - 1}, but {', '.join(wrong)}"),
            (not 0 <= self.drop <= 1 or self.noise < 0, f"drop is 0 to 1 and noise 0 or more, not {self.drop} and {self.noise}"),  # noqa: E501
            (self.router not in ("zero", "hidden"), f"router is 'zero' or 'hidden', not '{self.router}'"),
        ):  # fmt: skip
            if bad:
                raise Fatal(message)


class Parity(NamedTuple):
    """Largest difference between two models' logits, the largest logit, and their ratio."""

    difference: float
    largest: float
    relative: float


def upcycle(
    base: Path, out: Path, plan: Upcycling, texts: Mapping[int, Tensor] | None = None, shard: int = weights.SHARD
) -> dict[str, Any]:
    """Write the mixture that `plan` describes into the folder `out`, with the base's tokenizer; returns a summary.

    base is a folder with a dense checkpoint (safetensors, in one or many files). texts: for the router `hidden`, token
    ids [n] of text for each expert. Files are at most `shard` bytes; no more lies in memory. Raises Fatal for a base
    that is not Qwen2, Qwen3, Llama or Mistral, or has traits that the stock mixtures lack.
    """
    dense = read_config(base)
    layers = range(dense.num_hidden_layers)
    if plan.layers is not None and not 1 <= plan.layers <= len(layers):
        raise Fatal(f"{base} has {len(layers)} layers; {plan.layers} cannot become mixtures")
    moe = list(layers if plan.layers is None else layers[-plan.layers :])
    config = target_config(dense, plan, moe)
    weights.check_tokenizer(base, dense.vocab_size)
    source = weights.Checkpoint(base)
    strange = sorted(n for n in source.files if not _TENSOR.fullmatch(n) and not n.endswith("rotary_emb.inv_freq"))
    if strange:
        raise Fatal(f"{base} holds tensors that a plain {dense.model_type} does not: {', '.join(strange[:5])}")
    rows = _router_rows(base, plan, moe, texts) if plan.router == "hidden" else {}
    with weights.new_folder(out) as made:
        shards = weights.Shards(made, shard)
        for name, tensor in source.tensors():
            dtype = tensor.dtype
            ffn = _FFN.fullmatch(name)
            if ffn and int(ffn[1]) in moe:
                for expert_name, expert in _experts(int(ffn[1]), ffn[2], tensor, plan, config):
                    shards.add(expert_name, expert)
            elif not name.endswith("inv_freq") and not (name == "lm_head.weight" and dense.tie_word_embeddings):
                shards.add(name, tensor)
        for name, tensor in _additions(config, moe, rows, dtype, source):
            shards.add(name, tensor)
        shards.finish()
        config.save_pretrained(made)
        weights.copy_beside(base, made)
    return {
        "base": dense.model_type,
        "architecture": config.model_type,
        "moe_layers": moe,
        "experts": list(plan.experts),
        "dense_parameters": weights.parameters(base),
        "parameters": weights.parameters(out),
        "notes": _notes(config),
    }


def read_config(base: Path) -> PreTrainedConfig:
    """The configuration of a dense base; raises Fatal when it is not one we can take."""
    try:
        dense = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise Fatal(f"{base} has no config.json that transformers can read ({str(error)[:200]})") from error
    known = ", ".join(BASES)
    if dense.model_type not in BASES:
        raise Fatal(f"{base} is '{dense.model_type}'; a base must be one of {known} (dense, text only)")
    if getattr(dense, "quantization_config", None):
        raise Fatal(f"{base} is quantised; upcycling needs the full weights")
    biased = [n for n in ("attention_bias", "mlp_bias") if getattr(dense, n, False) and dense.model_type != "qwen3"]
    if biased:
        raise Fatal(f"{base} has {' and '.join(biased)}, which qwen2_moe lacks")
    if dense.model_type == "qwen3" and len(set(dense.layer_types)) > 1:
        raise Fatal(f"{base} mixes full and sliding attention; qwen3_moe has one kind for all layers")
    return dense


def target_config(dense: PreTrainedConfig, plan: Upcycling, moe: Sequence[int]) -> PreTrainedConfig:
    """The stock configuration of the mixture. Its key `medcorpus` says what the experts are."""
    same = {name: getattr(dense, name) for name in _SAME if getattr(dense, name, None) is not None}
    window = getattr(dense, "sliding_window", None)
    kinds = getattr(dense, "layer_types", None) or ["sliding_attention" if window else "full_attention"]
    same |= {
        "num_experts": len(plan.experts),
        "num_experts_per_tok": plan.top_k,
        "moe_intermediate_size": dense.intermediate_size,
        "norm_topk_prob": plan.normalise,
        "mlp_only_layers": [i for i in range(dense.num_hidden_layers) if i not in moe],
        "router_aux_loss_coef": 0.0,
        "use_sliding_window": bool(window),
        "sliding_window": window,
        "medcorpus": {**asdict(plan), "experts": list(plan.experts), "languages": dict(plan.languages), "base": dense.model_type},  # noqa: E501
    }  # fmt: skip
    if dense.model_type == "qwen3":
        if plan.shared:
            raise Fatal("qwen3_moe has no shared expert; take a Qwen2, Llama or Mistral base for `shared`")
        return Qwen3MoeConfig(**same, head_dim=dense.head_dim, attention_bias=dense.attention_bias)
    head = getattr(dense, "head_dim", None) or dense.hidden_size // dense.num_attention_heads
    if head != dense.hidden_size // dense.num_attention_heads:
        same["head_dim"] = head
    return Qwen2MoeConfig(
        **same,
        qkv_bias=True,
        shared_expert_intermediate_size=dense.intermediate_size if plan.shared else NULL,
        layer_types=kinds if len(kinds) == dense.num_hidden_layers else kinds * dense.num_hidden_layers,
    )


def _experts(layer: int, part: str, dense: Tensor, plan: Upcycling, config: PreTrainedConfig) -> Any:
    """Names and tensors that one FFN matrix becomes."""
    prefix = f"model.layers.{layer}.mlp"
    for number in range(len(plan.experts)):
        expert = _varied(dense, plan, layer, number, part)
        if plan.shared and part == "down":
            expert = expert * 0.5  # the shared expert's gate of zeros lets half of its output through
        yield f"{prefix}.experts.{number}.{part}_proj.weight", expert
    if config.model_type == "qwen2_moe":
        name = f"shared_expert.{part}_proj"
        yield (
            f"{prefix}.{name}.weight",
            dense if plan.shared else dense.new_zeros(null_shapes(config.hidden_size)[name]),
        )


def _notes(config: PreTrainedConfig) -> list[str]:
    """What other engines than transformers are known not to do with such a checkpoint (vLLM's `qwen2_moe.py`, 2025)."""
    if config.model_type != "qwen2_moe":
        return []
    notes = []
    if "head_dim" in config.to_dict():
        notes.append(f"vLLM's qwen2_moe takes heads of hidden / heads, not of {config.head_dim}: it cannot load this")
    if "sliding_attention" in config.layer_types:
        notes.append(f"vLLM's qwen2_moe has no sliding windows: beyond {config.sliding_window:,} tokens it differs")
    return notes


def null_shapes(hidden: int) -> dict[str, tuple[int, int]]:
    """Tensors of a shared expert that is not one, for a hidden size; all zeros."""
    into, back = (NULL, hidden), (hidden, NULL)
    shapes = {"gate_proj": into, "up_proj": into, "down_proj": back}
    return {f"shared_expert.{part}": shape for part, shape in shapes.items()} | {"shared_expert_gate": (1, hidden)}


def _varied(dense: Tensor, plan: Upcycling, layer: int, expert: int, part: str) -> Tensor:
    """One expert's copy of a matrix, with its share of chance; the same for the same seed, whatever the order."""
    copy = dense.clone()
    if plan.noise:
        noise = torch.randn(dense.shape, generator=_chance(plan.seed, layer, expert, part, "noise"))
        copy = (dense.float() + plan.noise * dense.float().std() * noise).to(dense.dtype)
    if plan.drop:
        inner = dense.shape[1] if part == "down" else dense.shape[0]
        order = torch.randperm(inner, generator=_chance(plan.seed, layer, expert, "drop"))  # one choice for all parts
        units = order[: round(plan.drop * inner)]
        place = (slice(None), units) if part == "down" else (units, slice(None))
        old = dense[place].float()
        fresh = torch.randn(old.shape, generator=_chance(plan.seed, layer, expert, part, "fresh"))
        if old.numel():
            copy[place] = (old.mean() + old.std(correction=0) * fresh).to(dense.dtype)
    return copy


def _additions(
    config: PreTrainedConfig, moe: list[int], rows: dict[int, Tensor], dtype: torch.dtype, source: weights.Checkpoint
) -> Any:
    """What the dense model does not have: routers, the shared expert's gate, biases of zero."""
    hidden = config.hidden_size
    for layer in moe:
        zeros = torch.zeros(config.num_experts, hidden, dtype=dtype)
        yield f"model.layers.{layer}.mlp.gate.weight", rows[layer].to(dtype) if rows else zeros
        if config.model_type == "qwen2_moe":
            yield f"model.layers.{layer}.mlp.shared_expert_gate.weight", torch.zeros(1, hidden, dtype=dtype)
    if config.model_type == "qwen2_moe":
        for layer in range(config.num_hidden_layers):
            for part in "qkv":
                name = f"model.layers.{layer}.self_attn.{part}_proj"
                if f"{name}.bias" not in source.files:
                    yield f"{name}.bias", torch.zeros(source.shape(f"{name}.weight")[0], dtype=dtype)


@torch.no_grad()
def _router_rows(base: Path, plan: Upcycling, moe: list[int], texts: Mapping[int, Tensor] | None) -> dict[int, Tensor]:
    """Router [E, h] of each layer from the mean hidden state (what the FFN is given) of each expert's text.

    The means are whitened by the states' second moment: the ridge regression from a state to whose text it is. Plain
    means, as mergekit's gate mode `hidden` takes them, differ by less than what all states have in common, and a
    router has no bias to take that away. Rows are scaled so that a token's logits spread by 1. An expert without text
    gets the row that says -ABSENT to every state: tokens choose it freely only once it has learnt something.
    """
    if not texts:
        raise Fatal("the router 'hidden' needs text of the experts' languages, and there is none")
    model = weights.load(base, torch.float32).eval()
    states: dict[int, list[Tensor]] = {layer: [] for layer in moe}
    hooks = [
        model.model.layers[layer].mlp.register_forward_pre_hook(lambda _, args, to=states[layer]: to.append(args[0][0]))
        for layer in moe
    ]
    given = sorted(texts)
    for number in given:
        model(texts[number][None], use_cache=False)
    for hook in hooks:
        hook.remove()
    rows = {}
    for layer, seen in states.items():
        means = torch.stack([state.mean(dim=0) for state in seen])
        moment = torch.stack([state.T @ state / len(state) for state in seen]).mean(dim=0)
        moment.diagonal().add_(0.01 * moment.diagonal().mean())
        found = torch.linalg.solve(moment, (means - means.mean(dim=0)).T).T
        constant = torch.linalg.solve(moment, means.mean(dim=0))  # of every state about 1
        rows[layer] = (-ABSENT * constant).repeat(len(plan.experts), 1)
        rows[layer][given] = found / (torch.cat(seen) @ found.T).std(dim=-1, correction=0).mean().clamp_min(1e-12)
    return rows


def _chance(*what: Any) -> torch.Generator:
    digest = blake2b(repr(what).encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


@torch.no_grad()
def parity(one: Path, other: Path, tokens: int = 64, seed: int = 0) -> Parity:
    """How far the logits of two checkpoints lie apart on random tokens, in fp32; one is in memory at a time."""
    logits = []
    for folder in (one, other):
        model = weights.load(folder, torch.float32).eval()
        ids = torch.randint(0, model.config.vocab_size, (2, tokens), generator=torch.Generator().manual_seed(seed))
        logits.append(model(ids, use_cache=False).logits)
        del model
    difference, largest = (logits[0] - logits[1]).abs().max().item(), logits[0].abs().max().item()
    return Parity(difference, largest, difference / largest if largest else float(difference > 0))


def description(checkpoint: Path | PreTrainedConfig) -> dict[str, Any]:
    """What the experts of a checkpoint are: `experts` (names by index), `languages` (language -> index), and how made.

    A dense checkpoint has neither experts nor languages.
    """
    config = checkpoint if isinstance(checkpoint, PreTrainedConfig) else AutoConfig.from_pretrained(checkpoint)
    known = getattr(config, "medcorpus", None) or {}
    count = getattr(config, "num_experts", 0) or 0
    return {"experts": [str(number) for number in range(count)], "languages": {}} | known


def experts_of(described: Mapping[str, Any], languages: Sequence[str], needed: bool = False) -> list[int]:
    """Expert of each language, -1 for one without. With `needed`, raise Fatal naming these."""
    found = [described["languages"].get(language, -1) for language in languages]
    without = [language for language, expert in zip(languages, found, strict=True) if expert < 0]
    if needed and without and described["experts"]:
        raise Fatal(
            f"no expert for {', '.join(without)}: nothing would be forced for them; name one, or leave them out"
        )
    return found
