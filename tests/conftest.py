"""No test asserts wall time: hypothesis measures first calls, which may compile a kernel."""

from hypothesis import settings

settings.register_profile("medcorpus", deadline=None)
settings.load_profile("medcorpus")
