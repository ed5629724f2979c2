"""``TropicalPolynomial`` (max-plus), ``MinPlusPolynomial`` (min-plus) and ``TropicalRational``, a difference of two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, to_fraction
from tropica.polyhedra.conventions import Convention, shown, sign_of
from tropica.tropical import one_variable
from tropica.tropical.monomials import is_tropical_zero, same
from tropica.tropical.one_variable import Factorization, Piece, Root
from tropica.tropical.semiring_polynomial import Number, SemiringPolynomial, checked_operand, refuse_start
from tropica.tropical.values import hash_of_values, read_exact_point
from tropica.tropical.variable_names import Names, common_names


class PolynomialWithQuotients(SemiringPolynomial):
    """A polynomial with ⊘, whose results are a :class:`TropicalRational`, and with roots."""

    def roots(self) -> list[Root]:
        """The roots of a polynomial in one variable with multiplicities, see :func:`tropica.tropical.one_variable.roots`."""
        return one_variable.roots(self)

    def pieces(self) -> list[Piece]:
        """The graph of a polynomial in one variable, see :func:`tropica.tropical.one_variable.pieces`."""
        return one_variable.pieces(self)

    def split_form(self) -> Self:
        """The same function of one variable with every power, see :func:`tropica.tropical.one_variable.split_form`."""
        return one_variable.split_form(self)

    def factor(self) -> Factorization:
        """The linear factors of a polynomial in one variable, see :func:`tropica.tropical.one_variable.factor`."""
        return one_variable.factor(self)

    def __truediv__(self, other: Any) -> TropicalRational:
        if isinstance(other, TropicalRational):
            return TropicalRational(self) / other
        found = self._operand(other)
        return NotImplemented if found is None else TropicalRational(self, found)

    def __rtruediv__(self, other: Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else TropicalRational(found, self)

    def to_max_plus(self) -> TropicalRational:
        """The same function in max-plus: f ⊘ 0, and min_k t_k = 0 ⊘ max_k (−t_k).

        >>> MinPlusPolynomial({1: 0, 0: 2}).to_max_plus()
        max-plus: (0) ⊘ (0⊙x₁⁻¹ ⊕ -2)
        """
        zero = TropicalPolynomial.constant(0, self.variables, names=self.names)
        if self.convention == "max":
            return TropicalRational(self, zero)
        top = self.table.numerators.copy()
        top[:, :-1] *= -1
        table = RationalArray(top, self.table.denominator)
        return TropicalRational(zero, TropicalPolynomial(table, names=self.names, pruned=self._pruned))


class TropicalPolynomial(PolynomialWithQuotients):
    """f(x) = ⊕_k c_k ⊙ x^{α_k} = max_k (c_k + ⟨α_k, x⟩): max-plus, with exact exponents and coefficients.

    Exponents are integers, as in the paper, or any rationals (a signomial). Numbers are ints, Fractions, floats (read as
    exact binary fractions) or strings such as "1/3". Of equal exponents the largest coefficient is kept; a coefficient −∞, the
    tropical zero, is dropped. Polynomials are immutable.

        f + g   f ⊕ g, the maximum         f * g   f ⊙ g, the sum          f / g   f ⊘ g, the difference: a TropicalRational
        f ** a  a · f, by scaling          f(x)    values in float64       f == g  equality as functions

    ``sum`` starts from 0 and ``math.prod`` from 1, which are not neutral here, so 0 + f and 1 * f are errors: use
    ``tp.tropical_sum`` and ``tp.tropical_prod``, or write f + 0 and f * 1.

    Args:
        terms: {exponents: coefficient}; for one variable the exponents may be plain numbers. Or, for one variable, the list of
            the coefficients of x⁰, x¹, ..., None for no monomial. Or a :class:`RationalArray` (n, d + 1), exponents first.
        names: a name for each variable; x₁, x₂, ... by default. Results of operations keep them.
        pruned: whether every monomial is known to be essential.

    Raises:
        InputError: no monomial, exponents of different lengths, NaN, +∞.

    >>> p = TropicalPolynomial({(2, 0): 1, (0, 2): 1, (1, 1): 2, (1, 0): 2, (0, 1): 2, (0, 0): 2})  # the paper's Figure 1
    >>> p
    max-plus: 1⊙x₁² ⊕ 1⊙x₂² ⊕ 2⊙x₁x₂ ⊕ 2⊙x₁ ⊕ 2⊙x₂ ⊕ 2
    >>> p([1.0, 0.5]), len(p.essential()), TropicalPolynomial([1, 4, None, 0])
    (3.5, 6, max-plus: 1 ⊕ 4⊙x₁ ⊕ 0⊙x₁³)
    """

    convention: ClassVar[Convention] = "max"


class MinPlusPolynomial(PolynomialWithQuotients):
    """f(x) = ⊕_k c_k ⊙ x^{α_k} = min_k (c_k + ⟨α_k, x⟩): everything that a TropicalPolynomial has, where ⊕ is the minimum.

    Args:
        terms, names, pruned: as for :class:`TropicalPolynomial`; here +∞ is the tropical zero, and of equal exponents the
            smallest coefficient is kept. Or a max-plus polynomial f, for x ↦ −f(−x).

    >>> p = MinPlusPolynomial({1: 0, 0: 2})
    >>> p, p([5.0]), (p * p)([5.0]), p.max_plus, p / 2
    (min-plus: 0⊙x₁ ⊕ 2, 2.0, 4.0, max-plus: 0⊙x₁ ⊕ -2, min-plus: (0⊙x₁ ⊕ 2) ⊘ (2))
    """

    convention: ClassVar[Convention] = "min"

    def __init__(
        self,
        terms: Mapping[Any, Any] | list[Any] | np.ndarray | RationalArray | TropicalPolynomial,
        *,
        names: Iterable[str] | None = None,
        pruned: bool = False,
    ) -> None:
        if isinstance(terms, TropicalPolynomial):
            terms, names = terms.table, names or terms.names
        super().__init__(terms, names=names, pruned=pruned)

    @property
    def max_plus(self) -> TropicalPolynomial:
        """The max-plus polynomial f with f(x) = −p(−x): the same exponents, the coefficients −c_k."""
        return TropicalPolynomial(self.table, names=self.names, pruned=self._pruned)


class TropicalRational:
    """r = f ⊘ g: the function f(x) − g(x) of two tropical polynomials.

        r + s, r * s, r / s    ⊕ (maximum), ⊙ (sum), ⊘ (difference)        r ** a    a · r for any rational a
        r(x)                   f(x) − g(x) in float64                       r == s    equality as functions

    Args:
        f, g: polynomials of one convention in the same variables, or arguments of :class:`TropicalPolynomial`; g = 0 by
            default. ⊕ is the maximum or the minimum, as in f and g.
        convention: "max" or "min", for arguments that are not polynomials: "max" by default.

    Attributes:
        names: a name for each variable, or None.

    Raises:
        InputError: different numbers of variables, or different conventions.

    >>> x = TropicalPolynomial.variable(0, 1)
    >>> r = (x + 0) / (x + 1)
    >>> r, r([3.0]), r.exact(["1/2"])
    (max-plus: (0⊙x₁ ⊕ 0) ⊘ (0⊙x₁ ⊕ 1), 0.0, Fraction(-1, 2))
    >>> r / r == x / x
    True
    """

    def __init__(
        self,
        f: PolynomialWithQuotients | Mapping[Any, Any],
        g: PolynomialWithQuotients | Mapping[Any, Any] | None = None,
        *,
        convention: Convention | None = None,
    ) -> None:
        given = next((p.convention for p in (f, g) if isinstance(p, SemiringPolynomial)), None)
        if given and convention and given != convention:
            raise InputError(f"the polynomials are {shown(given)}, and convention={convention!r} was asked for")
        word = given or convention or "max"
        make = TropicalPolynomial if sign_of(word) > 0 else MinPlusPolynomial
        self.f: PolynomialWithQuotients = f if isinstance(f, PolynomialWithQuotients) else make(f)
        g = make.constant(0, self.f.variables, names=self.f.names) if g is None else g
        self.g: PolynomialWithQuotients = g if isinstance(g, PolynomialWithQuotients) else make(g)
        if self.f.variables != self.g.variables:
            raise InputError(f"f and g must have the same number of variables; found {self.f.variables} and {self.g.variables}")
        checked_operand(self.f, self.g)
        self.names: Names = common_names(self.f.names, self.g.names)

    @property
    def convention(self) -> Convention:
        """What ⊕ is: "max" or "min"."""
        return self.f.convention

    @property
    def variables(self) -> int:
        """The number of variables d."""
        return self.f.variables

    def __call__(self, x: Any) -> Any:
        """f(x) − g(x) in float64; x and the values are shaped as for a polynomial.

        Where f and g are far larger than their difference, digits cancel; ``exact`` loses none.
        """
        return self.f(x) - self.g(x)

    def exact(self, x: Iterable[Any] | Any) -> Fraction:
        """The value at one point (d,) in exact arithmetic."""
        point = read_exact_point(x, self.variables)
        return self.f.exact(point) - self.g.exact(point)

    def essential(self) -> TropicalRational:
        """The same function, with only the essential monomials of f and g."""
        return TropicalRational(self.f.essential(), self.g.essential())

    def _operand(self, other: object) -> TropicalRational | None:
        """The other operand as a rational function; None for an unsupported type."""
        if isinstance(other, int | float | Fraction | np.integer | np.floating):
            return TropicalRational(type(self.f).constant(other, self.variables, names=self.names))
        if isinstance(other, PolynomialWithQuotients | TropicalRational):
            return as_rational(checked_operand(self, other))
        return None

    def __add__(self, other: TropicalRational | PolynomialWithQuotients | Number) -> TropicalRational:
        if is_tropical_zero(other, self.convention):
            return self
        found = self._operand(other)
        if found is None:
            return NotImplemented
        if same(self.g.table, found.g.table):
            return TropicalRational(self.f + found.f, self.g)
        return TropicalRational(self.f * found.g + found.f * self.g, self.g * found.g)

    def __radd__(self, other: PolynomialWithQuotients | Number) -> TropicalRational:
        refuse_start(other, 0)
        return self + other

    def __mul__(self, other: TropicalRational | PolynomialWithQuotients | Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else TropicalRational(self.f * found.f, self.g * found.g)

    def __rmul__(self, other: PolynomialWithQuotients | Number) -> TropicalRational:
        refuse_start(other, 1)
        return self * other

    def __truediv__(self, other: TropicalRational | PolynomialWithQuotients | Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else TropicalRational(self.f * found.g, self.g * found.f)

    def __rtruediv__(self, other: PolynomialWithQuotients | Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else found / self

    def __pow__(self, power: Number) -> TropicalRational:
        """a · r, by scaling; a < 0 exchanges f and g."""
        a = to_fraction(power, "a power")
        return TropicalRational(self.f**a, self.g**a) if a >= 0 else TropicalRational(self.g**-a, self.f**-a)

    def __eq__(self, other: object) -> bool:
        """Equality as functions: f ⊙ g' = f' ⊙ g."""
        if not isinstance(other, TropicalRational | PolynomialWithQuotients):
            return NotImplemented
        if other.convention != self.convention or other.variables != self.variables or hash(self) != hash(other):
            return False
        second = as_rational(other)
        if self.g == second.g:
            return self.f == second.f
        return self.f.times_essential(second.g) == second.f.times_essential(self.g)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.convention, hash_of_values(self.exact, self.variables)))

    def formula(self) -> str:
        """Text without the convention: (0⊙x₁ ⊕ 0) ⊘ (1)."""
        return f"({self.f.formula()}) ⊘ ({self.g.formula()})"

    def __repr__(self) -> str:
        return f"{shown(self.convention)}: {self.formula()}"

    def latex(self) -> str:
        r"""Return LaTeX: ``\left(...\right) \oslash \left(...\right)``."""
        return rf"\left({self.f.latex()}\right) \oslash \left({self.g.latex()}\right)"

    def _repr_latex_(self) -> str:
        f, g = self.f.short_latex(), self.g.short_latex()
        return rf"$\text{{{shown(self.convention)}: }} \left({f}\right) \oslash \left({g}\right)$"

    def _repr_html_(self) -> str:
        return self._repr_latex_()

    def to_dict(self) -> dict[str, Any]:
        """Return {"f": {exponents: coefficient}, "g": ..., "convention": ...}: ``TropicalRational(**r.to_dict()) == r``."""
        return {"f": self.f.to_dict(), "g": self.g.to_dict(), "convention": self.convention}

    def named(self, *names: str) -> TropicalRational:
        """The same function with a name for each variable."""
        return TropicalRational(self.f.named(*names), self.g.named(*names))

    def to_max_plus(self) -> TropicalRational:
        """The same function in max-plus: with f = 0 ⊘ F and g = 0 ⊘ G, f ⊘ g is G ⊘ F."""
        return self if self.convention == "max" else TropicalRational(self.g.to_max_plus().g, self.f.to_max_plus().g)


def as_rational(function: PolynomialWithQuotients | TropicalRational) -> TropicalRational:
    """A polynomial as a rational function with g = 0; a rational function itself."""
    return function if isinstance(function, TropicalRational) else TropicalRational(function)
