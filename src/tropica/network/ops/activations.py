"""Piecewise-linear activations rewritten into affine ops and nonlinearities.

Slopes at breakpoints are PyTorch's: 0 for hardtanh, relu6, hardsigmoid and threshold, 1 for clamp, 1/2 for minimum. Where an
activation saturates, its value is exact for inputs of any size, as nested maxima and minima subtract no large numbers.
Softshrink is decomposed earlier, in :mod:`tropica.network.export`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from tropica.network.builder import Builder, Operand, Refused, Value
from tropica.network.ops.nonlinearities import amax, clamp_min_at, leaky_relu, max_dim, maximum, relu
from tropica.network.ops.registry import op


def _clamp(b: Builder, x: Operand, low: Any, high: Any, tie: float) -> Value:
    """min(max(x, low), high), the minimum as −max(−x, −high); bounds may depend on the input."""
    low = None if isinstance(low, float) and low == -math.inf else low
    high = None if isinstance(high, float) and high == math.inf else high
    if low is not None:
        if isinstance(low, Value):
            x = maximum(b, x, low)
        elif not isinstance(x, Value):
            x = torch.maximum(b.tensor(x), b.tensor(low))
        else:
            x = relu(b, x) if tie == 0 and float(low) == 0 else clamp_min_at(b, x, low, tie)
    if high is not None:
        x = minimum(b, x, high) if isinstance(high, Value) or not isinstance(x, Value) else _at_most(b, x, high, tie)
    assert isinstance(x, Value)
    return x


def _at_most(b: Builder, x: Value, high: Any, tie: float) -> Value:
    return b.neg(clamp_min_at(b, b.neg(x), -b.tensor(high), tie))


@op("clamp.default", "clamp.Tensor", "clip.default")
def clamp(b: Builder, x: Operand, low: Any = None, high: Any = None) -> Value:
    """min(max(x, low), high), one- or two-sided, with numbers or tensors."""
    return _clamp(b, x, low, high, tie=1)


@op("clamp_min.default", "clamp_min.Tensor")
def clamp_min(b: Builder, x: Value, low: Any) -> Value:
    """max(x, low)."""
    return clamp(b, x, low)


@op("clamp_max.default", "clamp_max.Tensor")
def clamp_max(b: Builder, x: Value, high: Any) -> Value:
    """min(x, high)."""
    return clamp(b, x, None, high)


@op("hardtanh.default")
def hardtanh(b: Builder, x: Value, low: float = -1, high: float = 1) -> Value:
    """min(max(x, low), high)."""
    return _clamp(b, x, low, high, tie=0)


@op("relu6.default")
def relu6(b: Builder, x: Value) -> Value:
    """min(max(x, 0), 6)."""
    return hardtanh(b, x, 0.0, 6.0)


@op("hardsigmoid.default")
def hardsigmoid(b: Builder, x: Value) -> Value:
    """min(max(x + 3, 0), 6) / 6."""
    return b.scale(relu6(b, b.shift(x, 3.0)), 1 / b.tensor(6.0))


@op("threshold.default")
def threshold(b: Builder, x: Value, level: float, value: float) -> Value:
    """x above the level, ``value`` elsewhere: continuous, hence piecewise linear, only if ``value`` is the level."""
    if level != value:
        raise Refused(
            f"it jumps from {value} to {level} at its threshold; only a continuous one (value = threshold) is supported"
        )
    return relu(b, x) if level == 0 else clamp_min_at(b, x, level, tie=0)


@op("rrelu.default")
def rrelu(b: Builder, x: Value, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, *_: Any) -> Value:
    """Leaky relu with slope (lower + upper)/2 in eval mode."""
    if training:
        raise Refused("it draws random slopes (the code sets training mode); call it with training=False")
    return leaky_relu(b, x, (lower + upper) / 2)


@op("minimum.default", "min.other")
def minimum(b: Builder, x: Operand, y: Operand) -> Value:
    """−max(−x, −y)."""
    x, y = (b.neg(v) if isinstance(v, Value) else -b.tensor(v) for v in (x, y))
    return b.neg(maximum(b, x, y))


@op("amin.default")
def amin(b: Builder, x: Value, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """−amax(−x)."""
    return b.neg(amax(b, b.neg(x), dim, keepdim))


@op("min.dim")
def min_dim(b: Builder, x: Value, dim: int, keepdim: bool = False) -> tuple[Value, None]:
    """−max(−x) over one dimension; the index may not be used."""
    return b.neg(max_dim(b, b.neg(x), dim, keepdim)[0]), None
