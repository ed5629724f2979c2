"""Random tropical polynomials and rational functions."""

from __future__ import annotations

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator
from tropica.tropical.polynomial import TropicalPolynomial, TropicalRational


def random_polynomial(variables: int, monomials: int, *, degree: int = 20, seed: int = 0) -> TropicalPolynomial:
    """Draw a polynomial with distinct random exponents in {0, ..., degree}^d and random coefficients.

    The coefficients are a concave function plus Gaussian noise, −‖α − degree/2‖² + N(0, 1), in multiples of 2⁻²⁰, so that many
    monomials are essential, as in polynomials of networks.

    Raises:
        InputError: fewer exponents than monomials, or no monomial or variable.

    >>> import tropica as tp
    >>> p = tp.tropical.random_polynomial(2, 30, seed=1)
    >>> p.variables, len(p), p == tp.tropical.random_polynomial(2, 30, seed=1)
    (2, 30, True)
    """
    if monomials < 1 or variables < 1 or degree < 0 or (degree + 1) ** variables < monomials:
        raise InputError(
            f"there are {max(degree + 1, 0)}^{variables} exponents up to degree {degree}, and 1 monomial or more is needed; "
            f"found {monomials}"
        )
    random = np.random.default_rng(seed)
    exponents = np.zeros((0, variables), dtype=np.int64)
    while len(exponents) < monomials:
        drawn = random.integers(0, degree + 1, (2 * monomials, variables))
        joined = np.concatenate([exponents, drawn])
        exponents = joined[np.sort(np.unique(joined, axis=0, return_index=True)[1])]
    exponents = exponents[:monomials]
    centered = exponents - degree / 2
    heights = np.round((-(centered**2).sum(1) + random.standard_normal(monomials)) * 2**20).astype(np.int64)
    (a, b), bottom = common_denominator(RationalArray(exponents), RationalArray(heights, 2**20))
    return TropicalPolynomial(RationalArray(np.concatenate([a, b[:, None]], 1), bottom))


def random_rational(variables: int, monomials: int, *, degree: int = 20, seed: int = 0) -> TropicalRational:
    """Draw f ⊘ g from two random polynomials, see :func:`random_polynomial`.

    >>> r = random_rational(2, 30, seed=1)
    >>> len(r.f), len(r.g)
    (30, 30)
    """
    return TropicalRational(
        random_polynomial(variables, monomials, degree=degree, seed=2 * seed),
        random_polynomial(variables, monomials, degree=degree, seed=2 * seed + 1),
    )
