"""The tokenizer loses nothing in any script and is the same again; a random base opens and speaks its words."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from medcorpus.core.errors import Fatal
from medcorpus.training import base, tokenizer
from medcorpus.training.moe.upcycle import Upcycling, parity, upcycle
from tests.training import tiny  # noqa: F401 (one thread)

TEXTS = [
    "The patient should drink plenty of water; 50 mg twice a day.",
    "ผู้ป่วยควรดื่มน้ำมาก ๆ และพักผ่อนให้เพียงพอ",
    "रोगी को खूब पानी पीना चाहिए और आराम करना चाहिए।",
    "患者应多喝水，注意休息。每日两次，每次50毫克。",
    "المريض يجب أن يشرب الكثير من الماء.",
    "ታካሚው ብዙ ውሃ መጠጣት እና ማረፍ አለበት።",
    "Ya kamata mara lafiya ya sha ruwa da yawa, ya huta.",
] * 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("tokenizer")
    tokenizer.train(TEXTS, out, vocab=500)
    return out


@pytest.fixture(scope="module")
def words(folder):
    return AutoTokenizer.from_pretrained(folder)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_nothing_is_lost(words, text):
    assert words.decode(words(text).input_ids, clean_up_tokenization_spaces=False) == text


def test_the_texts_come_back_in_fewer_tokens_than_bytes(words):
    for text in TEXTS[:7]:
        ids = words(text).input_ids
        assert words.decode(ids, clean_up_tokenization_spaces=False) == text
        assert len(ids) < 0.6 * len(text.encode())


def test_special_tokens_and_digits(words):
    assert len(words) == 500 and words.pad_token == "<|pad|>" and words.eos_token == "<|im_end|>"
    assert [words.convert_tokens_to_ids(t) for t in tokenizer.SPECIAL] == [0, 1, 2, 3]
    assert words.tokenize("<|im_start|>user") [0] == "<|im_start|>"  # fmt: skip
    assert "".join(words.tokenize("1250")) == "1250" and len(words.tokenize("1250")) == 4
    assert words("5 mg").input_ids != words("50 mg").input_ids


def test_the_template_marks_what_is_learnt(words):
    turns = [{"role": "user", "content": "50 mg?"}, {"role": "assistant", "content": "Drink water."}]
    made = words.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    learnt = [token for token, mask in zip(made["input_ids"], made["assistant_masks"], strict=True) if mask]
    assert words.decode(learnt) == "Drink water.<|im_end|>"
    asked = words.apply_chat_template(turns[:1], add_generation_prompt=True, tokenize=False)
    assert asked == "<|im_start|>user\n50 mg?<|im_end|>\n<|im_start|>assistant\n"


def test_the_same_texts_in_any_order_give_the_same_file(folder, tmp_path):
    shuffled = TEXTS[:]
    random.Random(1).shuffle(shuffled)
    tokenizer.train(iter(shuffled), tmp_path, vocab=500)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_marks_stay_with_their_letters(tmp_path):
    """Without marks in the pattern, no token could hold a Hindi vowel sign and the consonant after it."""
    made = tokenizer.train(["चिकित्सा"] * 50, tmp_path, vocab=300, longest=64)
    assert made.tokenize("चिकित्सा") == made.tokenize("चिकित्सा")[:1]


def test_no_room_and_no_text(tmp_path):
    with pytest.raises(Fatal, match="vocabulary of 100 has no room"):
        tokenizer.train(TEXTS, tmp_path, vocab=100)
    with pytest.raises(Fatal, match="no text"):
        tokenizer.train([""], tmp_path)


@pytest.mark.parametrize("kind", base.KINDS)
def test_a_base_from_nothing_can_be_upcycled(folder, tmp_path, kind):
    sizes = {"hidden": 32, "layers": 2, "heads": 4, "key_value_heads": 2, "ffn": 48}
    base.build(tmp_path / "base", folder, sizes, kind=kind, seed=3)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    assert model.config.model_type == kind and model.config.vocab_size == 500
    assert model.config.pad_token_id == 0 and model.config.eos_token_id == 3
    assert AutoTokenizer.from_pretrained(tmp_path / "base").chat_template
    upcycle(tmp_path / "base", tmp_path / "moe", Upcycling(["a", "b", "c"], layers=1))
    assert parity(tmp_path / "base", tmp_path / "moe").relative <= 1e-5
    assert len(AutoTokenizer.from_pretrained(tmp_path / "moe")) == 500


def test_a_seed_is_a_seed(folder, tmp_path):
    sizes = {"hidden": 32, "layers": 1, "ffn": 48}
    state = torch.random.get_rng_state()
    for out, seed in (("one", 1), ("two", 1), ("three", 2)):
        base.build(tmp_path / out, folder, sizes, seed=seed)
    one, two, three = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("one", "two", "three"))
    assert one == two != three
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("sizes", "kind", "match"),
    [
        ({"hiden": 32}, "qwen3", "no size 'hiden'; did you mean 'hidden'"),
        ({"hidden": 30}, "qwen3", "even multiple of heads"),
        ({"heads": 4, "key_value_heads": 3}, "qwen3", "heads a multiple of key_value_heads"),
        ({"layers": 0}, "qwen3", "whole numbers from 1"),
        ({}, "gpt2", "one of qwen3, qwen2, llama, mistral, not 'gpt2'"),
    ],
)
def test_sizes_that_cannot_be(folder, tmp_path, sizes, kind, match):
    with pytest.raises(Fatal, match=match):
        base.build(tmp_path / "base", folder, sizes, kind=kind)
