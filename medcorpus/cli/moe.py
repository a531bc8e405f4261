"""`medcorpus moe`: look at a mixture of experts, add an expert, import a published one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from medcorpus.cli.show import print_json, table
from medcorpus.core.errors import Missing, RecipeError

moe = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Look at a mixture of experts, add an expert, import a published one. (`train` makes and tunes them.)",
)
Model = Annotated[Path, typer.Argument(help="A checkpoint folder: config.json and safetensors.")]
Out = Annotated[Path, typer.Argument(help="The folder to write; it must not exist or be empty.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@moe.command()
def show(
    model: Model,
    context: Annotated[int, typer.Option(min=1, help="Tokens of a document, for operations per token.")] = 4096,
    json: AsJson = False,
) -> None:
    """The experts of a model, the languages that lead to them, its parameters and operations per token."""
    _installed()
    from medcorpus.training import sizes, weights
    from medcorpus.training.moe import upcycle

    folder = weights.local(model)
    described, empty = upcycle.description(folder), sizes.empty(folder)
    counted = sizes.parameters(empty)
    flops = sizes.flops_per_token(empty, (context + 1) / 2)
    if json:
        print_json(
            {"architecture": empty.config.model_type, **described, "parameters": counted, "flops": flops._asdict()}
        )
        return
    of = {
        number: [c for c, e in described["languages"].items() if e == number]
        for number in range(len(described["experts"]))
    }
    rows = [[number, name, len(of[number]), " ".join(of[number])] for number, name in enumerate(described["experts"])]
    table(f"{model}: {empty.config.model_type}", ["", "expert", "languages", "codes"], rows, right=["languages"])
    table("", ["part", "parameters"], counted.items(), right=["parameters"])
    print(f"forward, a document of {context:,} tokens: {flops.forward / 1e9:.3g} GFLOP a token; training 3 times that")


@moe.command("add-expert")
def add_expert(
    model: Model,
    out: Out,
    name: Annotated[str, typer.Option("--name", help="Name of the new expert.")],
    like: Annotated[str, typer.Option("--from", help="The expert to copy: its name or index.")],
    languages: Annotated[str, typer.Option(help="Languages that lead to it from now on, with commas.")] = "",
    parity: Annotated[
        bool, typer.Option(help="Measure how far its logits are from before (one model at a time in fp32).")
    ] = True,
    json: AsJson = False,
) -> None:
    """Give some languages an expert of their own: a copy of the one they had, to be trained further."""
    from medcorpus.core.languages import UnknownLanguage, registry

    try:
        codes = [registry().normalise(label.strip()) for label in languages.split(",") if label.strip()]
    except UnknownLanguage as error:
        raise RecipeError(str(error)) from None
    _installed()
    from medcorpus.training.moe import experts, upcycle

    said = experts.add_expert(model, out, name, like, codes)
    _report(said, upcycle.parity(model, out) if parity else None, json)


@moe.command("import")
def import_(
    model: Model,
    out: Out,
    map: Annotated[str, typer.Option(help="The map of languages it was trained with, or none.")] = "apollo-moe",
    json: AsJson = False,
) -> None:
    """A published Apollo-MoE checkpoint as a stock one, which transformers opens without code of others."""
    from medcorpus.core.languages import registry

    known, names, leads = registry(), None, {}
    if map != "none":
        try:
            names = [name for _, name, _ in known.experts(map)]
        except KeyError:
            raise RecipeError(f"there is no expert map '{map}' (apollo-moe, glottolog or none)") from None
        found = {language.code: known.expert(language.code, map) for language in known}
        leads = {code: expert for code, expert in found.items() if expert is not None}
    _installed()
    from medcorpus.training import weights
    from medcorpus.training.moe import published

    _report(published.import_published(weights.local(model), out, names, leads), None, json)


def _report(said: dict[str, Any], parity: Any, json: bool) -> None:
    if parity is not None:
        said = said | {"difference": parity.difference, "largest_logit": parity.largest}
    if json:
        print_json(said)
        return
    for key, value in said.items():
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


def _installed() -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise Missing(f"models need {error.name}: pip install 'medcorpus[train]'") from error
