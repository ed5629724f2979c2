"""The regions of small networks, counted one by one: a cell counts if a linear program finds a ball inside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

import numpy as np
from scipy.optimize import linprog

Array = np.ndarray
Layer = tuple[Array, Array]
"""Weights (n, m) and biases (n,)."""
Halfspaces = list[tuple[Array, float]]
"""⟨a, x⟩ + b > 0 for each."""


def is_open(halfspaces: Halfspaces) -> bool:
    """Whether the intersection of half-spaces contains a ball (of radius at most 1; the rows are scaled to length 1)."""
    rows, offsets = np.array([a for a, _ in halfspaces]), np.array([b for _, b in halfspaces])
    lengths = np.linalg.norm(rows, axis=1)
    if bool((offsets[lengths < 1e-12] <= 0).any()):
        return False
    rows, offsets = rows[lengths >= 1e-12], offsets[lengths >= 1e-12]
    if not len(rows):
        return True
    lengths = lengths[lengths >= 1e-12]
    table = np.column_stack([-rows / lengths[:, None], np.ones(len(rows))])
    cost = np.append(np.zeros(rows.shape[1]), -1.0)
    bounds = [(None, None)] * rows.shape[1] + [(None, 1.0)]
    solution = linprog(cost, A_ub=table, b_ub=offsets / lengths, bounds=bounds, method="highs")
    return bool(solution.status == 0 and -solution.fun > 1e-7)


def count(layers: Sequence[Layer], slope: float = 0.0) -> int:
    """Activation cells of a (leaky) ReLU network with these hidden layers."""
    inputs = layers[0][0].shape[1]
    return sum(1 for _ in cells(layers, slope, [], np.eye(inputs), np.zeros(inputs)))


def cells(layers: Sequence[Layer], slope: float, inside: Halfspaces, w: Array, b: Array) -> Iterator[Halfspaces]:
    """The cells inside a cell on which the input of the first of these layers is w x + b."""
    if not layers:
        yield inside
        return
    weight, bias = layers[0]
    z, c = weight @ w, weight @ b + bias
    for cell, signs in _split(inside, z, c, []):
        scale = np.where(np.array(signs) > 0, 1.0, slope)
        yield from cells(layers[1:], slope, cell, z * scale[:, None], c * scale)


def _split(inside: Halfspaces, z: Array, c: Array, signs: list[int]) -> Iterator[tuple[Halfspaces, list[int]]]:
    if len(signs) == len(c):
        yield inside, signs
        return
    row = len(signs)
    for sign in (1, -1):
        part = [*inside, (sign * z[row], sign * float(c[row]))]
        if is_open(part):
            yield from _split(part, z, c, [*signs, sign])


def random_layers(widths: Sequence[int], seed: int) -> list[Layer]:
    """N(0, 1) weights and biases for (n_0, n_1, ..., n_L)."""
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((n, m)), rng.standard_normal(n)) for m, n in pairwise(widths)]


def convolution(shape: Sequence[int], filters: int, kernel: Sequence[int], stride: Sequence[int], seed: int) -> Layer:
    """The matrix of a random convolution on (channels, *spatial): each filter has one bias for all positions."""
    rng = np.random.default_rng(seed)
    channels, *spatial = shape
    places = list(product(*(range((n - f) // s + 1) for n, f, s in zip(spatial, kernel, stride, strict=True))))
    weight, bias = rng.standard_normal((filters, channels, *kernel)), rng.standard_normal(filters)
    rows = np.zeros((filters, len(places), *shape))
    for i, place in enumerate(places):
        window = tuple(slice(p * s, p * s + f) for p, s, f in zip(place, stride, kernel, strict=True))
        rows[(slice(None), i, slice(None), *window)] = weight
    return rows.reshape(filters * len(places), -1), np.repeat(bias, len(places))


def count_maxout(units: Sequence[Layer]) -> int:
    """Cells of one layer of maxout units, each given as the weights (k, n) and biases (k,) of its affine functions."""
    found: list[Halfspaces] = [[]]
    for weight, bias in units:
        grown = []
        for cell in found:
            for best in range(len(bias)):
                others = [j for j in range(len(bias)) if j != best]
                part = cell + [(weight[best] - weight[j], float(bias[best] - bias[j])) for j in others]
                if is_open(part):
                    grown.append(part)
        found = grown
    return len(found)
