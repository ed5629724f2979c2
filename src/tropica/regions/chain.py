"""A network on a domain as a chain of exact stages: what the kernels and the exact signs are both made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.exact.rational_arrays import RationalArray, as_objects, compact, rationals


@dataclass(frozen=True, eq=False)
class ChainStage:
    """Rows z = W h + b of the previous stage's outputs h, and the units made of them: low·z where z ≤ 0, high·z where z > 0.

    Attributes:
        weight: (n, m) exact; m is the number of units of the previous stage, of t-coordinates for the first stage.
        bias: (n,) exact.
        low, high: (n,) float64, exact; equal where a unit is linear.
        windows: (n,) the window of each unit, −1 where a unit is linear: of a window's units the largest is chosen, the first
            of equal ones, and has slope 1; the others have slope 0. None where units bend where they change sign.
    """

    weight: RationalArray
    bias: RationalArray
    low: np.ndarray
    high: np.ndarray
    windows: np.ndarray | None = None

    @property
    def size(self) -> int:
        """n."""
        return len(self.low)


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


def substituted(
    weight: RationalArray, bias: RationalArray, origin: np.ndarray, basis: np.ndarray
) -> tuple[RationalArray, RationalArray]:
    """W (origin + t · basis) + b as rows in t, exactly."""
    o, directions = exact(origin), exact(basis)
    numerators = weight.numerators.astype(object)
    slopes = numerators @ directions.numerators.astype(object).T
    constant = (numerators @ o.numerators.astype(object)) * bias.denominator + bias.numerators.astype(object) * (
        weight.denominator * o.denominator
    )
    return (
        RationalArray(compact(slopes), weight.denominator * directions.denominator).reduced(),
        RationalArray(compact(constant), weight.denominator * o.denominator * bias.denominator).reduced(),
    )


def linear_stage(weight: RationalArray, bias: RationalArray) -> ChainStage:
    """An output: its units are linear."""
    ones = np.ones(len(bias.numerators))
    return ChainStage(weight, bias, ones, ones)


def rescaled_columns(weight: RationalArray, exponents: np.ndarray) -> RationalArray:
    """W with column k times 2^exponents[k]."""
    least = min(0, int(exponents.min(initial=0)))
    factors = as_objects(1 << (int(e) - least) for e in exponents)
    return RationalArray(compact(weight.numerators.astype(object) * factors), weight.denominator << -least).reduced()
