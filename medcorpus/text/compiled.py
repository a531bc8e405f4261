"""How kernels that only kernels call are compiled: without the two wrappers that let Python and C call them.

That and `forceinline` take the compile of the term walk from 19 to 12 processor seconds, of shingles from 7 to 6, and
leave that of the quality rules. From Python such a kernel must not be called, which would crash the process
(`tests/text/test_compiled.py` looks for it); `kernel.py_func` may be.

Kernels fill arrays by loops: to compile a slice that is assigned to takes numba 0.1 to 0.3 s.
"""

from typing import Any

INNER = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options for njit."""

INLINE = {**INNER, "forceinline": True}
"""The same, inlined by LLVM. numba's own `inline="always"` copies what it then has to type anew at every call."""

_KNOWN = "0.68."  # numba's make that `leave_inner_to_callers` was tried with


def leave_inner_to_callers() -> None:
    """From now on a kernel without wrappers is optimised, and made machine code of, only as a part of its callers.

    numba does both for every function and then again for all that call it, a fifth of the time of a compile; what
    comes out is as quick. For processes that do nothing but compile: it replaces two methods of numba. Another make of
    numba than the one this was tried with goes its own way.
    """
    import numba

    if not numba.__version__.startswith(_KNOWN):
        return
    from numba import _dynfunc
    from numba.core.codegen import JITCodeLibrary
    from numba.core.cpu import CPUContext

    executable, finalize = CPUContext.get_executable, JITCodeLibrary.finalize

    def get_executable(self: Any, library: Any, described: Any, environment: Any) -> Any:
        wrapper = described.llvm_cpython_wrapper_name
        if any(function.name == wrapper for function in library._final_module.functions):
            return executable(self, library, described, environment)
        library.is_inner = True
        name = described.qualname.rpartition(".")[2]
        return _dynfunc.make_function(described.lookup_module(), name, "", 0, environment, (library,))

    def finalize_(self: Any) -> None:
        if not getattr(self, "is_inner", False):
            return finalize(self)
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True

    CPUContext.get_executable, JITCodeLibrary.finalize = get_executable, finalize_
