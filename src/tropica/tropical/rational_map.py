"""``TropicalMap``: a tuple of tropical rational functions, a continuous piecewise-linear map."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.polyhedra.conventions import Convention, shown
from tropica.tropical.polynomial import PolynomialWithQuotients, TropicalRational, as_rational
from tropica.tropical.values import read_exact_point

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN = 6
"""Outputs whose sizes ``repr`` shows."""


class TropicalMap(Sequence[TropicalRational]):
    """A tropical rational map: a rational function for every output.

    Args:
        outputs: rational functions or polynomials of the same variables, at least one.
        labels: the label that each output scores; 0, 1, ... by default.

    Attributes:
        logit: whether the map is one logit, whose sign separates the labels 0 and 1.

    Raises:
        InputError: no output, outputs of different variables, a wrong number of labels.

    >>> import tropica as tp
    >>> x, y = (tp.TropicalPolynomial.variable(i, 2) for i in range(2))
    >>> m = TropicalMap([x / y, x + y])
    >>> m([1.0, 2.0]).tolist(), m.exact([1, 2])
    ([-1.0, 2.0], (Fraction(-1, 1), Fraction(2, 1)))
    """

    def __init__(
        self, outputs: Iterable[TropicalRational | PolynomialWithQuotients], labels: Sequence[int] | None = None
    ) -> None:
        given = tuple(outputs)
        wrong = next((r for r in given if not isinstance(r, TropicalRational | PolynomialWithQuotients)), None)
        if not given or wrong is not None:
            found = "none" if wrong is None else f"a {type(wrong).__name__}"
            raise InputError(f"a tropical map is made of rational functions or polynomials, at least one; found {found}")
        self.outputs = tuple(as_rational(r) for r in given)
        sizes = sorted({r.variables for r in self.outputs})
        if len(sizes) > 1:
            raise InputError(f"the outputs of a map must have the same number of variables; found {sizes[0]} and {sizes[1]}")
        kinds = {r.convention for r in self.outputs}
        if len(kinds) > 1:
            raise InputError("the outputs of a map must be of one convention; to_max_plus() converts a function to max-plus")
        self.logit = labels is None and len(self.outputs) == 1
        self.labels = tuple(range(len(self.outputs)) if labels is None else labels)
        if len(self.labels) != len(self.outputs):
            raise InputError(f"there must be a label for each of the {len(self.outputs)} outputs; found {len(self.labels)}")

    @property
    def variables(self) -> int:
        """The number of variables d."""
        return self.outputs[0].variables

    @property
    def convention(self) -> Convention:
        """What ⊕ is: "max" or "min"."""
        return self.outputs[0].convention

    def to_max_plus(self) -> TropicalMap:
        """The same map in max-plus."""
        return self.with_outputs(r.to_max_plus() for r in self.outputs)

    def with_outputs(self, outputs: Iterable[TropicalRational | PolynomialWithQuotients]) -> TropicalMap:
        """A map of other outputs with the same labels."""
        return TropicalMap(outputs, None if self.logit else self.labels)

    def __call__(self, x: Any) -> Any:
        """Values in float64: points (B, d) to (B, s), one point (d,) to (s,); a tensor gives a tensor."""
        values = [r(x) for r in self.outputs]
        return torch.stack(values, -1) if isinstance(x, Tensor) else np.stack(values, -1)

    def exact(self, x: Iterable[Any]) -> tuple[Fraction, ...]:
        """The values at one point (d,) in exact arithmetic."""
        point = read_exact_point(x, self.variables)
        return tuple(r.exact(point) for r in self.outputs)

    def predict(self, x: Any) -> Any:
        """The label of the largest output at points (B, d), the first at a tie; of one logit z: 1 where z > 0, else 0."""
        values = self(x)
        if self.logit:
            positive = values[..., 0] > 0
            return positive.long() if isinstance(x, Tensor) else positive.astype(np.int64)
        best = values.argmax(-1)
        return torch.tensor(self.labels)[best] if isinstance(x, Tensor) else np.array(self.labels)[best]

    def essential(self) -> TropicalMap:
        """The same map without nonessential monomials."""
        return self.with_outputs(r.essential() for r in self.outputs)

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
        sizes = ", ".join(f"{len(r.f):,} ⊘ {len(r.g):,}" for r in self.outputs[:SHOWN])
        more = ", …" if len(self) > SHOWN else ""
        return f"TropicalMap({self.variables} → {len(self)}, monomials {sizes}{more}, {shown(self.convention)})"

    def to_dataframe(self) -> DataFrame:
        """A row for each output: its label, and the numbers of monomials of f and g."""
        from pandas import DataFrame

        rows = [(label, len(r.f), len(r.g)) for label, r in zip(self.labels, self.outputs, strict=True)]
        return DataFrame(rows, columns=["label", "monomials of f", "monomials of g"])

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(index=False, max_rows=60)


def as_map(function: TropicalMap | TropicalRational | PolynomialWithQuotients) -> TropicalMap:
    """A tropical function of any kind as a map, in max-plus.

    Raises:
        InputError: not a tropical function.
    """
    if isinstance(function, TropicalMap):
        return function.to_max_plus() if function.convention == "min" else function
    if isinstance(function, PolynomialWithQuotients | TropicalRational):
        return TropicalMap([function.to_max_plus()])
    found = type(function).__name__
    raise InputError(f"a TropicalMap, TropicalRational, TropicalPolynomial or MinPlusPolynomial is needed; found a {found}")
