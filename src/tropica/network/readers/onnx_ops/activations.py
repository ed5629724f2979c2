"""Piecewise-linear activations."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tropica.network.builder import Builder, Refused
from tropica.network.ops import activations, nonlinearities
from tropica.network.readers.onnx_ops.registry import Call, op
from tropica.network.readers.per_point import Activation, broadcast, view

_LARGEST = torch.finfo(torch.float32).max
"""Bounds of this size, the defaults of older versions, bound nothing."""


@op("Relu")
def relu(b: Builder, call: Call) -> Activation:
    """max(x, 0)."""
    x = call.activation()
    return Activation(nonlinearities.relu(b, x.value), x.shape)


@op("Abs")
def absolute(b: Builder, call: Call) -> Activation:
    """|x|."""
    x = call.activation()
    return Activation(nonlinearities.absolute(b, x.value), x.shape)


@op("LeakyRelu")
def leaky_relu(b: Builder, call: Call) -> Activation:
    """x where it is positive, α·x elsewhere."""
    x = call.activation()
    return Activation(nonlinearities.leaky_relu(b, x.value, call.attribute("alpha")), x.shape)


@op("PRelu")
def prelu(b: Builder, call: Call) -> Activation:
    """x where it is positive, slope·x elsewhere, for a constant slope that broadcasts to x."""
    x, slope = call.activation(), call.constant(1, "slope")
    if slope is None or broadcast(x.shape, slope.shape) != x.shape:
        raise Refused("its slope does not broadcast to its input")
    if slope.numel() == 1:
        return Activation(nonlinearities.leaky_relu(b, x.value, float(slope)), x.shape)
    full = slope.reshape((1,) * (x.ndim - slope.ndim) + slope.shape)
    channels = x.ndim > 1 and x.shape[0] == 1 and full.numel() == full.shape[1]
    if channels:
        return Activation(nonlinearities.prelu(b, view(b, x, x.shape[1:]), full.flatten()), x.shape)
    value = view(b, x, x.shape)
    rest = b.scale(nonlinearities.relu(b, value), 1 - full.double())
    return Activation(b.add(b.scale(value, full), rest), x.shape)


@op("Clip")
def clip(b: Builder, call: Call) -> Activation:
    """min(max(x, low), high)."""
    x = call.activation()
    low, high = (_bound(call, i, name) for i, name in ((1, "min"), (2, "max")))
    low = -math.inf if low is None or low <= -_LARGEST else low
    high = math.inf if high is None or high >= _LARGEST else high
    return Activation(activations.hardtanh(b, x.value, low, high), x.shape)


def _bound(call: Call, i: int, name: str) -> float | None:
    """A bound of Clip: an input, in older versions an attribute."""
    if name in call.defaults:
        return call.attribute(name)
    bound: Tensor | None = call.constant(i, f"{name} bound")
    return None if bound is None else float(bound)


@op("HardSigmoid")
def hard_sigmoid(b: Builder, call: Call) -> Activation:
    """min(max(α·x + β, 0), 1)."""
    x = call.activation()
    inner = b.shift(b.scale(x.value, call.attribute("alpha")), call.attribute("beta"))
    return Activation(activations.hardtanh(b, inner, 0.0, 1.0), x.shape)
