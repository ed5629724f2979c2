"""``MinPlusPolynomial``: the same algebra with the minimum, on top of a max-plus polynomial."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import to_fraction
from tropica.tropical import printing
from tropica.tropical.polynomial import Number, TropicalPolynomial


class MinPlusPolynomial:
    """x ↦ min_k (c_k + ⟨α_k, x⟩), where ⊕ is the minimum: −f(−x) for the max-plus polynomial f with coefficients −c_k.

    Args:
        terms: {exponents: coefficient}, as for :class:`TropicalPolynomial`; +∞, the min-plus zero, is dropped. Or the max-plus
            polynomial f itself.

    Attributes:
        max_plus: f.

    >>> p = MinPlusPolynomial({1: 0, 0: 2})
    >>> p, p([5.0]), (p * p)([5.0]), p.max_plus
    (0⊙x₁ ⊕ 2, 2.0, 4.0, 0⊙x₁ ⊕ -2)
    """

    def __init__(self, terms: Mapping[Any, Any] | TropicalPolynomial) -> None:
        if isinstance(terms, TropicalPolynomial):
            self.max_plus = terms
        elif isinstance(terms, Mapping):
            self.max_plus = TropicalPolynomial({key: _negated(value) for key, value in terms.items()})
        else:
            raise InputError(f"a min-plus polynomial is made of {{exponents: coefficient}}; found {type(terms).__name__}")

    @property
    def exponents(self) -> np.ndarray:
        """Exponents (n, d)."""
        return self.max_plus.exponents

    @property
    def coefficients(self) -> np.ndarray:
        """Coefficients (n,)."""
        return -self.max_plus.coefficients

    def __call__(self, x: Any) -> Any:
        """Values in float64; x and the values are shaped as for a max-plus polynomial."""
        return -self.max_plus(-x if hasattr(x, "ndim") else -np.asarray(x, dtype=np.float64))

    def exact(self, x: Any) -> Fraction:
        """The value at one point (d,) in exact arithmetic."""
        return -self.max_plus.exact([-to_fraction(value, "a coordinate") for value in x])

    def __add__(self, other: MinPlusPolynomial | Number) -> MinPlusPolynomial:
        found = _max_plus(other)
        return NotImplemented if found is None else MinPlusPolynomial(self.max_plus + found)

    __radd__ = __add__

    def __mul__(self, other: MinPlusPolynomial | Number) -> MinPlusPolynomial:
        found = _max_plus(other)
        return NotImplemented if found is None else MinPlusPolynomial(self.max_plus * found)

    __rmul__ = __mul__

    def __pow__(self, power: Number) -> MinPlusPolynomial:
        return MinPlusPolynomial(self.max_plus**power)

    def essential(self) -> MinPlusPolynomial:
        """The same function without nonessential monomials, which nowhere attain the minimum alone."""
        return MinPlusPolynomial(self.max_plus.essential())

    def __len__(self) -> int:
        return len(self.max_plus)

    def __eq__(self, other: object) -> bool:
        """Equality as functions."""
        return self.max_plus == other.max_plus if isinstance(other, MinPlusPolynomial) else NotImplemented

    def __hash__(self) -> int:
        return hash(("min-plus", self.max_plus))

    def __repr__(self) -> str:
        return printing.text(self.exponents, self.coefficients)

    def _repr_latex_(self) -> str:
        return printing.display_latex(self.exponents, self.coefficients)

    _repr_html_ = _repr_latex_


def _negated(value: Any) -> Any:
    return -value if isinstance(value, int | float | Fraction | np.number) else -to_fraction(value, "a coefficient")


def _max_plus(other: object) -> TropicalPolynomial | Number | None:
    """The operand in max-plus; None for an operand that is neither min-plus nor a number."""
    if isinstance(other, MinPlusPolynomial):
        return other.max_plus
    return -other if isinstance(other, int | float | Fraction) else None
