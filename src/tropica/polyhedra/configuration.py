"""A lifted point configuration made ready: exact integers, repeated points once, coordinates of the affine hull only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.linear_algebra import echelon, projection
from tropica.exact.rational_arrays import compact, exact_array, exact_numbers, rationals
from tropica.polyhedra.predicates import Points, spread_out


@dataclass(frozen=True, eq=False)
class Configuration:
    """Points p_i with heights h_i.

    Attributes:
        given: how many points there were.
        index: (n,) for each point kept its number among those given: of repeated points the (first) one of largest height.
        coordinates: (n, d) integers: column j is D_j times what was given.
        heights: (n,) integers: D times what was given.
        scales: D_1, …, D_d, D.
        axes: columns on which the affine hull of the points projects one to one: k = its dimension many.
        directions: (k, d) integers that span the directions of the affine hull.
    """

    given: int
    index: np.ndarray
    coordinates: np.ndarray
    heights: np.ndarray
    scales: tuple[int, ...]
    axes: tuple[int, ...]
    directions: np.ndarray

    @property
    def k(self) -> int:
        """The dimension of the points' affine hull."""
        return len(self.axes)

    @cached_property
    def flat(self) -> np.ndarray:
        """The points along their axes (n, k), as Python ints."""
        return self.coordinates[:, list(self.axes)].astype(object)

    @cached_property
    def spans(self) -> np.ndarray:
        """(k, d) integers: the directions of the affine hull in the units given."""
        common = math.lcm(*self.scales[:-1])
        return self.directions * np.array([common // s for s in self.scales[:-1]], dtype=object)

    def functional(self, slopes: np.ndarray) -> np.ndarray:
        """Linear functions on the affine hull, from (m, k) for scaled axes to (m, d) for the units given.

        Of the many such vectors where k < d it is the one in the span of the hull's directions.
        """
        m, d = len(slopes), self.coordinates.shape[1]
        out = np.zeros((m, d), dtype=object)
        for i, a in enumerate(self.axes):
            out[:, a] = [Fraction(s) * self.scales[a] for s in slopes[:, i].tolist()]
        if self.k < d:
            out = out @ projection(self.spans)
        return exact_numbers(out)

    @cached_property
    def lifted(self) -> Points:
        """The points along their axes, with heights: what hulls are decided on."""
        return Points([compact(self.coordinates[:, a]) for a in self.axes] + [self.heights])


def configuration(points: Any, heights: Any) -> Configuration:
    """Read points (n, d) and heights (n,).

    Raises:
        InputError: shapes that do not fit, no point at all, numbers that are not finite.
    """
    p, h = exact_array(points, "points", 2), exact_array(heights, "heights", 1)
    if len(p) != len(h):
        raise InputError(f"there must be one height a point; found {len(p)} points and {len(h)} heights")
    if not len(p):
        raise InputError("at least one point is needed; found none")
    read = [rationals(p[:, j]) for j in range(p.shape[1])]
    last = rationals(h)
    top = last.numerators
    coordinates = columns([c.numerators for c in read], len(p))
    index = _highest(coordinates, top)
    coordinates, top = coordinates[index], top[index]
    axes, directions = affine_hull(coordinates)
    scales = (*(c.denominator for c in read), last.denominator)
    return Configuration(len(p), index, coordinates, top, scales, axes, directions)


def columns(several: list[np.ndarray], n: int) -> np.ndarray:
    """Integer columns side by side: int64 where all are."""
    if all(c.dtype != object for c in several):
        return np.stack(several, 1) if several else np.zeros((n, 0), np.int64)
    out = np.empty((n, len(several)), dtype=object)
    for j, c in enumerate(several):
        out[:, j] = c.astype(object)
    return out


def row_numbers(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """A number (n,) for each row, equal exactly for equal rows, in order of first appearance; and how many there are."""
    if rows.dtype != object and rows.shape[1]:
        packed = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
        _, first, number = np.unique(packed, return_index=True, return_inverse=True)
        order = np.empty(len(first), np.int64)
        order[np.argsort(first)] = np.arange(len(first))
        return order[number.ravel()], len(first)
    seen: dict[tuple[int, ...], int] = {}
    number = np.fromiter((seen.setdefault(tuple(r), len(seen)) for r in rows.tolist()), np.int64, len(rows))
    return number, len(seen)


def _highest(coordinates: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Which points to keep: the (first) highest of equal ones, in the order given."""
    number, count = row_numbers(coordinates)
    if count == len(number):
        return np.arange(count)
    best: dict[int, int] = {}
    listed = heights.tolist()
    for i, c in enumerate(number.tolist()):
        j = best.setdefault(c, i)
        if listed[i] > listed[j]:
            best[c] = i
    return np.array(sorted(best.values()), np.int64)


def affine_hull(coordinates: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
    """Columns that tell all points of the affine hull apart, and integers (k, d) that span its directions."""
    n, d = coordinates.shape
    if n > 1 and _spans(coordinates):
        return tuple(range(d)), _identity(d)
    shifted = coordinates.astype(object) - coordinates[:1].astype(object)
    basis, _, axes = echelon(shifted)
    return tuple(axes), basis


def _identity(d: int) -> np.ndarray:
    out = np.zeros((d, d), dtype=object)
    for i in range(d):
        out[i, i] = 1
    return out


def _spans(coordinates: np.ndarray) -> bool:
    """Do d + 1 of the points, picked in floating point, span all of space? False says nothing."""
    n, d = coordinates.shape
    if n <= d or d == 0:
        return d == 0
    left = coordinates.astype(object) - coordinates[:1].astype(object)
    largest = [max(1, int(max(c.max(), -c.min()))) for c in left.T]
    rest = np.stack([np.array([e / s for e in c.tolist()]) for c, s in zip(left.T, largest, strict=True)], 1)
    chosen = spread_out(rest)
    if len(chosen) <= d:
        return False
    corners = Points([compact(coordinates[chosen, j]) for j in range(d)] + [np.zeros(d + 1, np.int64)])
    return bool(corners.orientation(np.arange(d + 1)[None], d)[0])
