"""Affine ops and nonlinearities in double-double arithmetic, forward and backward, for any graph.

An op is known only as a function of tensors. Inputs, cotangents and weights are cut into slices of few binary digits
(:func:`tropica.exact.double_double.slices`), so that the op's own float64 sums of products of slices are exact. The results are
added in double-double. A convolution stays PyTorch's convolution, and a product PyTorch's product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tropica.errors import CertificateError
from tropica.exact.double_double import DoubleDouble, slices
from tropica.network.graph import AffineNode, Node, NonlinearityNode
from tropica.network.nonlinearities import ClampMin

MANTISSA = 53
GUARD = 10
"""Binary digits for the slopes of ops without weights: sums, and averages over 2ⁿ ≤ 1,024 numbers."""
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
        cut = [slices(x, self._bits, DIGITS) for x in inputs]
        for number in range(max(map(len, cut), default=0)):
            # The slices of different inputs have different units, so each input goes alone.
            for at, parts in enumerate(cut):
                if number < len(parts):
                    alone = [parts[number] if i == at else zero for i, zero in enumerate(zeros)]
                    for weight in self._some(weights, number):
                        part = self.node.fn(*alone, **self._linear, **weight) - none
                        total = total.plus(self._checked(part, parts[number]))
        return total

    def pull_back(self, cotangent: DoubleDouble, inputs: Sequence[Tensor]) -> list[DoubleDouble]:
        """The cotangents of the inputs, J_iᵀ g; ``inputs`` gives their shapes."""
        found = [DoubleDouble.of(torch.zeros_like(x)) for x in inputs]
        parts = slices(cotangent, self._bits, DIGITS)
        for number, part in enumerate(parts):
            for weight in self._some(self._weights, number):
                pulled = _vector_jacobian(lambda *z, w=weight: self.node.fn(*z, **self._linear, **w), inputs, part)
                found = [total.plus(self._checked(one, part)) for total, one in zip(found, pulled, strict=True)]
        return found

    def _some(self, weights: Sequence[Mapping[str, Tensor]], number: int) -> Sequence[Mapping[str, Tensor]]:
        """The slices of the weight whose product with this slice of the input counts."""
        return weights[: max(1, math.ceil(DIGITS / self._bits) + 1 - number)]

    def _checked(self, part: Tensor, source: Tensor) -> Tensor:
        if not self.node.weighted:
            _check_exact(part, source, self.node)
        return part

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
        return [{"weight": part} for part in slices(DoubleDouble.of(self.constants["weight"]), self._bits, DIGITS)]

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
        room = MANTISSA - 1 - math.ceil(math.log2(most))
        return max(1, room // 2) if self.node.weighted else max(1, room - GUARD)

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
        for part in slices(cotangent, MANTISSA - 2 * GUARD, DIGITS):
            pulled = _vector_jacobian(self._op, high, part)
            for one in pulled:
                _check_exact(one, part, self.node)
            found = [total.plus(one) for total, one in zip(found, pulled, strict=True)]
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


def _check_exact(result: Tensor, source: Tensor, node: Node) -> None:
    """Raise CertificateError if sums of a slice's entries with slopes of few binary digits do not explain the result."""
    nonzero = source[source != 0]
    if not nonzero.numel():
        return
    mantissa, exponent = nonzero.frexp()
    whole = (mantissa * 2.0**MANTISSA).long()
    lowest = (whole & -whole).double().log2() - MANTISSA + exponent
    scaled = torch.ldexp(result, GUARD - lowest.min())
    if not bool((scaled == scaled.round()).all()):
        where = f" in module {node.origin.path!r}" if node.origin.path else ""
        raise CertificateError(
            f"{node.origin.op or node.name}{where} cannot be computed in double-double arithmetic: its slopes are no short "
            "binary fractions (an average over 3 × 3 or 7 × 7 numbers, say)"
        )
