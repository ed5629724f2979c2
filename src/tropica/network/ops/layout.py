"""Layout ops: reshape, slice, concatenate, split. Every entry of the Jacobian is 0 or 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tropica.network.builder import EXAMPLE_POINTS, BatchSize, Builder, Operand, Refused, Size, Value
from tropica.network.ops.arithmetic import same_dtype
from tropica.network.ops.registry import aten, op

SAME_FOR_ANY_BATCH = (
    "permute.default",
    "transpose.int",
    "t.default",
    "movedim.int",
    "movedim.intlist",
    "narrow.default",
    "unsqueeze.default",
    "select.int",
    "diagonal.default",
    "flip.default",
    "roll.default",
    "rot90.default",
    "unfold.default",
    "im2col.default",
    "col2im.default",
    "repeat_interleave.self_int",
    "pixel_shuffle.default",
    "pixel_unshuffle.default",
    "channel_shuffle.default",
    "tril.default",
    "triu.default",
)
"""Layout ops whose arguments do not depend on the batch size."""


def unweighted(*names: str) -> None:
    """Register linear ops without weights, whose arguments do not depend on the batch size."""
    for name in names:
        _unweighted(name)


def _unweighted(name: str) -> None:
    function = aten(name)

    @op(name)
    def rule(b: Builder, x: Value, *settings: Any, **named: Any) -> Value:
        return b.affine(lambda x: function(x, *settings, **named), x)


unweighted(*SAME_FOR_ANY_BATCH)


def _sizes(x: Value, size: Size) -> list[int]:
    """A target size with −1 for the batch, which PyTorch infers; another −1 next to the batch is replaced by its number."""
    known = [n.times * EXAMPLE_POINTS if isinstance(n, BatchSize) else n for n in size]
    has_batch = any(isinstance(n, BatchSize) for n in size)
    rest = x.shape.numel() // max(1, math.prod(n for n in known if n != -1))
    return [-1 if isinstance(n, BatchSize) else rest if n == -1 and has_batch else n for n in size]


@op("view.default", "_unsafe_view.default", "reshape.default")
def reshape(b: Builder, x: Value, size: Size) -> Value:
    """The same entries in another shape."""
    target = _sizes(x, size)
    return b.affine(lambda x: x.reshape(target), x)


@op("flatten.using_ints")
def flatten(b: Builder, x: Value, start: int = 0, end: int = -1) -> Value:
    """Dimensions joined into one."""
    return b.affine(lambda x: x.flatten(start, end), x)


@op("unflatten.int")
def unflatten(b: Builder, x: Value, dim: int, sizes: Size) -> Value:
    """One dimension split into several."""
    target = [-1 if isinstance(n, BatchSize) else n for n in sizes]
    return b.affine(lambda x: x.unflatten(dim, target), x)


@op("expand.default")
def expand(b: Builder, x: Operand, size: Size, *, implicit: bool = False) -> Value:
    """Dimensions of size 1 repeated; a constant expanded to the batch."""
    if not isinstance(x, Value):
        return b.for_each_point(b.tensor(x), size)
    target = [-1 if isinstance(n, BatchSize) else n for n in size]
    return b.affine(lambda x: x.expand(target), x)


@op("repeat.default")
def repeat(b: Builder, x: Operand, repeats: Size) -> Value:
    """The tensor tiled; a constant tiled once for each point of the batch."""
    if isinstance(x, Value):
        if any(isinstance(n, BatchSize) for n in repeats):
            raise Refused("it repeats an activation as many times as there are points in the batch")
        return b.affine(lambda x: x.repeat(repeats), x)
    constant = b.tensor(x)
    shape = [1] * (len(repeats) - constant.ndim) + list(constant.shape)
    if any(isinstance(n, BatchSize) and (n.times != 1 or m != 1) for n, m in zip(repeats, shape, strict=True)):
        raise Refused("it repeats a constant of several rows for the batch; add a dimension of size 1 and expand that")
    tiled = constant.repeat([1 if isinstance(n, BatchSize) else n for n in repeats])
    return b.for_each_point(tiled, [n if isinstance(n, BatchSize) else m for n, m in zip(repeats, tiled.shape, strict=True)])


@op("squeeze.default")
def squeeze(b: Builder, x: Value) -> Value:
    """Dimensions of size 1 dropped, found on the example of two points, so that the dimension of a batch of one is kept."""
    return squeeze_dims(b, x, [d for d, n in enumerate(x.shape) if n == 1])


@op("squeeze.dim", "squeeze.dims")
def squeeze_dims(b: Builder, x: Value, dim: int | Sequence[int]) -> Value:
    """The given dimensions dropped if their size is 1."""
    dims = tuple(d for d in ([dim] if isinstance(dim, int) else dim) if x.shape[d] == 1)
    return b.affine(lambda x: x.squeeze(dims), x)


def slice_index(x: Value, dim: int, start: Any, end: Any, step: int) -> tuple[slice, ...]:
    """An index of every step-th entry of [start, end) along a dimension; a part of the batch is refused."""
    if isinstance(end, BatchSize) and end.times * EXAMPLE_POINTS >= x.shape[dim]:
        end = None
    if isinstance(start, BatchSize) or isinstance(end, BatchSize):
        raise Refused("it takes a part of the batch; every point must be treated by itself")
    return (slice(None),) * (dim % x.ndim) + (slice(start, end, step),)


@op("slice.Tensor")
def slice_(b: Builder, x: Value, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Value:
    """Every step-th entry of [start, end) along a dimension."""
    index = slice_index(x, dim, start, end, step)
    return b.affine(lambda x: x[index], x)


def positions(indices: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Index tensors in which each mask is replaced by the positions of its true entries, one tensor for each dimension."""
    found: list[Tensor | None] = []
    for one in indices:
        is_mask = one is not None and one.dtype in (torch.bool, torch.uint8)
        found += one.nonzero(as_tuple=True) if one is not None and is_mask else [one]
    return found


