"""The values of monomials (n, d + 1) at points: in float64, block by block, and exactly.

Where float64 overflows on the way, the values are computed exactly and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, to_fraction

BLOCK = 2**22
"""Values of monomials at points held in memory at once: 32 MB."""


SMALLEST_NORMAL = 2.0**-1022
"""Smaller float64 numbers have fewer digits."""


@dataclass(frozen=True)
class Reduction:
    """What is made of the values of all monomials at a point.

    Attributes:
        floats: (B, n) float64 to (B,).
        exact: a list of n Fractions to a number.
    """

    floats: Callable[[np.ndarray], np.ndarray]
    exact: Callable[[list[Fraction]], Fraction | int | float]


def _gap(values: list[Fraction]) -> Fraction | float:
    first, *others = sorted(values, reverse=True)
    return first - others[0] if others else math.inf


def _float_gap(values: np.ndarray) -> np.ndarray:
    if values.shape[1] == 1:
        return np.full(len(values), np.inf)
    return np.diff(np.partition(values, -2, axis=1)[:, -2:])[:, 0]


LARGEST = Reduction(lambda values: values.max(1), max)
"""The largest value."""
ACTIVE = Reduction(lambda values: values.argmax(1), lambda values: values.index(max(values)))
"""The index of the largest value, the first at a tie."""
GAP = Reduction(_float_gap, _gap)
"""The largest value minus the second largest; ∞ for a single monomial."""


def reduced_values(table: RationalArray, floats: np.ndarray, points: np.ndarray, reduction: Reduction) -> np.ndarray:
    """A reduction (B, n) → (B,) over the values of all monomials at points (B, d).

    Args:
        table: the monomials, exactly; ``floats`` (n, d + 1) the same in float64.

    Raises:
        InputError: a result beyond float64.
    """
    step = max(1, BLOCK // len(floats))
    exponents, coefficients = np.ascontiguousarray(floats[:, :-1]).T, floats[:, -1]
    found = []
    for i in range(0, max(len(points), 1), step):
        block = points[i : i + step]
        with np.errstate(over="ignore", invalid="ignore"):
            values = block @ exponents + coefficients
        out = reduction.floats(values)
        for row in np.flatnonzero(~np.isfinite(values).all(1)).tolist():
            out[row] = _rounded(reduction.exact(exact_values(table, block[row].tolist())), i + row)
        found.append(out)
    return np.concatenate(found)


def float_table(table: RationalArray) -> np.ndarray:
    """The monomials (n, d + 1) in float64; NaN for numbers so small that few digits are left, where exact values are needed."""
    floats = table.floats()
    tiny = (np.abs(floats) < SMALLEST_NORMAL) & (table.numerators != 0)
    for i, j in np.argwhere(tiny).tolist():
        if Fraction(float(floats[i, j])) != Fraction(int(table.numerators[i, j]), table.denominator):
            floats[i, j] = np.nan
    return floats


def _rounded(value: Fraction | int | float, point: int) -> float | int:
    if not isinstance(value, Fraction):
        return value
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"the value at point {point} is beyond float64; f.exact(x) gives it as a Fraction") from None


def shaped_like(found: np.ndarray, x: Any, single: bool) -> Any:
    """Results (B,) as the caller expects: a number for one point, a tensor for a tensor."""
    if isinstance(x, Tensor):
        values = torch.from_numpy(found).to(x.device)
        return values[0] if single else values
    return found[0].item() if single else found


def exact_values(monomials: RationalArray, x: Iterable[Any] | Any) -> list[Fraction]:
    """The value of every monomial at one point (d,), in exact arithmetic; with one variable, x may be a number.

    Raises:
        InputError: a wrong number of coordinates, or a coordinate that is not a finite number.
    """
    point = read_exact_point(x, monomials.numerators.shape[1] - 1)
    bottom = math.lcm(*(v.denominator for v in point))
    top = [v.numerator * (bottom // v.denominator) for v in point] + [bottom]
    return [Fraction(sum(map(int.__mul__, row, top)), bottom * monomials.denominator) for row in monomials.numerators.tolist()]


def read_exact_point(x: Iterable[Any] | Any, variables: int) -> list[Fraction]:
    """One point (d,) as Fractions; with one variable, x may be a number.

    Raises:
        InputError: as :func:`exact_values`.
    """
    if isinstance(x, str | Number) or not isinstance(x, Iterable) or getattr(x, "ndim", 1) == 0:
        if variables != 1:
            raise InputError(f"a point must have {variables} coordinates, as in [1, '1/2', ...]; found the single value {x!r}")
        x = [x]
    point = [to_fraction(value, "a coordinate") for value in x]
    if len(point) != variables:
        raise InputError(f"a point must have {variables} coordinates; found {len(point)}")
    return point


def read_points(x: Any, variables: int) -> tuple[np.ndarray, bool]:
    """Points (B, d) in float64 from an array, a tensor or a sequence, and whether a single point (d,) was given.

    With one variable, a number is a single point.

    Raises:
        InputError: not numbers, not finite, or a wrong shape.
    """
    try:
        points = np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"points must be numbers; {error}") from None
    if points.ndim == 0 and variables == 1:
        points = points[None]
    if points.ndim not in (1, 2) or points.shape[-1] != variables:
        raise InputError(f"points must have shape (B, {variables}) or ({variables},); found {points.shape}")
    if not np.isfinite(points).all():
        raise InputError(f"points must be finite; found {points[~np.isfinite(points)][0]}")
    return np.atleast_2d(points), points.ndim == 1


def hash_of_values(exact: Callable[[Sequence[Fraction]], Fraction], variables: int) -> int:
    """A hash shared by equal functions: the hash of the exact values at two fixed points."""
    first = [Fraction(2 * i + 3, 7 * i + 11) for i in range(variables)]
    second = [Fraction(5 - 11 * i, 3 + i) for i in range(variables)]
    return hash(("tropical", variables, exact(first), exact(second)))
