"""The story in order: what may be written under `steps:` in a recipe, one file per key.

Stages never import each other. `STAGES` is the registry: recipe key -> (class, one line). Nothing is
imported until a stage is used, so that the command line starts at once.
"""

STAGES: dict[str, tuple[str, str]] = {
    "ingest": ("medcorpus.stages.ingest:Ingest", "read files into records"),
    "extract": ("medcorpus.stages.extract:Extract", "make readable text out of pages of HTML"),
    "langid": ("medcorpus.stages.langid:Langid", "tell language and script, or say und"),
    "domain": ("medcorpus.stages.domain:Domain", "count medical terms, and say how medical a text reads"),
    "quality": ("medcorpus.stages.quality:Quality", "measure length, symbols and repetition"),
    "select": ("medcorpus.stages.select:Select", "mark rows for the reasons named; the only stage that drops"),
    "chunk": ("medcorpus.stages.chunk:Chunk", "cut long documents into parts"),
    "dedup": ("medcorpus.stages.dedup:Dedup", "find rows that say the same"),
    "boilerplate": ("medcorpus.stages.boilerplate:Boilerplate", "find lines that many documents share"),
    "balance": ("medcorpus.stages.balance:Balance", "say how often to see each row of a language, source ..."),
}
