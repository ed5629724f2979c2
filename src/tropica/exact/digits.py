"""Exact binary numbers as stacks of digits: long arithmetic whose products PyTorch's own float64 ops compute.

A number is Σ_l limbs[l] · 2^(bits · (low + l)) with balanced digits −2^(bits−1) ≤ limb < 2^(bits−1). Digits are small
integers, so that a linear op of float64 (a matrix product, a convolution) on one stack of them is exact, as long as its sums of
products stay below 2⁵³. The sign of a number is that of its leading digit, and numbers compare digit by digit from the top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_BITS = 24
"""Binary digits in one limb, at the most."""
_HALF_MANTISSA = 27
SMALLEST_ERROR = 2.0**-1000
"""What stands for an error too small for float64: a normal number, which arithmetic that flushes subnormals keeps."""


def bits_for(terms: int) -> int:
    """The widest limbs of which sums of ``terms`` products stay below 2⁵³.

    >>> bits_for(1), bits_for(784), bits_for(25088)
    (24, 22, 20)
    """
    return min(MAX_BITS, 1 + (53 - (max(terms, 1) - 1).bit_length()) // 2)


@dataclass(frozen=True, eq=False)
class Digits:
    """The numbers Σ_l limbs[l] · 2^(bits · (low + l)): limbs (L, *shape) int64, balanced, L ≥ 1.

    >>> x = Digits.of(torch.tensor([0.5, -3.0, 0.0], dtype=torch.float64), 20)
    >>> x.sign().tolist(), x.to_float().tolist()
    ([1, -1, 0], [0.5, -3.0, 0.0])
    """

    limbs: Tensor
    low: int
    bits: int

    @classmethod
    def of(cls, numbers: Tensor, bits: int) -> Digits:
        """Finite float64 numbers, exactly."""
        fraction, exponent = torch.frexp(numbers)
        mantissa = (fraction * 2.0**53).to(torch.int64)
        nonzero = mantissa != 0
        lowest = torch.where(nonzero, mantissa & -mantissa, 1)
        zeros = torch.frexp(lowest.double())[1].to(torch.int64) - 1
        mantissa >>= zeros
        exponent = exponent.to(torch.int64) - 53 + zeros
        least = int(exponent[nonzero].min()) if bool(nonzero.any()) else 0
        low = least // bits
        shift = torch.where(nonzero, exponent - low * bits, 0)
        parts = ((mantissa & ((1 << _HALF_MANTISSA) - 1), shift), (mantissa >> _HALF_MANTISSA, shift + _HALF_MANTISSA))
        room = (int(shift.max()) + _HALF_MANTISSA) // bits + 5 if shift.numel() else 1
        limbs = torch.zeros(room, *numbers.shape, dtype=torch.int64, device=numbers.device)
        mask = (1 << bits) - 1
        for part, place in parts:
            at, value = (place // bits).unsqueeze(0), part << (place % bits)
            for _ in range(3):
                limbs.scatter_add_(0, at, (value & mask).unsqueeze(0))
                value >>= bits
                at = at + 1
            limbs.scatter_add_(0, at, value.unsqueeze(0))
        return cls.carried(limbs, low, bits)

    @classmethod
    def carried(cls, limbs: Tensor, low: int, bits: int) -> Digits:
        """Limbs of any int64 as balanced digits, without zero limbs at either end."""
        half, mask = 1 << (bits - 1), (1 << bits) - 1
        found: list[Tensor] = []
        carry = torch.zeros_like(limbs[0])
        for limb in limbs:
            value = limb + carry
            digit = ((value + half) & mask) - half
            carry = (value - digit) >> bits
            found.append(digit)
        while bool(carry.any()):
            digit = ((carry + half) & mask) - half
            carry = (carry - digit) >> bits
            found.append(digit)
        filled = torch.stack([digit.any() for digit in found]).tolist()
        first = filled.index(True) if True in filled else 0
        last = len(filled) - filled[::-1].index(True) if True in filled else 1
        return cls(torch.stack(found[first:last]), low + first, bits)

    def __len__(self) -> int:
        return len(self.limbs)

    def with_limbs(self, limbs: Tensor) -> Digits:
        """Numbers of the same places: entries of these, selected or rearranged."""
        return Digits(limbs, self.low, self.bits)

    def __neg__(self) -> Digits:
        return Digits.carried(-self.limbs, self.low, self.bits)

    def __add__(self, other: Digits) -> Digits:
        limbs, low = common_places((self, other))
        return Digits.carried(limbs[0] + limbs[1], low, self.bits)

    def __sub__(self, other: Digits) -> Digits:
        limbs, low = common_places((self, other))
        return Digits.carried(limbs[0] - limbs[1], low, self.bits)

    def __mul__(self, other: Digits) -> Digits:
        """The products, entry by entry, with broadcasting."""
        products = [self.limbs * factor for factor in other.limbs]
        out = products[0].new_zeros(len(self) + len(other) - 1, *products[0].shape[1:])
        for i, product in enumerate(products):
            out[i : i + len(self)] += product
        return Digits.carried(out, self.low + other.low, self.bits)

    def truncated(self, keep: int) -> tuple[Digits, Tensor]:
        """The ``keep`` highest limbs, and a bound (*shape) on what is left out: 0 where that is 0."""
        drop = len(self) - keep
        if drop <= 0:
            return self, torch.zeros(self.limbs.shape[1:], dtype=torch.float64, device=self.limbs.device)
        exponent = self.bits * (self.low + drop)
        unit = math.ldexp(1.0, exponent) if exponent < 1024 else math.inf
        lost = (self.limbs[:drop] != 0).any(0)
        error = lost.double() * max(unit, SMALLEST_ERROR) if math.isfinite(unit) else torch.where(lost, math.inf, 0.0).double()
        return Digits(self.limbs[drop:], self.low + drop, self.bits), error

    def sign(self) -> Tensor:
        """−1, 0 or 1 for each number, exactly."""
        sign = torch.zeros_like(self.limbs[0])
        for limb in self.limbs.flip(0):
            sign = torch.where(sign == 0, limb.sign(), sign)
        return sign

    def to_float(self) -> Tensor:
        """The numbers in float64, up to 2⁻⁴⁵ of their size; with an absolute error, or not finite, beyond float64's range."""
        total = torch.zeros_like(self.limbs[0], dtype=torch.float64)
        for place, limb in enumerate(self.limbs.double(), self.low):
            exponent = self.bits * place
            unit = math.ldexp(1.0, exponent) if exponent < 1024 else math.inf
            total += torch.where(limb == 0, 0.0, limb * unit)
        return total


def common_places(stacks: Sequence[Digits]) -> tuple[list[Tensor], int]:
    """The limbs of several stacks with equal places, padded by zeros, and the lowest place."""
    low = min(stack.low for stack in stacks)
    top = max(stack.low + len(stack) for stack in stacks)
    padded: list[Tensor] = []
    for stack in stacks:
        below, above = stack.low - low, top - stack.low - len(stack)
        ends = [stack.limbs.new_zeros(n, *stack.limbs.shape[1:]) for n in (below, above)]
        padded.append(torch.cat([ends[0], stack.limbs, ends[1]]) if below or above else stack.limbs)
    return padded, low
