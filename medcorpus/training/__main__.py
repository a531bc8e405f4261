"""`python -m medcorpus.training DIR`: run a prepared training, on this machine or under torchrun.

Needs torch, transformers, accelerate, safetensors, tokenizers and numpy, and nothing else.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from medcorpus.core import log
from medcorpus.core.errors import MedcorpusError


def main() -> int:
    """Run, and return the exit code: that of the error, or 128 + the signal that stopped it."""
    parser = argparse.ArgumentParser(prog="python -m medcorpus.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="what `medcorpus train RECIPE --prepare DIR` wrote")
    parser.add_argument("--until", help="stop after this step")
    parser.add_argument("--again", metavar="STEP", help="afterwards, train this step once more and compare bit by bit")
    parser.add_argument("--accept", default="", help="differences to go on in spite of, such as code,plan")
    parser.add_argument("--cpu", action="store_true", help="use no GPU")
    parser.add_argument("--json", action="store_true", help="results as JSON on standard output")
    given = parser.parse_args()
    first = os.environ.get("RANK", "0") == "0"  # under torchrun one process speaks for all
    log.setup(level=logging.INFO if first else logging.ERROR)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from medcorpus.training import run
    from medcorpus.training.devices import Devices
    from medcorpus.training.loop import Stopped
    from medcorpus.training.prepared import Prepared

    try:
        prepared, devices = Prepared(given.folder), Devices(cpu=given.cpu)
        accepted = tuple(filter(None, given.accept.split(",")))
        results: dict[str, Any] = run.run(prepared, devices, given.until, accepted)
        if given.again:
            results["again"] = run.again(prepared, given.again, devices)
    except Stopped as stop:
        log.event(f"{stop}; the same command goes on from there")
        return stop.exit_code
    except MedcorpusError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    devices.leave()
    if devices.first:
        print(json.dumps(results, ensure_ascii=False) if given.json else run.shown(prepared, results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
