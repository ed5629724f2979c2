"""Random tropical polynomials."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

import tropica as tp

WHOLE = st.integers(-4, 4)
RATIONAL = st.builds(Fraction, st.integers(-9, 9), st.integers(1, 4))
FLOAT = st.floats(-8, 8, allow_nan=False)


def polynomials(
    variables: int, exponents: st.SearchStrategy = WHOLE, coefficients: st.SearchStrategy = RATIONAL, most: int = 5
):
    """Polynomials of up to ``most`` monomials in ``variables`` variables."""
    key = st.tuples(*[exponents] * variables)
    return st.dictionaries(key, coefficients, min_size=1, max_size=most).map(tp.TropicalPolynomial)


def rationals(variables: int, most: int = 3):
    """f ⊘ g."""
    return st.builds(tp.TropicalRational, polynomials(variables, most=most), polynomials(variables, most=most))


def points(variables: int):
    """Rational points."""
    return st.lists(RATIONAL, min_size=variables, max_size=variables)
