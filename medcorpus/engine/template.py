"""What every worker has imported. Only the template imports this, workers are its copies (`engine.early`)."""

import gc

from medcorpus.core import light

light.starting()
light.arrow()
light.kernels()

import medcorpus.engine.pool  # noqa: E402, F401

gc.freeze()  # a collection would write to pages that all copies share
