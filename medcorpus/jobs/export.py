"""Write a stock checkpoint: transformers, lm-eval and vLLM open it without any code of ours.

    - export: {format: transformers}

It is opened again by `AutoModelForCausalLM` and `AutoTokenizer`, and its logits are compared with the tuned model's,
before it counts. `export` in the run's folder leads to the newest.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from medcorpus.core.params import Params
from medcorpus.core.stage import Job, Resources, Rows


class ExportParams(Params):
    """What `export` may be told."""

    format: Literal["transformers"] = Field("transformers", description="The kind of checkpoint.")
    dtype: Literal["keep", "bf16", "fp32"] = Field(
        "keep", description="Type of the weights; bf16 rounds those of fp32."
    )


class Export(Job):
    """The last step of a training."""

    name, version, Params = "export", 1, ExportParams
    reads = ("id",)
    resources = Resources(kind="gpu")

    def run(self, inputs: Rows, out: Path) -> dict[str, Any]:
        """Nothing to prepare."""
        return {}
