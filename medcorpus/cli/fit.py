"""`medcorpus fit langid|domain`: train the small models that are shipped."""

import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from medcorpus.core.errors import Missing, RecipeError
from medcorpus.core.log import event, setup


class What(StrEnum):
    """Models that can be fitted."""

    langid = "langid"
    domain = "domain"


def fit(
    what: Annotated[What, typer.Argument(help="Which model.")],
    out: Annotated[Path, typer.Argument(help="The model file to write; its report goes beside it as .json.")],
    train: Annotated[
        Path | None,
        typer.Option(help="Labelled text: tsv or tsv.gz; `label TAB text`, domain: `language TAB 1 or 0 TAB text`."),
    ] = None,
    sib: Annotated[Path | None, typer.Option(help="Folder of SIB-200 (its train files are used).")] = None,
    udhr: Annotated[Path | None, typer.Option(help="Folder of the Universal Declaration in XML.")] = None,
    heldout: Annotated[Path | None, typer.Option(help="Labelled text to measure on; never trained on.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same text: same bytes.")] = 1,
    dim: Annotated[int, typer.Option(min=2, max=512, help="Width of the hidden layer.")] = 16,
    buckets: Annotated[int, typer.Option(min=1000, help="Rows of the n-gram table.")] = 262_144,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the text (langid 12, domain 10).")] = None,
    augment: Annotated[int, typer.Option(min=0, help="Short snippets taken from each line.")] = 3,
    cutoff: Annotated[int, typer.Option(min=0, help="Keep this many rows of the table (0: all).")] = 0,
    junk: Annotated[int, typer.Option(min=0, help="Lines of code and other junk a pass, learnt as `zxx`.")] = 4000,
    lr: Annotated[float, typer.Option(min=0.01, max=1, help="Learning rate.")] = 0.3,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON, not as tables.")] = False,
) -> None:
    """Train a model from labelled text, or from SIB-200 (and, langid, the Universal Declaration).

    Byte-equal for equal input. `--dim`, `--buckets`, `--augment`, `--cutoff`, `--junk` and `--lr` are langid's.

    langid: one line a text, `eng_Latn TAB Take it twice a day.`; labels are ISO 639-3 and ISO 15924. OUT must be called
    medcorpus-langid-<name>.ftz, by which `langid: {model: OUT}` knows how to prepare its input. Keep text back for
    `--heldout`: the report (OUT with .json, and .png where matplotlib is) then has macro-F1, the worst pairs, and both
    by length and by script. The shipped model: `--dim 32 --buckets 1000000 --cutoff 190000 --augment 12 --junk 10000
    --epochs 8 --lr 0.2`, ten minutes of one core. More snippets help short text, a cutoff makes the file small.
    """
    from medcorpus.cli.build import stop_on_signals
    from medcorpus.cli.show import print_json
    from medcorpus.jobs import fit_langid

    setup()
    stop_on_signals()
    if what is What.domain:
        print_json(_domain(out, train, sib, heldout, seed, epochs))
        return
    settings = {
        "seed": seed,
        "dim": dim,
        "buckets": buckets,
        "epochs": epochs or 12,
        "augment": augment,
        "cutoff": cutoff,
        "junk": junk,
        "lr": lr,
    }
    if train is not None:
        report = fit_langid.fit(train, out, heldout=heldout, **settings)
    elif sib is not None and udhr is not None:
        with tempfile.TemporaryDirectory() as folder:
            collected = Path(folder) / "train.tsv"
            lines = sum(fit_langid.collect(sib, udhr, collected).values())
            event(f"{lines:,} labelled lines collected; training takes some minutes on one core")
            report = fit_langid.fit(collected, out, heldout=heldout, **settings)
    else:
        raise RecipeError("say what to train on: --train FILE, or --sib FOLDER and --udhr FOLDER")
    _tell(report, out, json)


def _tell(report: dict[str, Any], out: Path, json: bool) -> None:
    """The report of a language identifier on the terminal, and its picture beside it."""
    from medcorpus.cli.fit_report import plot, show
    from medcorpus.cli.show import print_json

    if json:
        print_json(report)
    else:
        show(report, out)
    if "sentence" in report:
        try:
            plot(report, out.with_suffix(".png"))
        except Missing as error:
            event(str(error))


def _domain(
    out: Path, train: Path | None, sib: Path | None, heldout: Path | None, seed: int, epochs: int | None
) -> dict[str, Any]:
    from medcorpus.jobs import fit_domain

    if train is None and sib is None:
        raise RecipeError("say what to train on: --train FILE, or --sib FOLDER")
    sentences = fit_domain.read(train) if train else []
    sentences += fit_domain.from_sib(sib) if sib else []
    held = fit_domain.read(heldout) if heldout else None
    return fit_domain.fit(sentences, out, heldout=held, seed=seed, epochs=epochs or 10)
