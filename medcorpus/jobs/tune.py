"""Train on rows, by a plan that is settled before it starts.

    - tune: {mix: {instruction: 1.0}, epochs: 1, lr: 1.0e-5}
      id: stage1
    - tune: {mix: {mcqa: 1.0, instruction: 0.1}, epochs: 2, lr: 5.0e-6}
      id: stage2

A key of `mix` is a kind of rows (text, qa, dialogue, mcqa), `instruction` (qa and dialogue) or `<kind>/<source>`; its
number says how often an epoch sees their tokens: 1 all, 0.1 a tenth (in the next epoch another tenth), 2 all twice.
Rows of kind text are learnt whole, in windows; of a conversation the answers are learnt; an exam's answer is its
letter. Each step begins with the weights of the one before and a fresh optimizer. A step may be left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from medcorpus.core.errors import Fatal, RecipeError, nearest
from medcorpus.core.params import Params, place, speed
from medcorpus.core.stage import Job, Resources, Rows

_EVALUATION = ("test", "validation", "valid", "dev", "heldout")


class Routing(Params):
    """How tokens choose experts."""

    train: Literal["hybrid", "free"] = "hybrid"
    balance: float = Field(0.0, ge=0)
    z: float = Field(0.0, ge=0)
    language: float = Field(0.0, ge=0)


class TuneParams(Params):
    """What `tune` may be told."""

    base: str | dict[str, Any] | None = place(
        None, description="The model to begin with (see upcycle), at the first step of a recipe, and only there."
    )
    mix: dict[str, float] = Field(min_length=1, description="Kind, `instruction` or kind/source -> how often an epoch sees them.")  # fmt: skip # noqa: E501
    epochs: float = Field(1.0, gt=0, description="Passes over the mix; 0.5 is half of one.")
    replay: float = Field(0.0, ge=0, le=1, description="Share of the mixes of the tune steps above that is seen again.")
    balance: Literal["natural", "temperature", "unimax"] = Field(
        "natural", description="Languages as they are, evened out by `temperature`, or all alike up to `max_epochs`."
    )
    temperature: float = Field(3.3, ge=1, description="Shares of languages grow with n^(1/temperature).")
    max_epochs: float = Field(4.0, gt=0, description="How often unimax may show one language's rows in an epoch.")
    priority: dict[str, float] = Field(
        default_factory=dict,
        description="Key as in `mix` -> weight (else 1) of being drawn early, without replacement.",
    )
    window: int = Field(
        2048, ge=8, description="Tokens of a row; documents are packed into rows and do not see each other."
    )
    overlap: int = Field(0, ge=0, description="Tokens that windows of a long text share (MMedC: 512 of 2048).")
    too_long: Literal["drop", "cut"] = Field("drop", description="A conversation longer than the window is left out, or cut.")  # fmt: skip # noqa: E501
    packed: bool = Field(True, description="Several documents in a row.")
    batch_tokens: int = Field(131_072, ge=8, description="Tokens of a step, on all devices together.")
    heldout: float = Field(
        0.0, ge=0, lt=1, description="Share of the documents kept apart, to judge the step by their loss."
    )
    template: Literal["chat", "apollo"] = Field("chat", description="The model's own chat template, or `User:` / `Assistant:`.")  # fmt: skip # noqa: E501
    rationale: bool = Field(False, description="Learn the reason below an exam's answer too.")
    exams_seen: Literal["refuse", "drop"] = Field(
        "refuse", description="Rows that an evaluate step asks too: refuse to train, or leave them out."
    )
    lr: float = Field(1e-5, gt=0, description="Highest learning rate.")
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="How it falls.")
    warmup: float = Field(0.03, ge=0, le=1, description="Share of the steps in which it rises.")
    floor: float = Field(0.1, ge=0, le=1, description="What is left of it at the end.")
    rates: dict[Literal["router", "experts", "trunk"], float] = Field(
        default_factory=dict, description="Factors on the learning rate of a part of the model, such as {router: 10}."
    )
    weight_decay: float = Field(0.1, ge=0, description="Of matrices; never of norms, biases and routers.")
    betas: tuple[float, float] = Field((0.9, 0.95), description="AdamW's memory of gradients and their squares.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    train: Literal["full", "last", "moe", "lora"] = Field(
        "full", description="What is trained: all, the last layers, experts and routers, or low-rank adapters."
    )
    last_layers: int = Field(2, ge=1, description="How many layers `train: last` trains.")
    lora_rank: int = Field(16, ge=1, description="Rank of the adapters of `train: lora`.")
    precision: Literal["bf16", "fp32"] = Field("bf16", description="Of the weights; the optimizer keeps fp32 masters.")
    routing: Routing = Field(Routing(), description="train: hybrid or free; balance, z, language: auxiliary losses.")
    evaluate_every: int = Field(0, ge=0, description="Steps between losses of the held-out documents; 0: at the end.")
    hand_over: Literal["last", "best"] = Field("last", description="Which weights the next step gets; best: lowest held-out loss.")  # fmt: skip # noqa: E501
    optimizer: Literal["fresh", "carried"] = Field("fresh", description="Its state at the start: none, or that of the tune before.")  # fmt: skip # noqa: E501
    seed: int = Field(0, description="Of the order of the rows and of chance in the model.")
    micro_tokens: int = speed(8192, ge=1, description="Tokens a device works on at a time.")
    checkpointing: bool = speed(
        False, description="Compute activations again in the backward pass: slower, less memory."
    )
    attention: Literal["auto", "block", "varlen"] = speed("auto", description="How documents of a row are kept apart.")
    save_every: int = speed(500, ge=1, description="Steps between checkpoints.")
    keep_last: int = speed(2, ge=1, description="Checkpoints kept, besides the best.")
    log_every: int = speed(10, ge=1, description="Steps between lines of the log.")
    device_flops: float | None = speed(None, gt=0, description="FLOP/s of a device for MFU, where it is not known.")

    @model_validator(mode="after")
    def _fits(self) -> "TuneParams":
        if self.overlap >= self.window:
            raise ValueError(f"overlap ({self.overlap}) must be smaller than window ({self.window})")
        if self.hand_over == "best" and not self.heldout:
            raise ValueError("hand_over: best needs rows to judge by: say `heldout`, such as 0.01")
        if bad := [key for key, value in (self.mix | self.priority).items() if value < 0]:
            raise ValueError(f"{bad[0]}: not below 0")
        return self


PLANNED = (
    "mix", "epochs", "balance", "temperature", "max_epochs", "priority", "window", "overlap", "too_long", "packed",
    "batch_tokens", "heldout", "seed",
)  # fmt: skip
TOKENS = (*PLANNED, "replay", "template", "rationale", "exams_seen")  # all that decides tokens and plan


class Tune(Job):
    """A stage of training."""

    name, version, Params = "tune", 1, TuneParams
    reads = ("id", "kind", "text")
    resources = Resources(kind="gpu")

    def run(self, inputs: Rows, out: Path) -> dict[str, Any]:
        """Token files and the plan, in `out`; returns plan.json. Uses no torch.

        `context.facts`: tokenizer (folder), experts (language -> index), expert_names, earlier (mixes of the tune steps
        above, with their replay), asked (fingerprints of exam questions), shards (digest of the rows).
        """
        from tokenizers import Tokenizer

        from medcorpus.training.plan.build import Settings, build
        from medcorpus.training.plan.template import open_template, stop_token
        from medcorpus.training.plan.tokens import fingerprint, write_tokens

        params, facts = self.params, self.context.facts
        folder = Path(facts["tokenizer"])
        try:
            template = open_template(params.template, folder)
        except (ValueError, ModuleNotFoundError) as error:
            raise Fatal(f"{self.context.step}: {error}") from error
        asked, wanted_languages = facts["asked"], set(self.context.languages)
        met: list[str] = []

        def left_out(record: dict[str, Any]) -> str | None:
            if wanted_languages and record["language"] not in wanted_languages:
                return "another language"
            if record["split"] in _EVALUATION:
                return f"split {record['split']}"
            if record["kind"] == "mcqa" and fingerprint(record) in asked:
                met.append(record["id"])
                return "asked in an exam"
            return None

        settings = Settings(**{name: getattr(params, name) for name in PLANNED})
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        rows = _of_mix(inputs, self._kinds(facts["earlier"]))
        documents = write_tokens(rows, tokenizer, template, stop_token(folder), out, left_out, params.rationale)
        if met and params.exams_seen == "refuse":
            raise Fatal(
                f"{self.context.step}: {len(met):,} rows to train on are questions of an evaluate step, such as "
                f"{met[0]} (`medcorpus explain` shows it); their accuracy would mean nothing. Take them out of the "
                "data, or say `exams_seen: drop`"
            )
        try:
            earlier = [(mix, params.replay) for mix in facts["earlier"]] if params.replay else []
            made_of = {"template": template.digest, "shards": facts["shards"]}
            return build(documents, settings, out, facts["experts"], facts["expert_names"], earlier, made_of)
        except KeyError as error:
            kinds = sorted({*documents.kinds, *(f"{k}/{s}" for k in documents.kinds for s in documents.sources)})
            raise RecipeError(
                f"{self.context.step}: no row is of the mix key '{error.args[0]}'{nearest(error.args[0], kinds)} "
                f"(there are: {', '.join(documents.kinds)}; sources: {', '.join(documents.sources[:20])}; left out: "
                f"{', '.join(f'{count:,} {why}' for (_, why), count in documents.left_out.most_common(5)) or 'none'})"
            ) from error
        except ValueError as error:
            raise Fatal(f"{self.context.step}: {error}") from error

    def _kinds(self, earlier: list[dict[str, float]]) -> set[str]:
        """Kinds of rows that the mix, or what is replayed, can use."""
        keys = {key.split("/")[0] for mix in (self.params.mix, *(earlier if self.params.replay else ())) for key in mix}
        return keys | ({"qa", "dialogue"} if "instruction" in keys else set())


def _of_mix(inputs: Rows, kinds: set[str]) -> Iterator[pa.RecordBatch]:
    """The rows of these kinds: others are not even tokenised."""
    wanted = pa.array(sorted(kinds), pa.string())
    for batch in inputs.batches():
        mask = pc.is_in(batch["kind"], wanted)
        yield batch if np.all(mask.to_numpy(zero_copy_only=False)) else batch.filter(mask)
