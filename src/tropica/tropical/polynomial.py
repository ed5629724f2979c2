"""``TropicalPolynomial``, a maximum of affine functions, and ``TropicalRational``, a difference of two: exact numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, to_fraction
from tropica.polyhedra.dual_complexes import PolyhedralComplex, Subdivision, dual_subdivision, hypersurface
from tropica.polyhedra.polytope import Polytope
from tropica.polyhedra.upper_hull import essential
from tropica.tropical import monomials, printing
from tropica.tropical.monomials import is_tropical_zero, same
from tropica.tropical.values import exact_values, hash_of_values, reduced_values

Number: TypeAlias = int | float | Fraction


class TropicalPolynomial:
    """f(x) = ⊕_k c_k ⊙ x^{α_k} = max_k (c_k + ⟨α_k, x⟩): max-plus, with exact exponents and coefficients.

    Exponents are integers, as in the paper, or any rationals (a signomial). Numbers are ints, Fractions, floats (read as
    exact binary fractions) or strings such as "1/3". Of equal exponents the largest coefficient is kept; a coefficient −∞, the
    tropical zero, is dropped. Polynomials are immutable.

        f + g   f ⊕ g, the maximum         f * g   f ⊙ g, the sum          f / g   f ⊘ g, the difference: a TropicalRational
        f ** a  a · f, by scaling          f(x)    values in float64       f == g  equality as functions

    Args:
        terms: {exponents: coefficient}; for one variable the exponents may be plain numbers. Or a :class:`RationalArray`
            (n, d + 1), exponents first, coefficients in the last column.
        pruned: whether every monomial is known to be essential.

    Attributes:
        table: the monomials: integers (n, d + 1) over one denominator, exponents first, coefficients in the last column.

    Raises:
        InputError: no monomial, exponents of different lengths, NaN, +∞.

    >>> p = TropicalPolynomial({(2, 0): 1, (0, 2): 1, (1, 1): 2, (1, 0): 2, (0, 1): 2, (0, 0): 2})  # the paper's Figure 1
    >>> p
    1⊙x₁² ⊕ 1⊙x₂² ⊕ 2⊙x₁x₂ ⊕ 2⊙x₁ ⊕ 2⊙x₂ ⊕ 2
    >>> p([1.0, 0.5]), len(p.essential())
    (3.5, 6)
    """

    def __init__(self, terms: Mapping[Any, Any] | RationalArray, *, pruned: bool = False) -> None:
        read = terms if isinstance(terms, RationalArray) else monomials.read_terms(terms)
        self.table = RationalArray(monomials.merged(read.numerators), read.denominator).reduced()
        self._pruned = pruned or len(self.table.numerators) == 1

    @classmethod
    def from_arrays(cls, exponents: Any, coefficients: Any) -> TropicalPolynomial:
        """Make a polynomial from exponents (n, d) and coefficients (n,): arrays, tensors or nested sequences.

        >>> TropicalPolynomial.from_arrays([[1, 0], [0, 1]], [0.5, 0])
        1/2⊙x₁ ⊕ 0⊙x₂
        """
        return cls(monomials.read_arrays(exponents, coefficients))

    @classmethod
    def constant(cls, value: Any, variables: int) -> TropicalPolynomial:
        """Make a constant polynomial.

        Raises:
            InputError: a value that is not a number above −∞, or ``variables`` not an int ≥ 0.
        """
        return cls({(0,) * monomials.checked_count(variables): value})

    @classmethod
    def variable(cls, i: int, variables: int) -> TropicalPolynomial:
        """Make 0 ⊙ x_i, a polynomial in d = ``variables`` variables; i counts from 0.

        >>> x, y = (TropicalPolynomial.variable(i, 2) for i in range(2))
        >>> x**2 + 3 * x * y + 1
        0⊙x₁² ⊕ 3⊙x₁x₂ ⊕ 1
        """
        if isinstance(i, bool) or not isinstance(i, int | np.integer) or not 0 <= i < monomials.checked_count(variables):
            raise InputError(f"the index of one of {variables} variables must be from 0 to {variables - 1}; found {i!r}")
        return cls({tuple(int(j == i) for j in range(variables)): 0})

    @property
    def variables(self) -> int:
        """The number of variables d."""
        return self.table.numerators.shape[1] - 1

    @cached_property
    def exponents(self) -> np.ndarray:
        """Exponents (n, d): int64 where all are integers, else an object array of ints and Fractions."""
        return RationalArray(self.table.numerators[:, :-1], self.table.denominator).reduced().numbers()

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients (n,), of the same types as ``exponents``."""
        return RationalArray(self.table.numerators[:, -1], self.table.denominator).reduced().numbers()

    def to_dict(self) -> dict[tuple[int | Fraction, ...], int | Fraction]:
        """Return {exponents: coefficient}, exact.

        >>> TropicalPolynomial({(1, 0): 0.5, (0, 0): 2}).to_dict()
        {(1, 0): Fraction(1, 2), (0, 0): 2}
        """
        return dict(zip(map(tuple, self.exponents.tolist()), self.coefficients.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.table.numerators)

    def __repr__(self) -> str:
        return printing.text(self.exponents, self.coefficients)

    def latex(self) -> str:
        r"""Return LaTeX with all monomials: ``1 \odot x_{1}^{2} \oplus 2``."""
        return printing.latex(self.exponents, self.coefficients)

    def _repr_latex_(self) -> str:
        return printing.display_latex(self.exponents, self.coefficients)

    _repr_html_ = _repr_latex_

    def __call__(self, x: Any) -> Any:
        """Values in float64 at points (B, d), an array (B,); at one point (d,), a float. A tensor gives a tensor."""
        return reduced_values(*self._floats, x, lambda values: values.max(1))

    def active_term(self, x: Any) -> Any:
        """The monomial that attains the maximum at points (B, d), in float64: (B,) int64, the first at a tie."""
        return reduced_values(*self._floats, x, lambda values: values.argmax(1))

    def margin(self, x: Any) -> Any:
        """The largest monomial minus the second largest at points (B, d), in float64: (B,).

        It is 0 on the hypersurface (up to rounding), and ∞ for a single monomial.

        >>> TropicalPolynomial({1: 0, 0: 0}).margin([[0.0], [-2.0]]).tolist()
        [0.0, 2.0]
        """
        if len(self) == 1:
            return reduced_values(*self._floats, x, lambda values: np.full(len(values), np.inf))
        return reduced_values(*self._floats, x, lambda values: np.diff(np.partition(values, -2, axis=1)[:, -2:])[:, 0])

    @cached_property
    def _floats(self) -> tuple[np.ndarray, np.ndarray]:
        numbers = self.table.floats()
        return np.ascontiguousarray(numbers[:, :-1]), np.ascontiguousarray(numbers[:, -1])

    def exact(self, x: Iterable[Any]) -> Fraction:
        """The value at one point (d,) in exact arithmetic; floats are read as exact binary fractions.

        >>> TropicalPolynomial({(1, 1): 0, (0, 0): "1/3"}).exact(["1/2", "1/7"])
        Fraction(9, 14)
        """
        return max(self.exact_terms(x))

    def exact_terms(self, x: Iterable[Any]) -> list[Fraction]:
        """The value of every monomial at one point (d,), in exact arithmetic."""
        return exact_values(self.table, x)

    def _operand(self, other: object) -> TropicalPolynomial | None:
        """The other operand as a polynomial; None for an unsupported type."""
        if isinstance(other, int | float | Fraction):
            return self.constant(other, self.variables)
        return _in_same_variables(self, other) if isinstance(other, TropicalPolynomial) else None

    def __add__(self, other: TropicalPolynomial | Number) -> TropicalPolynomial:
        if is_tropical_zero(other):
            return self
        found = self._operand(other)
        return NotImplemented if found is None else TropicalPolynomial(monomials.joined(self.table, found.table))

    __radd__ = __add__

    def __mul__(self, other: TropicalPolynomial | Number) -> TropicalPolynomial:
        found = self._operand(other)
        return NotImplemented if found is None else TropicalPolynomial(monomials.product(self.table, found.table))

    __rmul__ = __mul__

    def __truediv__(self, other: TropicalPolynomial | Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else TropicalRational(self, found)

    def __rtruediv__(self, other: Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else found / self

    def __pow__(self, power: Number) -> TropicalPolynomial:
        """f^a = a · f for a ≥ 0, by scaling every monomial: (a·α, a·c). ``expand`` multiplies out instead."""
        a = to_fraction(power, "a power")
        if a < 0 and len(self) > 1:
            raise InputError(f"a negative power ({a}) of several monomials is not a polynomial; use 1 / f ** {-a}, a rational")
        return TropicalPolynomial(monomials.scaled(self.table, a.numerator, a.denominator))

    def expand(self, power: int) -> TropicalPolynomial:
        """Multiply out f ⊙ f ⊙ ... ⊙ f: the same function as ``f ** power``, with the monomials between the scaled ones.

        >>> f = TropicalPolynomial({1: 0, 0: 0})
        >>> f ** 2, f.expand(2), f ** 2 == f.expand(2)
        (0⊙x₁² ⊕ 0, 0⊙x₁² ⊕ 0⊙x₁ ⊕ 0, True)
        """
        if isinstance(power, bool) or not isinstance(power, int) or power < 0:
            raise InputError(f"only whole powers, 0 or more, can be multiplied out; found {power!r}")
        out = self.constant(0, self.variables)
        for bit in f"{power:b}":
            out = out * out if len(out) > 1 else out**2
            out = out * self if bit == "1" else out
        return out

    def times_essential(self, other: TropicalPolynomial) -> TropicalPolynomial:
        """``(self * other).essential()`` without forming all products: a monomial for each cell of the overlay of both."""
        if len(self) == 1 or len(other) == 1:
            return (self * other).essential()
        return TropicalPolynomial(monomials.essential_product(self.table, other.table)[0], pruned=True)

    def essential(self) -> TropicalPolynomial:
        """The same function without nonessential monomials, which nowhere attain the maximum alone. This form is unique.

        >>> TropicalPolynomial({2: 0, 1: 0, 0: 0}).essential()
        0⊙x₁² ⊕ 0
        """
        return self if self._pruned else self._essential

    @cached_property
    def _essential(self) -> TropicalPolynomial:
        keep = essential(self.table.numerators[:, :-1], self.table.numerators[:, -1])
        return TropicalPolynomial(RationalArray(self.table.numerators[keep], self.table.denominator), pruned=True)

    def __eq__(self, other: object) -> bool:
        """Equality as functions."""
        if not isinstance(other, TropicalPolynomial):
            return NotImplemented
        if other.variables != self.variables:
            return False
        if same(self.table, other.table):
            return True
        return hash(self) == hash(other) and same(self.essential().table, other.essential().table)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash_of_values(self.exact, self.variables)

    def newton_polytope(self) -> Polytope:
        """Δ(f) = Conv{α_k}."""
        return Polytope(self.exponents)

    def polytope(self) -> Polytope:
        """P(f) = Conv{(α_k, c_k)}, in d + 1 dimensions."""
        return Polytope(np.concatenate([self.exponents.astype(object), self.coefficients.astype(object)[:, None]], 1))

    def dual_subdivision(self) -> Subdivision:
        """δ(f): the Newton polytope, subdivided by the projections of the upper faces of P(f)."""
        return dual_subdivision(self.exponents, self.coefficients)

    def hypersurface(self) -> PolyhedralComplex:
        """T(f): the points where the maximum is attained at least twice."""
        return hypersurface(self.exponents, self.coefficients)


class TropicalRational:
    """r = f ⊘ g: the function f(x) − g(x) of two tropical polynomials.

        r + s, r * s, r / s    ⊕ (maximum), ⊙ (sum), ⊘ (difference)        r ** a    a · r for any rational a
        r(x)                   f(x) − g(x) in float64                       r == s    equality as functions

    Args:
        f, g: polynomials in the same variables, or arguments of :class:`TropicalPolynomial`; g = 0 by default.

    Raises:
        InputError: different numbers of variables.

    >>> x = TropicalPolynomial.variable(0, 1)
    >>> r = (x + 0) / (x + 1)
    >>> r, r([3.0]), r.exact(["1/2"])
    ((0⊙x₁ ⊕ 0) ⊘ (0⊙x₁ ⊕ 1), 0.0, Fraction(-1, 2))
    >>> r / r == x / x
    True
    """

    def __init__(
        self, f: TropicalPolynomial | Mapping[Any, Any], g: TropicalPolynomial | Mapping[Any, Any] | None = None
    ) -> None:
        self.f = f if isinstance(f, TropicalPolynomial) else TropicalPolynomial(f)
        g = TropicalPolynomial.constant(0, self.f.variables) if g is None else g
        self.g = g if isinstance(g, TropicalPolynomial) else TropicalPolynomial(g)
        if self.f.variables != self.g.variables:
            raise InputError(f"f and g must have the same number of variables; found {self.f.variables} and {self.g.variables}")

    @property
    def variables(self) -> int:
        """The number of variables d."""
        return self.f.variables

    def __call__(self, x: Any) -> Any:
        """f(x) − g(x) in float64; x and the values are shaped as for a polynomial.

        Where f and g are far larger than their difference, digits cancel; ``exact`` loses none.
        """
        return self.f(x) - self.g(x)

    def exact(self, x: Iterable[Any]) -> Fraction:
        """The value at one point (d,) in exact arithmetic."""
        point = [to_fraction(value, "a coordinate") for value in x]
        return self.f.exact(point) - self.g.exact(point)

    def essential(self) -> TropicalRational:
        """The same function, with only the essential monomials of f and g."""
        return TropicalRational(self.f.essential(), self.g.essential())

    def _operand(self, other: object) -> TropicalRational | None:
        """The other operand as a rational function; None for an unsupported type."""
        if isinstance(other, int | float | Fraction):
            return TropicalRational(TropicalPolynomial.constant(other, self.variables))
        if isinstance(other, TropicalPolynomial | TropicalRational):
            return as_rational(_in_same_variables(self, other))
        return None

    def __add__(self, other: TropicalRational | TropicalPolynomial | Number) -> TropicalRational:
        if is_tropical_zero(other):
            return self
        found = self._operand(other)
        if found is None:
            return NotImplemented
        if same(self.g.table, found.g.table):
            return TropicalRational(self.f + found.f, self.g)
        return TropicalRational(self.f * found.g + found.f * self.g, self.g * found.g)

    __radd__ = __add__

    def __mul__(self, other: TropicalRational | TropicalPolynomial | Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else TropicalRational(self.f * found.f, self.g * found.g)

    __rmul__ = __mul__

    def __truediv__(self, other: TropicalRational | TropicalPolynomial | Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else TropicalRational(self.f * found.g, self.g * found.f)

    def __rtruediv__(self, other: TropicalPolynomial | Number) -> TropicalRational:
        found = self._operand(other)
        return NotImplemented if found is None else found / self

    def __pow__(self, power: Number) -> TropicalRational:
        """a · r, by scaling; a < 0 exchanges f and g."""
        a = to_fraction(power, "a power")
        return TropicalRational(self.f**a, self.g**a) if a >= 0 else TropicalRational(self.g**-a, self.f**-a)

    def __eq__(self, other: object) -> bool:
        """Equality as functions: f ⊙ g' = f' ⊙ g."""
        if not isinstance(other, TropicalRational | TropicalPolynomial):
            return NotImplemented
        if other.variables != self.variables or hash(self) != hash(other):
            return False
        second = as_rational(other)
        if self.g == second.g:
            return self.f == second.f
        return self.f.times_essential(second.g) == second.f.times_essential(self.g)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash_of_values(self.exact, self.variables)

    def __repr__(self) -> str:
        return f"({self.f}) ⊘ ({self.g})"

    def latex(self) -> str:
        r"""Return LaTeX: ``\left(...\right) \oslash \left(...\right)``."""
        return rf"\left({self.f.latex()}\right) \oslash \left({self.g.latex()}\right)"

    def _repr_latex_(self) -> str:
        f, g = (printing.display_latex(p.exponents, p.coefficients)[1:-1] for p in (self.f, self.g))
        return rf"$\left({f}\right) \oslash \left({g}\right)$"

    _repr_html_ = _repr_latex_

    def to_dict(self) -> dict[str, dict[tuple[int | Fraction, ...], int | Fraction]]:
        """Return {"f": {exponents: coefficient}, "g": ...}, exact; ``TropicalRational(**r.to_dict())`` is r again."""
        return {"f": self.f.to_dict(), "g": self.g.to_dict()}


def as_rational(function: TropicalPolynomial | TropicalRational) -> TropicalRational:
    """A polynomial as a rational function with g = 0; a rational function itself."""
    return function if isinstance(function, TropicalRational) else TropicalRational(function)


def _in_same_variables(first: Any, other: Any) -> Any:
    """The other function, checked to have the same number of variables."""
    if other.variables != first.variables:
        raise InputError(f"functions in {first.variables} and in {other.variables} variables cannot be combined")
    return other
