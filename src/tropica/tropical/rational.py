"""``TropicalRational`` f ⊘ g and ``TropicalMap``, a tuple of them: continuous piecewise-linear functions, exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import to_fraction
from tropica.tropical.polynomial import Number, TropicalPolynomial, probes

if TYPE_CHECKING:
    from tropica.terms.linear_terms import LinearTerms


class TropicalRational:
    """r = f ⊘ g: the function f(x) − g(x) of two tropical polynomials.

        r + s, r * s, r / s    ⊕ (maximum), ⊙ (sum), ⊘ (difference)        r ** a    a · r for any rational a
        r(x)                   f(x) − g(x) in float64                       r == s    equality as functions

    Args:
        f, g: polynomials in the same variables, or what :class:`TropicalPolynomial` takes; g = 0 by default.

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
        if g is None:
            g = TropicalPolynomial.constant(0, self.f.variables)
        self.g = g if isinstance(g, TropicalPolynomial) else TropicalPolynomial(g)
        if self.f.variables != self.g.variables:
            raise InputError(f"f and g must have the same variables; found {self.f.variables} and {self.g.variables} of them")

    @classmethod
    def from_terms(cls, terms: LinearTerms) -> TropicalMap:
        """The extracted function N^(X) as a tropical map, see :func:`tropica.tropical.extracted.from_terms`."""
        from tropica.tropical.extracted import from_terms

        return from_terms(terms)

    @property
    def variables(self) -> int:
        """d."""
        return self.f.variables

    def __call__(self, x: Any) -> Any:
        """f(x) − g(x) in float64, as a polynomial takes x and gives values.

        Where f and g are far larger than their difference digits are lost: ``exact`` loses none.
        """
        return self.f(x) - self.g(x)

    def exact(self, x: Iterable[Any]) -> Fraction:
        """The value at one point (d,) in exact arithmetic."""
        point = [to_fraction(value, "a coordinate") for value in x]
        return self.f.exact(point) - self.g.exact(point)

    def essential(self) -> TropicalRational:
        """The same function, f and g without the monomials that never win."""
        return TropicalRational(self.f.essential(), self.g.essential())

    # ── the semifield ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _other(self, other: Any) -> TropicalRational | None:
        if isinstance(other, TropicalRational):
            if other.variables != self.variables:
                raise InputError(f"functions of {self.variables} and of {other.variables} variables do not combine")
            return other
        if isinstance(other, TropicalPolynomial):
            return self._other(TropicalRational(other))
        if isinstance(other, int | float | Fraction):
            return TropicalRational(TropicalPolynomial.constant(other, self.variables))
        return None

    def __add__(self, other: TropicalRational | TropicalPolynomial | Number) -> TropicalRational:
        if isinstance(other, float) and other == -math.inf:
            return self  # −∞ is neutral
        found = self._other(other)
        if found is None:
            return NotImplemented
        if self.g.to_dict() == found.g.to_dict():
            return TropicalRational(self.f + found.f, self.g)
        return TropicalRational(self.f * found.g + found.f * self.g, self.g * found.g)

    __radd__ = __add__

    def __mul__(self, other: TropicalRational | TropicalPolynomial | Number) -> TropicalRational:
        found = self._other(other)
        return NotImplemented if found is None else TropicalRational(self.f * found.f, self.g * found.g)

    __rmul__ = __mul__

    def __truediv__(self, other: TropicalRational | TropicalPolynomial | Number) -> TropicalRational:
        found = self._other(other)
        return NotImplemented if found is None else TropicalRational(self.f * found.g, self.g * found.f)

    def __rtruediv__(self, other: TropicalPolynomial | Number) -> TropicalRational:
        found = self._other(other)
        return NotImplemented if found is None else found / self

    def __pow__(self, power: Number) -> TropicalRational:
        """a · r, by scaling; a < 0 exchanges f and g."""
        a = to_fraction(power, "a power")
        return TropicalRational(self.f**a, self.g**a) if a >= 0 else TropicalRational(self.g**-a, self.f**-a)

    def compose(self, *inner: Any) -> TropicalRational:
        """r(g_1, ..., g_d) for polynomials or rational functions g_i of the same variables."""
        top, bottom = self.f.compose(*inner), self.g.compose(*inner)
        return TropicalRational.of(top) / bottom

    @classmethod
    def of(cls, function: TropicalPolynomial | TropicalRational) -> TropicalRational:
        """A polynomial as a rational function; a rational function itself."""
        return function if isinstance(function, TropicalRational) else cls(function)

    def __eq__(self, other: object) -> bool:
        """Equality as functions: f ⊙ g' = f' ⊙ g."""
        if not isinstance(other, TropicalRational | TropicalPolynomial):
            return NotImplemented
        if other.variables != self.variables:
            return False
        if hash(self) != hash(other):
            return False
        second = TropicalRational.of(other)
        if self.g == second.g:
            return self.f == second.f
        return self.f.times_essential(second.g) == second.f.times_essential(self.g)

    @cached_property
    def _hash(self) -> int:
        # As a polynomial's: a rational function with g = 0 is equal to its f.
        return hash(("tropical", self.variables, *(self.exact(p) for p in probes(self.variables))))

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"({self.f}) ⊘ ({self.g})"

    def latex(self) -> str:
        r"""LaTeX: ``\left(...\right) \oslash \left(...\right)``."""
        return rf"\left({self.f.latex()}\right) \oslash \left({self.g.latex()}\right)"

    def to_dict(self) -> dict[str, dict[tuple[int | Fraction, ...], int | Fraction]]:
        """{"f": {exponents: coefficient}, "g": ...}, exact; ``TropicalRational(**r.to_dict())`` is r again."""
        return {"f": self.f.to_dict(), "g": self.g.to_dict()}


