"""Make experts of a dense model's last layers: Post-MoE.

    - upcycle: {base: Qwen/Qwen3-0.6B, experts: families, layers: 2, top_k: 2}

The last `layers` get `experts` copies of their FFN and a router; everything else stays as it is. The new model equals
the dense one, which is checked and printed. In training a token's own expert (that of its language's family) always
works; at inference the router is free, so the model needs no language and opens in stock transformers.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from medcorpus.core.languages import registry
from medcorpus.core.params import Params, place
from medcorpus.core.stage import Job, Resources, Rows


class UpcycleParams(Params):
    """What `upcycle` may be told."""

    base: str | dict[str, Any] | None = place(
        None,
        description="The dense model: folder or Hub id (Qwen2, Qwen3, Llama 3, Mistral), or {init: random, ...} for one"
        " of the sizes given, with a tokenizer trained on the rows. At the first step of a recipe, and only there.",
    )
    experts: Literal["families", "apollo-moe", "languages"] | int = Field(
        "families", description="One expert for each family, group of the published table, or language of the recipe;"
        " or so many, of no language.",
    )  # fmt: skip
    layers: int | None = Field(2, ge=1, description="So many of the last layers become mixtures; all when null.")
    top_k: int = Field(2, ge=1, description="Experts that work on a token.")
    normalise: bool = Field(True, description="Weights of the experts sum to 1, so the model begins undamaged.")
    shared: bool = Field(
        False, description="One more expert that always works (language-specific routing of the paper)."
    )
    noise: float = Field(0.0, ge=0, description="Noise on the copies, relative to the spread of the weights.")
    drop: float = Field(0.0, ge=0, le=1, description="Share of every copy's columns drawn anew (drop-upcycling).")
    router: Literal["zero", "hidden"] = Field(
        "zero", description="Where routers begin: at zero, or at the mean hidden state of each expert's texts."
    )
    router_tokens: int = Field(4096, ge=1, description="Tokens of text for each expert that `router: hidden` looks at.")
    seed: int = Field(0, description="Of noise and drop.")


class Upcycle(Job):
    """The first step of a Post-MoE."""

    name, version, Params = "upcycle", 1, UpcycleParams
    reads = ("text",)
    resources = Resources(kind="gpu")

    def run(self, inputs: Rows, out: Path) -> dict[str, Any]:
        """Nothing is written: what is to be made is small enough for the configuration, and is returned."""
        params = self.params
        names, languages = self.experts()
        keep = ("layers", "top_k", "normalise", "noise", "drop", "shared", "router", "seed")
        upcycling = {"experts": names, "languages": languages, **{name: getattr(params, name) for name in keep}}
        return {"upcycling": upcycling, "router_tokens": params.router_tokens}

    def experts(self) -> tuple[list[str], dict[str, int]]:
        """Names of the experts, and the expert of every language."""
        wanted, known = self.params.experts, registry()
        if isinstance(wanted, int):
            return [str(number) for number in range(wanted)], {}
        if wanted == "languages":
            codes = list(self.context.languages)
            return codes, {code: index for index, code in enumerate(codes)}
        table = "glottolog" if wanted == "families" else wanted
        names = [name for _, name, _ in known.experts(table)]
        found = {language.code: known.expert(language.code, table) for language in known}
        return names, {code: index for code, index in found.items() if index is not None}
