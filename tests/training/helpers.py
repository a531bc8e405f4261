"""Small things the tests of training share: a tokenizer, records, plans."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from medcorpus.core.schema import RECORD, record_id

EOS = "<|end|>"
CHATML = (
    "{% for m in messages %}{{ '<|start|>' + m.role + '\n' + m.content + '<|end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"
)
WORDS = [
    "fever cough dose child pain drug tablet",
    "发热 咳嗽 剂量",
    "ไข้ไอยาเด็ก",
    "حمى سعال جرعة",
    "बुखार खांसी दवा",
    "ትኩሳት ሳል",
]


@cache
def tokenizer() -> Tokenizer:
    """A byte-level BPE of some hundred tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[EOS, "<|start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(WORDS * 5, trainer)
    return made


def save_tokenizer(folder: Path, template: str | None = CHATML) -> Path:
    """The tokenizer as transformers keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer().save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {"eos_token": EOS, "pad_token": EOS, "tokenizer_class": "PreTrainedTokenizerFast"}
    if template:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Records of any kind; what a row leaves out is null. `text` follows from turns and mcqa."""
    made = []
    for number, row in enumerate(rows):
        row = {"kind": "text", "source": "test", "locator": f"doc-{number}", "language": "eng"} | row
        row.setdefault("text", json.dumps([row.get("turns"), row.get("mcqa")], ensure_ascii=False))
        row["id"] = record_id(row["source"].encode(), row["locator"].encode(), (row["text"] or "").encode())
        made.append(row)
    return pa.RecordBatch.from_pylist(made, schema=RECORD)


def text(content: str, **more: Any) -> dict[str, Any]:
    """A row of kind text."""
    return {"text": content, **more}


def qa(question: str, answer: str, **more: Any) -> dict[str, Any]:
    """A row of kind qa."""
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"kind": "qa", "turns": turns, **more}


def mcqa(question: str, options: list[str], right: str, **more: Any) -> dict[str, Any]:
    """A row of kind mcqa; `right` are letters."""
    keyed = [{"key": "ABCDEFGH"[i], "text": option} for i, option in enumerate(options)]
    return {"kind": "mcqa", "mcqa": {"question": question, "options": keyed, "answers": list(right)}, **more}


def tiny(experts: int = 0, seed: int = 0, dtype: str = "float32") -> Any:
    """A stock model of two layers: dense Qwen3, or Qwen3-MoE with experts in the last layer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

    shape = {
        "vocab_size": tokenizer().get_vocab_size(), "hidden_size": 32, "intermediate_size": 48, "head_dim": 8,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True,
        "max_position_embeddings": 512, "dtype": dtype,
    }  # fmt: skip
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    if not experts:
        return Qwen3ForCausalLM(Qwen3Config(**shape))
    moe = {"num_experts": experts, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "mlp_only_layers": [0]}
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**shape, **moe, norm_topk_prob=True))


class Given:
    """Batches as a job's inputs."""

    def __init__(self, batches: list[pa.RecordBatch]):
        self._batches, self.schema = batches, RECORD
        self.num_rows = sum(one.num_rows for one in batches)
        self.num_bytes = sum(one.nbytes for one in batches)

    def batches(self) -> Any:
        """All of them."""
        yield from self._batches
