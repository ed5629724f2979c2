"""``simplify``: fewer monomials at a measured error, selected on a set of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray
from tropica.runtime.html import HtmlRepr
from tropica.tropical.polynomial import PolynomialWithQuotients, TropicalRational
from tropica.tropical.rational_map import TropicalMap


@dataclass(frozen=True, eq=False)
class Simplified(HtmlRepr):
    """A function with fewer monomials.

    Attributes:
        function: the smaller function, of the type of the given one.
        kept, dropped: numbers of monomials.
        error: the largest absolute change at the given points.

    >>> import tropica as tp
    >>> found = tp.tropical.simplify(tp.parse_tropical("max(0, x, 2*x - 1, 3*x - 3)"), [[-1.0], [0.2], [5.0]])
    >>> found.function, found.kept, found.dropped, found.error
    (max-plus: 0 ⊕ 0⊙x ⊕ -3⊙x³, 3, 1, 0.0)
    """

    function: Any
    kept: int
    dropped: int
    error: float

    def __repr__(self) -> str:
        name = type(self.function).__name__
        return f"Simplified({name}, {self.kept:,} of {self.kept + self.dropped:,} monomials kept, error {self.error:.3g})"


def simplify(function: Any, points: Any, *, tolerance: float = 0.0) -> Simplified:
    """Drop the monomials that a set of points does not need.

    At every given point a polynomial becomes smaller by at most ``tolerance``; a rational function changes by at most
    ``tolerance`` in either direction. The kept monomials are a greedy set cover: the next one is within the tolerance of the
    maximum at the largest number of points that are not covered yet. Elsewhere the function may change more.

    Args:
        function: a polynomial, a rational function or a map.
        points: (B, d).
        tolerance: absolute; 0 keeps the values at the points (in float64).

    Raises:
        InputError: points of a wrong dimension or not finite, a tolerance below 0.

    >>> import tropica as tp
    >>> f = tp.TropicalPolynomial({0: 0, 1: 0, 2: -1, 3: -3})
    >>> simplify(f, [[-1.0], [0.2], [5.0]]).function
    max-plus: 0 ⊕ 0⊙x₁ ⊕ -3⊙x₁³
    """
    if not isinstance(tolerance, int | float) or not 0 <= tolerance < np.inf:
        raise InputError(f"the tolerance is a number, 0 or more; found {tolerance!r}")
    try:
        x = np.atleast_2d(np.asarray(points.detach().cpu() if isinstance(points, Tensor) else points, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"points must be numbers; {error}") from None
    if not np.isfinite(x).all():
        raise InputError(f"points must be finite; found {x[~np.isfinite(x)][0]}")
    if isinstance(function, PolynomialWithQuotients):
        smaller: Any = _covering(function, x, tolerance)
        sizes = len(function), len(smaller)
    elif isinstance(function, TropicalRational):
        smaller = TropicalRational(_covering(function.f, x, tolerance), _covering(function.g, x, tolerance))
        sizes = len(function.f) + len(function.g), len(smaller.f) + len(smaller.g)
    elif isinstance(function, TropicalMap):
        parts = [simplify(r, x, tolerance=tolerance) for r in function]
        smaller = function.with_outputs(part.function for part in parts)
        sizes = sum(part.kept + part.dropped for part in parts), sum(part.kept for part in parts)
    else:
        raise InputError(f"a TropicalPolynomial, TropicalRational or TropicalMap is needed; found a {type(function).__name__}")
    error = float(np.abs(np.asarray(function(x)) - np.asarray(smaller(x))).max(initial=0.0))
    return Simplified(smaller, sizes[1], sizes[0] - sizes[1], error)


def _covering(f: PolynomialWithQuotients, points: np.ndarray, tolerance: float) -> PolynomialWithQuotients:
    """The monomials of a greedy set cover of the points."""
    if points.shape[1] != f.variables or not len(points):
        raise InputError(f"points must have shape (B, {f.variables}), at least one; found {points.shape}")
    numbers = f.table.floats()
    points = points if f.convention == "max" else -points
    near = np.zeros((len(f), len(points)), bool)
    for low in range(0, len(points), 1024):
        values = points[low : low + 1024] @ numbers[:, :-1].T + numbers[:, -1]
        near[:, low : low + 1024] = (values >= values.max(1, keepdims=True) - tolerance).T
    gain = near.sum(1)  # uncovered points that each monomial would cover
    uncovered = np.ones(len(points), bool)
    kept: list[int] = []
    while uncovered.any():
        best = int(gain.argmax())
        kept.append(best)
        newly = uncovered & near[best]
        gain -= near[:, newly].sum(1)
        uncovered &= ~newly
    return type(f)(RationalArray(f.table.numerators[sorted(kept)], f.table.denominator), names=f.names)
