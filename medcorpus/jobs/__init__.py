"""A finished dataset in, an artefact out. Same rule as stages: one file per key, none imports another.

The jobs of TRAINING are the steps of `medcorpus train`. Their `run` prepares the step's share (tokens, plan, questions)
without torch; the model's part is `python -m medcorpus.training`, which `train` starts and which runs anywhere.
"""

JOBS: dict[str, tuple[str, str]] = {
    "shard": ("medcorpus.jobs.shard:Shard", "write the dataset: Arrow shards, card, checksums"),
}
TRAINING: dict[str, tuple[str, str]] = {
    "upcycle": ("medcorpus.jobs.upcycle:Upcycle", "make experts of a dense model's last layers (train)"),
    "tune": ("medcorpus.jobs.tune:Tune", "train on rows by a plan: raw text, instructions or exams (train)"),
    "evaluate": ("medcorpus.jobs.evaluate:Evaluate", "score the model on exam questions, by language (train)"),
    "export": ("medcorpus.jobs.export:Export", "write a stock checkpoint and open it again (train)"),
}
