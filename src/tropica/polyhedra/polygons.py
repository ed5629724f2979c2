"""Convex polygons in the plane, cut by affine functions that are given by their values at the corners."""

from __future__ import annotations

import numpy as np


def clip(corners: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of a convex polygon in which affine functions are all ≥ 0.

    Args:
        corners: (V, 2), in order around the polygon.
        values: (V, m) of the functions at the corners.

    Returns:
        ``corners`` (U, 2) of the part, in order, empty where the part has no area; and ``edges`` (U,): which function is 0 on
        the edge from each corner to the next, −1 for an edge of the polygon itself.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> part, edges = clip(square, square[:, :1] - 0.5)  # where x₁ ≥ ½
    >>> part.tolist(), edges.tolist()
    ([[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]], [-1, -1, -1, 0])
    """
    edges = np.full(len(corners), -1)
    below = values < 0
    if below.all(0).any():
        return corners[:0], edges[:0]
    cuts = np.flatnonzero(below.any(0))
    rows = np.concatenate([corners, values[:, cuts]], 1)
    for column, function in enumerate(cuts.tolist(), start=2):
        out = rows[:, column] < 0
        if not out.any():  # the previous cuts have removed this part
            continue
        following = np.concatenate([rows[1:], rows[:1]])
        value, next_value, next_out = rows[:, column], following[:, column], np.append(out[1:], out[:1])
        crosses = out != next_out
        share = np.where(crosses, value / np.where(crosses, value - next_value, 1), 0)
        between = rows + share[:, None] * (following - rows)
        keep = np.stack([~out, crosses], 1).ravel()
        leaves = np.where(next_out, function, edges)  # where the boundary leaves the part, the next edge lies on the cut
        rows = np.stack([rows, between], 1).reshape(-1, rows.shape[1])[keep]
        edges = np.stack([edges, leaves], 1).ravel()[keep]
        if len(rows) < 3:
            return corners[:0], edges[:0]
    return rows[:, :2], edges


def area(corners: np.ndarray) -> np.ndarray:
    """The areas (...,) of polygons with corners (..., V, 2), convex or not, in order; a corner may be repeated.

    >>> float(area(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])))
    2.0
    """
    x, y = corners[..., 0], corners[..., 1]
    return np.abs((x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1)).sum(-1)) / 2
