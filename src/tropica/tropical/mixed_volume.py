"""``tp.mixed_volume``: the mixed volume of n polytopes in ℝⁿ, which counts the roots of a system (Bernstein)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, compact, ratio, rational_array
from tropica.polyhedra.integer_rows import row_classes
from tropica.polyhedra.mixed_cell_homotopy import mixed_cell_volumes
from tropica.polyhedra.polytope import Polytope
from tropica.runtime.arithmetic import own_settings
from tropica.tropical.semiring_polynomial import SemiringPolynomial

Roots = Literal["torus", "affine"]


@own_settings()
def mixed_volume(*bodies: Any, roots: Roots = "torus") -> int | Fraction:
    """Compute the mixed volume MV(P_1, …, P_n), exactly: the sum of the volumes of the mixed cells of a generic lifting.

    MV is the coefficient of λ_1⋯λ_n in vol(λ_1 P_1 + … + λ_n P_n), and MV(P, …, P) = n! vol(P). A generic system of polynomials
    with the Newton polytopes P_i has MV(P_1, …, P_n) roots with nonzero coordinates (Bernstein 1975). The cells are tracked by
    homotopy (:mod:`tropica.polyhedra.mixed_cell_homotopy`), in exact arithmetic. The order of the arguments does not matter.

    Args:
        bodies: n of them in n dimensions: tropical polynomials of either convention, :class:`~tropica.polyhedra.Polytope`, or
            supports (m, n): points as ints, Fractions or floats (read as exact rationals).
        roots: "torus" as they are; "affine" with the origin added to each, which bounds the number of roots in ℂⁿ
            (Li and Wang 1996).

    Returns:
        An int for integer points; an int or a Fraction for rational ones.

    Raises:
        InputError: another number of bodies than dimensions, not a body, or "affine" with negative exponents.

    >>> square, triangle = [[0, 0], [1, 0], [0, 1], [1, 1]], [[0, 0], [2, 0], [0, 2]]
    >>> mixed_volume(square, triangle), mixed_volume(triangle, triangle)
    (4, 4)
    """
    if roots not in ("torus", "affine"):
        raise InputError(f'roots must be "torus" or "affine"; found {roots!r}')
    supports = [_support(body, i) for i, body in enumerate(bodies)]
    if not supports:
        raise InputError("at least one polytope, polynomial or support is needed; found none")
    widths = [s.numerators.shape[1] for s in supports]
    if set(widths) != {len(supports)}:
        raise InputError(
            f"a mixed volume takes n bodies in n dimensions; found {len(supports)} in dimensions {', '.join(map(str, widths))}"
        )
    if roots == "affine":
        if any((s.numerators < 0).any() for s in supports):
            raise InputError('roots="affine" is for exponents 0 or more; found a negative one')
        supports = [RationalArray(np.concatenate([s.numerators, s.numerators[:1] * 0]), s.denominator) for s in supports]
    volumes = mixed_cell_volumes([_reduced(s.numerators) for s in supports])
    return ratio(sum(volumes), math.prod(s.denominator for s in supports))


def _support(body: Any, i: int) -> RationalArray:
    if isinstance(body, SemiringPolynomial):
        return rational_array(body.exponents, "exponents", 2)
    if isinstance(body, Polytope):
        return rational_array(body.vertices, "vertices", 2)
    found = rational_array(body, f"support {i}", 2)
    if not len(found.numerators):
        raise InputError(f"support {i} has no point; a tropical polynomial has at least one monomial")
    return found


def _reduced(points: np.ndarray) -> np.ndarray:
    """Distinct points; up to three dimensions only the vertices of their hull, which is fast there."""
    distinct = points[np.unique(row_classes(compact(points)), return_index=True)[1]]
    if points.shape[1] > 3 or len(distinct) < 4:
        return distinct
    return distinct[Polytope(distinct).vertex_indices]
