"""Two kinds of numbers on which a network is evaluated with proven error bounds: float64, and long numbers of digits.

Both have a bound ``error`` for each entry, which is 0 only where the entry is exactly what it stands for. The predicate of
:mod:`tropica.network.point_signs` is the same program on either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from tropica.exact.digits import SMALLEST_ERROR, Digits, common_places
from tropica.network.linear_parts import SLACK, UNDERFLOW, UNIT_ROUNDOFF, LinearPart
from tropica.network.nonlinearities import Nonlinearity

N = TypeVar("N", bound="Numbers")


@dataclass(frozen=True, eq=False)
class Choice:
    """The active piece of each unit, whether it is proven, and which pieces (pieces, *units) attain the maximum."""

    piece: Tensor
    proven: Tensor
    attaining: Tensor

    def where(self, bends: Tensor) -> Choice:
        """The same where a unit bends; elsewhere its two pieces are equal, and the lower one is active."""
        return Choice(self.piece & bends, self.proven | ~bends, self.attaining | ~bends)


class Numbers(Protocol):
    """What the predicate asks of a kind of numbers; entries are laid out as the network's own tensors."""

    def select(self: N, mask: Tensor, other: N) -> N:
        """These where the mask is set, the others elsewhere."""
        ...

    def negated(self: N) -> N:
        """The negatives."""
        ...

    def times(self: N, factor: Tensor) -> N:
        """The products with exact float64 numbers of the same shape."""
        ...

    def constant(self: N, value: Tensor | float) -> N:
        """Exact float64 numbers, in the shape of these."""
        ...

    def above(self: N, other: N) -> Choice:
        """Piece 1 where these are larger, else piece 0."""
        ...

    def expand(self: N, shape: torch.Size) -> N:
        """These, broadcast to a shape."""
        ...

    def windows(self: N, op: Nonlinearity) -> tuple[N, Tensor]:
        """The inputs (pieces, *units) of each window of a nonlinearity, and which of them exist."""
        ...

    def largest(self, exists: Tensor) -> Choice:
        """The first largest of the entries that exist, along the first dimension."""
        ...

    def taken(self: N, piece: Tensor) -> N:
        """Entries by their number along the first dimension."""
        ...

    @property
    def shape(self) -> torch.Size:
        """The shape of the numbers."""
        ...


@dataclass(frozen=True, eq=False)
class Enclosed:
    """Float64 numbers within ``error`` of what they stand for; ∞ or NaN where nothing is known."""

    value: Tensor
    error: Tensor

    @classmethod
    def exact(cls, x: Tensor) -> Enclosed:
        """Numbers that are what they stand for."""
        return cls(x, torch.zeros_like(x))

    def select(self, mask: Tensor, other: Enclosed) -> Enclosed:
        return Enclosed(torch.where(mask, self.value, other.value), torch.where(mask, self.error, other.error))

    def negated(self) -> Enclosed:
        return Enclosed(-self.value, self.error)

    def times(self, factor: Tensor) -> Enclosed:
        value = self.value * factor
        error = self.error * factor.abs() * SLACK + 2 * UNIT_ROUNDOFF * value.abs() + UNDERFLOW
        zero = ((self.value == 0) & (self.error == 0)) | (factor == 0)
        return Enclosed(value, torch.where(zero, 0.0, error))

    def constant(self, value: Tensor | float) -> Enclosed:
        given = torch.as_tensor(value, dtype=torch.float64, device=self.value.device)
        return Enclosed.exact(given.expand(self.value.shape))

    def above(self, other: Enclosed) -> Choice:
        piece, proven, equal = _compared(self, other)
        return Choice(piece, proven, torch.stack([~piece, piece | equal]))

    @property
    def shape(self) -> torch.Size:
        return self.value.shape

    def expand(self, shape: torch.Size) -> Enclosed:
        return Enclosed(self.value.expand(shape), self.error.expand(shape))

    def windows(self, op: Nonlinearity) -> tuple[Enclosed, Tensor]:
        exists = op.windows(torch.zeros_like(self.value), 1.0) == 0
        return Enclosed(op.windows(self.value, -torch.inf), op.windows(self.error, 0.0)), exists

    def largest(self, exists: Tensor) -> Choice:
        top = self.value.amax(0)
        piece = _first(self.value == top)
        best = self.taken(piece)
        larger, proven, equal = _compared(Enclosed(best.value.expand(self.value.shape), best.error), self)
        itself = torch.zeros_like(exists).scatter_(0, piece.unsqueeze(0), True)
        finite = torch.isfinite(top) & torch.isfinite(best.error)
        return Choice(piece, (proven & (larger | equal) | itself | ~exists).all(0) & finite, (equal & exists) | itself)

    def taken(self, piece: Tensor) -> Enclosed:
        return Enclosed(*(z.gather(0, piece.unsqueeze(0)).squeeze(0) for z in (self.value, self.error)))

    @staticmethod
    def affine(part: LinearPart, inputs: Sequence[Enclosed]) -> Enclosed:
        """An affine op on float64, with the bound |J| e + rounding · (2 |J||x| + |y|) and a term for underflow."""
        return Enclosed._with_bound(part, inputs, part.value([z.value for z in inputs]))

    @staticmethod
    def linear(part: LinearPart, inputs: Sequence[Enclosed]) -> Enclosed:
        """The linear part of an affine op, with the bound of :meth:`affine`."""
        return Enclosed._with_bound(part, inputs, part.linear([z.value for z in inputs]))

    @staticmethod
    def _with_bound(part: LinearPart, inputs: Sequence[Enclosed], value: Tensor) -> Enclosed:
        bounds = [z.error + 2 * part.rounding * z.value.abs() if part.rounding else z.error for z in inputs]
        marked = [(z.error != 0) | (z.value != 0) if part.rounding else z.error != 0 for z in inputs]
        spread = part.spread(bounds, marked)
        if part.rounding:
            spread = torch.where(spread > 0, spread + 2 * part.rounding * value.abs(), spread)
        return Enclosed(value, spread)


