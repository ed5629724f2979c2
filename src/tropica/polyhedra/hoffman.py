"""Hoffman constants: bounds on the distance of a point to a polyhedron by its largest violation of the inequalities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any, Literal, TypeAlias

import numpy as np

from tropica.errors import InputError
from tropica.exact.determinants import cofactors, determinants
from tropica.exact.linear_algebra import rank
from tropica.exact.rational_arrays import exact_array, exact_numbers, rational_array
from tropica.polyhedra.dual_complexes import dual_subdivision
from tropica.polyhedra.integer_rows import row_classes
from tropica.runtime.html import HtmlRepr

Norm: TypeAlias = Literal["l2", "linf"]
SUBSETS = 50_000
"""Subsets of rows up to which the constant is exact."""


@dataclass(frozen=True)
class HoffmanConstant(HtmlRepr):
    """The Hoffman constant of a matrix A, or bounds on it.

    Attributes:
        lower, upper: lower ≤ H(A) ≤ upper, in float64; equal (up to rounding) where the constant is known exactly.
        squared: H(A)² as a Fraction where it is known exactly, else None.
        norm: of the distances, "l2" or "linf".

    >>> from tropica.polyhedra import hoffman_constant
    >>> found = hoffman_constant([[1, 0], [0, 1]])
    >>> found.squared, found.exact, found.lower <= 2**0.5 <= found.upper
    (Fraction(2, 1), True, True)
    """

    lower: float
    upper: float
    squared: Fraction | None
    norm: Norm = "l2"

    @property
    def exact(self) -> bool:
        """Whether the constant is known exactly."""
        return self.squared is not None


def hoffman_constant(rows: Any, *, norm: Norm = "l2", subsets: int = SUBSETS, seed: int = 0) -> HoffmanConstant:
    """H(A), the least H with dist(x, {y : A y ≤ b}) ≤ H · max_i (⟨a_i, x⟩ − b_i)⁺ for all x and all b that are feasible.

    For Euclidean distances H(A) is the maximum of 1 / dist(0, conv{a_j : j ∈ J}) over linearly independent sets J of rows,
    and 1 / dist² = 1ᵀG⁻¹1 with G = A_J A_Jᵀ where G⁻¹1 ≥ 0 (elsewhere a smaller J has that distance). For distances in the
    largest coordinate it is the maximum of Σ λ_j / ‖A_Jᵀλ‖₁ over λ ≥ 0 that make |J| − 1 coordinates of A_Jᵀλ vanish.

    Args:
        rows: A (m, d), ints, Fractions or floats (read as exact rationals). Zero rows are ignored.
        norm: of distances: "l2" or "linf".
        subsets: the largest number of sets J to enumerate (for "linf": of sets J and coordinates). If there are no more sets,
            the constant is exact; otherwise, for "l2", the lower bound is the largest value over that number of random sets,
            and the upper bound is (2R)^(r−1) / s with a_i = s_i·z_i, z_i primitive integer vectors, s = min s_i, R = max |z_i|
            and r the rank: valid, but far from tight.
        seed: the seed of the random sets.

    Raises:
        InputError: no row other than 0, numbers that are not finite, ``subsets`` below 1; for "linf", more sets than that.

    >>> hoffman_constant([[1, 0], [0, 1]]).squared  # a corner: the distance to it is √2 times the violation at most
    Fraction(2, 1)
    """
    if subsets < 1:
        raise InputError(f"subsets must be at least 1; found {subsets}")
    if norm not in ("l2", "linf"):
        raise InputError(f'norm must be "l2" or "linf"; found {norm!r}')
    given = rational_array(rows, "rows", 2)
    scaled = given.numerators.astype(object)  # A times its denominator
    scaled = scaled[(scaled != 0).any(1)]
    if not len(scaled):
        raise InputError("a row that is not zero is needed; found none")
    scaled = scaled[np.unique(row_classes(scaled), return_index=True)[1]]
    m, r = len(scaled), rank(scaled)
    if norm == "linf":
        return _largest_coordinate(scaled, r, given.denominator, subsets)
    gram = scaled @ scaled.T
    if sum(math.comb(m, j) for j in range(1, r + 1)) <= subsets:
        chosen = [np.array(list(combinations(range(m), j))) for j in range(1, r + 1)]
        best = max(_largest_inverse_square(gram, sets) for sets in chosen) * given.denominator**2
        root = _root(best)
        return HoffmanConstant(root, root, best)
    random = np.random.default_rng(seed)
    chosen = [np.arange(m)[:, None]]
    for j in range(2, r + 1):
        drawn = np.sort(random.integers(0, m, (max(1, subsets // r), j)), axis=1)
        chosen.append(drawn[(np.diff(drawn, axis=1) > 0).all(1)])
    best = max(_largest_inverse_square(gram, sets) for sets in chosen if len(sets)) * given.denominator**2
    contents = [math.gcd(*row) for row in scaled.tolist()]
    primitive = scaled // np.array(contents, dtype=object)[:, None]
    longest = max(sum(e * e for e in row) for row in primitive.tolist())
    upper = (4 * longest) ** (r - 1) * Fraction(given.denominator, min(contents)) ** 2
    return HoffmanConstant(_root(best), _root(upper), None)


def _largest_coordinate(scaled: np.ndarray, r: int, denominator: int, subsets: int) -> HoffmanConstant:
    """H for distances in the largest coordinate, from all pairs of a set J of rows and |J| − 1 coordinates.

    Raises:
        InputError: more than ``subsets`` pairs.
    """
    m, d = scaled.shape
    count = sum(math.comb(m, j) * math.comb(d, j - 1) for j in range(1, r + 1))
    if count > subsets:
        raise InputError(f'{count:,} sets of rows and coordinates are too many for norm="linf"; raise subsets= ({subsets:,})')
    best = Fraction(0)
    for j in range(1, r + 1):
        sets = np.array(list(combinations(range(m), j)))
        for coordinates in combinations(range(d), j - 1):
            # λ ⟂ the chosen columns: the cofactors of (A_J,C)ᵀ
            weights = cofactors(scaled[sets][:, :, list(coordinates)].swapaxes(1, 2), signed=True)
            weights = np.where((weights.sum(1) < 0)[:, None], -weights, weights)
            image = np.abs((weights[:, :, None] * scaled[sets]).sum(1)).sum(1)
            valid = (weights >= 0).all(1) & (image > 0)
            found = zip(weights[valid].sum(1).tolist(), image[valid].tolist(), strict=True)
            best = max([best, *(Fraction(int(a), int(b)) for a, b in found)])
    best *= denominator
    value = _root(best**2)
    return HoffmanConstant(value, value, best**2, "linf")


def region_system(points: Any, heights: Any, monomial: int) -> tuple[np.ndarray, np.ndarray]:
    """The inequalities A x ≤ b of the region in which a monomial is the largest: an irredundant row for each neighbor.

    Returns:
        A (m, d) and b (m,), ints and Fractions.

    Raises:
        InputError: as :func:`~tropica.polyhedra.essential`; a monomial that is not essential.

    >>> a, b = region_system([[0], [1], [2]], [0, 0, -1], 1)
    >>> a.tolist(), b.tolist()
    ([[-1], [1]], [0, 1])
    """
    subdivision = dual_subdivision(points, heights)
    if monomial not in set(subdivision.hull.vertices.tolist()):
        raise InputError(
            f"monomial {monomial} is the largest on no open set; the essential ones are {subdivision.hull.vertices.tolist()}"
        )
    edges = subdivision.faces(1) if subdivision.dimension else []
    neighbors = [a + b - monomial for a, b in edges if monomial in (a, b)]
    p, h = exact_numbers(exact_array(points, "points", 2)), exact_numbers(exact_array(heights, "heights", 1))
    return exact_numbers(p[neighbors] - p[monomial]), exact_numbers(h[monomial] - h[neighbors])


def _largest_inverse_square(gram: np.ndarray, sets: np.ndarray) -> Fraction:
    """The largest 1ᵀG⁻¹1 over sets of rows (B, j) whose G is invertible with G⁻¹1 ≥ 0; 0 if there is none."""
    best = Fraction(0)
    for block in np.array_split(sets, max(1, len(sets) // 5_000)):
        g = gram[block[:, :, None], block[:, None, :]]
        denominators, numerators = determinants(g), []
        for i in range(g.shape[1]):  # Cramer's rule
            replaced = g.copy()
            replaced[:, :, i] = 1
            numerators.append(determinants(replaced))
        weights = np.stack(numerators, 1)
        valid = (denominators > 0) & (weights >= 0).all(1)
        found = zip(weights[valid].sum(1).tolist(), denominators[valid].tolist(), strict=True)
        best = max([best, *(Fraction(n, d) for n, d in found)])
    return best


def _root(value: Fraction) -> float:
    """√value, also for values too large or too small for float64; ∞ where the root is too large as well."""
    shift = (value.numerator.bit_length() - value.denominator.bit_length()) // 2
    try:
        return math.ldexp(math.sqrt(value / Fraction(2) ** (2 * shift)), shift)
    except OverflowError:
        return math.inf
