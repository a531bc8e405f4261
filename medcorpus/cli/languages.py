"""`medcorpus languages`."""

from typing import Annotated, Any

import typer

from medcorpus.cli.show import print_json, table
from medcorpus.core.errors import RecipeError

_FAST = "`quality: {words: fast}` counts every 2 (Han, kana) or 4 characters"
_WORDS = {
    "dictionary": f"no blanks between words; {_FAST}, `segmented` words of ICU's dictionary "
    "(pip install 'medcorpus[segment]'), `graphemes` every character",
    "syllables": f"no blanks between words; {_FAST} within a syllable, `segmented` syllables, which the tsheg parts",
    "clusters": "no blanks between words; `quality: {words: segmented}` counts characters with their marks",
}


def languages(
    labels: Annotated[list[str] | None, typer.Argument(help="Codes or names to look up (all when none).")] = None,
    mission: Annotated[bool, typer.Option("--mission", help="Only the 50 languages of the floor.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """The languages known: code, scripts, family, expert in both maps, other names they go by."""
    from medcorpus.core.languages import UnknownLanguage, registry

    known = registry()
    try:
        codes = [known.normalise(label) for label in labels] if labels else [language.code for language in known]
    except UnknownLanguage as error:
        raise RecipeError(str(error)) from None
    if mission:
        codes = [code for code in codes if code in known.mission]
    rows: list[dict[str, Any]] = []
    for code in codes:
        if code not in known:  # und, mixed, zxx
            rows.append({"code": code, "name": "(no language)"})
            continue
        language = known[code]
        rows.append(
            {
                "code": code,
                "bcp47": language.bcp47,
                "name": language.name,
                "scripts": list(language.scripts),
                "family": language.family,
                "segmentation": language.segmentation,
                "words": known.words(code),
                "glottolog": known.expert(code),
                "apollo_moe": known.expert(code, "apollo-moe"),
                "aliases": list(language.aliases),
                "note": language.note,
            }
        )
    if json:
        print_json({"languages": rows})
        return
    columns = ["code", "bcp47", "name", "scripts", "family", "segmentation", "glottolog", "apollo_moe"]
    table(
        f"{len(rows)} languages (experts: our default map, and Apollo-MoE's)",
        columns,
        [[", ".join(v) if isinstance(v := row.get(c), list) else v for c in columns] for row in rows],
        right=["glottolog", "apollo_moe"],
    )
    for row in rows:
        if labels and row.get("words") in _WORDS:
            print(f"{row['code']}: {_WORDS[row['words']]}")
        if labels and row.get("aliases"):
            print(f"{row['code']}: also {', '.join(row['aliases'])}")
        if row.get("note") and (labels or row["code"] in known.mission):
            print(f"{row['code']}: {row['note']}")
