"""`python -m benchmarks.dropped [N]`: what `benchmarks/documents.yaml` drops and why; N near copies, with the row kept.

For reading: each sample is one dropped row, the words in which it differs from the row kept instead.
"""

import difflib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from medcorpus.text.masking import mask

HERE = Path(__file__).parent
COLUMNS = ["id", "text", "language", "source", "locator", "dedup_duplicate_of", "dedup_similarity", "dedup_family_size"]


def rows(folder: Path, step: dict) -> pa.Table:
    """All rows of a step, a few columns."""
    tables = []
    for key in step["parts"]:
        with pa.memory_map(str(folder / step["folder"] / f"{key}.arrow")) as file, pa.ipc.open_stream(file) as reader:
            tables.append(reader.read_all().select(COLUMNS))
    return pa.concat_tables(tables)


def differs(one: str, two: str) -> list[str]:
    """Pieces in which two texts differ: words, or characters where there are no spaces."""
    spaced = one.count(" ") > len(one) / 15
    a, b = (text.split() if spaced else list(text) for text in (one, two))
    glue = " " if spaced else ""
    found = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return [f"- {glue.join(a[i:j])!r} + {glue.join(b[k:n])!r}" for tag, i, j, k, n in found if tag != "equal"]


def main() -> None:
    """Print the table, then the samples."""
    data = os.environ.get("MEDCORPUS_DATA") or str(HERE.parents[1] / "shared" / "data")
    count = int((sys.argv[1:] or ["50"])[0])
    with tempfile.TemporaryDirectory() as where:
        command = [sys.executable, "-m", "medcorpus", "build", str(HERE / "documents.yaml"), "--out", where, "--json"]
        done = subprocess.run(
            command, env=os.environ | {"MEDCORPUS_DATA": data}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        print("| step | left | why |\n|---|--:|---|")
        for step in json.loads(done.stdout)["steps"]:
            reasons = {name: sum(by.values()) for name, by in step["account"]["reasons"].items()}
            if reasons:
                told = ", ".join(f"{name} {number:,}" for name, number in sorted(reasons.items()))
                print(f"| {step['id']} | {sum(reasons.values()):,} | {told} |")
        version = json.loads((Path(where) / "versions/1.json").read_text())
        table = rows(Path(where), next(step for step in version["steps"] if step["id"] == "dedup"))
        copies = table.filter(pc.is_valid(table["dedup_duplicate_of"]))
        near = copies.filter(pc.less(copies["dedup_similarity"], 1.0)).to_pylist()
        print(f"\n{len(copies):,} copies, {len(near):,} of them near ones; sources of the near ones:")
        print(", ".join(f"{name} {number}" for name, number in Counter(r["source"] for r in near).most_common()), "\n")
        texts = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
        for row in random.Random(1).sample(near, min(count, len(near))):
            print(f"{row['source']} {row['language']} {row['dedup_similarity']:.2f}, {len(row['text'])} characters")
            for piece in differs(row["text"], texts[row["dedup_duplicate_of"]])[:6]:
                print(f"    {mask(piece)[:200]}")


if __name__ == "__main__":
    main()
