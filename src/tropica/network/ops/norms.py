"""Norms and distances: sums of absolute values (p = 1) and their maximum (p = ∞) are piecewise linear, others are not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tropica.network.builder import Builder, Operand, Refused, Value
from tropica.network.ops.activations import amin
from tropica.network.ops.arithmetic import reduced_dims, same_dtype, sub
from tropica.network.ops.nonlinearities import absolute, amax
from tropica.network.ops.registry import op


def _norm(b: Builder, x: Value, p: Any, dim: int | Sequence[int] | None, keepdim: bool) -> Value:
    p = 2.0 if p is None else float(p)
    if p not in (1, math.inf, -math.inf):
        why = "it counts, and jumps at 0" if p == 0 else "it is curved, not piecewise linear"
        raise Refused(f"it is a norm with p = {p:g}: {why}; norms with p = 1 and p = inf are piecewise linear")
    size = absolute(b, x)
    if p != 1:
        return (amax if p > 0 else amin)(b, size, dim, keepdim)
    dims = reduced_dims(x, dim)
    return b.affine(lambda x: x.sum(dims, keepdim), size)


@op("linalg_vector_norm.default")
def vector_norm(b: Builder, x: Value, p: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    """Norm over dimensions, for p = 1, ∞, and −∞ (the smallest absolute value)."""
    same_dtype(x, dtype)
    return _norm(b, x, p, dim, keepdim)


@op("norm.Scalar", "norm.ScalarOpt_dim", "norm.ScalarOpt_dtype", "norm.ScalarOpt_dim_dtype")
def norm(b: Builder, x: Value, p: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    """As :func:`vector_norm`."""
    same_dtype(x, dtype)
    return _norm(b, x, p, dim, keepdim)


@op("pairwise_distance.default")
def pairwise_distance(b: Builder, x: Operand, y: Operand, p: float = 2, eps: float = 1e-6, keepdim: bool = False) -> Value:
    """Norm of x − y + ε over the last dimension."""
    return _norm(b, b.shift(sub(b, x, y), eps), p, -1, keepdim)


@op("cdist.default", "_cdist_forward.default")
def cdist(b: Builder, x: Operand, y: Operand, p: float = 2, mode: Any = None) -> Value:
    """Norms of the differences of all rows of x and all rows of y."""
    rows = b.affine(lambda x: x.unsqueeze(-2), x) if isinstance(x, Value) else _tensor(x).unsqueeze(-2)
    columns = b.affine(lambda y: y.unsqueeze(-3), y) if isinstance(y, Value) else _tensor(y).unsqueeze(-3)
    return _norm(b, sub(b, rows, columns), p, -1, False)


def _tensor(x: Operand) -> Tensor:
    assert isinstance(x, Tensor)
    return x


@op("l1_loss.default")
def l1_loss(b: Builder, x: Operand, y: Operand, reduction: int = 1) -> Value:
    """|x − y|."""
    if reduction:
        raise Refused('it sums over the batch; use reduction="none"')
    return absolute(b, sub(b, x, y))
