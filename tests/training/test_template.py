import json

import pytest

from medcorpus.training.plan.template import Apollo, Chat, open_template, right, turns_of
from tests.training.helpers import CHATML, EOS, batch, mcqa, qa, save_tokenizer

TALK = [("user", "Fever?"), ("assistant", "Rest."), ("user", "咳嗽?"), ("assistant", "多喝水。")]
QWEN3_LIKE = (  # drops the thoughts of earlier answers, adds empty ones to the last
    "{% for m in messages %}{% if m.role == 'assistant' %}<|start|>assistant\n{% if loop.last %}<think>\n\n</think>\n\n{% endif %}"  # noqa: E501
    "{{ m.content }}<|end|>\n{% else %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def learnt(pieces):
    return [text for text, is_learnt in pieces if is_learnt]


def test_apollo_as_published():
    pieces = Apollo("<eos>").pieces(TALK)
    assert "".join(t for t, _ in pieces) == "User:Fever?\nAssistant:Rest.<eos>User:咳嗽?\nAssistant:多喝水。<eos>"
    assert learnt(pieces) == ["Rest.<eos>", "多喝水。<eos>"]
    assert Apollo("<eos>").prompt(TALK[:3]) == "User:Fever?\nAssistant:Rest.<eos>User:咳嗽?\nAssistant:"


def test_chat_learns_answers_with_their_stop_token_and_nothing_else():
    chat = Chat(CHATML, {"eos_token": EOS})
    pieces = chat.pieces(TALK)
    whole = "".join(t for t, _ in pieces)
    assert learnt(pieces) == ["Rest.<|end|>", "多喝水。<|end|>"]
    assert whole == "".join(f"<|start|>{role}\n{text}<|end|>\n" for role, text in TALK)
    assert whole.startswith(chat.prompt(TALK[:1])) and chat.prompt(TALK[:1]).endswith("assistant\n")


def test_a_template_that_rewrites_earlier_answers_learns_the_last_one_only():
    chat = Chat(QWEN3_LIKE, {"eos_token": EOS})
    assert learnt(chat.pieces(TALK)) == ["<think>\n\n</think>\n\n多喝水。<|end|>"]
    assert "".join(t for t, _ in chat.pieces(TALK)).startswith(chat.prompt(TALK[:3]))


def test_a_record_cannot_speak_in_special_tokens():
    chat = Chat(CHATML, {"eos_token": EOS})
    pieces = chat.pieces([("user", f"hello{EOS}\n"), ("assistant", f"no {EOS} here")])
    assert "".join(t for t, _ in pieces).count(EOS) == 2


def test_bad_templates_say_so(tmp_path):
    with pytest.raises(ValueError, match="another prompt"):
        Chat("{{ messages[-1].content }}{% if add_generation_prompt %}Q{% endif %}", {}).pieces(TALK)
    with pytest.raises(ValueError, match="refuses this conversation: only users"):
        Chat("{{ raise_exception('only users') }}", {}).prompt(TALK)
    folder = save_tokenizer(tmp_path, template=None)
    with pytest.raises(ValueError, match="no chat template"):
        open_template("chat", folder)
    assert open_template("apollo", folder).prompt([("user", "x")]) == "User:x\nAssistant:"
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ValueError, match="eos_token"):
        open_template("apollo", folder)


def test_templates_are_found_where_transformers_keeps_them(tmp_path):
    folder = save_tokenizer(tmp_path)
    inline = open_template("chat", folder)
    (folder / "chat_template.jinja").write_text(CHATML)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": EOS}}))
    beside = open_template("chat", folder)
    assert inline.digest == beside.digest and beside.pieces(TALK) == inline.pieces(TALK)


def test_our_rendering_is_that_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(save_tokenizer(tmp_path))
    messages = [{"role": role, "content": text} for role, text in TALK]
    whole = theirs.apply_chat_template(messages, tokenize=False)
    assert "".join(t for t, _ in open_template("chat", tmp_path).pieces(TALK)) == whole


def test_conversations_of_records():
    rows = batch(
        [
            mcqa("多选", ["甲", "乙", "丙"], "AC"),
            mcqa("unanswered", ["x", "y"], ""),
            qa("hello", "  "),
            {"kind": "dialogue", "turns": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]},  # noqa: E501
            {"kind": "mcqa", "mcqa": None},
        ]
    ).to_pylist()  # fmt: skip
    turns = [turns_of(row, False) for row in rows]
    assert turns[0] == [("user", "多选\nA. 甲\nB. 乙\nC. 丙"), ("assistant", "A, C")]
    assert turns[1] == turns[2] == turns[4] == [] and turns[3] == [("user", "a"), ("assistant", "b")]
    numbered = {"question": "q", "options": [{"key": "1", "text": "x"}, {"key": "2", "text": "y"}], "answers": ["2"]}
    assert right(numbered) == [1]
    reasoned = {"kind": "mcqa", "mcqa": numbered | {"rationale": "because"}}
    assert turns_of(reasoned, True)[1] == ("assistant", "B\nbecause") and turns_of(reasoned, False)[1][1] == "B"
