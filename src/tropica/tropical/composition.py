"""``compose``: the composition f(g_1, ..., g_d) of tropical functions.

A monomial c ⊙ y^α becomes c + Σ_i α_i g_i. For g_i = p_i − q_i the subtracted parts are brought to a common denominator,

    Σ_i A_i q_i + B_i p_i    with A_i = max(0, largest α_i), B_i = max(0, largest −α_i),

and over it every monomial is a sum of p_i and q_i with nonnegative factors: a polynomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from operator import add
from typing import overload

from tropica.errors import InputError
from tropica.polyhedra.conventions import shown
from tropica.tropical.polynomial import PolynomialWithQuotients, TropicalRational, as_rational
from tropica.tropical.rational_map import TropicalMap


@overload
def compose(
    outer: PolynomialWithQuotients, *inner: PolynomialWithQuotients | TropicalRational
) -> PolynomialWithQuotients | TropicalRational: ...
@overload
def compose(outer: TropicalRational, *inner: PolynomialWithQuotients | TropicalRational) -> TropicalRational: ...
@overload
def compose(outer: TropicalMap, *inner: PolynomialWithQuotients | TropicalRational) -> TropicalMap: ...
def compose(
    outer: PolynomialWithQuotients | TropicalRational | TropicalMap, *inner: PolynomialWithQuotients | TropicalRational
) -> PolynomialWithQuotients | TropicalRational | TropicalMap:
    """Compose f(g_1, ..., g_d) for polynomials or rational functions g_i of the same variables.

    Nonessential monomials are dropped after every product.

    Args:
        outer: f, in d variables.
        inner: g_1, ..., g_d; for a map, ``*map``.

    Returns:
        A polynomial where f and all g_i are polynomials and no exponent of f is negative; a rational function where f is a
        polynomial or a rational function; a map where f is a map.

    Raises:
        InputError: a wrong number of inner functions, inner functions of different variables, or not tropical functions.

    >>> import tropica as tp
    >>> f = tp.TropicalPolynomial({(1, 0): 0, (0, 1): 0})
    >>> compose(f, tp.TropicalPolynomial({1: 0, 0: 1}), tp.TropicalPolynomial({2: 0}))
    max-plus: 1 ⊕ 0⊙x₁²
    """
    if isinstance(outer, TropicalMap):
        return outer.with_outputs(compose(r, *inner) for r in outer)
    if isinstance(outer, TropicalRational):
        return as_rational(compose(outer.f, *inner)) / compose(outer.g, *inner)
    if len(inner) != outer.variables:
        raise InputError(f"{outer.variables} functions are needed, one for each variable; found {len(inner)}")
    for function in inner:
        if not isinstance(function, PolynomialWithQuotients | TropicalRational):
            raise InputError(f"polynomials and rational functions can be composed; found a {type(function).__name__}")
        if function.convention != outer.convention:
            raise InputError(f"a {shown(outer.convention)} function cannot be composed with a {shown(function.convention)} one")
    if len({function.variables for function in inner}) > 1:
        raise InputError(f"inner functions must have the same number of variables; found {[g.variables for g in inner]}")
    return _compose_polynomial(
        outer, [as_rational(g) for g in inner], all(isinstance(g, PolynomialWithQuotients) for g in inner)
    )


def _compose_polynomial(
    outer: PolynomialWithQuotients, inner: Sequence[TropicalRational], convex: bool
) -> PolynomialWithQuotients | TropicalRational:
    """A polynomial after rational functions p_i ⊘ q_i; ``convex``: all q_i are 0."""
    rows = list(outer.to_dict().items())
    above = [max(Fraction(0), *(Fraction(row[i]) for row, _ in rows)) for i in range(len(inner))]
    below = [max(Fraction(0), *(-Fraction(row[i]) for row, _ in rows)) for i in range(len(inner))]
    if convex:
        above = [Fraction(0)] * len(inner)
    top = reduce(add, [_monomial(row, c, inner, above, below) for row, c in rows]).essential()
    if not any(above) and not any(below):
        return top
    bottom = [(r.g, a) for r, a in zip(inner, above, strict=True)] + [(r.f, b) for r, b in zip(inner, below, strict=True)]
    return TropicalRational(top, product_of_powers(bottom))


def _monomial(
    row: Sequence[int | Fraction],
    coefficient: int | Fraction,
    inner: Sequence[TropicalRational],
    above: Sequence[Fraction],
    below: Sequence[Fraction],
) -> PolynomialWithQuotients:
    """The numerator of one monomial over the common denominator."""
    factors: list[tuple[PolynomialWithQuotients, Fraction]] = []
    for power, r, a, b in zip(row, inner, above, below, strict=True):
        positive, negative = max(Fraction(power), Fraction(0)), max(-Fraction(power), Fraction(0))
        factors += [(r.f, positive + b - negative), (r.g, negative + a - positive if a else negative)]
    return product_of_powers(factors) * coefficient


def product_of_powers(factors: Sequence[tuple[PolynomialWithQuotients, Fraction]]) -> PolynomialWithQuotients:
    """⊙_i f_i^{a_i} for powers a_i ≥ 0, by scaling, with essential monomials only; at least one factor is given."""
    out = type(factors[0][0]).constant(0, factors[0][0].variables, names=factors[0][0].names)
    for f, power in factors:
        if power:
            out = out.times_essential(f.essential() ** power)
    return out
