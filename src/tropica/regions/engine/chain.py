"""A network on a domain as a chain of exact stages: what the kernels and the exact signs are both made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tropica.exact.rational_arrays import RationalArray, as_objects, compact, rationals
from tropica.regions.lower.exact_rows import ExactRows


@dataclass(frozen=True, eq=False)
class ChainStage:
    """Rows z = W h + b of the previous stage's outputs h, and the units made of them: low·z where z ≤ 0, high·z where z > 0.

    Attributes:
        weight: (n, m); m is the number of outputs of the previous stage, of t-coordinates for the first stage.
        bias: (n,) exact.
        low, high: (n,) float64, exact; equal where a unit is linear.
        windows: (n,) the window of each unit, −1 where a unit is linear: of a window's units, which lie side by side, the
            largest is chosen, the first of equal ones, and has slope 1; the others have slope 0. None where units bend where
            they change sign.
    """

    weight: ExactRows
    bias: RationalArray
    low: np.ndarray
    high: np.ndarray
    windows: np.ndarray | None = None

    @property
    def size(self) -> int:
        """n."""
        return len(self.low)

    @cached_property
    def output(self) -> np.ndarray:
        """(n,) the output that each unit is a summand of: its own, or its window's."""
        if self.windows is None:
            return np.arange(self.size)
        fresh = np.ones(self.size, bool)
        fresh[1:] = (self.windows[1:] != self.windows[:-1]) | (self.windows[1:] < 0)
        return np.cumsum(fresh) - 1

    @property
    def outputs(self) -> int:
        """How many outputs there are."""
        return int(self.output[-1]) + 1


@dataclass(frozen=True, eq=False)
class Chain:
    """Stages and the output (a last stage whose units are linear), over coordinates t of which |t| ≤ 1.

    Attributes:
        stages: L stages.
        output: the output's rows.
        dimension: d.
    """

    stages: tuple[ChainStage, ...]
    output: ChainStage
    dimension: int


def exact(values: np.ndarray) -> RationalArray:
    """Finite floats as rational numbers."""
    return rationals(np.ascontiguousarray(values, dtype=np.float64))


def linear_stage(weight: ExactRows, bias: RationalArray) -> ChainStage:
    """An output: its units are linear."""
    ones = np.ones(len(bias.numerators))
    return ChainStage(weight, bias, ones, ones)


def rescaled_columns(weight: RationalArray, exponents: np.ndarray) -> RationalArray:
    """W with column k times 2^exponents[k]."""
    least = min(0, int(exponents.min(initial=0)))
    factors = as_objects(1 << (int(e) - least) for e in exponents)
    return RationalArray(compact(weight.numerators.astype(object) * factors), weight.denominator << -least).reduced()
