"""``SemiringPolynomial``: what max-plus and min-plus polynomials share, which is everything but their convention.

The table of monomials is always that of max-plus: of x ↦ min_k (c_k + ⟨α_k, x⟩) it holds the exponents α_k and the
coefficients −c_k, so that the function is −f(−x) for the max-plus polynomial f of the table. Signs change where numbers are
read and shown; all algebra is that of the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Self, TypeAlias, cast

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, to_fraction
from tropica.polyhedra.conventions import Convention, shown, sign_of
from tropica.polyhedra.upper_hull import essential
from tropica.tropical import monomials, printing
from tropica.tropical.monomials import is_tropical_zero, same
from tropica.tropical.polynomial_geometry import PolynomialGeometry
from tropica.tropical.values import (
    ACTIVE,
    GAP,
    LARGEST,
    Reduction,
    exact_values,
    float_table,
    hash_of_values,
    read_exact_point,
    read_points,
    reduced_values,
    shaped_like,
)
from tropica.tropical.variable_names import Names, checked_names, common_names

Number: TypeAlias = int | float | Fraction


class SemiringPolynomial(PolynomialGeometry):
    """What polynomials of both conventions share; :class:`~tropica.tropical.polynomial.TropicalPolynomial` says what they are.

    Attributes:
        table: the monomials in max-plus: integers (n, d + 1) over one denominator, exponents first.
        names: a name for each variable, or None.
        convention: "max" or "min".
    """

    convention: ClassVar[Convention]

    def __init__(
        self,
        terms: Mapping[Any, Any] | list[Any] | np.ndarray | RationalArray,
        *,
        names: Iterable[str] | None = None,
        pruned: bool = False,
    ) -> None:
        read = terms if isinstance(terms, RationalArray) else monomials.read_terms(terms, self.convention)
        self.table = RationalArray(monomials.merged(read.numerators), read.denominator).reduced()
        self.names: Names = checked_names(names, self.variables)
        self._pruned = pruned or len(self.table.numerators) == 1

    @classmethod
    def from_arrays(cls, exponents: Any, coefficients: Any, *, names: Iterable[str] | None = None) -> Self:
        """Make a polynomial from exponents (n, d) and coefficients (n,): arrays, tensors or nested sequences.

        >>> import tropica as tp
        >>> tp.TropicalPolynomial.from_arrays([[1, 0], [0, 1]], [0.5, 0])
        max-plus: 1/2⊙x₁ ⊕ 0⊙x₂
        """
        return cls(monomials.read_arrays(exponents, coefficients, cls.convention), names=names)

    @classmethod
    def constant(cls, value: Any, variables: int, *, names: Iterable[str] | None = None) -> Self:
        """Make a constant polynomial.

        Raises:
            InputError: a value that is not a number other than the tropical zero, or ``variables`` not an int ≥ 0.
        """
        return cls({(0,) * monomials.checked_count(variables): value}, names=names)

    @classmethod
    def variable(cls, i: int, variables: int, *, names: Iterable[str] | None = None) -> Self:
        """Make 0 ⊙ x_i, a polynomial in d = ``variables`` variables; i counts from 0.

        >>> import tropica as tp
        >>> x, y = (tp.TropicalPolynomial.variable(i, 2, names=["x", "y"]) for i in range(2))
        >>> x**2 + 3 * x * y + 1
        max-plus: 0⊙x² ⊕ 3⊙xy ⊕ 1
        """
        if isinstance(i, bool) or not isinstance(i, int | np.integer) or not 0 <= i < monomials.checked_count(variables):
            raise InputError(f"the index of one of {variables} variables must be from 0 to {variables - 1}; found {i!r}")
        return cls({tuple(int(j == i) for j in range(variables)): 0}, names=names)

    @property
    def variables(self) -> int:
        """The number of variables d."""
        return self.table.numerators.shape[1] - 1

    def named(self, *names: str) -> Self:
        """The same polynomial with a name for each variable.

        >>> import tropica as tp
        >>> tp.TropicalPolynomial({(1, 0): 0, (0, 2): 1}).named("u", "v")
        max-plus: 0⊙u ⊕ 1⊙v²
        """
        return type(self)(self.table, names=names, pruned=self._pruned)

    @cached_property
    def exponents(self) -> np.ndarray:
        """Exponents (n, d): int64 where all are integers, else an object array of ints and Fractions."""
        return RationalArray(self.table.numerators[:, :-1], self.table.denominator).reduced().numbers()

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients (n,), of the same types as ``exponents``."""
        own = RationalArray(self._sign * self.table.numerators[:, -1], self.table.denominator)
        return own.reduced().numbers()

    @property
    def _sign(self) -> int:
        return sign_of(self.convention)

    @property
    def monomials(self) -> list[Self]:
        """Each monomial as a polynomial; ``tp.tropical_sum(f.monomials)`` is f again."""
        return [self._with(RationalArray(row[None], self.table.denominator)) for row in self.table.numerators]

    def to_dict(self) -> dict[tuple[int | Fraction, ...], int | Fraction]:
        """Return {exponents: coefficient}, exact.

        >>> import tropica as tp
        >>> tp.TropicalPolynomial({(1, 0): 0.5, (0, 0): 2}).to_dict()
        {(1, 0): Fraction(1, 2), (0, 0): 2}
        """
        return dict(zip(map(tuple, self.exponents.tolist()), self.coefficients.tolist(), strict=True))

    def _with(self, table: RationalArray, *, pruned: bool = False) -> Self:
        return type(self)(table, names=self.names, pruned=pruned)

    # ── text ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def __len__(self) -> int:
        return len(self.table.numerators)

    def __repr__(self) -> str:
        return f"{shown(self.convention)}: {self.formula()}"

    def formula(self) -> str:
        """Text without the convention: 1⊙x₁² ⊕ 2."""
        return printing.text(self.exponents, self.coefficients, self.names)

    def latex(self) -> str:
        r"""Return LaTeX with all monomials: ``1 \odot x_{1}^{2} \oplus 2``."""
        return printing.latex(self.exponents, self.coefficients, self.names)

    def short_latex(self) -> str:
        """LaTeX as notebooks show it: long numbers rounded, and of many monomials only their count."""
        return printing.short_latex(self.exponents, self.coefficients, self.names)

    def _repr_latex_(self) -> str:
        return rf"$\text{{{shown(self.convention)}: }} {self.short_latex()}$"

    def _repr_html_(self) -> str:
        return self._repr_latex_() + self.thumbnail()

    # ── values ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _floats(self) -> np.ndarray:
        return float_table(self.table)

    def _reduced(self, x: Any, reduction: Reduction, sign: int = 1) -> Any:
        points, single = read_points(x, self.variables)
        found = reduced_values(self.table, self._floats, self._sign * points, reduction)
        return shaped_like(0.0 - found if sign < 0 else found, x, single)  # 0 − 0 is 0, not −0

    def __call__(self, x: Any) -> Any:
        """Values in float64 at points (B, d), an array (B,); at one point (d,), a float. A tensor gives a tensor."""
        return self._reduced(x, LARGEST, self._sign)

    def active_term(self, x: Any) -> Any:
        """The monomial that attains the maximum (in min-plus the minimum) at points (B, d): (B,) int64, the first at a tie."""
        return self._reduced(x, ACTIVE)

    def margin(self, x: Any) -> Any:
        """The distance from the value to that of the next monomial at points (B, d), in float64: (B,).

        It is 0 on the hypersurface (up to rounding), and ∞ for a single monomial.

        >>> import tropica as tp
        >>> tp.TropicalPolynomial({1: 0, 0: 0}).margin([[0.0], [-2.0]]).tolist()
        [0.0, 2.0]
        """
        return self._reduced(x, GAP)

    def exact(self, x: Iterable[Any] | Any) -> Fraction:
        """The value at one point (d,) in exact arithmetic; floats are read as exact binary fractions.

        >>> import tropica as tp
        >>> tp.TropicalPolynomial({(1, 1): 0, (0, 0): "1/3"}).exact(["1/2", "1/7"])
        Fraction(9, 14)
        """
        terms = self.exact_terms(x)
        return max(terms) if self.convention == "max" else min(terms)

    def exact_terms(self, x: Iterable[Any] | Any) -> list[Fraction]:
        """The value of every monomial at one point (d,), in exact arithmetic."""
        point = read_exact_point(x, self.variables)
        return [self._sign * v for v in exact_values(self.table, [self._sign * v for v in point])]

    # ── algebra ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _operand(self, other: object) -> Self | None:
        """The other operand as a polynomial of the same convention; None for an unsupported type."""
        if isinstance(other, int | float | Fraction | np.integer | np.floating):
            return self.constant(other, self.variables, names=self.names)
        return checked_operand(self, other) if isinstance(other, SemiringPolynomial) else None

    def _joined(self, other: Self, table: RationalArray) -> Self:
        return type(self)(table, names=common_names(self.names, other.names))

    def __add__(self, other: Self | Number) -> Self:
        if is_tropical_zero(other, self.convention):
            return self
        found = self._operand(other)
        if found is None:
            return NotImplemented
        return self._joined(found, monomials.joined(self.table, found.table))

    def __radd__(self, other: Number) -> Self:
        refuse_start(other, 0)
        return cast("Self", self + other)

    def __mul__(self, other: Self | Number) -> Self:
        found = self._operand(other)
        if found is None:
            return NotImplemented
        return self._joined(found, monomials.product(self.table, found.table))

    def __rmul__(self, other: Number) -> Self:
        refuse_start(other, 1)
        return cast("Self", self * other)

    def __pow__(self, power: Number) -> Self:
        """f^a = a · f for a ≥ 0, by scaling every monomial: (a·α, a·c). ``expand`` multiplies out instead."""
        a = to_fraction(power, "a power")
        if a < 0 and len(self) > 1:
            raise InputError(f"a negative power ({a}) of several monomials is not a polynomial; use 1 / f ** {-a}, a rational")
        return self._with(monomials.scaled(self.table, a.numerator, a.denominator))

    def expand(self, power: int) -> Self:
        """Multiply out f ⊙ f ⊙ ... ⊙ f: the same function as ``f ** power``, with the monomials between the scaled ones.

        >>> import tropica as tp
        >>> f = tp.TropicalPolynomial({1: 0, 0: 0})
        >>> (f**2).formula(), f.expand(2).formula(), f**2 == f.expand(2)
        ('0⊙x₁² ⊕ 0', '0⊙x₁² ⊕ 0⊙x₁ ⊕ 0', True)
        """
        if isinstance(power, bool) or not isinstance(power, int) or power < 0:
            raise InputError(f"only whole powers, 0 or more, can be multiplied out; found {power!r}")
        out = self.constant(0, self.variables, names=self.names)
        for bit in f"{power:b}":
            out = out * out if len(out) > 1 else out**2
            out = out * self if bit == "1" else out
        return out

    def times_essential(self, other: Self) -> Self:
        """``(self * other).essential()`` without forming all products: a monomial for each cell of the overlay of both."""
        other = checked_operand(self, other)
        if len(self) == 1 or len(other) == 1:
            return (self * other).essential()
        table = monomials.essential_product(self.table, other.table)[0]
        return type(self)(table, names=common_names(self.names, other.names), pruned=True)

    def essential(self) -> Self:
        """The same function without nonessential monomials, which nowhere attain the maximum alone. This form is unique.

        >>> import tropica as tp
        >>> tp.TropicalPolynomial({2: 0, 1: 0, 0: 0}).essential()
        max-plus: 0⊙x₁² ⊕ 0
        """
        return self if self._pruned else self._essential

    @cached_property
    def _essential(self) -> Self:
        keep = essential(self.table.numerators[:, :-1], self.table.numerators[:, -1])
        return self._with(RationalArray(self.table.numerators[keep], self.table.denominator), pruned=True)

    def __eq__(self, other: object) -> bool:
        """Equality as functions; the names of variables do not count."""
        if not isinstance(other, SemiringPolynomial):
            return NotImplemented
        if other.variables != self.variables or other.convention != self.convention:
            return False
        if same(self.table, other.table):
            return True
        return hash(self) == hash(other) and same(self.essential().table, other.essential().table)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.convention, hash_of_values(self.exact, self.variables)))


def checked_operand(first: Any, other: Any) -> Any:
    """The other function, checked to be of the same convention and in the same number of variables."""
    if other.convention != first.convention:
        raise InputError(
            f"a {shown(first.convention)} and a {shown(other.convention)} function cannot be combined; to_max_plus() gives the "
            "same function in max-plus"
        )
    if other.variables != first.variables:
        raise InputError(f"functions in {first.variables} and in {other.variables} variables cannot be combined")
    return other


def refuse_start(value: object, start: int) -> None:
    """Refuse the int 0 left of + and the int 1 left of *, from which ``sum`` and ``math.prod`` start."""
    if type(value) is int and value == start:
        call, mark, name = ("sum()", "+", "tropical_sum") if start == 0 else ("math.prod()", "*", "tropical_prod")
        raise InputError(
            f"{start} {mark} f: Python's {call} starts from {start}, which is not neutral in tropical algebra; use "
            f"tp.{name}(...), or write f {mark} {start} for the constant {start}"
        )
