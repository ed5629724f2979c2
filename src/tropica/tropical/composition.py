"""f(g_1, ..., g_d): a polynomial of polynomials or of rational functions.

A monomial c ⊙ y^α becomes c + Σ_i α_i g_i. For g_i = p_i − q_i the parts that are subtracted are brought to one denominator,

    Σ_i A_i q_i + B_i p_i    with A_i = max(0, largest α_i), B_i = max(0, largest −α_i),

and over it every monomial is a sum of p_i and q_i with nonnegative factors: a polynomial.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tropica.errors import InputError
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalRational


def compose(outer: TropicalPolynomial, inner: Sequence[Any]) -> TropicalPolynomial | TropicalRational:
    """``outer`` after ``inner``; what never wins is dropped after every product."""
    if len(inner) != outer.variables:
        raise InputError(f"{outer.variables} functions are needed, one for each variable; found {len(inner)}")
    for function in inner:
        if not isinstance(function, TropicalPolynomial | TropicalRational):
            raise InputError(f"polynomials and rational functions can be composed; found a {type(function).__name__}")
    if len({function.variables for function in inner}) > 1:
        raise InputError(f"inner functions must have the same variables; found {[g.variables for g in inner]} of them")
    parts = [TropicalRational.of(g) for g in inner]
    rows = list(outer.to_dict().items())
    above = [max(Fraction(0), *(Fraction(row[i]) for row, _ in rows)) for i in range(len(parts))]
    below = [max(Fraction(0), *(-Fraction(row[i]) for row, _ in rows)) for i in range(len(parts))]
    if all(isinstance(g, TropicalPolynomial) for g in inner):  # their q_i are 0
        above = [Fraction(0)] * len(parts)
    top = _sum([_monomial(row, c, parts, above, below) for row, c in rows])
    if not any(above) and not any(below):
        return top
    bottom = _powers(
        [(r.g, a) for r, a in zip(parts, above, strict=True)] + [(r.f, b) for r, b in zip(parts, below, strict=True)]
    )
    return TropicalRational(top, bottom)


def _monomial(
    row: Sequence[int | Fraction],
    coefficient: int | Fraction,
    parts: Sequence[TropicalRational],
    above: Sequence[Fraction],
    below: Sequence[Fraction],
) -> TropicalPolynomial:
    """One monomial, over the common denominator."""
    factors: list[tuple[TropicalPolynomial, Fraction]] = []
    for power, r, a, b in zip(row, parts, above, below, strict=True):
        positive, negative = max(Fraction(power), Fraction(0)), max(-Fraction(power), Fraction(0))
        factors += [(r.f, positive + b - negative), (r.g, negative + a - positive if a else negative)]
    return _powers(factors) * coefficient


def _powers(factors: Sequence[tuple[TropicalPolynomial, Fraction]]) -> TropicalPolynomial:
    """The product of powers, by scaling."""
    out = TropicalPolynomial.constant(0, factors[0][0].variables)
    for f, power in factors:
        if power:
            out = out.times_essential(f.essential() ** power)
    return out


def _sum(polynomials: Sequence[TropicalPolynomial]) -> TropicalPolynomial:
    out = polynomials[0]
    for f in polynomials[1:]:
        out = out + f
    return out.essential()
