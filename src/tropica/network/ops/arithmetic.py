"""Sums, differences, products with constants, and reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from tropica.network.builder import BatchSize, Builder, Operand, Refused, Size, Value, activation_first
from tropica.network.ops.registry import op

Dims: TypeAlias = int | Sequence[int] | None


@op("add.Tensor", "add.Scalar")
def add(b: Builder, x: Operand, y: Operand, *, alpha: float = 1) -> Value:
    """x + α·y."""
    if isinstance(y, Value) and alpha != 1:
        y = b.neg(y) if alpha == -1 else b.scale(y, alpha)
    elif not isinstance(y, Value):
        y = b.tensor(y) if alpha == 1 else b.tensor(y).double() * alpha
    if isinstance(x, Value) and isinstance(y, Value):
        return b.add(x, y)
    value, offset = activation_first(x, y)
    return b.shift(value, offset)


@op("sub.Tensor", "sub.Scalar")
def sub(b: Builder, x: Operand, y: Operand, *, alpha: float = 1) -> Value:
    """x − α·y."""
    if isinstance(x, Value) and isinstance(y, Value) and alpha == 1:
        return b.sub(x, y)
    return add(b, x, y, alpha=-alpha)


@op("rsub.Scalar", "rsub.Tensor")
def rsub(b: Builder, x: Operand, y: Operand, alpha: float = 1) -> Value:
    """y − α·x."""
    return sub(b, y, x, alpha=alpha)


@op("neg.default", "_neg_view.default")
def neg(b: Builder, x: Value) -> Value:
    """−x."""
    return b.neg(x)


@op("mul.Tensor", "mul.Scalar")
def mul(b: Builder, x: Operand, y: Operand) -> Value:
    """x·y with one of the two constant."""
    return b.scale(*activation_first(x, y))


@op("div.Tensor", "div.Scalar")
def div(b: Builder, x: Operand, y: Operand) -> Value:
    """x / c for a constant c."""
    if isinstance(y, Value) or not isinstance(x, Value):
        raise Refused("it divides by an activation, which is not piecewise linear; the divisor must be a constant")
    return b.scale(x, 1 / b.tensor(y).double())


@op("pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar")
def power(b: Builder, x: Operand, exponent: Operand) -> Value:
    """x¹, which norms and pools with p = 1 take."""
    if not isinstance(x, Value) or isinstance(exponent, Value) or bool((torch.as_tensor(exponent) != 1).any()):
        raise Refused("it is smooth, not piecewise linear, for exponents other than 1")
    return x


@op("lerp.Scalar", "lerp.Tensor")
def lerp(b: Builder, x: Operand, y: Operand, weight: Operand) -> Value:
    """x + w·(y − x) for a constant w."""
    if isinstance(weight, Value):
        raise Refused("its weight depends on the input; a constant weight is needed")
    w = b.tensor(weight).double()
    parts = [b.scale(v, f) if isinstance(v, Value) else b.tensor(v).double() * f for v, f in ((x, 1 - w), (y, w))]
    return add(b, *parts)


@op("where.self", "where.ScalarSelf", "where.ScalarOther")
def where(b: Builder, condition: Tensor, x: Operand, y: Operand) -> Value:
    """x where a constant mask is true, y elsewhere. (A mask of activations is refused at their comparison.)"""
    keep = b.tensor(condition)
    parts: list[Value] = []
    offset = torch.zeros((), dtype=torch.float64)
    for operand, mask in ((x, keep), (y, 1 - keep)):
        if isinstance(operand, Value):
            parts.append(b.scale(operand, mask))
        else:
            offset = offset + torch.where(mask > 0, b.tensor(operand).double(), 0)
    return b.add(*parts) if len(parts) == 2 else b.shift(parts[0], offset)


@op("masked_fill.Scalar", "masked_fill.Tensor")
def masked_fill(b: Builder, x: Operand, mask: Tensor, value: Operand) -> Value:
    """x with a constant at the positions of a constant mask."""
    return where(b, mask, value, x)


@op("isnan.default", "isinf.default", "isposinf.default", "isneginf.default")
def not_finite(b: Builder, x: Value) -> Tensor:
    """False everywhere: inputs and weights are finite."""
    return torch.zeros(1, *x.shape[1:], dtype=torch.bool)


@op("isfinite.default")
def finite(b: Builder, x: Value) -> Tensor:
    """True everywhere."""
    return ~not_finite(b, x)


@op("nan_to_num.default")
def nan_to_num(b: Builder, x: Value, *numbers: float | None, **named: float | None) -> Value:
    """x: inputs and weights are finite."""
    return x


def same_dtype(x: Value, *settings: object) -> None:
    """Refuse a dtype among an op's settings that is not the activation's own."""
    other = [s for s in settings if isinstance(s, torch.dtype) and s != x.example.dtype]
    if other:
        raise Refused(f"it converts {x.example.dtype} to {other[0]}; use one dtype throughout")


def reduced_dims(x: Value, dim: Dims) -> tuple[int, ...]:
    """The reduced dimensions, nonnegative and sorted; all dimensions if none are given."""
    dims = range(x.ndim) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    return tuple(sorted(d % x.ndim for d in dims))


def _reduction(reduce: Callable[..., Tensor], *names: str) -> None:
    @op(*names)
    def rule(
        b: Builder, x: Value, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Value:
        same_dtype(x, dtype)
        dims = reduced_dims(x, dim)
        return b.affine(lambda x: reduce(x, dims, keepdim), x)


_reduction(torch.mean, "mean.dim", "mean.default")
_reduction(torch.sum, "sum.dim_IntList", "sum.default")


@op("cumsum.default")
def cumsum(b: Builder, x: Value, dim: int, *, dtype: Any = None) -> Value:
    """Running sums along a dimension."""
    same_dtype(x, dtype)
    return b.affine(lambda x: x.cumsum(dim), x)


def _filled(b: Builder, size: Size, number: float) -> Value | Tensor:
    """A tensor of one number: a constant, or an activation if its size depends on the batch."""
    constant = torch.full((), number, dtype=torch.float64)
    whole = [n for n in size if not isinstance(n, BatchSize)]
    return constant.expand(whole).contiguous() if len(whole) == len(size) else b.for_each_point(constant, size)


@op("zeros.default", "new_zeros.default")
def zeros(b: Builder, *args: Any, **settings: Any) -> Value | Tensor:
    """Zeros; the size is the last argument, after an optional tensor."""
    return _filled(b, args[-1], 0.0)


@op("ones.default", "new_ones.default")
def ones(b: Builder, *args: Any, **settings: Any) -> Value | Tensor:
    """Ones; the size is the last argument, after an optional tensor."""
    return _filled(b, args[-1], 1.0)


@op("full.default", "new_full.default")
def full(b: Builder, *args: Any, **settings: Any) -> Value | Tensor:
    """A tensor of one number; the size and the number are the last arguments, after an optional tensor."""
    return _filled(b, args[-2], float(args[-1]))


@op("zeros_like.default")
def zeros_like(b: Builder, x: Value, **settings: Any) -> Value:
    """Zeros in the shape of x."""
    return b.affine(torch.zeros_like, x)


@op("ones_like.default")
def ones_like(b: Builder, x: Value, **settings: Any) -> Value:
    """Ones in the shape of x."""
    return b.affine(torch.ones_like, x)


@op("full_like.default")
def full_like(b: Builder, x: Value, value: float, **settings: Any) -> Value:
    """A tensor of one number, in the shape of x."""
    return b.affine(lambda x: torch.full_like(x, value), x)
