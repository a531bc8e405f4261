"""No test asserts wall time: hypothesis measures first calls, which may compile a kernel.

In CI the examples are the same every time; elsewhere they are new ones, which is how faults are found.
"""

import os

import pytest
from hypothesis import settings

os.environ.setdefault("MEDCORPUS_WORKERS", "1")  # the cores are busy with other tests

settings.register_profile("medcorpus", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("medcorpus")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile every kernel once, before processes of tests, and those that they start, do it side by side."""
    if not hasattr(session.config, "workerinput"):  # not one of the processes of xdist
        from medcorpus.cli.doctor import kernels

        kernels()
