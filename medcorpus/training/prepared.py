"""A prepared folder: everything that a training needs, and where its results go.

    training.json              name, base, steps in order with all their parameters, what the data were
    tokenizer/, base/          files of the tokenizer; the dense checkpoint, unless its weights are random
    data/<id>-<key>/           what a step reads: plan and tokens (tune), questions (evaluate)
    steps/<id>-<key>/          what it made: model/, checkpoints/, log.jsonl, result.json (the step is done)
    export/                    the last exported model

Keys follow from parameters, data and the steps before, so a changed recipe does again only what the change concerns.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from medcorpus.core.errors import Fatal, RecipeError, nearest
from medcorpus.training.checkpoint import digest_of, read_manifest

FORMAT = 1
FILE = "training.json"


@dataclass(frozen=True)
class Step:
    """One step: `stage` is upcycle, tune, evaluate or export."""

    root: Path
    id: str
    stage: str
    key: str
    data_key: str
    params: dict[str, Any]
    model_from: str | None  # id of the step whose model it takes; None: the base

    @property
    def data(self) -> Path:
        """What it reads."""
        return self.root / "data" / f"{self.id}-{self.data_key[:8]}"

    @property
    def out(self) -> Path:
        """What it makes."""
        return self.root / "steps" / f"{self.id}-{self.key[:8]}"

    @property
    def result(self) -> dict[str, Any] | None:
        """Its figures, once it is done."""
        path = self.out / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


class Prepared:
    """A prepared folder, read."""

    def __init__(self, root: Path):
        try:
            self.about: dict[str, Any] = json.loads((root / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecipeError(
                f"{root} is no prepared training: `medcorpus train RECIPE --prepare DIR` makes one"
            ) from None
        if self.about.get("format") != FORMAT:
            raise Fatal(f"{root} was prepared by another version (format {self.about.get('format')}); prepare it again")
        self.root = root
        self._whole: set[Path] = set()
        self.steps = [Step(root, **step) for step in self.about["steps"]]

    @cached_property
    def by_id(self) -> dict[str, Step]:
        """Steps by id."""
        return {step.id: step for step in self.steps}

    def until(self, id: str | None) -> list[Step]:
        """The steps to the one called `id`, or all. Raises RecipeError for an unknown one."""
        if id is None:
            return self.steps
        if id not in self.by_id:
            raise RecipeError(f"no step is called '{id}'{nearest(id, list(self.by_id))}")
        return self.steps[: self.steps.index(self.by_id[id]) + 1]

    def model_before(self, step: Step) -> Path:
        """The checkpoint a step begins with. Raises Fatal when it is not there or not whole (read once)."""
        folder = self.root / "base" if step.model_from is None else self.by_id[step.model_from].out / "model"
        if folder not in self._whole:
            try:
                read_manifest(folder)
            except ValueError as error:
                raise Fatal(f"{folder}, which {step.id} begins with, cannot be used: {error}") from error
            self._whole.add(folder)
        return folder

    def lineage(self, step: Step) -> dict[str, str]:
        """Digests, taken now, of everything that decides what a tune step makes."""
        plan = json.loads((step.data / "plan.json").read_text(encoding="utf-8"))
        return {
            "shards": plan["shards"],
            "tokenizer": digest_of(self.root / "tokenizer" / "tokenizer.json"),
            "template": plan["template"],
            "plan": blake2b(np.load(step.data / "plan.npy").tobytes(), digest_size=16).hexdigest(),
            "settings": step.key,
            "code": code(),
            "base": digest_of(self.model_before(step) / "manifest.json"),
        }


def code() -> str:
    """Digest of the source of this package."""
    root = Path(__file__).parent
    made = blake2b(digest_size=16)
    for path in sorted(root.rglob("*.py")):
        made.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return made.hexdigest()
