"""What every worker has imported. Only the template imports this, workers are its copies (`engine.early`)."""

import atexit
import gc
import multiprocessing
import os

from medcorpus.core import light

light.starting()
light.arrow()
light.kernels()

import medcorpus.engine.pool  # noqa: E402, F401

gc.freeze()  # a collection would write to pages that all copies share
if multiprocessing.parent_process() is None:  # it is the template, not a worker that was spawned
    atexit.register(os._exit, 0)  # at once: whoever reads what the command writes waits for this process, too
