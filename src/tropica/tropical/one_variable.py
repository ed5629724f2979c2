"""Polynomials in one variable: roots, the split form, the factorization, the graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeVar

from tropica.errors import InputError
from tropica.exact.rational_arrays import ratio
from tropica.polyhedra.conventions import shown
from tropica.runtime.html import HtmlRepr
from tropica.tropical.semiring_polynomial import SemiringPolynomial

P = TypeVar("P", bound=SemiringPolynomial)
MAX_SPLIT = 1_000_000
"""Largest degree of a split form."""


@dataclass(frozen=True)
class Root:
    """A root of a polynomial in one variable.

    Attributes:
        value: where the slope changes, an int or a Fraction; −∞ (in min-plus +∞), the tropical zero, for the factor x^k.
        multiplicity: by how much the slope changes.
    """

    value: int | Fraction | float
    multiplicity: int | Fraction


@dataclass(frozen=True)
class Piece:
    """x ↦ slope · x + constant for low ≤ x ≤ high; the outer bounds are ±∞."""

    low: int | Fraction | float
    high: int | Fraction | float
    slope: int | Fraction
    constant: int | Fraction


@dataclass(frozen=True, eq=False)
class Factorization(HtmlRepr):
    """f = unit ⊙ ⊙_i (x ⊕ r_i)^{m_i}, as functions; (x ⊕ r)^m is max(m·x, m·r), in min-plus the minimum.

    Attributes:
        polynomial: f.
        unit: the coefficient of the highest power.
        roots: r_i and m_i; the root at infinity is the factor x^m.
    """

    polynomial: SemiringPolynomial
    unit: int | Fraction
    roots: list[Root]

    def factors(self) -> list[SemiringPolynomial]:
        """Each x ⊕ r_i to the power m_i, and the unit, as polynomials: ``tp.tropical_prod`` of them is f."""
        make, names = type(self.polynomial), self.polynomial.names
        out: list[SemiringPolynomial] = [make.constant(self.unit, 1, names=names)]
        for root in self.roots:
            terms = {1: 0} if isinstance(root.value, float) else {1: 0, 0: root.value}
            out.append(make(terms, names=names) ** root.multiplicity)
        return out

    def __repr__(self) -> str:
        name = self.polynomial.names[0] if self.polynomial.names else "x₁"
        parts = [str(self.unit)]
        for root in self.roots:
            base = name if isinstance(root.value, float) else f"({name} ⊕ {root.value})"
            parts.append(base if root.multiplicity == 1 else f"{base}^{root.multiplicity}")
        return f"{shown(self.polynomial.convention)}: {' ⊙ '.join(parts)}"


def pieces(p: SemiringPolynomial) -> list[Piece]:
    """The graph of a polynomial in one variable: its affine pieces, from left to right.

    Raises:
        InputError: another number of variables.

    >>> import tropica as tp
    >>> [(q.low, q.high, q.slope, q.constant) for q in tp.TropicalPolynomial([3, 0, -1]).pieces()]
    [(-inf, 2, 0, 3), (2, inf, 2, -1)]
    """
    terms = sorted(_lines(p), reverse=p.convention == "min")
    breaks = [Fraction(c - d) / Fraction(b - a) for (a, c), (b, d) in pairwise(terms)]
    ends = [-math.inf, *map(ratio, breaks), math.inf]
    return [Piece(ends[i], ends[i + 1], a, c) for i, (a, c) in enumerate(terms)]


def roots(p: SemiringPolynomial) -> list[Root]:
    """The roots of a polynomial in one variable, increasing, with multiplicities.

    Raises:
        InputError: another number of variables.

    >>> import tropica as tp
    >>> [(r.value, r.multiplicity) for r in tp.TropicalPolynomial([3, 0, -1]).roots()]
    [(2, 2)]
    """
    graph = pieces(p)
    found = [Root(b.low, abs(b.slope - a.slope)) for a, b in pairwise(graph)]
    outer = graph[0] if p.convention == "max" else graph[-1]  # the lowest power
    if outer.slope > 0:
        infinite = Root(-math.inf if p.convention == "max" else math.inf, outer.slope)
        return [infinite, *found] if p.convention == "max" else [*found, infinite]
    return found


def split_form(p: P) -> P:
    """The same function with a monomial for every power between the lowest and the highest, each as large as possible.

    In min-plus, as small as possible. Every coefficient lies on the hull of the essential ones.

    Raises:
        InputError: another number of variables, exponents that are not integers, or more than a million powers.

    >>> import tropica as tp
    >>> tp.TropicalPolynomial([3, 0, -1]).split_form()
    max-plus: 3 ⊕ 1⊙x₁ ⊕ -1⊙x₁²
    """
    terms = sorted(_lines(p))
    if any(Fraction(a).denominator > 1 for a, _ in terms):
        raise InputError("a split form needs integer exponents")
    if terms[-1][0] - terms[0][0] > MAX_SPLIT:
        raise InputError(f"a split form of degree {terms[-1][0] - terms[0][0]:,} is too long; the limit is {MAX_SPLIT:,}")
    out: dict[int, Any] = {int(a): c for a, c in terms}
    for (a, c), (b, d) in pairwise(terms):
        step = Fraction(d - c) / (b - a)
        out.update({int(e): ratio(Fraction(c) + step * (e - a)) for e in range(int(a) + 1, int(b))})
    return type(p)({e: out[e] for e in sorted(out)}, names=p.names)


def factor(p: SemiringPolynomial) -> Factorization:
    """Factor a polynomial in one variable into linear factors (the fundamental theorem of tropical algebra).

    Raises:
        InputError: another number of variables, or a negative exponent (multiply by a power of x first).

    >>> import tropica as tp
    >>> tp.TropicalPolynomial([3, 0, -1]).factor()
    max-plus: -1 ⊙ (x₁ ⊕ 2)^2
    """
    terms = sorted(_lines(p))
    if terms[0][0] < 0:
        raise InputError(f"a polynomial with the exponent {terms[0][0]} has no factors x ⊕ r; multiply by a power of x first")
    return Factorization(p, terms[-1][1], roots(p))


def _lines(p: SemiringPolynomial) -> Iterator[tuple[int | Fraction, int | Fraction]]:
    """(exponent, coefficient) of the essential monomials."""
    if p.variables != 1:
        raise InputError(f"roots and factors are those of polynomials in one variable; this one has {p.variables}")
    return ((e[0], c) for e, c in p.essential().to_dict().items())
