"""What numba lacks: counting bits, and a call back into Python from a kernel that runs without the GIL."""

from __future__ import annotations

import ctypes
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

ENTRY: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
"""Options of the kernels that Python calls. They allocate nothing, so that arrays need no reference counts (nrt)."""
OPTIONS: dict[str, Any] = ENTRY | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of those that only kernels call: wrappers for Python take long to compile."""
Callback = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
"""A Python function of one integer, as a kernel calls it: by its address."""
INTERPRETED = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]
"""Whether kernels run as plain Python (NUMBA_DISABLE_JIT=1)."""


@intrinsic
def _ctz(typing: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def _popcount(typing: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def _call(typing: Any, address: Any, argument: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word]).as_pointer())
        return builder.call(function, [arguments[1]])

    return types.int64(types.int64, types.int64), generate


_count_zeros: Any = _ctz
_count_ones: Any = _popcount
_call_address: Any = _call
if INTERPRETED:
    _count_zeros = lambda x: (int(x) & -int(x)).bit_length() - 1  # noqa: E731
    _count_ones = lambda x: int(x).bit_count()  # noqa: E731
    _call_address = lambda address, argument: Callback(int(address))(int(argument))  # noqa: E731


@njit(inline="always")
def ctz(x):
    """Number of trailing zero bits of a nonzero uint64."""
    return np.int64(_count_zeros(x))


@njit(inline="always")
def popcount(x):
    """Number of one bits of a uint64."""
    return np.int64(_count_ones(x))


@njit(**OPTIONS)
def call(address, argument):
    """Call the :data:`Callback` at an address."""
    return _call_address(address, argument)


@njit(**OPTIONS)
def larger(a, b):
    """The larger number; b where a is NaN."""
    return a if a > b else b


@njit(**OPTIONS)
def smaller(a, b):
    """The smaller number; b where a is NaN."""
    return a if a < b else b