@dataclass(frozen=True, eq=False)
class Long:
    """Long numbers within ``error`` of what they stand for; ``keep`` is how many limbs are kept of a result."""

    digits: Digits
    error: Tensor
    keep: int

    @classmethod
    def exact(cls, x: Tensor, bits: int, keep: int) -> Long:
        """Float64 numbers, exactly."""
        return cls(Digits.of(x, bits), torch.zeros_like(x), keep)

    @classmethod
    def rounded(cls, digits: Digits, error: Tensor, keep: int) -> Long:
        """Digits without those beyond the ``keep`` highest, for which the error grows."""
        cut, lost = digits.truncated(keep)
        return cls(cut, error + lost, keep)

    def _paired(self, other: Long) -> tuple[Tensor, Tensor, int]:
        (mine, others), low = common_places((self.digits, other.digits))
        return mine, others, low

    def select(self, mask: Tensor, other: Long) -> Long:
        mine, others, low = self._paired(other)
        digits = Digits(torch.where(mask, mine, others), low, self.digits.bits)
        return Long(digits, torch.where(mask, self.error, other.error), self.keep)

    def negated(self) -> Long:
        return Long(-self.digits, self.error, self.keep)

    def times(self, factor: Tensor) -> Long:
        product = self.digits * Digits.of(factor, self.digits.bits)
        error = torch.where((self.error == 0) | (factor == 0), 0.0, self.error * factor.abs() * SLACK + SMALLEST_ERROR)
        return Long.rounded(product, error, self.keep)

    def constant(self, value: Tensor | float) -> Long:
        given = torch.as_tensor(value, dtype=torch.float64, device=self.error.device)
        return Long.exact(given.expand(self.error.shape), self.digits.bits, self.keep)

    def above(self, other: Long) -> Choice:
        difference = self.digits - other.digits
        sign = difference.sign()
        proven = _proven(difference, self.error + other.error)
        return Choice(sign > 0, proven, torch.stack([sign <= 0, sign >= 0]))

    @property
    def shape(self) -> torch.Size:
        return self.error.shape

    def expand(self, shape: torch.Size) -> Long:
        limbs = self.digits.limbs
        return Long(self.digits.with_limbs(_expanded(limbs, shape)), self.error.expand(shape), self.keep)

    def windows(self, op: Nonlinearity) -> tuple[Long, Tensor]:
        exists = op.windows(torch.zeros_like(self.error), 1.0) == 0
        limbs = torch.stack([op.windows(limb, 0.0) for limb in self.digits.limbs])
        inputs = Long(self.digits.with_limbs(limbs), op.windows(self.error, 0.0), self.keep)
        return inputs, exists

    def largest(self, exists: Tensor) -> Choice:
        left = exists.clone()
        for limb in self.digits.limbs.flip(0):
            top = torch.where(left, limb, -(2**62)).amax(0)
            left &= limb == top
        piece = _first(left)
        best = self.taken(piece)
        difference = Digits.carried(best.digits.limbs.unsqueeze(1) - self.digits.limbs, self.digits.low, self.digits.bits)
        proven = _proven(difference, best.error + self.error)
        itself = torch.zeros_like(exists).scatter_(0, piece.unsqueeze(0), True)
        return Choice(piece, (proven | itself | ~exists).all(0), left)

    def taken(self, piece: Tensor) -> Long:
        index = piece.unsqueeze(0)
        limbs = torch.stack([limb.gather(0, index).squeeze(0) for limb in self.digits.limbs])
        return Long(self.digits.with_limbs(limbs), self.error.gather(0, index).squeeze(0), self.keep)

    @staticmethod
    def affine(part: LinearPart, inputs: Sequence[Long]) -> Long:
        """An affine op on digits, exactly but for the limbs that are not kept."""
        errors = [z.error for z in inputs]
        return Long.rounded(
            part.digits([z.digits for z in inputs]), part.spread(errors, [e != 0 for e in errors]), inputs[0].keep
        )


def _compared(a: Enclosed, b: Enclosed) -> tuple[Tensor, Tensor, Tensor]:
    """a > b; whether that is proven; and whether a = b exactly."""
    exact = (a.error == 0) & (b.error == 0)
    difference = a.value - b.value
    error = (a.error + b.error) * SLACK + 2 * UNIT_ROUNDOFF * difference.abs() + UNDERFLOW
    finite = torch.isfinite(a.value) & torch.isfinite(b.value)
    return a.value > b.value, finite & (exact | (difference.abs() > error)), exact & (a.value == b.value)


def _proven(difference: Digits, error: Tensor) -> Tensor:
    """Whether the sign of each difference is proven: it is exact, or larger than its error."""
    return (error == 0) | (difference.to_float().abs() * (1 - 2.0**-40) > error * SLACK)


def _first(marked: Tensor) -> Tensor:
    """The number of the first marked entry along the first dimension."""
    positions = torch.arange(len(marked), device=marked.device).reshape(-1, *(1,) * (marked.ndim - 1))
    return torch.where(marked, positions, len(marked)).amin(0).clamp(max=len(marked) - 1)


def _expanded(limbs: Tensor, shape: torch.Size) -> Tensor:
    """Limbs (L, *any) of numbers that are broadcast to a shape."""
    return limbs.reshape(len(limbs), *(1,) * (len(shape) - limbs.ndim + 1), *limbs.shape[1:]).expand(len(limbs), *shape)
