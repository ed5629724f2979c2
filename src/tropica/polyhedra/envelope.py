"""The maximum of affine functions of two variables over a window: a polygon for each active function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from tropica.errors import InputError
from tropica.polyhedra.polygons import area, clip
from tropica.polyhedra.upper_hull import upper_hull
from tropica.runtime.html import HtmlRepr

BLOCK = 1 << 22
"""Values held in memory at once."""


@dataclass(frozen=True, eq=False)
class Envelope(HtmlRepr):
    """The function max_k (⟨w_k, x⟩ + b_k) over a convex window in the plane.

    Attributes:
        weight, bias: (n, 2) and (n,) of all functions.
        active: (W,) sorted indices of the functions that attain the maximum alone somewhere in the window.
        polygons: W arrays (V, 2): the corners of the polygon on which each active function is the largest, in order.
        across: W arrays (V,): the function beyond the edge from each corner to the next, −1 on the boundary of the window.
        neighbors: W arrays: for each active function, the functions whose cells share an edge with its cell in the whole plane.

    >>> import numpy as np
    >>> from tropica.polyhedra import upper_envelope
    >>> square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> found = upper_envelope(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2), square)  # |x₁|
    >>> found, found.active.tolist()
    (Envelope(2 of 2 functions active), [0, 1])
    """

    weight: np.ndarray
    bias: np.ndarray
    active: np.ndarray
    polygons: Sequence[np.ndarray]
    across: Sequence[np.ndarray]
    neighbors: Sequence[np.ndarray]

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """The edges between two polygons: their ends (E, 2, 2), and the two functions (E, 2), the lower index first."""
        ends, pairs = [], []
        for k, polygon, across in zip(self.active.tolist(), self.polygons, self.across, strict=True):
            chosen = np.flatnonzero(across > k)  # the other polygon has the same edge
            ends.append(np.stack([polygon[chosen], np.roll(polygon, -1, 0)[chosen]], 1))
            pairs.append(np.stack([np.full(len(chosen), k), across[chosen]], 1))
        return np.concatenate(ends), np.concatenate(pairs)

    def areas(self, polygons: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The areas of the parts into which the envelope cuts convex polygons in the window.

        Returns:
            Three arrays with an entry for each polygon and each function that is the largest on a part of it: the index of the
            polygon, the index of the function, and the area of the part.
        """
        number: list[int] = []
        function: list[int] = []
        found: list[float] = []
        for i, (corners, top) in enumerate(zip(polygons, self._largest(polygons), strict=True)):
            one = bool((top == top[0]).all())  # the largest at all corners is the largest between them
            parts = [(int(self.active[top[0]]), float(area(corners)))] if one else self._parts(corners, top)
            number += [i] * len(parts)
            function += [k for k, _ in parts]
            found += [size for _, size in parts]
        return np.array(number, dtype=np.int64), np.array(function, dtype=np.int64), np.array(found)

    def _largest(self, polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The largest function at each corner, as an index into ``active``."""
        corners = np.concatenate(polygons)
        step = max(1, BLOCK // len(self.active))
        weight, bias = self.weight[self.active].T, self.bias[self.active]
        top = [(corners[i : i + step] @ weight + bias).argmax(1) for i in range(0, len(corners), step)]
        return np.split(np.concatenate(top), np.cumsum([len(p) for p in polygons])[:-1])

    def _parts(self, corners: np.ndarray, top: np.ndarray) -> list[tuple[int, float]]:
        """The parts of a polygon, found from the parts at its corners across shared edges."""
        queue = np.unique(top).tolist()
        seen, parts = set(queue), []
        while queue:
            i = queue.pop()
            k, others = int(self.active[i]), self.neighbors[i]
            part, edges = clip(corners, _differences(self.weight, self.bias, k, others, corners))
            if not len(part):
                continue
            parts.append((k, float(area(part))))
            beyond = {self._index_of[j] for j in others[np.unique(edges[edges >= 0])].tolist() if j in self._index_of} - seen
            seen |= beyond
            queue += sorted(beyond)
        return parts

    @cached_property
    def _index_of(self) -> dict[int, int]:
        """The index into ``active`` of each function there."""
        return {k: i for i, k in enumerate(self.active.tolist())}

    def __repr__(self) -> str:
        return f"Envelope({len(self.active)} of {len(self.weight)} functions active)"


def upper_envelope(weight: np.ndarray, bias: np.ndarray, window: np.ndarray) -> Envelope:
    """The maximum of affine functions x ↦ ⟨w_k, x⟩ + b_k over a convex polygon.

    The functions that are the largest somewhere in the plane, and which of them share an edge there, are determined exactly by
    :func:`upper_hull`, which reads the numbers as exact rationals. Corners are in float64, and a function is omitted where its
    polygon in the window has no area.

    Args:
        weight, bias: (n, 2) and (n,), finite; of equal functions the first is used.
        window: (V, 2) corners, in order.

    Raises:
        InputError: arrays of other shapes, or numbers that are not finite.

    >>> square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> found = upper_envelope(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]), np.array([0.0, 0.0, -1.0]), square)  # |x₁|
    >>> found.active.tolist(), found.areas([square / 2])[2].tolist(), found.edges()[0].tolist()
    ([0, 1], [0.5, 0.5], [[[0.0, 1.0], [0.0, -1.0]]])
    """
    weight, bias, window = (np.asarray(x, dtype=np.float64) for x in (weight, bias, window))
    if weight.ndim != 2 or weight.shape[1] != 2 or bias.shape != weight.shape[:1] or window.ndim != 2 or window.shape[1] != 2:
        found = f"{weight.shape}, {bias.shape}, {window.shape}"
        raise InputError(f"functions (n, 2), (n,) and corners (V, 2) are needed; found {found}")
    hull = upper_hull(weight, bias)
    vertices = hull.vertices.tolist()
    beside: dict[int, set[int]] = {k: set() for k in vertices}
    for cell in hull.cells:
        for i, j in combinations([k for k in cell if k in beside], 2):
            beside[i].add(j)
            beside[j].add(i)
    active, polygons, across, neighbors = [], [], [], []
    for k in vertices:
        others = np.array(sorted(beside[k]), dtype=np.int64)
        part, edges = clip(window, _differences(weight, bias, k, others, window))
        if len(part) and area(part) > 0:
            active.append(k)
            polygons.append(part)
            across.append(np.where(edges < 0, -1, np.append(others, -1)[edges]))
            neighbors.append(others)
    return Envelope(weight, bias, np.array(active, dtype=np.int64), polygons, across, neighbors)


def _differences(weight: np.ndarray, bias: np.ndarray, k: int, others: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The difference (V, len(others)) of a function to others at corners."""
    return corners @ (weight[k] - weight[others]).T + (bias[k] - bias[others])
