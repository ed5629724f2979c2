"""The Hoffman constant of a tropical polynomial."""

from __future__ import annotations

import numpy as np

from tropica.polyhedra.hoffman import SUBSETS, HoffmanConstant, Norm, hoffman_constant, region_system
from tropica.tropical.polynomial import PolynomialWithQuotients


def polynomial_hoffman_constant(
    p: PolynomialWithQuotients, *, norm: Norm = "l2", subsets: int = SUBSETS, seed: int = 0
) -> HoffmanConstant:
    """Compute the largest Hoffman constant of the inequalities of a polynomial's regions.

    The distance of x to the region of a monomial is at most this constant times the amount by which another monomial exceeds it
    at x: a measure of how far values tell where x is.

    Args:
        p: a polynomial with at least two essential monomials.
        norm, subsets, seed: as for :func:`tropica.polyhedra.hoffman_constant`.

    Raises:
        InputError: as :func:`tropica.polyhedra.hoffman_constant`.

    >>> import tropica as tp
    >>> polynomial_hoffman_constant(tp.TropicalPolynomial({(1, 0): 0, (0, 1): 0, (0, 0): 0})).squared
    Fraction(2, 1)
    """
    f = p.essential()
    sign = 1 if f.convention == "max" else -1
    exponents, coefficients = f.exponents * sign, f.coefficients * sign
    found = [
        hoffman_constant(region_system(exponents, coefficients, i)[0], norm=norm, subsets=subsets, seed=seed)
        for i in (range(len(f)) if len(f) > 1 else [])
    ]
    if not found:
        return hoffman_constant(np.zeros((1, f.variables)), norm=norm)
    exact = [h.squared for h in found if h.squared is not None]
    squared = max(exact) if len(exact) == len(found) else None
    return HoffmanConstant(max(h.lower for h in found), max(h.upper for h in found), squared, norm)
