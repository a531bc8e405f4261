"""The held-out report of `medcorpus fit langid`, as tables in the terminal and as a picture."""

from pathlib import Path
from typing import Any

from medcorpus.cli.show import table
from medcorpus.core.errors import Missing

_WORST = 12  # pairs shown
_DRAWN = 24  # labels in the picture: those of the worst pairs


def show(report: dict[str, Any], out: Path) -> None:
    """What was trained; where there was held-out text, how well it tells: whole, by length, by script, worst pairs."""
    lines = sum(report["labels"].values())
    print(f"{out}: {report['bytes']:,} bytes, digest {report['digest']}, largest weight {report['max_weight']:g}")
    print(f"trained on {len(report['labels'])} labels, {lines:,} lines made into {report['examples']:,} examples")
    print(f"junk called zxx: {', '.join(f'{kind} {share:.1%}' for kind, share in report['junk_as_zxx'].items())}")
    if "sentence" not in report:
        print("no figures: give --heldout FILE with text that is not in the training text")
        return
    columns = ["macro_f1", "accuracy", "lines"]
    names = {"sentence": "lines as they are", "short": "5 words or 12 characters of each"}
    rows = [[label, *(report[name][column] for column in columns)] for name, label in names.items()]
    table("held-out text", ["text", *columns], rows, right=columns)
    columns.append("labels")
    lengths = [(part["characters"], part) for part in report["by_length"]]
    for title, first, parts in ("length", "characters", lengths), ("script", "script", report["by_script"].items()):
        rows = [[name, *(part[column] for column in columns)] for name, part in parts]
        table(f"by {title}, both of the above", [first, *columns], rows, right=columns)
    for name, label in names.items():
        worst = [[*pair, report[name]["f1"][pair[0]]] for pair in report[name]["confusions"][:_WORST]]
        if worst:
            columns = ["truth", "said", "lines", "F1 of truth"]
            table(f"worst pairs, {label}", columns, worst, right=columns[2:])


def plot(report: dict[str, Any], place: Path) -> None:
    """Confusion of the labels of the worst pairs, and macro-F1 by length, as a picture at `place`: whole, or none.

    Raises Missing without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Missing("the picture needs matplotlib: pip install 'medcorpus[report]'") from None
    confusions = report["short"]["confusions"]
    labels = list(dict.fromkeys(label for pair in confusions for label in pair[:2]))[:_DRAWN]
    counts = [[0] * len(labels) for _ in labels]
    for truth, said, lines in confusions:
        if truth in labels and said in labels:
            counts[labels.index(truth)][labels.index(said)] = lines
    figure = Figure(figsize=(13, 6), layout="constrained")
    matrix, curve = figure.subplots(1, 2)
    drawn = matrix.imshow(counts or [[0]], cmap="Blues", aspect="auto")
    matrix.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    matrix.set_yticks(range(len(labels)), labels, fontsize=7)
    matrix.set(title="worst pairs of short text", xlabel="said", ylabel="truth")
    figure.colorbar(drawn, ax=matrix, label="lines")
    names = [part["characters"] for part in report["by_length"]]
    curve.plot(names, [part["macro_f1"] for part in report["by_length"]], marker="o", label="macro-F1")
    curve.plot(names, [part["accuracy"] for part in report["by_length"]], marker="s", label="accuracy")
    curve.set(title="by length", xlabel="characters", ylim=(None, 1.005))
    curve.grid(alpha=0.3)
    curve.legend()
    made = place.with_name(f".{place.name}.new")
    figure.savefig(made, format="png", dpi=120, metadata={"Software": None})
    made.replace(place)
