"""Max-pooling and average pooling."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tropica.network.builder import Builder, Refused, Value
from tropica.network.nonlinearities import Amax, MaxPool
from tropica.network.ops import nonlinearities
from tropica.network.readers.onnx_ops.registry import Call, op
from tropica.network.readers.onnx_ops.windows import SpatialWindows
from tropica.network.readers.per_point import MOST_INDEX, Activation, along, bounded, from_images, images

_AVERAGES: tuple[Callable[..., Tensor], ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)

_MOST_POSITIONS = 2**16
"""Positions of a window: 256 × 256. The check of the network takes time for each, in the padding or not."""


def _windows(call: Call, x: Activation) -> SpatialWindows:
    kernel, sizes = call.attribute("kernel_shape"), x.shape[2:]
    if not sizes or kernel is None or len(kernel) != len(sizes) or min(kernel) < 1:
        raise Refused(f"its kernel_shape is {kernel}, its input {x.shape}")
    windows = SpatialWindows.of(call, sizes, tuple(kernel), ceil=bool(call.attribute("ceil_mode")))
    bounded((*x.shape[:2], *windows.count), (*x.shape[:2], *windows.padded))
    if any(n * k > MOST_INDEX for n, k in zip(windows.count, windows.kernel, strict=True)):
        raise Refused(f"its windows {windows.kernel} on {sizes} have more than {MOST_INDEX:,} positions along an axis")
    if math.prod(kernel) > _MOST_POSITIONS:
        raise Refused(f"a window {windows.kernel} has {math.prod(kernel):,} positions; up to {_MOST_POSITIONS:,} are read")
    if any(len(_outside(windows, axis)) for axis in range(len(sizes))):
        raise Refused("one of its windows lies in the padding as a whole, and has no entry")
    return windows


def _outside(windows: SpatialWindows, axis: int) -> Tensor:
    """The windows of an axis without a position inside."""
    positions = torch.from_numpy(windows.positions(axis))
    inside = (positions >= 0) & (positions < windows.sizes[axis])
    return (~inside.any(1)).nonzero()


@op("MaxPool")
def max_pool(b: Builder, call: Call) -> tuple[Activation, None]:
    """The maximum of each window. The positions may not be used."""
    x = call.activation()
    call.ignore("storage_order")  # of the positions
    windows, value = _windows(call, x), images(b, x)
    for ceil in (False, True):
        if _counts_as_torch(windows, ceil):
            pool = MaxPool(windows.kernel, windows.stride, windows.before, windows.dilation, ceil)
            return from_images(b, b.nonlinearity(pool, value), x.shape[0]), None
    bounded((*x.shape[:2], *windows.count, *windows.kernel))
    gathered = _gathered(b, value, windows)
    return from_images(b, b.nonlinearity(Amax((-1,), first=True), gathered), x.shape[0]), None


def _counts_as_torch(windows: SpatialWindows, ceil: bool) -> bool:
    """Whether ``torch``, which pads both ends of an axis alike and cuts windows at the end, has the same windows."""
    if len(windows.sizes) > 3 or any(2 * p > k for p, k in zip(windows.before, windows.kernel, strict=True)):
        return False
    reach = zip(windows.sizes, windows.kernel, windows.stride, windows.dilation, windows.before, windows.count, strict=True)
    for n, k, s, d, p, count in reach:
        room = n + 2 * p - d * (k - 1) - 1
        if room < 0:
            return False
        found = (-(-room // s) if ceil else room // s) + 1
        found -= ceil and (found - 1) * s >= n + p
        if found != count:
            return False
    return True


def _gathered(b: Builder, value: Value, windows: SpatialWindows) -> Value:
    """The entries of each window along a new last axis; an entry in the padding is replaced by another one of its window."""
    spatial = len(windows.sizes)
    roles: dict[str, Tensor] = {}
    for axis, size in enumerate(windows.sizes):
        positions = torch.from_numpy(windows.positions(axis))
        inside = (positions >= 0) & (positions < size)
        first = positions.gather(1, inside.int().argmax(1, keepdim=True))
        shape = [1] * 2 * spatial
        shape[axis], shape[spatial + axis] = positions.shape
        roles[f"index{axis}"] = torch.where(inside, positions, first).reshape(shape)

    def gather(x: Tensor, **index: Tensor) -> Tensor:
        return x[(slice(None), slice(None), *(index[f"index{axis}"] for axis in range(spatial)))].flatten(2 + spatial)

    return b.affine(gather, value, **roles)


@op("AveragePool")
def average_pool(b: Builder, call: Call) -> Activation:
    """The mean of each window, with or without the padding."""
    x = call.activation()
    count_pad = bool(call.attribute("count_include_pad"))
    windows, value = _windows(call, x), images(b, x)
    if _is_plain(windows):
        pool = _AVERAGES[len(windows.sizes) - 1]
        out = b.affine(lambda x: pool(x, windows.kernel, windows.stride, windows.before, False, count_pad), value)
        return from_images(b, out, x.shape[0])
    for axis in range(len(windows.sizes)):  # a mean over a window is a mean over each axis in turn
        value = along(b, value, 2 + axis, _mean_matrix(windows, axis, count_pad))
    return from_images(b, value, x.shape[0])


def _is_plain(windows: SpatialWindows) -> bool:
    """Whether torch's average pooling has the same windows."""
    ends = zip(windows.sizes, windows.kernel, windows.stride, windows.before, windows.count, strict=True)
    return (
        len(windows.sizes) <= 3
        and windows.before == windows.after
        and set(windows.dilation) == {1}
        and all(2 * p <= k and (n + 2 * p - k) // s + 1 == count for n, k, s, p, count in ends)
    )


def _mean_matrix(windows: SpatialWindows, axis: int, count_pad: bool) -> Tensor:
    """The matrix (windows, size) of the means along one axis. Positions behind the padding never count."""
    size = windows.sizes[axis]
    positions = torch.from_numpy(windows.positions(axis))
    inside = (positions >= 0) & (positions < size)
    counted = positions < size + windows.after[axis] if count_pad else inside
    matrix = torch.zeros(len(positions), size, dtype=torch.float64)
    rows = torch.arange(len(positions))[:, None].expand(positions.shape)
    matrix.index_put_((rows[inside], positions[inside]), torch.ones((), dtype=torch.float64), accumulate=True)
    return matrix / counted.sum(1, keepdim=True)


def _global(name: str, rule: Callable[[Builder, Value, list[int]], Value]) -> None:
    @op(name)
    def pool(b: Builder, call: Call) -> Activation:
        x = call.activation()
        if math.prod(x.shape[2:]) == 1:
            return x
        return from_images(b, rule(b, images(b, x), list(range(2, x.ndim))), x.shape[0])


_global("GlobalAveragePool", lambda b, value, dims: b.affine(lambda x: x.mean(dims, keepdim=True), value))
_global("GlobalMaxPool", lambda b, value, dims: nonlinearities.amax(b, value, dims, True))
