"""Distances inside of a cell: to its nearest facet, and to the nearest change of label."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tropica.queries.distances import Distance, dual_norm, length, nearest_point
from tropica.queries.halfspaces import Halfspaces
from tropica.queries.outputs import Outputs

Shaped = Callable[[np.ndarray], np.ndarray]


def to_facet(rows: Halfspaces, x: np.ndarray, norm: str, shaped: Shaped) -> Distance:
    """min (b − a·x) / ‖a‖ over all rows, the norms of the rows being dual."""
    size = np.linalg.norm(rows.A, dual_norm(norm), axis=1)
    if not len(rows) or not (size > 0).any():
        return Distance(math.inf, math.inf, math.inf)
    slack = rows.b - rows.A @ x
    doubt = rows.error * (np.abs(x).sum() + 1) + (np.abs(rows.A) @ np.abs(x) + np.abs(rows.b)) * (len(x) + 4) * 2.0**-52
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(size > 0, np.maximum(slack, 0) / size, np.inf)
        low = np.where(size > 0, np.maximum(slack - doubt, 0) / (size + rows.error * len(x)), np.inf)
        high = np.where(size > rows.error * len(x), (slack + doubt) / (size - rows.error * len(x)), np.inf)
    i = int(away.argmin())
    nearest = shaped(x + away[i] * _steepest(rows.A[i], norm))
    lower, upper = float(low.min()) * (1 - 1e-13), float(high.min()) * (1 + 1e-13)
    return Distance(min(max(float(away[i]), lower), upper), lower, upper, nearest, rows.units[i])


def to_label(rows: Halfspaces, outputs: Outputs, x: np.ndarray, norm: str, shaped: Shaped) -> Distance:
    """The nearest point of the closed cell at which another output is as large as the one that is largest at x."""
    label = outputs.label(x)
    margins, offsets, error = outputs.margins(label)
    best: tuple[float, np.ndarray, int] | None = None
    lower = math.inf
    for other in range(outputs.labels):
        if other == label:
            continue
        A, b = np.concatenate([margins[[other]], rows.A]), np.append(offsets[other], rows.b)
        low, y = nearest_point(A, b, x, norm, np.append(error[other], rows.error))
        if y is None or not _holds(A, b, y):
            continue
        lower = min(lower, low)
        if best is None or length(y - x, norm) < best[0]:
            best = length(y - x, norm), y, other
    if best is None:
        return Distance(math.inf, math.inf, math.inf)
    return Distance(best[0], min(lower, best[0]), best[0], shaped(best[1]), best[2])


def _holds(A: np.ndarray, b: np.ndarray, y: np.ndarray) -> bool:
    """Whether A y ≤ b within the tolerance of the solvers."""
    size = np.linalg.norm(A, axis=1) * (1 + np.linalg.norm(y)) + np.abs(b)
    return bool((A @ y - b <= 1e-7 * size).all())


def _steepest(a: np.ndarray, norm: str) -> np.ndarray:
    """A direction of length 1 along which a·x grows fastest."""
    if norm == "l2":
        return a / np.linalg.norm(a)
    if norm == "linf":
        return np.sign(a)
    out = np.zeros_like(a)
    i = int(np.abs(a).argmax())
    out[i] = np.sign(a[i])
    return out
