"""Networks that attain the lower bounds, and their cells inside a cube, counted on a fine grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from tests.bounds.oracle import Array, Layer

Fold = tuple[Array, Array, Array, float]
"""Slopes and offsets of units of one variable, and the slopes and the offset of what is made of them."""


def folded(widths: Sequence[int]) -> list[Layer]:
    """Hidden layers that map the cube onto itself, as often as possible along each axis, and a last one in general position."""
    n0, *hidden, last = widths
    layers: list[Layer] = []
    outer, shift = np.eye(n0), np.zeros(n0)  # the input of the next layer, outer @ h + shift, is a cube
    for width in hidden:
        slopes, offsets, back, constant = fold(width // n0)
        weight, bias = np.kron(np.eye(n0), slopes[:, None]), np.tile(offsets, n0)
        spare = width - len(weight)
        weight, bias = np.vstack([weight, np.zeros((spare, n0))]), np.append(bias, np.full(spare, -1.0))
        layers.append((weight @ outer, weight @ shift + bias))
        outer = np.hstack([np.kron(np.eye(n0), back[None]), np.zeros((n0, spare))])
        shift = np.full(n0, constant)
    weight, bias = general_position(n0, last)
    return [*layers, (weight @ outer, weight @ shift + bias)]


def fold(units: int) -> Fold:
    """Units of one variable that map (0, 1) onto itself once per unit, and once more for three or more units."""
    if units == 1:
        return np.ones(1), np.zeros(1), np.ones(1), 0.0
    if units == 2:
        return np.array([2.0, -2.0]), np.array([-1.0, 1.0]), np.ones(2), 0.0
    breakpoints = np.arange(1, units + 1) - 0.5  # of u = (units + 1/2) x; the third unit is active to the left
    sides = np.where(np.arange(units) == 2, -1.0, 1.0)
    pieces = np.where(np.arange(units + 1) % 2, 1.0, -1.0)
    pieces[0] = -2
    return sides * (units + 0.5), -sides * breakpoints, np.diff(pieces), -4.0


def general_position(dimension: int, n: int) -> Layer:
    """Points, or tangents to a circle, that meet inside the cube."""
    if dimension == 1:
        return np.ones((n, 1)), -(np.arange(n) + 1) / (n + 1)
    angles = np.linspace(0.2, 2.4, n)
    normals = np.column_stack([np.cos(angles), np.sin(angles)])
    return normals, -(normals @ [0.5, 0.5] + 0.15)


def zonotope(widths: Sequence[int]) -> list[Layer]:
    """A sum of absolute values on the plane, in pairs of units, and sawtooths of it, each of w pieces."""
    _, first, *further = widths
    angles = np.arange(first // 2) * math.pi / (first // 2) + 0.1
    normals = np.column_stack([np.cos(angles), np.sin(angles)])
    layers: list[Layer] = [(np.vstack([normals, -normals]), np.zeros(first))]
    outer = np.full((1, first), 0.5)
    for w in further:
        layers.append((w * np.ones((w, 1)) @ outer, -np.arange(w, dtype=float)))
        outer = np.where(np.arange(w) % 2, -2.0, 2.0)[None]
        outer[0, 0] = 1
    return layers


def seen(layers: Sequence[Layer], low: float, high: float, points: int) -> int:
    """The number of activation patterns on a grid with a given number of points along each axis."""
    dimension = layers[0][0].shape[1]
    line = np.linspace(low, high, points + 2)[1:-1] + 1e-7 * math.pi
    h = np.stack(np.meshgrid(*[line] * dimension), -1).reshape(-1, dimension)
    code = np.zeros(len(h), dtype=np.int64)
    for weight, bias in layers:
        z = h @ weight.T + bias
        for column in z.T:
            code = 2 * code + (column > 0)
        h = np.maximum(z, 0)
    return len(np.unique(code))


in_cube = partial(seen, low=0.0, high=1.0)
