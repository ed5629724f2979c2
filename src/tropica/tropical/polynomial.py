"""``TropicalPolynomial``: a maximum of affine functions with exact coefficients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator, from_fractions, rational_array, to_fraction
from tropica.tropical import notation
from tropica.tropical.monomials import essential_product, joined, merged, product, same, scaled

if TYPE_CHECKING:
    from tropica.polyhedra.complexes import PolyhedralComplex, Subdivision
    from tropica.polyhedra.polytope import Polytope
    from tropica.tropical.minplus import MinPlusPolynomial
    from tropica.tropical.rational import TropicalRational

Number: TypeAlias = int | float | Fraction
BLOCK = 2**22
"""Products of points and monomials that are made at once: 32 MB."""


class TropicalPolynomial:
    """f(x) = ⊕_k c_k ⊙ x^{α_k} = max_k (c_k + ⟨α_k, x⟩): max-plus, with exact exponents and coefficients.

    Exponents are integers, as in the paper, or any rationals (a signomial); numbers are ints, Fractions, floats (the binary
    fractions that they are) or texts such as "1/3". Of equal exponents the one with the largest coefficient is kept; −∞, the
    tropical zero, is dropped. Polynomials are never changed.

        f + g   f ⊕ g, the maximum         f * g   f ⊙ g, the sum          f / g   f ⊘ g, the difference: a TropicalRational
        f ** a  a · f, by scaling          f(x)    values in float64       f == g  equality as functions

    Args:
        terms: {exponents: coefficient}; for one variable the exponents may be plain numbers.

    Attributes:
        table: the numbers: integers (n, d + 1) over one denominator, exponents first, coefficients in the last column.

    Raises:
        InputError: no monomial, exponents of different lengths, NaN, +∞.

    >>> p = TropicalPolynomial({(2, 0): 1, (0, 2): 1, (1, 1): 2, (1, 0): 2, (0, 1): 2, (0, 0): 2})  # the paper's Figure 1
    >>> p
    1⊙x₁² ⊕ 1⊙x₂² ⊕ 2⊙x₁x₂ ⊕ 2⊙x₁ ⊕ 2⊙x₂ ⊕ 2
    >>> p([1.0, 0.5]), len(p.essential())
    (3.5, 6)
    """

    table: RationalArray

    def __init__(self, terms: Mapping[Any, Any]) -> None:
        if not isinstance(terms, Mapping):
            raise InputError(f"a tropical polynomial is made of {{exponents: coefficient}}; found {type(terms).__name__}")
        rows: list[list[Fraction]] = []
        for key, value in terms.items():
            row = [to_fraction(e, f"an exponent of {key!r}") for e in _exponents(key)]
            if rows and len(row) != len(rows[0]) - 1:
                raise InputError(f"exponents must have one length; found {len(rows[0]) - 1}, and {len(row)} in {key!r}")
            if not _is_zero(value):
                rows.append([*row, to_fraction(value, f"the coefficient of {key!r}")])
        if not rows:
            raise InputError("a tropical polynomial has at least one monomial; found none with a coefficient above −∞")
        self.table = _stored(from_fractions((n for row in rows for n in row), (len(rows), len(rows[0]))))

    @classmethod
    def from_arrays(cls, exponents: Any, coefficients: Any) -> TropicalPolynomial:
        """From exponents (n, d) and coefficients (n,): arrays, tensors or nested sequences; −∞ is dropped.

        >>> TropicalPolynomial.from_arrays([[1, 0], [0, 1]], [0.5, 0])
        1/2⊙x₁ ⊕ 0⊙x₂
        """
        listed = coefficients.tolist() if isinstance(coefficients, np.ndarray | Tensor) else coefficients
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise InputError(f"coefficients must be an array of 1 dimension; found {coefficients!r}")
        keep = [i for i, value in enumerate(listed) if not _is_zero(value)]
        given = exponents.detach().cpu().numpy() if isinstance(exponents, Tensor) else exponents
        powers = rational_array(given, "exponents", 2)
        if len(powers.numerators) != len(listed):
            raise InputError(f"there must be a coefficient for each exponent; found {len(powers.numerators)} and {len(listed)}")
        if not keep:
            raise InputError("a tropical polynomial has at least one monomial; found none with a coefficient above −∞")
        if isinstance(coefficients, np.ndarray | Tensor) and len(keep) == len(listed):
            constants = rational_array(coefficients, "coefficients", 1)
        else:
            constants = from_fractions([to_fraction(listed[i], "a coefficient") for i in keep], (len(keep),))
        (top, last), bottom = common_denominator(RationalArray(powers.numerators[keep], powers.denominator), constants)
        return cls.from_table(RationalArray(np.concatenate([top, last[:, None]], 1), bottom))

    @classmethod
    def from_table(cls, numbers: RationalArray) -> TropicalPolynomial:
        """From a table (n, d + 1) as ``table`` has it."""
        self = cls.__new__(cls)
        self.table = _stored(numbers)
        return self

    @classmethod
    def constant(cls, value: Any, variables: int) -> TropicalPolynomial:
        """The polynomial that is one number everywhere.

        Raises:
            InputError: no number above −∞, or no number of variables.
        """
        return cls({(0,) * _counted(variables): value})

    @classmethod
    def variable(cls, i: int, variables: int) -> TropicalPolynomial:
        """0 ⊙ x_i, i counted from 0, among so many variables.

        >>> x, y = (TropicalPolynomial.variable(i, 2) for i in range(2))
        >>> x**2 + 3 * x * y + 1
        0⊙x₁² ⊕ 3⊙x₁x₂ ⊕ 1
        """
        if isinstance(i, bool) or not isinstance(i, int | np.integer) or not 0 <= i < _counted(variables):
            raise InputError(f"of {variables} variables, number 0 to {variables - 1} can be chosen; found {i!r}")
        return cls({tuple(int(j == i) for j in range(variables)): 0})

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def variables(self) -> int:
        """d."""
        return self.table.numerators.shape[1] - 1

    @cached_property
    def exponents(self) -> np.ndarray:
        """(n, d): int64 where all are whole, else an object array of ints and Fractions."""
        return RationalArray(self.table.numerators[:, :-1], self.table.denominator).reduced().numbers()

    @cached_property
    def coefficients(self) -> np.ndarray:
        """(n,): as ``exponents``."""
        return RationalArray(self.table.numerators[:, -1], self.table.denominator).reduced().numbers()

    def to_dict(self) -> dict[tuple[int | Fraction, ...], int | Fraction]:
        """{exponents: coefficient}, exact.

        >>> TropicalPolynomial({(1, 0): 0.5, (0, 0): 2}).to_dict()
        {(1, 0): Fraction(1, 2), (0, 0): 2}
        """
        return dict(zip(map(tuple, self.exponents.tolist()), self.coefficients.tolist(), strict=True))

    @property
    def monomials(self) -> Iterator[TropicalPolynomial]:
        """Each monomial by itself."""
        return (self.from_table(RationalArray(row[None], self.table.denominator)) for row in self.table.numerators)

    def __len__(self) -> int:
        return len(self.table.numerators)

    def __repr__(self) -> str:
        return notation.text(self.exponents, self.coefficients)

    def latex(self) -> str:
        r"""LaTeX, all monomials: ``1 \odot x_{1}^{2} \oplus 2``."""
        return notation.latex(self.exponents, self.coefficients)

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$" if len(self) <= notation.SHOWN else f"$\\text{{{len(self):,} monomials}}$"

    # ── values ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _floats(self) -> tuple[np.ndarray, np.ndarray]:
        numbers = self.table.floats()
        return np.ascontiguousarray(numbers[:, :-1]), np.ascontiguousarray(numbers[:, -1])

    def __call__(self, x: Any) -> Any:
        """Values in float64: of points (B, d) an array (B,), of one point (d,) a float; a tensor gives a tensor."""
        points, single = self._points(x)
        values = np.concatenate([v.max(1) for v in self._blocks(points)])
        if isinstance(x, Tensor):
            found = torch.from_numpy(values).to(x.device)
            return found[0] if single else found
        return float(values[0]) if single else values

    def winner(self, x: Any) -> Any:
        """Which monomial wins at points (B, d), in float64: (B,) int64, the first at a tie."""
        points, single = self._points(x)
        found = np.concatenate([v.argmax(1) for v in self._blocks(points)])
        return int(found[0]) if single else found

    def _blocks(self, points: np.ndarray) -> Iterator[np.ndarray]:
        exponents, coefficients = self._floats
        step = max(1, BLOCK // len(self))
        for low in range(0, max(len(points), 1), step):
            yield points[low : low + step] @ exponents.T + coefficients

    def _points(self, x: Any) -> tuple[np.ndarray, bool]:
        try:
            points = np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"points must be numbers; {error}") from None
        if points.ndim not in (1, 2) or points.shape[-1] != self.variables:
            raise InputError(f"points must have shape (B, {self.variables}) or ({self.variables},); found {points.shape}")
        return np.atleast_2d(points), points.ndim == 1

    def exact(self, x: Iterable[Any]) -> Fraction:
        """The value at one point (d,) in exact arithmetic; floats are the binary fractions that they are.

        >>> TropicalPolynomial({(1, 1): 0, (0, 0): "1/3"}).exact(["1/2", "1/7"])
        Fraction(9, 14)
        """
        return max(self.exact_terms(x))

    def exact_terms(self, x: Iterable[Any]) -> list[Fraction]:
        """The value of every monomial at one point, exactly."""
        point = [to_fraction(value, "a coordinate") for value in x]
        if len(point) != self.variables:
            raise InputError(f"a point must have {self.variables} coordinates; found {len(point)}")
        bottom = math.lcm(*(v.denominator for v in point))
        top = [v.numerator * (bottom // v.denominator) for v in point] + [bottom]
        return [
            Fraction(sum(map(int.__mul__, row, top)), bottom * self.table.denominator) for row in self.table.numerators.tolist()
        ]

    # ── the semiring ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _other(self, other: Any) -> TropicalPolynomial | None:
        """The other operand as a polynomial; None for a type that is not one."""
        if isinstance(other, TropicalPolynomial):
            if other.variables != self.variables:
                raise InputError(f"polynomials in {self.variables} and in {other.variables} variables do not combine")
            return other
        if isinstance(other, int | float | Fraction):
            return self.constant(other, self.variables)
        return None

    def __add__(self, other: TropicalPolynomial | Number) -> TropicalPolynomial:
        if isinstance(other, float) and _is_zero(other):
            return self  # −∞ is neutral
        found = self._other(other)
        return NotImplemented if found is None else self.from_table(joined(self.table, found.table))

    __radd__ = __add__

    def __mul__(self, other: TropicalPolynomial | Number) -> TropicalPolynomial:
        found = self._other(other)
        return NotImplemented if found is None else self.from_table(product(self.table, found.table))

    __rmul__ = __mul__

    def __truediv__(self, other: TropicalPolynomial | Number) -> TropicalRational:
        from tropica.tropical.rational import TropicalRational

        found = self._other(other)
        return NotImplemented if found is None else TropicalRational(self, found)

    def __rtruediv__(self, other: Number) -> TropicalRational:
        found = self._other(other)
        return NotImplemented if found is None else found / self

    def __pow__(self, power: Number) -> TropicalPolynomial:
        """f^a = a · f for a ≥ 0, by scaling every monomial: (a·α, a·c). ``expand`` multiplies out instead."""
        a = to_fraction(power, "a power")
        if a < 0 and len(self) > 1:
            raise InputError(f"a negative power ({a}) of several monomials is no polynomial; use 1 / f ** {-a}, a rational")
        return self.from_table(scaled(self.table, a.numerator, a.denominator))

    def expand(self, power: int) -> TropicalPolynomial:
        """f ⊙ f ⊙ ... ⊙ f, multiplied out: the same function as ``f ** power``, with monomials between the scaled ones too.

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
        """``(self * other).essential()``, without making all products: cells of the overlay of the two hypersurfaces."""
        if len(self) == 1 or len(other) == 1:
            return (self * other).essential()
        found = self.from_table(essential_product(self.table, other.table)[0])
        found.__dict__["_essential"] = found
        return found

    def compose(self, *inner: Any) -> TropicalPolynomial | TropicalRational:
        """f(g_1, ..., g_d) for polynomials or rational functions g_i of the same variables.

        The result is a polynomial where all g_i are and no exponent is negative; else a rational function. Monomials that
        never win are dropped on the way.

        >>> f = TropicalPolynomial({(1, 0): 0, (0, 1): 0})
        >>> f.compose(TropicalPolynomial({1: 0, 0: 1}), TropicalPolynomial({2: 0}))
        1 ⊕ 0⊙x₁²
        """
        from tropica.tropical.composition import compose

        return compose(self, inner)

    @property
    def min_plus(self) -> MinPlusPolynomial:
        """The min-plus polynomial x ↦ −f(−x) = min_k (⟨α_k, x⟩ − c_k): a view."""
        from tropica.tropical.minplus import MinPlusPolynomial

        return MinPlusPolynomial.of(self)

    # ── as functions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def essential(self) -> TropicalPolynomial:
        """The same function without the monomials that are nowhere the only winner: its smallest form, which is unique.

        >>> TropicalPolynomial({2: 0, 1: 0, 0: 0}).essential()
        0⊙x₁² ⊕ 0
        """
        return self._essential

    @cached_property
    def _essential(self) -> TropicalPolynomial:
        from tropica.polyhedra.hull import essential

        if len(self) == 1:
            return self
        keep = essential(self.table.numerators[:, :-1], self.table.numerators[:, -1])
        if len(keep) == len(self):
            return self
        found = self.from_table(RationalArray(self.table.numerators[keep], self.table.denominator))
        found.__dict__["_essential"] = found
        return found

    def __eq__(self, other: object) -> bool:
        """Equality as functions."""
        if isinstance(other, TropicalPolynomial):
            if other.variables != self.variables:
                return False
            if same(self.table, other.table):
                return True
            return hash(self) == hash(other) and same(self.essential().table, other.essential().table)
        return NotImplemented

    @cached_property
    def _hash(self) -> int:
        return hash(("tropical", self.variables, *(self.exact(p) for p in probes(self.variables))))

    def __hash__(self) -> int:
        return self._hash

    # ── geometry ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def newton_polytope(self) -> Polytope:
        """Δ(f) = Conv{α_k}."""
        from tropica.polyhedra.polytope import Polytope

        return Polytope(self.exponents)

    def polytope(self) -> Polytope:
        """P(f) = Conv{(α_k, c_k)}, in one dimension more."""
        from tropica.polyhedra.polytope import Polytope

        return Polytope(np.concatenate([self.exponents.astype(object), self.coefficients.astype(object)[:, None]], 1))

    def dual_subdivision(self) -> Subdivision:
        """δ(f): the Newton polytope, cut into the projections of the upper faces of P(f)."""
        from tropica.polyhedra.complexes import dual_subdivision

        return dual_subdivision(self.exponents, self.coefficients)

    def hypersurface(self) -> PolyhedralComplex:
        """T(f): the points where the maximum is attained at least twice."""
        from tropica.polyhedra.complexes import hypersurface

        return hypersurface(self.exponents, self.coefficients)


def probes(d: int) -> list[list[Fraction]]:
    """Two fixed points, at which functions are compared before anything slow."""
    return [[Fraction(2 * i + 3, 7 * i + 11) for i in range(d)], [Fraction(5 - 11 * i, 3 + i) for i in range(d)]]


def _stored(numbers: RationalArray) -> RationalArray:
    return RationalArray(merged(numbers.numerators), numbers.denominator).reduced()


def _exponents(key: Any) -> Sequence[Any]:
    return list(key) if isinstance(key, tuple | list | np.ndarray) else [key]


def _counted(variables: Any) -> int:
    """A number of variables."""
    if isinstance(variables, bool) or not isinstance(variables, int | np.integer) or variables < 0:
        raise InputError(f"the number of variables is a whole number, 0 or more; found {variables!r}")
    return int(variables)


def _is_zero(value: Any) -> bool:
    """Is it −∞, the tropical zero?"""
    return isinstance(value, float | np.floating) and value == -math.inf


__all__ = ["Number", "TropicalPolynomial", "probes"]
