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
    out: Annotated[Path, typer.Argument(help="The report to write (.json).")],
    medical: Annotated[list[str] | None, typer.Option(help="Files of medical text; may be repeated.")] = None,
    other: Annotated[list[str] | None, typer.Option(help="Files of other text; may be repeated.")] = None,
    reference: Annotated[list[str] | None, typer.Option(help="Files of good text (quality); may be repeated.")] = None,
    precision: Annotated[float, typer.Option(min=0, max=1, help="Precision a limit has to have.")] = 0.95,
    model: Annotated[str, typer.Option(help="Model of `fit domain`, or the shipped one.")] = "medcorpus",
    terms: Annotated[str | None, typer.Option(help="Folder of more term lists.")] = None,
) -> None:
    """Measure a stage on text you know, and write what each limit would keep and lose.

    The curves of `domain` are drawn beside the report (.png) when matplotlib is there.
    """
    from medcorpus.cli.show import print_json

    setup()
    if out.suffix != ".json":
        raise RecipeError(f"OUT {out}: the report is JSON, give it that suffix")
    out.parent.mkdir(parents=True, exist_ok=True)
    if what is What.quality:
        if not reference:
            raise RecipeError("say which text is good: --reference FILES")
        report = _quality(reference)
    elif not medical or not other:
        raise RecipeError("say what is known: --medical FILES and --other FILES")
    else:
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


def _quality(reference: list[str]) -> dict[str, Any]:
    import numpy as np

    from medcorpus.core.stage import Context
    from medcorpus.jobs.calibrate_quality import report
    from medcorpus.stages.quality import Quality

    stage = Quality(Quality.Params(), Context("quality"))
    stage.open()
    names = [
        field.name for field in stage.writes if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    language: list[str] = []
    figures: dict[str, list[Any]] = {name: [] for name in names}
    for batch in map(stage.apply, rows(reference)):
        language += batch["language"].fill_null("und").to_pylist()
        for name in names:
            figures[name].append(batch[name].cast(pa.float64()).to_numpy(zero_copy_only=False))
    try:
        made = report(np.array(language, str), {name: np.concatenate(parts or [[]]) for name, parts in figures.items()})
    except ValueError as error:
        raise Fatal(f"calibrate quality: {error}") from None
    return {"what": "quality", **made}
