"""Sums, differences, products with constants, maxima, minima and reductions."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from tropica.network.builder import TWO_ACTIVATIONS, Builder, Refused, Value
from tropica.network.ops import activations, arithmetic, nonlinearities
from tropica.network.readers.onnx_ops.registry import Call, op
from tropica.network.readers.per_point import Activation, Operand, aligned, axis_of, stripped


def _binary(b: Builder, x: Operand, y: Operand, rule: Callable[..., Value]) -> Activation:
    left, right, shape = aligned(b, x, y)
    return Activation(rule(b, left, right), shape)


def operands(call: Call, count: int | None = None) -> list[Operand]:
    """All inputs, none left out."""
    found = [x for x in call.inputs if x is not None]
    if len(found) != len(call.inputs) or (count is not None and len(found) != count) or not found:
        raise Refused(f"it has {len(found)} inputs of {count or len(call.inputs)}")
    return found


def _elementwise(name: str, rule: Callable[..., Value]) -> None:
    @op(name)
    def binary(b: Builder, call: Call) -> Activation:
        x, y = operands(call, 2)
        return _binary(b, x, y, rule)


_elementwise("Add", arithmetic.add)
_elementwise("Sub", arithmetic.sub)


@op("Mul")
def mul(b: Builder, call: Call) -> Activation:
    """x·y with one of the two constant."""
    x, y = operands(call, 2)
    if isinstance(x, Activation) and isinstance(y, Activation):
        raise Refused(TWO_ACTIVATIONS)
    return _binary(b, x, y, arithmetic.mul)


@op("Div")
def div(b: Builder, call: Call) -> Activation:
    """x / c for a constant c without zeros."""
    x, y = operands(call, 2)
    if isinstance(y, Tensor) and bool((y == 0).any()):
        raise Refused("it divides by zero")
    return _binary(b, x, y, arithmetic.div)


def _fold(b: Builder, items: list[Operand], rule: Callable[..., Value], constants: Callable[..., Tensor]) -> Operand:
    """Combine any number of operands in order; constants that stand together are combined as tensors."""

    def combine(x: Operand, y: Operand) -> Operand:
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return constants(x, y)
        return _binary(b, x, y, rule)

    return reduce(combine, items)


@op("Sum")
def sum_(b: Builder, call: Call) -> Operand:
    """The sum of any number of operands."""
    return _fold(b, operands(call), arithmetic.add, torch.add)


@op("Max")
def maximum(b: Builder, call: Call) -> Operand:
    """The maximum of any number of operands."""
    return _fold(b, operands(call), nonlinearities.maximum, torch.maximum)


@op("Min")
def minimum(b: Builder, call: Call) -> Operand:
    """The minimum of any number of operands."""
    return _fold(b, operands(call), activations.minimum, torch.minimum)


@op("Neg")
def neg(b: Builder, call: Call) -> Activation:
    """−x."""
    x = call.activation()
    return Activation(b.neg(x.value), x.shape)


def _reduction(name: str, rule: Callable[..., Value]) -> None:
    @op(name)
    def reduction(b: Builder, call: Call) -> Activation:
        x, keep = call.activation(), bool(call.attribute("keepdims"))
        axes = call.integers(1, "list of axes", "axes")
        if not axes and call.attribute("noop_with_empty_axes"):
            return x
        dims = sorted({axis_of(a, x.ndim) for a in axes}) if axes else list(range(x.ndim))
        value, k = stripped(b, x, dims)
        out = [1 if i in dims else n for i, n in enumerate(x.shape) if keep or i not in dims]
        return Activation(rule(b, value, [d + 1 - k for d in dims]) if dims else value, tuple(out))


def _linear(reduce_dims: Callable[..., Tensor]) -> Callable[..., Value]:
    return lambda b, value, dims: b.affine(lambda x: reduce_dims(x, dims), value)


def _largest(b: Builder, value: Value, dims: Any) -> Value:
    return nonlinearities.amax(b, value, dims)


def _smallest(b: Builder, value: Value, dims: Any) -> Value:
    return activations.amin(b, value, dims)


_reduction("ReduceSum", _linear(torch.sum))
_reduction("ReduceMean", _linear(torch.mean))
_reduction("ReduceMax", _largest)
_reduction("ReduceMin", _smallest)
