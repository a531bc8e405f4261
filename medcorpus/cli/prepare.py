"""A training recipe becomes a prepared folder: `medcorpus train` runs it here, `python -m medcorpus.training` anywhere.

What is there already is not made again: tokens and plan are kept under a key of all that decides them.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from medcorpus.core import keys
from medcorpus.core.errors import Fatal, Problem, RecipeError
from medcorpus.core.log import event
from medcorpus.core.params import fill
from medcorpus.core.schema import RECORD
from medcorpus.core.stage import Bad, Source
from medcorpus.engine.plan import Step
from medcorpus.jobs import TRAINING
from medcorpus.recipe.compile import DATA, Compiled

_KEPT = (".safetensors", ".json", ".txt", ".jinja", ".model")  # of a base: no code, no pickles
TEXT_FOR_TOKENIZER = 64 << 20  # characters; more changes a vocabulary no longer


class DatasetRows:
    """The rows of the recipe's `data`, read as `ingest` reads them. What cannot be read is an error, not a reject."""

    def __init__(self, step: Step):
        stage = step.build()
        assert isinstance(stage, Source)
        self._stage, self._partitions = stage, sorted(stage.partitions(), key=lambda partition: partition.digest)
        self.digest = stage.snapshot()
        self.schema = RECORD
        self.num_bytes = sum(partition.size for partition in self._partitions)

    @property
    def num_rows(self) -> int:
        """Rows in all partitions; reads them."""
        return sum(batch.num_rows for batch in self.batches())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows."""

        def refuse(bad: Bad) -> None:
            raise Fatal(f"the data cannot be read: {bad.locator}: {bad.error}: {bad.message}")

        for partition in self._partitions:
            yield from self._stage.read(partition.spec, refuse)


def check(compiled: Compiled, file: str) -> list[Step]:
    """The training steps, in order. Raises RecipeError with everything that is wrong with their order."""
    problems = []
    steps = [step for step in compiled.plan.steps if step.id != DATA]
    for step in steps:
        if step.cls.name not in TRAINING:
            problems.append(Problem(file, step.line, f"{step.cls.name} is a step of `medcorpus build`; build first, then name the run in `data:`"))  # fmt: skip # noqa: E501
    models = [step for step in steps if step.cls.name in ("upcycle", "tune")]
    for step in models[:1]:
        if step.params["base"] is None:
            problems.append(Problem(file, step.line, f"{step.id} is the first step with a model and must say `base`"))
    for step in models[1:]:
        if step.params["base"] is not None:
            problems.append(
                Problem(file, step.line, f"{step.id} goes on with the model of the step above; drop `base`")
            )
    first_model = steps.index(models[0]) if models else len(steps)
    for step in steps[:first_model]:
        if step.cls.name in TRAINING:
            problems.append(Problem(file, step.line, f"{step.id} has no model yet; put upcycle or tune before it"))
    for step in models[1:]:
        if step.cls.name == "upcycle" and any(one.cls.name == "upcycle" for one in models[: models.index(step)]):
            problems.append(Problem(file, step.line, f"{step.id}: the model above has experts already"))
    if problems:
        raise RecipeError(problems)
    return steps


def prepare(compiled: Compiled, file: str, root: Path) -> dict[str, Any]:
    """Write `training.json` and all it names into `root`; returns it."""
    steps = check(compiled, file)
    if DATA not in compiled.plan.by_id:
        raise RecipeError(f"{file}: say which rows to train on, as in `data: [runs/quickstart]`")
    rows = DatasetRows(compiled.plan.by_id[DATA])
    root.mkdir(parents=True, exist_ok=True)
    first = next(step for step in steps if step.cls.name in ("upcycle", "tune"))
    base, tokenizer_digest = _base(first.params["base"], rows, root, Path(first.context.root))
    chain = _Chain(root, rows, compiled.languages, tokenizer_digest, base)
    for step in steps:  # questions first: no tune may learn them
        if step.cls.name == "evaluate":
            chain.questions(step, _template(step, steps))
    described = [chain.add(step) for step in steps]
    about = {"format": 1, "name": compiled.plan.name, "base": base, "shards": rows.digest, "steps": described}
    made = root / ".training.json.tmp"
    made.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    made.replace(root / "training.json")
    used = {f"{step['id']}-{step['data_key'][:8]}" for step in described}
    for folder in (root / "data").glob("*"):
        if folder.name not in used:
            shutil.rmtree(folder)
    return about


class _Chain:
    """Steps one after the other: each key holds that of the model before it."""

    def __init__(self, root: Path, rows: DatasetRows, languages: tuple[str, ...], tokenizer: str, base: dict[str, Any]):
        self.root, self.rows, self.languages, self.tokenizer = root, rows, languages, tokenizer
        self.model, self.model_key = None, keys.digest(base)
        self.experts: dict[str, Any] = base.get("experts") or {"experts": [], "languages": {}}
        self.mixes: list[dict[str, float]] = []
        self.asked: dict[str, tuple[str, Path]] = {}  # evaluate step -> data key, folder

    def questions(self, step: Step, template: str) -> None:
        """Prepare an evaluate step."""
        params = {name: value for name, value in step.build().params.data().items() if name != "routing"}
        facts = {"tokenizer": str(self.root / "tokenizer"), "template": template}
        key = keys.digest([params, template, self.tokenizer, self.rows.digest, self.languages, step.cls.version])
        self.asked[step.id] = key, self._prepared(step, key, facts)

    def add(self, step: Step) -> dict[str, Any]:
        """Prepare a step; returns what training.json says of it."""
        name, params, data_key = step.cls.name, dict(step.params), ""
        if name == "tune":
            data_key = self._planned(step)
        elif name == "evaluate":
            data_key = self.asked[step.id][0]
        elif name == "upcycle":
            params = _job(step, {}, self.languages).run(self.rows, self.root)
            self.experts = {name: params["upcycling"][name] for name in ("experts", "languages")}
        params.pop("base", None)
        decides = [name, step.cls.version, step.build().params.data(), data_key, self.model_key]
        key = keys.digest([*decides, params] if name == "upcycle" else decides)
        described = {"id": step.id, "stage": name, "key": key, "data_key": data_key, "params": params, "model_from": self.model}  # fmt: skip # noqa: E501
        if name in ("upcycle", "tune"):
            self.model, self.model_key = step.id, key
        return described

    def _planned(self, step: Step) -> str:
        from medcorpus.jobs.tune import TOKENS

        asked = [np.load(folder / "fingerprints.npy") for _, folder in self.asked.values()]
        facts = {
            "tokenizer": str(self.root / "tokenizer"),
            "experts": self.experts["languages"],
            "expert_names": self.experts["experts"],
            "earlier": list(self.mixes),
            "asked": set(np.concatenate(asked).tolist()) if asked else set(),
            "shards": self.rows.digest,
        }
        self.mixes.append(step.params["mix"])
        decides = {name: step.params[name] for name in TOKENS}
        known = {name: value for name, value in facts.items() if name not in ("tokenizer", "asked")}
        questions = sorted(key for key, _ in self.asked.values())
        key = keys.digest([decides, known, questions, self.tokenizer, self.languages, step.cls.version])
        self._prepared(step, key, facts)
        return key

    def _prepared(self, step: Step, key: str, facts: dict[str, Any]) -> Path:
        """The folder with a step's share, made now if it is not there."""
        folder = self.root / "data" / f"{step.id}-{key[:8]}"
        if not folder.exists():
            event(f"{step.id}: preparing")
            with _whole(folder) as made:
                _job(step, facts, self.languages).run(self.rows, made)
        return folder