class TropicalMap(Sequence[TropicalRational]):
    """A tropical rational map: a rational function for every output.

    Args:
        outputs: rational functions or polynomials of the same variables, at least one.
        labels: which label each output is the score of, where that is not 0, 1, ....

    >>> x, y = (TropicalPolynomial.variable(i, 2) for i in range(2))
    >>> m = TropicalMap([x / y, x + y])
    >>> m([1.0, 2.0]).tolist(), m.exact([1, 2])
    ([-1.0, 2.0], (Fraction(-1, 1), Fraction(2, 1)))
    """

    def __init__(self, outputs: Iterable[TropicalRational | TropicalPolynomial], labels: Sequence[int] | None = None) -> None:
        given = tuple(outputs)
        wrong = next((r for r in given if not isinstance(r, TropicalRational | TropicalPolynomial)), None)
        if not given or wrong is not None:
            found = "none" if wrong is None else f"a {type(wrong).__name__}"
            raise InputError(f"a tropical map is made of rational functions or polynomials, at least one; found {found}")
        self.outputs = tuple(TropicalRational.of(r) for r in given)
        sizes = sorted({r.variables for r in self.outputs})
        if len(sizes) > 1:
            raise InputError(f"the outputs of a map must have the same variables; found {sizes[0]} and {sizes[1]} of them")
        self.logit = labels is None and len(self.outputs) == 1
        """Is it one logit, whose sign tells two labels apart?"""
        self.labels = tuple(range(len(self.outputs)) if labels is None else labels)
        if len(self.labels) != len(self.outputs):
            raise InputError(f"there must be a label for each of the {len(self.outputs)} outputs; found {len(self.labels)}")

    @classmethod
    def from_terms(cls, terms: LinearTerms) -> TropicalMap:
        """The extracted function N^(X), see :func:`tropica.tropical.extracted.from_terms`."""
        return TropicalRational.from_terms(terms)

    @property
    def variables(self) -> int:
        """d."""
        return self.outputs[0].variables

    def __call__(self, x: Any) -> Any:
        """Values in float64: points (B, d) to (B, s), one point (d,) to (s,); a tensor gives a tensor."""
        values = [r(x) for r in self.outputs]
        if isinstance(x, Tensor):
            return torch.stack(values, -1)
        return np.stack(values, -1)

    def exact(self, x: Iterable[Any]) -> tuple[Fraction, ...]:
        """The values at one point in exact arithmetic."""
        point = list(x)
        return tuple(r.exact(point) for r in self.outputs)

    def predict(self, x: Any) -> Any:
        """The label of the largest output at points (B, d), the first at a tie; of one output z: 1 where z > 0, else 0."""
        values = self(x)
        if self.logit:
            positive = values[..., 0] > 0
            return positive.long() if isinstance(x, Tensor) else positive.astype(np.int64)
        best = values.argmax(-1)
        return torch.tensor(self.labels)[best] if isinstance(x, Tensor) else np.array(self.labels)[best]

    def essential(self) -> TropicalMap:
        """The same map without monomials that never win."""
        return TropicalMap((r.essential() for r in self.outputs), None if self.logit else self.labels)

    def compose(self, *inner: Any) -> TropicalMap:
        """The map after another: ``outer.compose(*inner_map)``."""
        return TropicalMap((r.compose(*inner) for r in self.outputs), None if self.logit else self.labels)

    @overload
    def __getitem__(self, index: int) -> TropicalRational: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TropicalRational]: ...
    def __getitem__(self, index: int | slice) -> TropicalRational | Sequence[TropicalRational]:
        return self.outputs[index]

    def __iter__(self) -> Iterator[TropicalRational]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __eq__(self, other: object) -> bool:
        """Equality as functions."""
        return self.outputs == other.outputs if isinstance(other, TropicalMap) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.outputs)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(r.f):,} ⊘ {len(r.g):,}" for r in self.outputs[:6])
        return f"TropicalMap({self.variables} → {len(self)}, monomials {sizes}{', …' if len(self) > 6 else ''})"
