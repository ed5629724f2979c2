"""The maximum of affine functions of two variables in a window: which of them is the largest where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from tropica.errors import InputError
from tropica.polyhedra.hull import upper_hull
from tropica.polyhedra.polygons import area, clip

BLOCK = 1 << 22
"""Values that are held at once."""


@dataclass(frozen=True, eq=False)
class Envelope:
    """max_k (⟨w_k, x⟩ + b_k) over a convex window in the plane: a polygon for each function that is the largest somewhere.

    Attributes:
        weight, bias: (n, 2) and (n,) of all functions.
        winners: (W,) which functions are the only largest somewhere in the window, sorted.
        polygons: W arrays (V, 2): where each of these is.
        sides: W arrays (V,): the function beyond the edge from each corner to the next, −1 at the border of the window.
        neighbors: W arrays: the functions that a winner's polygon can border on, in the whole plane.
    """

    weight: np.ndarray
    bias: np.ndarray
    winners: np.ndarray
    polygons: Sequence[np.ndarray]
    sides: Sequence[np.ndarray]
    neighbors: Sequence[np.ndarray]

    def borders(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges between two polygons: their ends (E, 2, 2), and the two functions (E, 2), the lower number first."""
        ends, pairs = [], []
        for k, polygon, sides in zip(self.winners.tolist(), self.polygons, self.sides, strict=True):
            chosen = np.flatnonzero(sides > k)  # the other side gives the same edge
            ends.append(np.stack([polygon[chosen], np.roll(polygon, -1, 0)[chosen]], 1))
            pairs.append(np.stack([np.full(len(chosen), k), sides[chosen]], 1))
        return np.concatenate(ends), np.concatenate(pairs)

    def areas(self, polygons: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How convex polygons in the window share out among the functions.

        Returns:
            Three arrays with an entry for each polygon and function that is the largest on a part of it: the polygon's number,
            the function's, and the area of the part.
        """
        number: list[int] = []
        winner: list[int] = []
        found: list[float] = []
        for i, (corners, top) in enumerate(zip(polygons, self._largest(polygons), strict=True)):
            one = bool((top == top[0]).all())  # the largest at all corners is so in between
            parts = [(int(self.winners[top[0]]), float(area(corners)))] if one else self._parts(corners, top)
            number += [i] * len(parts)
            winner += [k for k, _ in parts]
            found += [size for _, size in parts]
        return np.array(number, dtype=np.int64), np.array(winner, dtype=np.int64), np.array(found)

    def _largest(self, polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The place among the winners of the largest function at each corner."""
        corners = np.concatenate(polygons)
        step = max(1, BLOCK // len(self.winners))
        weight, bias = self.weight[self.winners].T, self.bias[self.winners]
        top = [(corners[i : i + step] @ weight + bias).argmax(1) for i in range(0, len(corners), step)]
        return np.split(np.concatenate(top), np.cumsum([len(p) for p in polygons])[:-1])

    def _parts(self, corners: np.ndarray, top: np.ndarray) -> list[tuple[int, float]]:
        """The parts of a polygon, from those at its corners on from neighbor to neighbor: they hang together."""
        places = np.unique(top).tolist()
        seen, parts = set(places), []
        while places:
            place = places.pop()
            k, others = int(self.winners[place]), self.neighbors[place]
            part, edges = clip(corners, _lead(self.weight, self.bias, k, others, corners))
            if not len(part):
                continue
            parts.append((k, float(area(part))))
            beyond = {self._place[j] for j in others[np.unique(edges[edges >= 0])].tolist() if j in self._place} - seen
            seen |= beyond
            places += sorted(beyond)
        return parts

    @cached_property
    def _place(self) -> dict[int, int]:
        """Where a function is among the winners."""
        return {k: i for i, k in enumerate(self.winners.tolist())}


def upper_envelope(weight: np.ndarray, bias: np.ndarray, window: np.ndarray) -> Envelope:
    """The maximum of affine functions x ↦ ⟨w_k, x⟩ + b_k over a convex polygon.

    Which functions win somewhere in the plane, and which border on each other there, is decided exactly (:func:`upper_hull`:
    the numbers are taken as the rationals they are); corners are in float64, and a function is left out where these leave it
    no area in the window.

    Args:
        weight, bias: (n, 2) and (n,), finite; of equal functions the first counts.
        window: (V, 2) the corners, in order.

    Raises:
        InputError: arrays of other shapes, or numbers that are not finite.

    >>> square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> found = upper_envelope(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]), np.array([0.0, 0.0, -1.0]), square)  # |x₁|
    >>> found.winners.tolist(), found.areas([square / 2])[2].tolist(), found.borders()[0].tolist()
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
    kept, polygons, sides, neighbors = [], [], [], []
    for k in vertices:
        others = np.array(sorted(beside[k]), dtype=np.int64)
        part, edges = clip(window, _lead(weight, bias, k, others, window))
        if len(part) and area(part) > 0:
            kept.append(k)
            polygons.append(part)
            sides.append(np.where(edges < 0, -1, np.append(others, -1)[edges]))
            neighbors.append(others)
    return Envelope(weight, bias, np.array(kept, dtype=np.int64), polygons, sides, neighbors)


def _lead(weight: np.ndarray, bias: np.ndarray, k: int, others: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """By how much a function is above others at corners: (V, len(others))."""
    return corners @ (weight[k] - weight[others]).T + (bias[k] - bias[others])
