"""In-place writes in torch.export's functional form: ``h[:, 1:] = y`` is exported as slice, copy and slice_scatter."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tropica.network.builder import Builder, Operand, Refused, Value
from tropica.network.ops.layout import slice_index
from tropica.network.ops.registry import op


def _put(b: Builder, x: Operand, part: Operand, index: tuple[Any, ...]) -> Value:
    """x with ``part`` in place of x[index]: every entry of the result is an entry of x or of ``part``."""

    def put(x: Tensor, part: Tensor) -> Tensor:
        out = x.clone()
        out[index] = part
        return out

    if not isinstance(x, Value):
        raise Refused("it writes into a constant that has no batch; make the constant with x.new_zeros(x.shape[0], ...)")
    return b.affine(put, x, part) if isinstance(part, Value) else b.affine(put, x, part=b.tensor(part))


@op("slice_scatter.default")
def slice_scatter(
    b: Builder, x: Value, part: Operand, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Value:
    """x[start:end:step] = part, along a dimension."""
    return _put(b, x, part, slice_index(x, dim, start, end, step) if isinstance(x, Value) else ())


@op("select_scatter.default")
def select_scatter(b: Builder, x: Value, part: Operand, dim: int, index: int) -> Value:
    """x[index] = part, along a dimension."""
    return _put(b, x, part, (slice(None),) * (dim % x.ndim) + (index,))


@op("copy.default")
def copy(b: Builder, x: Value, source: Operand, non_blocking: bool = False) -> Value:
    """The source expanded to the shape of x."""
    if not isinstance(source, Value):
        return b.affine(lambda x, bias: bias.expand(x.shape), x, bias=b.tensor(source))
    if not isinstance(x, Value) or x.shape == source.shape:
        return source
    return b.affine(lambda source, x: source.expand(x.shape), source, x)


@op("fill.Scalar", "fill.Tensor", "zero.default")
def fill(b: Builder, x: Value, number: Operand = 0.0) -> Value:
    """A tensor of one number, in the shape of x."""
    return copy(b, x, number)
