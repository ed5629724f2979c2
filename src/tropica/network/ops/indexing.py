"""Reading and writing by constant indices: every entry of the result is an entry of an input, or a sum of entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tropica.network.builder import Builder, Operand, Refused, Value
from tropica.network.ops.layout import positions
from tropica.network.ops.registry import aten, op

_BY_INPUT = "its index depends on the input; index by constants"


def _index(b: Builder, index: Operand) -> Tensor:
    """A constant index; one that is the same for all points has a batch of 1."""
    found = b.same_for_all(index) if isinstance(index, Value) else index
    if not isinstance(found, Tensor):
        raise Refused(_BY_INPUT)
    return found.round().long() if found.is_floating_point() else found.long()


def _for_batch(index: Tensor, x: Tensor, is_repeated: bool) -> Tensor:
    """The index for the batch of x, if it is given for one point."""
    return index.expand(x.shape[0], *index.shape[1:]) if is_repeated else index


@op("gather.default")
def gather(b: Builder, x: Value, dim: int, index: Operand, *, sparse_grad: bool = False) -> Value:
    """Entries along a dimension, by one constant index for each entry of the result."""
    if not isinstance(x, Value):
        raise Refused(_BY_INPUT)
    repeated = isinstance(index, Value)
    return b.affine(lambda x, index: x.gather(dim, _for_batch(index, x, repeated)), x, index=_index(b, index))


@op("take_along_dim.default")
def take_along_dim(b: Builder, x: Value, index: Operand, dim: int | None = None) -> Value:
    """As :func:`gather`, with broadcasting in the other dimensions."""
    if dim is None:
        raise Refused("it flattens the batch; take along a dimension")
    if not isinstance(x, Value):
        raise Refused(_BY_INPUT)
    return b.affine(lambda x, index: torch.take_along_dim(x, index, dim), x, index=_index(b, index))


def _write(b: Builder, function: Callable[..., Tensor], x: Operand, source: Operand, **indices: Tensor) -> Value:
    """``function(x, source, **indices)``, which copies or adds entries of the source into x."""
    if not isinstance(x, Value):
        raise Refused("it writes into a constant that has no batch; make the constant with x.new_zeros(x.shape[0], ...)")
    if isinstance(source, Value):
        return b.affine(function, x, source, **indices)

    def write(x: Tensor, part: Tensor, **indices: Tensor) -> Tensor:
        return function(x, part.to(x.dtype), **indices)

    return b.affine(write, x, part=b.tensor(source), **indices)


def _scaled(b: Builder, source: Operand, alpha: float) -> Operand:
    if alpha == 1:
        return source
    return b.scale(source, alpha) if isinstance(source, Value) else b.tensor(source).double() * alpha


@op("index_add.default")
def index_add(b: Builder, x: Operand, dim: int, index: Tensor, source: Operand, *, alpha: float = 1) -> Value:
    """x with α times the slices of a source added at constant positions along a dimension."""

    def add(x: Tensor, source: Tensor, index: Tensor) -> Tensor:
        return x.index_add(dim, index, source)

    return _write(b, add, x, _scaled(b, source, alpha), index=_index(b, index))


@op("index_copy.default")
def index_copy(b: Builder, x: Operand, dim: int, index: Tensor, source: Operand) -> Value:
    """x with the slices of a source at constant positions along a dimension."""

    def put(x: Tensor, source: Tensor, index: Tensor) -> Tensor:
        return x.index_copy(dim, index, source)

    return _write(b, put, x, source, index=_index(b, index))


@op("index_fill.int_Scalar")
def index_fill(b: Builder, x: Operand, dim: int, index: Tensor, value: float) -> Value:
    """x with one number at constant positions along a dimension."""

    def fill(x: Tensor, number: Tensor, index: Tensor) -> Tensor:
        return x.index_fill(dim, index, value)

    return _write(b, fill, x, value, index=_index(b, index))


@op("scatter_add.default", "scatter.src", "scatter.value")
def scatter(b: Builder, x: Operand, dim: int, index: Operand, source: Operand) -> Value:
    """x with entries of a source added, or in place of its own, at constant positions along a dimension."""
    repeated, adds = isinstance(index, Value), b.origin.op.endswith("scatter_add.default")

    def write(x: Tensor, source: Tensor, index: Tensor) -> Tensor:
        index = _for_batch(index, x, repeated)
        if source.ndim == 0:
            source = source.expand(index.shape)
        elif source.shape[0] == 1 != index.shape[0]:
            source = source.expand(index.shape[0], *source.shape[1:])
        return x.scatter_add(dim, index, source) if adds else x.scatter(dim, index, source)

    return _write(b, write, x, source, index=_index(b, index))


@op("index_put.default")
def index_put(b: Builder, x: Operand, indices: Sequence[Any], source: Operand, accumulate: bool = False) -> Value:
    """x with a source written or added at constant positions or masks."""
    if any(isinstance(index, Value) for index in indices):
        raise Refused(_BY_INPUT)
    places = positions(indices)
    roles = {f"index{d}": index for d, index in enumerate(places) if index is not None}

    def put(x: Tensor, source: Tensor, **given: Tensor) -> Tensor:
        at = [given.get(f"index{d}") for d in range(len(places))]
        return aten("index_put.default")(x, at, source, accumulate)

    return _write(b, put, x, source, **roles)


@op("masked_scatter.default")
def masked_scatter(b: Builder, x: Operand, mask: Operand, source: Operand) -> Value:
    """Refused: the entries of the source are counted through the batch."""
    raise Refused("it counts the entries of its source through the whole batch; use where with a constant mask")
