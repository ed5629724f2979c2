"""The values of monomials (n, d + 1) at points: in float64, block by block, and exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, to_fraction

BLOCK = 2**22
"""Values of monomials at points held in memory at once: 32 MB."""


def reduced_values(exponents: np.ndarray, coefficients: np.ndarray, x: Any, reduce: Callable[[np.ndarray], np.ndarray]) -> Any:
    """A reduction (B, n) → (B,) over the values of all monomials at points.

    Args:
        exponents, coefficients: float64 (n, d) and (n,).
        x: points (B, d), or one point (d,).
        reduce: such as the maximum over axis 1.

    Returns:
        An array (B,); a number for one point; a tensor for a tensor.
    """
    points, single = read_points(x, exponents.shape[1])
    step = max(1, BLOCK // len(exponents))
    starts = range(0, max(len(points), 1), step)
    found = np.concatenate([reduce(points[i : i + step] @ exponents.T + coefficients) for i in starts])
    if isinstance(x, Tensor):
        values = torch.from_numpy(found).to(x.device)
        return values[0] if single else values
    return found[0].item() if single else found


def exact_values(monomials: RationalArray, x: Iterable[Any]) -> list[Fraction]:
    """The value of every monomial at one point (d,), in exact arithmetic.

    Raises:
        InputError: a wrong number of coordinates, or a coordinate that is not a finite number.
    """
    point = [to_fraction(value, "a coordinate") for value in x]
    variables = monomials.numerators.shape[1] - 1
    if len(point) != variables:
        raise InputError(f"a point must have {variables} coordinates; found {len(point)}")
    bottom = math.lcm(*(v.denominator for v in point))
    top = [v.numerator * (bottom // v.denominator) for v in point] + [bottom]
    return [Fraction(sum(map(int.__mul__, row, top)), bottom * monomials.denominator) for row in monomials.numerators.tolist()]


def read_points(x: Any, variables: int) -> tuple[np.ndarray, bool]:
    """Points (B, d) in float64 from an array, a tensor or a sequence, and whether a single point (d,) was given.

    Raises:
        InputError: not numbers, or a wrong shape.
    """
    try:
        points = np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"points must be numbers; {error}") from None
    if points.ndim not in (1, 2) or points.shape[-1] != variables:
        raise InputError(f"points must have shape (B, {variables}) or ({variables},); found {points.shape}")
    return np.atleast_2d(points), points.ndim == 1


def hash_of_values(exact: Callable[[Sequence[Fraction]], Fraction], variables: int) -> int:
    """A hash shared by equal functions: the hash of the exact values at two fixed points."""
    first = [Fraction(2 * i + 3, 7 * i + 11) for i in range(variables)]
    second = [Fraction(5 - 11 * i, 3 + i) for i in range(variables)]
    return hash(("tropical", variables, exact(first), exact(second)))
