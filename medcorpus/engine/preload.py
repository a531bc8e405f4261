"""What every worker imports, imported once: the fork server (`engine.forks`) runs this before it forks any."""

from medcorpus.core import light

light.starting()
light.arrow()
light.kernels()

import medcorpus.engine.pool  # noqa: E402, F401
