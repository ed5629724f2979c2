"""Ops that are translated to one nonlinearity each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tropica.network.builder import Builder, Operand, Refused, Value, activation_first
from tropica.network.nonlinearities import Abs, AdaptiveMaxPool, Amax, ClampMin, LeakyRelu, Maximum, MaxPool, PRelu, Relu
from tropica.network.ops.arithmetic import reduced_dims
from tropica.network.ops.registry import op


@op("relu.default")
def relu(b: Builder, x: Value) -> Value:
    """max(x, 0)."""
    return b.nonlinearity(Relu(), x)


@op("abs.default")
def absolute(b: Builder, x: Value) -> Value:
    """|x|."""
    return b.nonlinearity(Abs(), x)


@op("leaky_relu.default")
def leaky_relu(b: Builder, x: Value, slope: float = 0.01) -> Value:
    """max(x, αx) for α in [0, 1]; any other slope is αx + (1 − α)·relu(x)."""
    if 0 <= slope <= 1:
        return b.nonlinearity(LeakyRelu(slope), x)
    return b.add(b.scale(x, slope), b.scale(relu(b, x), 1 - slope))


@op("prelu.default", "_prelu_kernel.default")
def prelu(b: Builder, x: Value, slope: Operand) -> Value:
    """Leaky relu with one slope, or one slope per channel; slopes outside [0, 1] as in :func:`leaky_relu`."""
    if not isinstance(slope, Tensor):
        raise Refused("its slope depends on the input; a constant slope is needed")
    if bool(((slope >= 0) & (slope <= 1)).all()):
        return b.nonlinearity(PRelu(), x, slope=slope.flatten())
    per_channel = slope.flatten().double().view((-1,) + (1,) * (x.ndim - 2))
    return b.add(b.scale(x, per_channel), b.scale(relu(b, x), 1 - per_channel))


@op("maximum.default", "max.other")
def maximum(b: Builder, x: Operand, y: Operand) -> Value:
    """max(x, y) of two activations, or of an activation and a constant; slopes of 1/2 at a tie."""
    if isinstance(x, Value) and isinstance(y, Value):
        return b.nonlinearity(Maximum(), x, y)
    value, level = activation_first(x, y)
    return clamp_min_at(b, value, level, tie=0.5)


def clamp_min_at(b: Builder, x: Value, level: Tensor | float, tie: float) -> Value:
    """max(x, level) for a constant level, with slope ``tie`` at x = level."""
    constant = b.tensor(level)
    shape = constant.shape
    if torch.broadcast_shapes(x.shape, shape) != x.shape:
        x = b.affine(lambda x: x.expand(torch.broadcast_shapes(x.shape, shape)), x)
    return b.nonlinearity(ClampMin(tie), x, level=constant)


@op("amax.default")
def amax(b: Builder, x: Value, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """The maximum over dimensions."""
    return b.nonlinearity(Amax(reduced_dims(x, dim), keepdim), x)


@op("max.dim")
def max_dim(b: Builder, x: Value, dim: int, keepdim: bool = False) -> tuple[Value, None]:
    """The maximum over one dimension; the index output is not piecewise linear, and may not be used."""
    return b.nonlinearity(Amax(reduced_dims(x, dim), keepdim, first=True), x), None


def _per_axis(values: int | Sequence[int], spatial: int) -> tuple[int, ...]:
    """One value for each spatial dimension, from one value for all or a sequence."""
    listed = (values,) if isinstance(values, int) else tuple(values)
    return listed * spatial if len(listed) == 1 else listed


def _max_pool(spatial: int) -> None:
    @op(f"max_pool{spatial}d.default")
    def rule(
        b: Builder,
        x: Value,
        kernel: Any,
        stride: Any = (),
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Value:
        settings = (_per_axis(v, spatial) for v in (kernel, stride or kernel, padding, dilation))
        return b.nonlinearity(MaxPool(*settings, ceil_mode=ceil_mode), x)

    @op(f"max_pool{spatial}d_with_indices.default")
    def with_indices(b: Builder, x: Value, *settings: Any) -> tuple[Value, None]:
        return rule(b, x, *settings), None

    @op(f"adaptive_max_pool{spatial}d.default")
    def adaptive(b: Builder, x: Value, size: Any) -> tuple[Value, None]:
        return b.nonlinearity(AdaptiveMaxPool(_per_axis(size, spatial)), x), None


for _spatial in (1, 2, 3):
    _max_pool(_spatial)
