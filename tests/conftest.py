"""No test asserts wall time: hypothesis measures first calls, which may compile a kernel.

In CI the examples are the same every time; elsewhere they are new ones, which is how faults are found.
"""

import os

from hypothesis import settings

settings.register_profile("medcorpus", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("medcorpus")
