"""`validate_points`: the one check of points that all functions share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tropica.errors import InputError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def validate_points(x: Tensor, shape: Sequence[int], where: str, *, first: int = 0) -> None:
    """Check that ``x`` is a batch of points of one shape: floating point, not empty, finite.

    Args:
        x: (N, *shape), float16, bfloat16, float32 or float64, N > 0.
        shape: the shape of one point, without the batch axis.
        where: the name of ``x`` in error messages.
        first: the index of the first point of ``x`` in the whole data, for error messages.

    Raises:
        InputError: ``x`` has another type, dtype or shape, holds no points, or holds a value that is not finite (the message
            names the first one).

    >>> validate_points(torch.zeros(2, 3), (3,), "example")
    >>> validate_points(torch.tensor([[0.0], [float("nan")]]), (1,), "example")
    Traceback (most recent call last):
    tropica.errors.InputError: example: all values must be finite; point 1 has nan at (0,) (torch.float32)
    """
    if not isinstance(x, Tensor):
        raise InputError(f"{where}: points must be a torch.Tensor; found {type(x).__name__}")
    validate_dtype(x, where)
    expected, found = tuple(shape), tuple(x.shape)
    if found[1:] != expected or x.ndim < 2:
        raise InputError(
            f"{where}: points of shape {expected or '(one axis or more)'} are expected, so a tensor (N, *shape); "
            f"found {found}{_hint(x, expected)}"
        )
    if len(x) == 0:
        raise InputError(f"{where}: at least one point is needed; found a tensor {found}")
    _refuse_non_finite(x, where, first)


def validate_dtype(x: Tensor, where: str) -> None:
    """Raise `InputError` unless ``x`` is floating point. Integers are not converted, as their scale is unknown.

    >>> validate_dtype(torch.zeros(2, dtype=torch.uint8), "example")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tropica.errors.InputError: example: points must be ... found torch.uint8; scale them to floats first, ...
    """
    if x.dtype in FLOATS:
        return
    accepted = ", ".join(str(dtype).removeprefix("torch.") for dtype in FLOATS)
    hint = "" if x.dtype.is_floating_point or x.dtype.is_complex else "; scale them to floats first, as x.float() / 255"
    raise InputError(f"{where}: points must be of dtype {accepted}; found {x.dtype}{hint}")


def _refuse_non_finite(x: Tensor, where: str, first: int) -> None:
    # The sum is not finite if a value is not finite or if the sum overflows; the extremes distinguish the two cases. Unlike
    # isfinite(x), neither needs memory of the size of x, and the sum is the fastest.
    if math.isfinite(float(x.sum())) or bool(torch.isfinite(torch.stack(torch.aminmax(x))).all()):
        return
    point, *place = (int(index) for index in (~torch.isfinite(x)).nonzero()[0])
    value = float(x[(point, *place)])
    raise InputError(f"{where}: all values must be finite; point {first + point} has {value} at {tuple(place)} ({x.dtype})")


def _hint(x: Tensor, expected: tuple[int, ...]) -> str:
    """A remedy for the most likely cause of a wrong shape, or an empty string."""
    found = tuple(x.shape)
    if found == expected:
        return "; for a single point add the batch axis: x.unsqueeze(0)"
    if len(expected) == 3 and len(found) == 4 and (found[3], found[1], found[2]) == expected:
        return "; channels come first: x.permute(0, 3, 1, 2)"
    if x.ndim >= 2 and expected and found[1:] != expected and x[:1].numel() == torch.Size(expected).numel():
        return f"; each point has the right number of values: x.reshape(-1, {', '.join(map(str, expected))})"
    return ""
