"""A finished dataset in, an artefact out. Same rule as stages: one file per key, none imports another."""

JOBS: dict[str, tuple[str, str]] = {
    "shard": ("medcorpus.jobs.shard:Shard", "write the dataset: Arrow shards, card, checksums"),
}