def _job(step: Step, facts: dict[str, Any], languages: tuple[str, ...]) -> Any:
    return replace(step, context=replace(step.context, facts=facts, languages=languages)).build()


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder that appears whole or not at all."""
    made = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    yield made
    made.replace(folder)


def _template(step: Step, steps: list[Step]) -> str:
    """The template of the tune step before an evaluate, else of the first one."""
    tunes = [one for one in steps if one.cls.name == "tune"]
    above = [one for one in tunes if steps.index(one) < steps.index(step)]
    return str((above[-1:] or tunes[:1] or [None])[0].params["template"]) if tunes else "chat"


def _base(base: Any, rows: DatasetRows, root: Path, recipe: Path) -> tuple[dict[str, Any], str]:
    """The base as training.json says it, and the digest of its tokenizer; files are put into `root`."""
    from medcorpus.training.checkpoint import digest_of

    if isinstance(base, dict):
        about = _random(base, rows, root)
    else:
        about = _copied(fill(base), root, recipe)
    return about, digest_of(root / "tokenizer" / "tokenizer.json")


def _random(base: dict[str, Any], rows: DatasetRows, root: Path) -> dict[str, Any]:
    """A base with random weights: here the tokenizer only, trained on the rows."""
    if base.get("init") != "random":
        raise RecipeError(f"base: a model's folder or Hub id, or {{init: random, ...}}, not {base}")
    vocabulary = base.get("vocabulary", 8192)
    key = keys.digest([vocabulary, rows.digest])
    folder = root / "tokenizer"
    if not (folder / key).exists():
        from medcorpus.training import tokenizer

        event("training a tokenizer on the rows")
        shutil.rmtree(folder, ignore_errors=True)
        with _whole(folder) as made:
            tokenizer.train(_texts(rows), made, vocabulary)
            (made / key).touch()
    return {"vocabulary": vocabulary, **base, "tokenizer": key}


def _texts(rows: DatasetRows) -> Iterator[str]:
    left = TEXT_FOR_TOKENIZER
    for batch in rows.batches():
        for text in batch["text"].to_pylist():
            if text:
                yield text
                left -= len(text)
        if left < 0:
            return


def _copied(name: str, root: Path, recipe: Path) -> dict[str, Any]:
    """A checkpoint of the disk or the Hub, linked or copied into `root`, with the digest of every file."""
    from medcorpus.training import checkpoint, weights

    beside = recipe / name
    source = beside if beside.is_dir() else weights.local(name)
    known = root / "base" / "source.json"
    about = {"source": name, "files": {path.name: path.stat().st_size for path in sorted(source.glob("*.safetensors"))}}
    if not known.exists() or json.loads(known.read_text()) != about:

        def copy(made: Path) -> None:
            for path in sorted(source.iterdir()):
                if path.is_file() and path.suffix in _KEPT and path.name not in (checkpoint.MANIFEST, "source.json"):
                    _link(path.resolve(), made / path.name)
            (made / "source.json").write_text(json.dumps(about))

        checkpoint.publish(root / "base", copy, {})
        shutil.rmtree(root / "tokenizer", ignore_errors=True)
        with _whole(root / "tokenizer") as made:
            weights.copy_beside(root / "base", made)
    config = json.loads((root / "base" / "config.json").read_text(encoding="utf-8"))
    files = json.loads((root / "base" / "manifest.json").read_text())["files"]
    return {"name": name, "digest": keys.digest(files), "experts": config.get("medcorpus")}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
