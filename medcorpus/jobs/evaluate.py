"""Score the model on exam questions: accuracy by language, with its interval.

    - evaluate: {exams: [mmedbench]}

The likeliest option wins: nothing is generated and nothing parsed. `exams` are names of sources among the rows of kind
mcqa; of these, rows of `split` are asked (`none`: those that say no split), and no tune step may learn what is asked:
it refuses, or with `exams_seen: drop` leaves these rows out. Questions with several right answers, or none, are counted
and not asked.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc
from pydantic import Field

from medcorpus.core.errors import Fatal, nearest
from medcorpus.core.params import Params, speed
from medcorpus.core.stage import Job, Resources, Rows


class EvaluateParams(Params):
    """What `evaluate` may be told."""

    exams: list[str] = Field(default_factory=list, description="Sources to ask questions of; all with such rows when empty.")  # fmt: skip # noqa: E501
    split: list[str] = Field(["test"], min_length=1, description="Splits that are asked; none: rows that say no split.")
    score: Literal["letters", "texts"] = Field("letters", description="What is compared: the options' letters, or their texts.")  # fmt: skip # noqa: E501
    most: int = Field(0, ge=0, description="Questions a language at most, drawn by id; 0 is all.")
    template: Literal["chat", "apollo"] | None = Field(None, description="As in tune; that of the tune step above when left out.")  # fmt: skip # noqa: E501
    routing: Literal["free", "forced", "masked"] = Field(
        "free", description="How experts are chosen: freely (as exported), own expert forced, or own and best only."
    )
    batch_tokens: int = speed(8192, ge=1, description="Tokens scored at a time.")


class Evaluate(Job):
    """Between stages of training, and at the end."""

    name, version, Params = "evaluate", 1, EvaluateParams
    reads = ("id", "kind", "mcqa")
    resources = Resources(kind="gpu")

    def run(self, inputs: Rows, out: Path) -> dict[str, Any]:
        """The questions as tokens, in `items.jsonl`, and their fingerprints; returns how many there are, by language.

        `context.facts`: tokenizer (folder), template (of the tune step above).
        """
        from tokenizers import Tokenizer

        from medcorpus.training.plan.items import Item, write_items
        from medcorpus.training.plan.template import LETTERS, open_template, question, right
        from medcorpus.training.plan.tokens import fingerprint

        params, facts = self.params, self.context.facts
        folder = Path(facts["tokenizer"])
        try:
            template = open_template(params.template or facts["template"], folder)
        except (ValueError, ModuleNotFoundError) as error:
            raise Fatal(f"{self.context.step}: {error}") from error
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

        def tokens(text: str) -> list[int]:
            return tokenizer.encode(text, add_special_tokens=False).ids

        self.sources: set[str] = set()  # of every exam question, asked or not
        items: list[Item] = []
        fingerprints, seen, not_asked = dict[str, int](), set[str](), Counter[str]()
        for record in self._questions(inputs):
            correct = right(record["mcqa"])
            options = [option["text"] or "" for option in record["mcqa"]["options"] or ()]
            if len(correct) != 1 or not 2 <= len(options) <= len(LETTERS):
                not_asked["several right answers" if len(correct) > 1 else "no right answer"] += 1
                continue
            texts = list(LETTERS[: len(options)]) if params.score == "letters" else options
            lengths = [1 if params.score == "letters" else max(1, len(text)) for text in texts]
            prompt = template.prompt([("user", question(record["mcqa"]))])
            language = record["language"] or "und"
            items.append(Item(record["id"], language, tokens(prompt), [tokens(t) for t in texts], correct[0], lengths))
            fingerprints[record["id"]] = fingerprint(record)
            seen.add(record["source"])
        if missing := [exam for exam in params.exams if exam not in seen]:
            raise Fatal(
                f"{self.context.step}: the data hold no question of '{missing[0]}' in split {', '.join(params.split)}"
                f"{nearest(missing[0], sorted(self.sources))}"
            )
        if not items:
            raise Fatal(f"{self.context.step}: the data hold no exam question in split {', '.join(params.split)}")
        items = self._most(items)
        write_items(items, out / "items.jsonl")
        np.save(out / "fingerprints.npy", np.array(sorted({fingerprints[item.id] for item in items}), np.uint64))
        languages = dict(sorted(Counter(item.language for item in items).items()))
        return {"questions": len(items), "languages": languages, "not_asked": dict(not_asked)}

    def _questions(self, inputs: Rows) -> Any:
        languages = set(self.context.languages)
        for batch in inputs.batches():
            batch = batch.select(["id", "kind", "language", "source", "split", "mcqa", "text"])
            for record in batch.filter(pc.equal(batch["kind"], "mcqa")).to_pylist():
                self.sources.add(record["source"])
                wanted = not self.params.exams or record["source"] in self.params.exams
                spoken = not languages or record["language"] in languages
                if wanted and spoken and (record["split"] or "none") in self.params.split and record["mcqa"]:
                    yield record

    def _most(self, items: list[Any]) -> list[Any]:
        """At most so many of each language: those with the smallest ids, which are hashes."""
        kept, counts = [], Counter[str]()
        for item in sorted(items, key=lambda item: item.id):
            counts[item.language] += 1
            if not self.params.most or counts[item.language] <= self.params.most:
                kept.append(item)
        return kept
