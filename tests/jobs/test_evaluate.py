import numpy as np
import pytest

from medcorpus.core.errors import Fatal
from medcorpus.core.stage import Context
from medcorpus.jobs.evaluate import Evaluate, EvaluateParams
from medcorpus.training.plan.items import read_items
from medcorpus.training.plan.template import question
from tests.training.helpers import Given, batch, mcqa, save_tokenizer, text, tokenizer

ROWS = [
    mcqa("Which drug?", ["aspirin", "zinc", "rest"], "B", source="usmle", split="test", locator="1"),
    mcqa("どれ", ["甲", "乙"], "A", source="igaku", split="test", language="jpn", locator="2"),
    mcqa("Both?", ["x", "y", "z"], "AC", source="usmle", split="test", locator="3"),
    mcqa("None?", ["x", "y"], "", source="usmle", split="test", locator="4"),
    mcqa("Train", ["x", "y"], "A", source="usmle", split="train", locator="5"),
    text("no question", split="test", locator="6"),
]


def prepared(tmp_path, rows=ROWS, languages=(), template="apollo", **params):
    folder = save_tokenizer(tmp_path / "tokenizer")
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    context = Context("exam", languages=languages, facts={"tokenizer": str(folder), "template": template})
    figures = Evaluate(EvaluateParams(**params), context).run(Given([batch(rows)]), out)
    return figures, read_items(out / "items.jsonl"), np.load(out / "fingerprints.npy")


def test_questions_become_prompts_and_letters(tmp_path):
    figures, items, fingerprints = prepared(tmp_path)
    assert figures == {
        "questions": 2,
        "languages": {"eng": 1, "jpn": 1},
        "not_asked": {"several right answers": 1, "no right answer": 1},
    }
    assert len(fingerprints) == 2, "what is asked may not be learnt"
    english = next(item for item in items if item.language == "eng")
    assert tokenizer().decode(english.prompt) == f"User:{question(ROWS[0]['mcqa'])}\nAssistant:"
    assert [tokenizer().decode(option) for option in english.options] == ["A", "B", "C"] and english.right == 1


def test_texts_of_options_and_the_chat_template(tmp_path):
    _, items, _ = prepared(tmp_path, score="texts", template="chat")
    japanese = next(item for item in items if item.language == "jpn")
    assert [tokenizer().decode(option) for option in japanese.options] == ["甲", "乙"] and japanese.lengths == [1, 1]
    prompt = tokenizer().decode(japanese.prompt, skip_special_tokens=False)
    assert prompt == "<|start|>user\nどれ\nA. 甲\nB. 乙<|end|>\n<|start|>assistant\n"


def test_exams_languages_and_a_limit(tmp_path):
    assert prepared(tmp_path, exams=["igaku"])[0]["languages"] == {"jpn": 1}
    unsplit = [*ROWS, mcqa("No split", ["x", "y"], "A", locator="7")]
    assert prepared(tmp_path, unsplit, split=["none", "train"])[0]["questions"] == 2
    assert prepared(tmp_path, languages=("eng",))[0]["languages"] == {"eng": 1}
    many = [mcqa(f"Q{n}", ["a", "b"], "A", split="test", locator=str(n)) for n in range(30)]
    _, some, _ = prepared(tmp_path, many, most=7)
    _, again, _ = prepared(tmp_path, many[::-1], most=7)
    assert len(some) == 7 and [item.id for item in some] == [item.id for item in again]


def test_nothing_to_ask_is_an_error(tmp_path):
    with pytest.raises(Fatal, match=r"no question of 'usmlee' .*did you mean 'usmle'"):
        prepared(tmp_path, exams=["usmlee"])
    with pytest.raises(Fatal, match="no exam question in split dev, none"):
        prepared(tmp_path, split=["dev", "none"])