@op("index_select.default")
def index_select(b: Builder, x: Value, dim: int, index: Tensor) -> Value:
    """Entries along a dimension by a constant index."""
    return b.affine(lambda x, index: x.index_select(dim, index), x, index=index)


@op("index.Tensor")
def index(b: Builder, x: Value, indices: Sequence[Tensor | None]) -> Value:
    """Entries by constant index tensors or masks."""
    places = positions(indices)
    roles = {f"index{d}": i for d, i in enumerate(places) if i is not None}

    def take(x: Tensor, **given: Tensor) -> Tensor:
        return torch.ops.aten.index.Tensor(x, [given.get(f"index{d}") for d in range(len(places))])

    return b.affine(take, x, **roles)


def _joined(b: Builder, tensors: Sequence[Operand], join: Callable[[list[Tensor]], Tensor]) -> Value:
    """Join activations and constants; the constants become constants of the affine op."""
    values = [t for t in tensors if isinstance(t, Value)]
    roles = {f"part{i}": b.tensor(t) for i, t in enumerate(tensors) if not isinstance(t, Value)}

    def fn(*inputs: Tensor, **parts: Tensor) -> Tensor:
        left = iter(inputs)
        return join([parts[f"part{i}"] if f"part{i}" in parts else next(left) for i in range(len(tensors))])

    return b.affine(fn, *values, **roles)


@op("cat.default", "concat.default", "concatenate.default")
def cat(b: Builder, tensors: Sequence[Operand], dim: int = 0) -> Value:
    """Tensors joined along a dimension."""
    return _joined(b, tensors, lambda parts: torch.cat(parts, dim))


@op("stack.default")
def stack(b: Builder, tensors: Sequence[Operand], dim: int = 0) -> Value:
    """Tensors joined along a new dimension."""
    return _joined(b, tensors, lambda parts: torch.stack(parts, dim))


def _slices(b: Builder, x: Value, dim: int, sizes: Sequence[int]) -> list[Value]:
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [slice_(b, x, dim, start, start + size) for start, size in zip(starts, sizes, strict=True)]


@op("split.Tensor")
def split(b: Builder, x: Value, size: int, dim: int = 0) -> list[Value]:
    """Slices of one size along a dimension; the last one may be smaller."""
    full = x.shape[dim]
    return _slices(b, x, dim, [min(size, full - start) for start in range(0, full, size)])


@op("split_with_sizes.default")
def split_with_sizes(b: Builder, x: Value, sizes: Sequence[int], dim: int = 0) -> list[Value]:
    """Slices of given sizes along a dimension."""
    return _slices(b, x, dim, sizes)


@op("chunk.default")
def chunk(b: Builder, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    """A given number of slices along a dimension."""
    return split(b, x, -(-x.shape[dim] // chunks), dim)


@op("unbind.int")
def unbind(b: Builder, x: Value, dim: int = 0) -> list[Value]:
    """All slices of size 1 along a dimension, without that dimension."""
    return [b.affine(lambda x, i=i: x.select(dim, i), x) for i in range(x.shape[dim])]


@op("clone.default", "contiguous.default", "alias.default", "detach.default", "lift_fresh_copy.default")
def identity(b: Builder, x: Value, *ignored: Any, **settings: Any) -> Value:
    """The identity: a copy has the same values."""
    return x


@op("dropout.default", "feature_dropout.default", "alpha_dropout.default", "native_dropout.default")
def dropout(b: Builder, x: Value, p: float, train: bool) -> Value:
    """Dropout in eval mode is the identity."""
    if train:
        raise Refused("it drops units at random (the code sets training mode); call it with training=False")
    return x


@op("_to_copy.default", "to.dtype", "type_as.default")
def to(b: Builder, x: Value, *args: Any, **settings: Any) -> Value:
    """A conversion to the activation's own dtype, the identity; any other dtype is refused."""
    same_dtype(x, *args, *settings.values())
    return x
