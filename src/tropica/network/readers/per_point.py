"""Tensors of a file's graph, which describes one point, held for a batch of points.

A file's graph is read as the function of one point: a free batch axis has the size 1, a fixed one is what it is. Every
activation is held with a new first axis for the batch. So nothing in the graph has to be guessed to be a batch axis, and
reshapes, also those with sizes written into the file, hold for any number of points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from tropica.network.builder import Builder, Refused, Value

MOST_ENTRIES = 2**25
"""Largest number of entries of an activation for one point."""
MOST_INDEX = 2**24
"""Largest number of entries of an index or a matrix that a rule makes."""


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation with ``shape`` for one point.

    ``value`` holds it as (B, ...) with the same entries in the same order, in any shape: a reshape changes ``shape`` alone. Its
    first size may also be a multiple of B. ``head`` names a dropped final op; only reshapes may follow one.
    """

    value: Value
    shape: tuple[int, ...]
    head: str | None = None

    def __post_init__(self) -> None:
        bounded(self.shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions for one point."""
        return len(self.shape)

    @property
    def numel(self) -> int:
        """Number of entries for one point."""
        return math.prod(self.shape)

    def reshaped(self, shape: Sequence[int]) -> Activation:
        """The same entries in another shape."""
        if math.prod(shape) != self.numel:
            raise Refused(f"it reshapes {self.shape} to {tuple(shape)}, which has another number of entries")
        return replace(self, shape=tuple(shape))


def bounded(*shapes: Sequence[int]) -> None:
    """Refuse shapes that have no entries, or more than memory should hold; rules call it before they compute a larger value."""
    for shape in shapes:
        if not 0 < math.prod(shape) <= MOST_ENTRIES:
            raise Refused(f"it makes a tensor of the shape {tuple(shape)}; between 1 and {MOST_ENTRIES:,} entries are read")


Operand: TypeAlias = Activation | Tensor


def view(b: Builder, x: Activation, shape: Sequence[int]) -> Value:
    """The activation as (B, *shape), or as (B · n, *shape) for a shape with an n-th of its entries (see :func:`images`)."""
    if tuple(x.value.shape[1:]) == tuple(shape):
        return x.value
    origin = b.origin
    b.origin = replace(origin, op="onnx.Reshape")
    try:
        return b.affine(lambda v: v.reshape(-1, *shape), x.value)
    finally:
        b.origin = origin


def leading_ones(shape: Sequence[int], touched: Sequence[int] = ()) -> int:
    """Number of first axes of size 1 that can be left out: not touched, and at least one axis is kept."""
    k = 0
    while k < len(shape) - 1 and shape[k] == 1 and k not in touched:
        k += 1
    return k


def stripped(b: Builder, x: Activation, touched: Sequence[int] = ()) -> tuple[Value, int]:
    """The activation as (B, *shape) without its first axes of size 1, and the number of axes left out."""
    k = leading_ones(x.shape, touched)
    return view(b, x, x.shape[k:]), k


def images(b: Builder, x: Activation) -> Value:
    """An activation (N, C, ...) as (B · N, C, ...)."""
    if x.ndim < 3:
        raise Refused(f"its input has the shape {x.shape}; (N, C, ...) is needed")
    return view(b, x, x.shape[1:])


def from_images(b: Builder, value: Value, n: int) -> Activation:
    """The activation (N, C, ...) of a value (B · N, C, ...)."""
    out = Activation(value, (n, *value.shape[1:]))
    return out if n == 1 else Activation(view(b, out, out.shape), out.shape)


def axis_of(axis: int, ndim: int) -> int:
    """A nonnegative axis."""
    if not -ndim <= axis < ndim:
        raise Refused(f"its axis {axis} is none of the {ndim} axes of its input")
    return axis % ndim


def broadcast(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape of an elementwise op of several operands."""
    try:
        out = tuple(torch.broadcast_shapes(*map(tuple, shapes)))
        bounded(out)
        return out
    except RuntimeError:
        raise Refused(f"its operands have the shapes {' and '.join(str(tuple(s)) for s in shapes)}, which do not fit") from None


def aligned(b: Builder, x: Operand, y: Operand) -> tuple[Value | Tensor, Value | Tensor, tuple[int, ...]]:
    """Two operands, at least one an activation, so that they broadcast with the batch first; and the shape of the result."""
    shape = broadcast(x.shape, y.shape)
    if isinstance(x, Activation) and isinstance(y, Activation):
        if x.shape == y.shape and x.value.shape == y.value.shape:
            return x.value, y.value, shape
        sx, sy = _padded(x, len(shape)), _padded(y, len(shape))
        k = min(leading_ones(sx), leading_ones(sy))
        return view(b, x, sx[k:]), view(b, y, sy[k:]), shape
    if isinstance(y, Activation):
        constant, activation, _ = aligned(b, y, x)
        return activation, constant, shape
    assert isinstance(x, Activation)
    assert isinstance(y, Tensor)
    sx, sy = _padded(x, len(shape)), _padded(y, len(shape))
    if sx == shape and y.numel() == 1:
        return x.value, y.reshape(()), shape
    if sx == shape and sy == shape:
        return x.value, y.reshape(x.value.shape[1:]), shape
    k = min(leading_ones(sx), leading_ones(sy))
    return view(b, x, sx[k:]), y.reshape(sy[k:]), shape


def _padded(x: Operand, ndim: int) -> tuple[int, ...]:
    return (1,) * (ndim - len(x.shape)) + tuple(x.shape)


def along(b: Builder, x: Value, axis: int, matrix: Tensor) -> Value:
    """Multiply one axis of (B, ...) by a constant matrix (out, in)."""

    def multiply(x: Tensor, weight: Tensor) -> Tensor:
        return (x.movedim(axis, -1) @ weight.T).movedim(-1, axis)

    return b.affine(multiply, x, weight=matrix)


def take(b: Builder, x: Value, axis: int, index: Tensor) -> Value:
    """Entries of one axis of (B, ...) by a constant index (n,)."""
    return b.affine(lambda x, index: x.index_select(axis, index), x, index=index)
