"""Lifted point configurations in exact integers: distinct points, and coordinates of the affine hull only."""

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
from tropica.polyhedra.integer_rows import highest_of_equal, stack_columns
from tropica.polyhedra.predicates import IntegerPoints, spread_out


@dataclass(frozen=True, eq=False)
class LiftedConfiguration:
    """Points p_i with heights h_i, each column over its own denominator.

    Attributes:
        index: (n,) the input index of each point; of repeated points the (first) one of largest height is kept.
        coordinates: (n, d) integers: column j is D_j times the given column.
        heights: (n,) integers: D times the given heights.
        scales: D_1, …, D_d, D.
        axes: k columns to which the affine hull of the points, of dimension k, projects injectively.
        directions: (k, d) integers that span the directions of the affine hull.
    """

    index: np.ndarray
    coordinates: np.ndarray
    heights: np.ndarray
    scales: tuple[int, ...]
    axes: tuple[int, ...]
    directions: np.ndarray

    @property
    def dimension(self) -> int:
        """k: the dimension of the points' affine hull."""
        return len(self.axes)

    @cached_property
    def projected(self) -> np.ndarray:
        """The coordinates along the axes (n, k), as Python ints."""
        return self.coordinates[:, list(self.axes)].astype(object)

    @cached_property
    def spans(self) -> np.ndarray:
        """(k, d) integers: the directions of the affine hull in the given units."""
        common = math.lcm(*self.scales[:-1])
        return self.directions * np.array([common // s for s in self.scales[:-1]], dtype=object)

    def functional(self, slopes: np.ndarray) -> np.ndarray:
        """Linear functions on the affine hull: from (m, k) on the scaled axes to (m, d) in the given units.

        Where k < d, many vectors give the same function on the hull; the result is in the span of the hull's directions.
        """
        out = np.zeros((len(slopes), self.coordinates.shape[1]), dtype=object)
        for i, a in enumerate(self.axes):
            out[:, a] = [Fraction(s) * self.scales[a] for s in slopes[:, i].tolist()]
        if self.dimension < out.shape[1]:
            out = out @ projection(self.spans)
        return exact_numbers(out)

    def places(self, numbers: Any) -> np.ndarray:
        """The rows of the points with the given input indices."""
        return np.searchsorted(self.index, numbers)

    @cached_property
    def lifted(self) -> IntegerPoints:
        """The points on the axes, with heights: the input of hull computations."""
        return IntegerPoints([compact(self.coordinates[:, a]) for a in self.axes] + [self.heights])


def lifted_configuration(points: Any, heights: Any) -> LiftedConfiguration:
    """Read points (n, d) and heights (n,).

    Raises:
        InputError: shapes that do not fit, no point at all, numbers that are not finite.
    """
    p, h = exact_array(points, "points", 2), exact_array(heights, "heights", 1)
    if len(p) != len(h):
        raise InputError(f"there must be one height per point; found {len(p)} points and {len(h)} heights")
    if not len(p):
        raise InputError("at least one point is needed; found none")
    *columns, lifts = (rationals(column) for column in (*p.T, h))
    coordinates = stack_columns([c.numerators for c in columns], len(p))
    index = highest_of_equal(coordinates, lifts.numerators)
    coordinates = coordinates[index]
    scales = tuple(c.denominator for c in (*columns, lifts))
    return LiftedConfiguration(index, coordinates, lifts.numerators[index], scales, *affine_hull(coordinates))


def affine_hull(coordinates: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
    """Columns to which the affine hull of points (n, d) projects injectively, and integers (k, d) that span its directions."""
    d = coordinates.shape[1]
    if len(coordinates) > d > 0 and _spans(coordinates):
        return tuple(range(d)), np.eye(d, dtype=np.int64).astype(object)
    basis, _, axes = echelon(coordinates.astype(object) - coordinates[:1].astype(object))
    return tuple(axes), basis


def _spans(coordinates: np.ndarray) -> bool:
    """Whether d + 1 of the points, picked in floating point, span all of space; False is inconclusive."""
    d = coordinates.shape[1]
    points = IntegerPoints([*(compact(column) for column in coordinates.T), np.zeros(len(coordinates), np.int64)])
    x = points.floats[:, :-1]
    chosen = spread_out(x / np.maximum(np.abs(x).max(0), 1e-300))
    return len(chosen) == d + 1 and bool(points.orientation(np.array([chosen]), d)[0])
