"""A byte-level BPE (https://arxiv.org/abs/1508.07909) trained on texts, for models that begin from nothing.

No text is normalised or lost: every byte has a token. Words are letters with the marks that belong to them (Hindi,
Thai and Khmer vowel signs are marks: a pattern of letters alone would cut words apart), numbers are cut into digits so
that 5 mg and 50 mg differ by a whole token.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from medcorpus.core.errors import Fatal

PAD, END, TURN, TURN_END = "<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (PAD, END, TURN, TURN_END)
WORDS = r"[^\r\n\p{L}\p{M}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# ChatML, as Qwen's models have it; `generation` marks what is learnt.
CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train(texts: Iterable[str], out: Path, vocab: int = 8192, longest: int = 16) -> PreTrainedTokenizerFast:
    """Train on `texts` and save into the folder `out`; the same texts in any order give the same tokenizer.

    vocab: tokens at most, the 256 bytes and four special ones among them. longest: bytes a token may stand for; without
    a limit, languages without blanks give whole sentences as tokens. Raises Fatal when vocab has no room or there is
    no text.
    """
    if vocab < 256 + len(SPECIAL):
        raise Fatal(f"a vocabulary of {vocab} has no room for 256 bytes and {len(SPECIAL)} special tokens")
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])  # fmt: skip # noqa: E501
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=longest,
        show_progress=False,
    )
    seen = 0

    def counted() -> Iterable[str]:
        nonlocal seen
        for text in texts:
            seen += bool(text)
            yield text

    tokenizer.train_from_iterator(counted(), trainer=trainer)
    if not seen:
        raise Fatal("there is no text to train a tokenizer on")
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=TURN_END,
        unk_token=None,
        bos_token=None,
        chat_template=CHAT,
    )
    made.add_special_tokens({"additional_special_tokens": [END, TURN]})
    out.mkdir(parents=True, exist_ok=True)
    made.save_pretrained(out)
    return made
