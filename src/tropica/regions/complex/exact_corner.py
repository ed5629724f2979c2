"""A vertex of a part of a cell, exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from tropica.regions.complex.clipping import Plane
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.engine.exact_signs import ExactSigns
from tropica.regions.engine.exact_vertices import spread_signs


def exact_corner(found: Enumerated, exact: ExactSigns, cell: int, through: list[Plane], near: np.ndarray) -> list[Fraction]:
    """The point (t, 1) on hyperplanes under a cell's sign vector; at infinity (t, 0), on the side of ``near``."""
    *top, bottom = exact.vertex(through, spread_signs(found.problem, found.cells_signs[cell]))
    at = [Fraction(x, bottom or 1) * Fraction(2) ** int(e) for x, e in zip(top, found.problem.exponents, strict=True)]
    if bottom:
        return [*at, Fraction(1)]
    size = max(map(abs, at)) * (1 if points_along(at, near) else -1)
    return [*(x / size for x in at), Fraction(0)]


def points_along(direction: list[Fraction], near: np.ndarray) -> bool:
    """Whether a direction points to the side of a float one."""
    return sum((x * Fraction(y) for x, y in zip(direction, near[:-1].tolist(), strict=True)), Fraction(0)) > 0
