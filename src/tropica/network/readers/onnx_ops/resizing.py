"""Resize and Upsample: nearest, linear and cubic interpolation, one axis after another."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from tropica.network.builder import Builder, Refused
from tropica.network.readers.onnx_ops.registry import Call, op
from tropica.network.readers.per_point import MOST_INDEX, Activation, along, axis_of, bounded, stripped, take

_FIRST_WITH_SIZES = 11
"""Version of Resize from which it has the inputs (X, roi, scales, sizes) and its modes as attributes."""


@op("Resize", "Upsample")
def resize(b: Builder, call: Call) -> Activation:
    """Each axis resampled by its scale."""
    x, mode = call.activation(), call.attribute("mode")
    scales, out = _target(call, x)
    coordinates, rounding = _modes(call)
    weights = _weights(call, mode)
    changed = [d for d in range(x.ndim) if out[d] != x.shape[d] or scales[d] != 1]
    bounded([max(n, m) for n, m in zip(x.shape, out, strict=True)])
    value, k = stripped(b, x, changed)
    if any(out[d] * (1 if weights is None else x.shape[d]) > MOST_INDEX for d in changed):
        raise Refused(f"its output has the shape {out}")
    for d in changed:
        positions = _positions(coordinates, x.shape[d], out[d], scales[d])
        if weights is None:
            index = np.clip(_rounded(positions, rounding), 0, x.shape[d] - 1)
            value = take(b, value, d - k + 1, torch.from_numpy(index.astype(np.int64)))
        else:
            value = along(b, value, d - k + 1, torch.from_numpy(weights(positions, x.shape[d], scales[d])))
    return Activation(value, out)


def _target(call: Call, x: Activation) -> tuple[list[float], tuple[int, ...]]:
    """The scale and the new size of each axis."""
    modern = call.op == "Resize" and call.version >= _FIRST_WITH_SIZES
    if call.op == "Upsample" and "scales" in call.defaults:
        scales = call.attribute("scales")
    else:
        found = call.constant(2 if modern else 1, "scales")
        scales = None if found is None or not found.numel() else found.double().flatten().tolist()
    sizes = call.integers(3, "sizes") if modern else None
    sizes = sizes or None
    axes = call.attribute("axes")
    dims = list(range(x.ndim)) if axes is None else [axis_of(a, x.ndim) for a in axes]
    given = sizes if scales is None else scales
    if given is None or (sizes is not None and scales is not None) or len(given) != len(dims) or min(given) <= 0:
        raise Refused(f"its scales are {scales}, its sizes {sizes}, its axes {dims}, for an input {x.shape}")
    all_scales, out = [1.0] * x.ndim, list(x.shape)
    policy = call.attribute("keep_aspect_ratio_policy") or "stretch"
    if scales is not None:
        for d, scale in zip(dims, scales, strict=True):
            all_scales[d], out[d] = scale, math.floor(scale * x.shape[d])
    else:
        assert sizes is not None
        ratios = [n / x.shape[d] for n, d in zip(sizes, dims, strict=True)]
        if policy in ("not_larger", "not_smaller"):
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            ratios, sizes = [ratio] * len(dims), [math.floor(ratio * x.shape[d] + 0.5) for d in dims]
        elif policy != "stretch":
            raise Refused(f"its keep_aspect_ratio_policy is {policy!r}")
        for d, n, ratio in zip(dims, sizes, ratios, strict=True):
            all_scales[d], out[d] = ratio, n
    if min(out) < 1:
        raise Refused(f"its output has the shape {tuple(out)}")
    return all_scales, tuple(out)


def _modes(call: Call) -> tuple[str, str]:
    """How positions are computed, and how they are rounded. Before version 11: x/scale, rounded down."""
    call.ignore("extrapolation_value")  # of a mode that is refused
    coordinates = call.attribute("coordinate_transformation_mode") or "asymmetric"
    rounding = call.attribute("nearest_mode") or "floor"
    known = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn")
    if coordinates not in known or rounding not in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        raise Refused(f"its coordinate_transformation_mode is {coordinates!r}, its nearest_mode {rounding!r}")
    return coordinates, rounding


def _positions(mode: str, size: int, out: int, scale: float) -> np.ndarray:
    """The position in the input of each entry of the output."""
    i = np.arange(out, dtype=np.float64)
    match mode:
        case "align_corners":
            return i * (size - 1) / (scale * size - 1) if scale * size != 1 else 0 * i
        case "asymmetric":
            return i / scale
        case "tf_half_pixel_for_nn":
            return (i + 0.5) / scale
        case "pytorch_half_pixel" if out == 1:
            return 0 * i
        case "half_pixel_symmetric":
            return size / 2 * (1 - out / (scale * size)) + (i + 0.5) / scale - 0.5
    return (i + 0.5) / scale - 0.5


def _rounded(positions: np.ndarray, mode: str) -> np.ndarray:
    match mode:
        case "round_prefer_floor":
            return np.ceil(positions - 0.5)
        case "round_prefer_ceil":
            return np.floor(positions + 0.5)
        case "ceil":
            return np.ceil(positions)
    return np.floor(positions)


def _weights(call: Call, mode: str) -> Callable[[np.ndarray, int, float], np.ndarray] | None:
    """The matrix (out, size) of an axis from its positions, size and scale; None for the nearest entry alone."""
    a, antialias = call.attribute("cubic_coeff_a"), bool(call.attribute("antialias"))
    outside = not call.attribute("exclude_outside")
    if mode == "nearest":
        call.need("exclude_outside", values=(0, None), why="only 0 is read with the mode nearest")
        return None
    if mode not in ("linear", "cubic"):
        raise Refused(f"its mode is {mode!r}; nearest, linear and cubic are read")

    def matrix(positions: np.ndarray, size: int, scale: float) -> np.ndarray:
        least = min(scale, 1.0) if antialias else 1.0
        if mode == "linear":
            return _matrix(positions, size, least, 1, _hat, outside)
        return _matrix(positions, size, least, 2, lambda t: _cubic(t, a), outside)

    return matrix


def _hat(t: np.ndarray) -> np.ndarray:
    return np.clip(1 - t, 0, None)


def _cubic(t: np.ndarray, a: float) -> np.ndarray:
    """Keys's cubic at distances t ≥ 0."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    return np.where(t <= 1, near, np.where(t < 2, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a, 0))


def _matrix(
    positions: np.ndarray, size: int, scale: float, support: int, kernel: Callable[[np.ndarray], np.ndarray], outside: bool
) -> np.ndarray:
    """The matrix (out, size) of interpolation by a kernel around each position, wider by 1/scale.

    What the kernel has outside of the input belongs to the nearest entry, or (``outside`` false) is left out. Rows sum to 1.
    """
    reach = math.ceil(support / scale)
    entries = np.floor(positions)[:, None].astype(np.int64) + np.arange(1 - reach, reach + 1)
    weights = kernel(np.abs(entries - positions[:, None]) * scale)
    if not outside:
        weights = np.where((entries >= 0) & (entries < size), weights, 0)
    weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((len(positions), size))
    np.add.at(matrix, (np.arange(len(positions))[:, None], np.clip(entries, 0, size - 1)), weights)
    return matrix
