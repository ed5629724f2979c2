"""Affine ops and nonlinearities in double-double arithmetic, forward and backward, for any graph.

An op is known only as a function of tensors. Inputs, cotangents and weights are cut into slices of few binary digits
(:func:`tropica.exact.double_double.slices`), so that the op's own float64 sums of products of slices are exact. The results are
added in double-double. A convolution stays PyTorch's convolution, and a product PyTorch's product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import torch
from torch import Tensor

from tropica.errors import CertificateError
from tropica.exact.double_double import DoubleDouble, WholeMultiples, slices
from tropica.network.graph import AffineNode, Node, NonlinearityNode
from tropica.network.nonlinearities import ClampMin

MANTISSA = 53
GUARD = 10
"""Binary digits for the slopes of ops without weights: sums, and averages over 2ⁿ ≤ 1,024 numbers."""
MOST_COUNT = 2**12
"""The largest common denominator of the slopes of an op without weights, powers of two aside."""
SUMMED = 4
"""Binary digits for the sum of up to sixteen products of one order of magnitude."""
DRAWS = 4
"""Random inputs that show the denominators of the slopes of an op."""
MOST_VALUES = 256
"""Different values of an op that are looked at for each of them."""
DIGITS = 110
"""Binary digits of a tensor that are kept, relative to its largest entry."""


@dataclass(frozen=True)
class DoubleDoubleAffine:
    """An affine op y = Σ_i J_i x_i + c in double-double arithmetic.

    Attributes:
        node: the node.
        constants: its constants by role, in float64.
        shapes: the shapes of its inputs for one point.
    """

    node: AffineNode
    constants: Mapping[str, Tensor]
    shapes: Sequence[torch.Size]

    def __call__(self, inputs: Sequence[DoubleDouble]) -> DoubleDouble:
        """The value for the inputs."""
        zeros = [torch.zeros_like(x.high) for x in inputs]
        total = DoubleDouble.of(self.node.fn(*zeros, **self.constants))
        weights = self._weights
        if not weights:
            return total
        none = self.node.fn(*zeros, **self._linear, **weights[0])
        if self._copies[0] and len(inputs) == 1:
            return total + DoubleDouble(*(self.node.fn(x, **self._linear) - none for x in inputs[0]))
        for at, x in enumerate(inputs):  # the slices of different inputs have different units, so each input goes alone

            def linear(part: Tensor, weight: Mapping[str, Tensor], at: int = at) -> list[Tensor]:
                alone = [part if i == at else zero for i, zero in enumerate(zeros)]
                return [self.node.fn(*alone, **self._linear, **weight) - none]

            for (part,) in self._products(linear, slices(x, self._bits, DIGITS)):
                total = total + part
        return total

    def pull_back(self, cotangent: DoubleDouble, inputs: Sequence[Tensor]) -> list[DoubleDouble]:
        """The cotangents of the inputs, J_iᵀ g; ``inputs`` gives their shapes."""
        if not self._weights:
            return [DoubleDouble.of(torch.zeros_like(x)) for x in inputs]
        if self._copies[1]:
            high, low = (_vector_jacobian(lambda *z: self.node.fn(*z, **self._linear), inputs, part) for part in cotangent)
            return [DoubleDouble(*pair) for pair in zip(high, low, strict=True)]
        found = [DoubleDouble.of(torch.zeros_like(x)) for x in inputs]

        def pulled(part: Tensor, weight: Mapping[str, Tensor]) -> list[Tensor]:
            return _vector_jacobian(lambda *z: self.node.fn(*z, **self._linear, **weight), inputs, part)

        for parts in self._products(pulled, slices(cotangent, self._bits, DIGITS)):
            found = [total + part for total, part in zip(found, parts, strict=True)]
        return found

    def _products(
        self, product: Callable[[Tensor, Mapping[str, Tensor]], list[Tensor]], parts: Sequence[WholeMultiples]
    ) -> Iterator[list[DoubleDouble]]:
        """The products of slices with slices of the weight: exact sums of those of one order of magnitude, largest first."""
        if not self.node.weighted:
            for one in parts:
                yield [_exact_quotient(found, one, self._count, self.node) for found in product(one.part, {})]
            return
        last = math.ceil(DIGITS / self._bits)
        for order in range(min(len(parts) + len(self._weights) - 1, last + 1)):
            total: list[Tensor] | None = None
            for number in range(max(0, order - len(self._weights) + 1), min(order + 1, len(parts))):
                found = product(parts[number].part, self._weights[order - number])
                total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
            if total is not None:
                yield list(map(DoubleDouble.of, total))

    @cached_property
    def _count(self) -> int:
        """The odd part of the common denominator of the slopes: 9 for averages over 3 × 3 numbers, 1 for sums.

        It is read off the values at random inputs of zeros and ones; 1 if it is large.
        """
        generator, count = torch.Generator().manual_seed(1), 1
        zeros = [torch.zeros(shape, dtype=torch.float64, device=self._device) for shape in self.shapes]
        none = self.node.fn(*zeros, **self._linear)
        for _ in range(DRAWS):
            drawn = [torch.randint(2, z.shape, generator=generator).to(z) for z in zeros]
            for value in (self.node.fn(*drawn, **self._linear) - none).unique().tolist()[:MOST_VALUES]:
                count = math.lcm(count, Fraction(value).limit_denominator(MOST_COUNT << GUARD).denominator)
                if count > MOST_COUNT << GUARD:
                    return 1
        count //= count & -count
        return count if count <= MOST_COUNT else 1

    @cached_property
    def _copies(self) -> tuple[bool, bool]:
        """Is every output a copy of an input, up to sign, and is every input copied at most once? (By random numbers.)"""
        if self.node.weighted:
            return False, False
        generator = torch.Generator().manual_seed(0)
        drawn = [torch.rand(shape, dtype=torch.float64, generator=generator).to(self._device) for shape in self.shapes]
        none = self.node.fn(*map(torch.zeros_like, drawn), **self._linear)
        value, square = (self.node.fn(*some, **self._linear) - none for some in (drawn, [x * x for x in drawn]))
        if not torch.equal(value * value, square.abs()):
            return False, False
        back = _vector_jacobian(lambda *z: self.node.fn(*z, **self._linear), drawn, torch.ones_like(value))
        return True, all(bool((one.abs() <= 1).all()) for one in back)

    @cached_property
    def _linear(self) -> dict[str, Tensor]:
        """The constants without the weight, those that are added set to 0."""
        return {
            role: torch.zeros_like(c) if c.is_floating_point() else c for role, c in self.constants.items() if role != "weight"
        }

    @cached_property
    def _weights(self) -> list[dict[str, Tensor]]:
        """The weight in slices, each as an argument; one empty argument if there is no weight."""
        if not self.node.weighted:
            return [{}]
        return [{"weight": one.part} for one in slices(DoubleDouble.of(self.constants["weight"]), self._bits, DIGITS)]

    @cached_property
    def _bits(self) -> int:
        """The binary digits of a slice for which all sums are exact."""
        mask = {"weight": (self.constants["weight"] != 0).double()} if self.node.weighted else {}
        zeros = [torch.zeros(shape, dtype=torch.float64, device=self._device) for shape in self.shapes]
        none, most = self.node.fn(*zeros, **self._linear, **mask), 1.0
        for at, zero in enumerate(zeros):
            ones = [torch.ones_like(zero) if i == at else other for i, other in enumerate(zeros)]
            forward = self.node.fn(*ones, **self._linear, **mask) - none
            most = max(most, float(forward.abs().max()) if forward.numel() else 0.0)
        back = _vector_jacobian(lambda *z: self.node.fn(*z, **self._linear, **mask), zeros, torch.ones_like(none))
        most = max(most, *(float(one.abs().max()) if one.numel() else 0.0 for one in back))
        room = MANTISSA - 1 - SUMMED - math.ceil(math.log2(most))
        if self.node.weighted:
            return max(1, room // 2)
        return max(1, room - GUARD - (0 if self._count == 1 else math.ceil(math.log2(self._count)) + GUARD))

    @cached_property
    def _device(self) -> torch.device:
        return next(iter(self.constants.values())).device if self.constants else torch.device("cpu")


@dataclass(frozen=True)
class DoubleDoubleNonlinearity:
    """A nonlinearity at a batch of points: its value, and its linear piece at each unit, chosen by PyTorch's own slopes.

    The piece is chosen by the inputs rounded to float64.
    """

    node: NonlinearityNode
    roles: Mapping[str, Tensor]
    inputs: Sequence[DoubleDouble]

    @cached_property
    def _slope(self) -> Tensor | None:
        """The slope of each unit; None for an op of several inputs, or of windows."""
        if len(self.inputs) > 1 or not self.node.op.elementwise:
            return None
        z, roles = self._shifted
        (slope,) = _vector_jacobian(lambda one: self.node.op(one, **roles), [z.high], torch.ones_like(z.high))
        return slope

    @cached_property
    def _shifted(self) -> tuple[DoubleDouble, Mapping[str, Tensor]]:
        """The input, and the constants; max(z, c) as max(z − c, 0) + c, whose slope depends on a sign."""
        (z,) = self.inputs
        if not isinstance(self.node.op, ClampMin):
            return z, self.roles
        level = torch.broadcast_to(self.roles["level"], z.high.shape)
        return z.plus(-level), {"level": torch.zeros_like(level)}

    @property
    def value(self) -> DoubleDouble:
        """The outputs."""
        if self._slope is not None:
            z, _ = self._shifted
            scaled = z.times(self._slope)
            return scaled.plus(self.roles["level"].expand_as(scaled.high)) if isinstance(self.node.op, ClampMin) else scaled
        high = [z.high for z in self.inputs]
        return DoubleDouble(self.node.op(*high, **self.roles), _jacobian_vector(self._op, high, [z.low for z in self.inputs]))

    def pull_back(self, cotangent: DoubleDouble) -> list[DoubleDouble]:
        """The cotangents of the inputs."""
        if self._slope is not None:
            return [cotangent.times(self._slope)]
        high = [z.high for z in self.inputs]
        found = [DoubleDouble.of(torch.zeros_like(z)) for z in high]
        for one in slices(cotangent, MANTISSA - 2 * GUARD, DIGITS):
            pulled = _vector_jacobian(self._op, high, one.part)
            for part in pulled:
                _check_exact(part, one, self.node)
            found = [total.plus(part) for total, part in zip(found, pulled, strict=True)]
        return found

    def _op(self, *inputs: Tensor) -> Tensor:
        return self.node.op(*inputs, **self.roles)


def _vector_jacobian(function: Callable[..., Tensor], at: Sequence[Tensor], cotangent: Tensor) -> list[Tensor]:
    """Jᵀ g of a function of tensors."""
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_() for x in at]
        out = function(*leaves)
        if not out.requires_grad:
            return [torch.zeros_like(x) for x in at]
        return list(torch.autograd.grad(out, leaves, cotangent, allow_unused=True, materialize_grads=True))


def _jacobian_vector(function: Callable[..., Tensor], at: Sequence[Tensor], direction: Sequence[Tensor]) -> Tensor:
    """J v of a function of tensors: the derivative of Jᵀ g in g."""
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_() for x in at]
        out = function(*leaves)
        cotangent = torch.zeros_like(out).requires_grad_()
        pulled = torch.autograd.grad(out, leaves, cotangent, create_graph=True)
        return torch.autograd.grad(pulled, cotangent, list(direction))[0]


def _exact_quotient(result: Tensor, source: WholeMultiples, count: int, node: Node) -> DoubleDouble:
    """The exact product of a slice with slopes whose denominators are ``count`` times a power of two, from the rounded one.

    ``count`` times the product is a whole multiple of the slice's unit over 2^GUARD, of so few digits that rounding cannot hide
    which one it is.

    Raises CertificateError if the slopes are no such numbers.
    """
    if count == 1:
        _check_exact(result, source, node)
        return DoubleDouble.of(result)
    scaled = torch.ldexp(result * count, torch.tensor(GUARD - source.exponent, device=result.device))
    whole = scaled.round()
    if not bool(((scaled - whole).abs() < 2.0**-4).all()):
        raise _no_fractions(node)
    return DoubleDouble.of(torch.ldexp(whole, torch.tensor(source.exponent - GUARD, device=result.device))).divide(count)


def _check_exact(result: Tensor, source: WholeMultiples, node: Node) -> None:
    """Raise CertificateError if sums of a slice's entries with slopes of few binary digits do not explain the result."""
    scaled = torch.ldexp(result, torch.tensor(GUARD - source.exponent, device=result.device))
    if not torch.equal(scaled, scaled.round()):
        raise _no_fractions(node)


def _no_fractions(node: Node) -> CertificateError:
    where = f" in module {node.origin.path!r}" if node.origin.path else ""
    return CertificateError(
        f"{node.origin.op or node.name}{where} cannot be computed in double-double arithmetic: its slopes are no fractions "
        f"with a common denominator up to {MOST_COUNT:,}, powers of two aside"
    )
