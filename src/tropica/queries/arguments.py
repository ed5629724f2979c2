"""Networks, points and limits as users give them, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, exact_array, rationals
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network


def network_at(net: PiecewiseLinearNetwork | torch.nn.Module, x: Any) -> PiecewiseLinearNetwork:
    """The network itself, or a module traced on one point: a vector, an image (C, H, W), or a batch of one of these."""
    if isinstance(net, PiecewiseLinearNetwork):
        return net
    point = np.asarray(numpy_of(x), dtype=np.float64)
    if point.ndim <= 1:
        return as_network(net, inputs=point.size)
    return as_network(net, torch.from_numpy(point if point.ndim % 2 == 0 else point[None]))


def exact_point(x: Any, input_shape: Sequence[int], name: str = "x") -> RationalArray:
    """One point of an input shape as (1, D), exactly.

    Raises:
        InputError: another shape, numbers that are not finite.
    """
    array = numpy_of(x)
    size = math.prod(input_shape)
    if array.shape not in (tuple(input_shape), (1, *input_shape), (size,)):
        raise InputError(f"{name} must be one point of shape {tuple(input_shape)}; found shape {array.shape}")
    return rationals(exact_array(array.reshape(1, size), name, 2))


def numpy_of(x: Any) -> np.ndarray:
    """Numbers as an array: of floats, ints, or of exact numbers."""
    if hasattr(x, "detach"):
        return x.detach().cpu().numpy()
    found = np.asarray(x)
    return found if found.dtype.kind in "fiub" else np.array(x, dtype=object)


def float_points(x: Any, input_shape: Sequence[int], name: str) -> np.ndarray:
    """Points (B, *input) as float64 (B, D)."""
    try:
        array = np.asarray(numpy_of(x), dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be numbers") from None
    if array.shape[1:] != tuple(input_shape) or array.ndim != len(input_shape) + 1:
        wanted = ", ".join(map(str, ("B", *input_shape)))
        raise InputError(f"{name} must have shape ({wanted}); found {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite; it has a NaN or an infinity")
    return array.reshape(len(array), -1)


def positive(limit: Any, name: str) -> None:
    """Raise InputError unless a limit is None or a positive number."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0):
        raise InputError(f"{name} must be a positive number; found {limit!r}")
