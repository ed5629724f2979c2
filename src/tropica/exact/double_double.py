"""Double-double arithmetic on tensors: a number is an unevaluated sum of two float64, 106 binary digits.

The basis are the error-free transformations of Knuth and Dekker: a sum or a product of two float64 is a float64 plus an error
that is a float64 itself. One operation has a relative error below 2⁻¹⁰², while no number leaves the range 10⁻²⁸⁰ … 10²⁸⁰.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

DOUBLE_DOUBLE_ROUNDOFF = 2.0**-102
"""A bound on the relative error of one operation."""
_SPLITTER = 2.0**27 + 1


class DoubleDouble(NamedTuple):
    """The numbers high + low, where high is the sum rounded to float64: two float64 tensors of one shape.

    >>> third = DoubleDouble.of(torch.ones(1, dtype=torch.float64)).divide(3)
    >>> third.low.tolist() == [1 / 3 * 2**-54]
    True
    """

    high: Tensor
    low: Tensor

    @classmethod
    def of(cls, x: Tensor) -> DoubleDouble:
        """Numbers of float32 or float64, exactly."""
        x = x.double()
        return cls(x, torch.zeros_like(x))

    def __add__(self, other: DoubleDouble) -> DoubleDouble:  # type: ignore[override]
        high, error = two_sum(self.high, other.high)
        low, rest = two_sum(self.low, other.low)
        high, error = quick_two_sum(high, error + low)
        return DoubleDouble(*quick_two_sum(high, error + rest))

    def __neg__(self) -> DoubleDouble:
        return DoubleDouble(-self.high, -self.low)

    def __sub__(self, other: DoubleDouble) -> DoubleDouble:
        return self + -other

    def plus(self, x: Tensor) -> DoubleDouble:
        """The sum with numbers of float64."""
        high, error = two_sum(self.high, x)
        return DoubleDouble(*quick_two_sum(high, error + self.low))

    def times(self, factor: Tensor) -> DoubleDouble:
        """The product with numbers of float64."""
        high, error = two_product(self.high, factor)
        return DoubleDouble(*quick_two_sum(high, error + self.low * factor))

    def divide(self, divisor: float) -> DoubleDouble:
        """The quotient by one number of float64."""
        first = self.high / divisor
        by = torch.full_like(first, divisor)
        rest = self - DoubleDouble(*two_product(first, by))
        return DoubleDouble(*quick_two_sum(first, (rest.high + rest.low) / divisor))

    def sum(self) -> DoubleDouble:
        """The sums over the last dimension, in a fixed tree."""
        high, low = self
        while (length := high.shape[-1]) > 1:
            half = length // 2
            total = DoubleDouble(high[..., :half], low[..., :half]) + DoubleDouble(
                high[..., half : 2 * half], low[..., half : 2 * half]
            )
            if length % 2:
                last = DoubleDouble(high[..., -1:], low[..., -1:])
                total = DoubleDouble(*(torch.cat(pair, -1) for pair in zip(total, last, strict=True)))
            high, low = total
        if high.shape[-1] == 0:
            high = low = high.new_zeros(*high.shape[:-1], 1)
        return DoubleDouble(high[..., 0], low[..., 0])

    def reshape(self, *shape: int) -> DoubleDouble:
        """The numbers in another shape."""
        return DoubleDouble(self.high.reshape(*shape), self.low.reshape(*shape))


def two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a + b as its rounded value and the error, exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def quick_two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a + b as its rounded value and the error, exactly, where |a| ≥ |b| or a = 0 (Dekker)."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a · b as its rounded value and the error, exactly (Dekker), for |a|, |b| < 2⁹⁹⁵."""
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: Tensor) -> tuple[Tensor, Tensor]:
    scaled = a * _SPLITTER
    first = scaled - (scaled - a)
    return first, a - first


def dot(a: DoubleDouble, b: Tensor) -> DoubleDouble:
    """The sums of a · b over the last dimension; b is float64.

    >>> a = torch.tensor([1e20, 1.0, -1e20], dtype=torch.float64)
    >>> dot(DoubleDouble.of(a), torch.ones(3, dtype=torch.float64)).high.item()
    1.0
    """
    return a.times(b).sum()


class WholeMultiples(NamedTuple):
    """Whole multiples of 2^exponent, of few binary digits, as a float64 tensor."""

    part: Tensor
    exponent: int


def slices(x: DoubleDouble, bits: int, digits: int = 110) -> list[WholeMultiples]:
    """Numbers as a sum of slices with at most ``bits`` binary digits.

    The sum is x up to 2^−digits of its largest entry. Products of such slices have few digits, so that float64 sums of them are
    exact (the splitting of Ozaki, Ogita, Oishi and Rump). Slices that are 0 are left out at the end.

    Args:
        x: the numbers.
        bits: the binary digits of a slice.
        digits: the binary digits kept in all.
    """
    largest = float(x.high.abs().max()) if x.high.numel() else 0.0
    if largest == 0:
        return []
    exponent = int(torch.tensor(largest, dtype=torch.float64).frexp().exponent)
    found, rest = [], x
    for number in range(1, -(-digits // bits) + 1):
        unit = exponent - number * bits
        shift = 1.5 * 2.0 ** (52 + unit)
        part = (rest.high + shift) - shift
        found.append(WholeMultiples(part, unit))
        rest = DoubleDouble(*quick_two_sum(rest.high - part, rest.low))
        if not bool(rest.high.any()):
            break
    return found
