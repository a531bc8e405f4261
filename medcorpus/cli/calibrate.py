"""`medcorpus calibrate domain|quality`: limits from text whose nature is known, and what they cost.

Rows are read as `ingest` reads them; a row that says no language is asked by `langid`. Text that is not to be
published stays where it is: a report holds figures only.
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import typer

from medcorpus.core.errors import Fatal, Missing, RecipeError
from medcorpus.core.log import event, setup


class What(StrEnum):
    """What can be calibrated."""

    domain = "domain"
    quality = "quality"


def calibrate(
    what: Annotated[What, typer.Argument(help="Which stage.")],
    out: Annotated[Path, typer.Argument(help="domain: the report (.json); quality: the limits (.json, .yaml).")],
    medical: Annotated[list[str] | None, typer.Option(help="Files of medical text; may be repeated.")] = None,
    other: Annotated[list[str] | None, typer.Option(help="Files of other text; may be repeated.")] = None,
    reference: Annotated[list[str] | None, typer.Option(help="Files of good text (quality); may be repeated.")] = None,
    check: Annotated[
        list[str] | None, typer.Option(help="Files to show kept rows of, before and after (quality).")
    ] = None,
    tail: Annotated[
        float, typer.Option(min=0.0001, max=0.2, help="Share of good text that may lie beyond each limit (quality).")
    ] = 0.01,
    tighten: Annotated[
        bool, typer.Option("--tighten", help="Let limits be narrower than those published, too (quality).")
    ] = False,
    quantiles: Annotated[Path | None, typer.Option(help="Report of every figure's quantiles, .json (quality).")] = None,
    precision: Annotated[float, typer.Option(min=0, max=1, help="Precision a limit has to have.")] = 0.95,
    model: Annotated[str, typer.Option(help="Model of `fit domain`, or the shipped one.")] = "medcorpus",
    terms: Annotated[str | None, typer.Option(help="Folder of more term lists.")] = None,
) -> None:
    """Derive a stage's limits from text you know, and show what they keep and lose.

    quality: limits and stop words by language, from text that is known to be good. A recipe uses the file as
    `quality: {calibration: OUT}`; reasons such as gopher_quality then go by the language of a row. Each limit leaves
    the share --tail of good text beyond it; a language with little text leans on those of its script; limits are only
    widened unless you say --tighten, which asks for reference text of the very kind you will filter.

    domain: which score keeps what, as a report; its curves are drawn beside it (.png) when matplotlib is there.

    Languages are those the rows state, or as told by `langid`.
    """
    from medcorpus.cli.show import print_json

    setup()
    if what is What.quality:
        from medcorpus.cli.calibrate_quality import run

        if not reference:
            raise RecipeError("say which text is good: --reference FILES")
        if out.suffix not in (".json", ".yaml", ".yml"):
            raise RecipeError(f"OUT {out}: limits are written as .json or .yaml, give it that suffix")
        run(out, reference, check or [], tail, tighten, quantiles)
        return
    if out.suffix != ".json":
        raise RecipeError(f"OUT {out}: the report is JSON, give it that suffix")
    if not medical or not other:
        raise RecipeError("say what is known: --medical FILES and --other FILES")
    out.parent.mkdir(parents=True, exist_ok=True)
    report = _domain(medical, other, precision, model, terms, out.with_suffix(".png"))
    out.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print_json({key: value for key, value in report.items() if key != "curve"})


def rows(paths: list[str]) -> Iterator[pa.RecordBatch]:
    """Records of all files, their language told by `langid` where they do not say it."""
    from medcorpus.core.stage import Context
    from medcorpus.stages.extract import Extract
    from medcorpus.stages.ingest import Ingest
    from medcorpus.stages.langid import Langid

    source = Ingest(Ingest.Params(path=paths), Context("calibrate", root=str(Path.cwd())))
    extract, langid = Extract(Extract.Params(), Context("extract")), Langid(Langid.Params(), Context("langid"))
    extract.open()
    langid.open()
    for partition in source.partitions():
        for batch in source.read(partition.spec, lambda bad: None):
            read = extract.apply(batch)
            told = langid.apply(read)
            language = pc.coalesce(read["language"], told["language"])
            yield read.set_column(read.schema.get_field_index("language"), "language", language)


def _domain(
    medical: list[str], other: list[str], precision: float, model: str, terms: str | None, picture: Path
) -> dict[str, Any]:
    import numpy as np

    from medcorpus.core.stage import Context
    from medcorpus.jobs.calibrate_domain import report
    from medcorpus.jobs.domain_curves import draw
    from medcorpus.stages.domain import MMEDC, Domain, DomainParams, keeps_mmedc

    stage = Domain(DomainParams(model=model, terms=terms), Context("domain", root=str(Path.cwd())))
    stage.open()
    found: dict[str, list[Any]] = {"truth": [], "language": [], "score": [], "mmedc": []}
    for truth, paths in ((True, medical), (False, other)):
        for batch in map(stage.apply, rows(paths)):
            found["truth"].append(np.full(batch.num_rows, truth))
            found["language"].append(np.array(batch["language"].fill_null("und").to_pylist(), object))
            found["score"].append(batch["domain_score"].to_numpy())
            found["mmedc"].append(keeps_mmedc(batch).to_numpy(zero_copy_only=False))
    parts = {name: np.concatenate(pieces) if pieces else np.array([]) for name, pieces in found.items()}
    truth, language, score = parts["truth"].astype(bool), parts["language"].astype(str), parts["score"]
    rule = parts["mmedc"].astype(bool)
    try:
        made = report(truth, language, score, rule, precision=precision)
    except ValueError as error:
        raise Fatal(f"calibrate domain: {error}") from None
    areas = {code: figures["auc"] for code, figures in made["by_language"].items() if "auc" in figures}
    try:
        draw(picture, truth, score, rule, language, np.isin(language, list(MMEDC)), areas)
    except Missing as error:
        event(f"no picture: {error}")
    return {"what": "domain", "resources": stage.resource_digests(), **made}
