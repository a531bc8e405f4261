"""MinHash deduplication by Data-Juicer: CORPUS OUT. Writes its recipe and runs `dj-process`."""

import subprocess
import sys
from pathlib import Path

import yaml


def main(corpus: str, out: str) -> None:
    Path(out).mkdir(parents=True, exist_ok=True)
    recipe = {
        "project_name": "dedup",
        "dataset_path": corpus,
        "np": 2,
        "export_path": f"{out}/kept.jsonl",
        "open_tracer": False,
        "use_cache": False,
        "process": [
            {"document_minhash_deduplicator": {"tokenization": "space", "window_size": 5, "jaccard_threshold": 0.7}}
        ],
    }
    Path(out, "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [str(Path(sys.executable).with_name("dj-process")), "--config", f"{out}/recipe.yaml"]
    sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
