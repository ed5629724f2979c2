"""What numba lacks: counting bits, and a call back into Python from a kernel that runs without the GIL."""

from __future__ import annotations

import ctypes

from numba import config, njit, types
from numba.extending import intrinsic

ENTRY = {"cache": True, "nogil": True, "error_model": "numpy"}
"""Options of the kernels that Python calls."""
OPTIONS = ENTRY | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of those that only kernels call: wrappers for Python take long to compile."""
Callback = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
"""A Python function of one integer, as a kernel calls it: by its address."""

if config.DISABLE_JIT:

    def ctz(x):
        """Number of trailing zero bits of a nonzero uint64."""
        return (int(x) & -int(x)).bit_length() - 1

    def popcount(x):
        """Number of one bits of a uint64."""
        return int(x).bit_count()

    def call(address, argument):
        """Call the :data:`Callback` at an address."""
        return Callback(int(address))(int(argument))

else:

    @intrinsic
    def _ctz(typing, x):
        def generate(context, builder, signature, arguments):
            from llvmlite import ir

            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

        return types.uint64(types.uint64), generate

    @intrinsic
    def _popcount(typing, x):
        def generate(context, builder, signature, arguments):
            return builder.ctpop(arguments[0])

        return types.uint64(types.uint64), generate

    @intrinsic
    def call(typing, address, argument):
        """Call the :data:`Callback` at an address."""

        def generate(context, builder, signature, arguments):
            from llvmlite import ir

            word = ir.IntType(64)
            function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word]).as_pointer())
            return builder.call(function, [arguments[1]])

        return types.int64(types.int64, types.int64), generate

    @njit(inline="always")
    def ctz(x):
        """Number of trailing zero bits of a nonzero uint64."""
        return types.int64(_ctz(x))

    @njit(inline="always")
    def popcount(x):
        """Number of one bits of a uint64."""
        return types.int64(_popcount(x))


@njit(**OPTIONS)
def larger(a, b):
    """The larger number; b where a is NaN."""
    return a if a > b else b


@njit(**OPTIONS)
def smaller(a, b):
    """The smaller number; b where a is NaN."""
    return a if a < b else b
