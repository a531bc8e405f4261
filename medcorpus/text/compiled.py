"""How kernels that only kernels call are compiled: without the two wrappers that let Python and C call them.

That and `forceinline` take the compile of the term walk from 19 to 12 processor seconds, of shingles from 7 to 6, and
leave that of the quality rules. From Python such a kernel must not be called, which would crash the process
(`tests/text/test_compiled.py` looks for it); `kernel.py_func` may be.
"""

INNER = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options for njit."""

INLINE = {**INNER, "forceinline": True}
"""The same, inlined by LLVM. numba's own `inline="always"` copies what it then has to type anew at every call."""
