"""A network in exact arithmetic: its nodes as integers over powers of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.dyadic import decode
from tropica.network.graph import AffineNode, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Abs, ClampMin, LeakyRelu, Maximum, PRelu, Relu

MAX_ENTRIES = 2_000_000
"""Largest number of entries in the matrix of one op."""
WORD = 2**62
"""Bound on the integer products computed in int64."""


@dataclass(frozen=True, eq=False)
class IntegerMatrix:
    """The matrix ``top`` / 2^shift (out, in), which multiplies stacks of vectors."""

    top: np.ndarray
    shift: int

    @cached_property
    def _single(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Column and value of the nonzero entry of each row; None where a row has several nonzero entries."""
        filled = self.top != 0
        if not self.top.size or bool((filled.sum(1) > 1).any()):
            return None
        column = filled.argmax(1)
        return column, self.top[np.arange(len(column)), column]

    @cached_property
    def _max_abs(self) -> int:
        return max_abs(self.top)

    @cached_property
    def absolute(self) -> IntegerMatrix:
        """The matrix of absolute values."""
        return IntegerMatrix(np.abs(self.top), self.shift)

    def __matmul__(self, stack: np.ndarray) -> np.ndarray:
        """(G, in, k) to (G, out, k), exact."""
        if self._single is not None:
            column, entry = self._single
            return _without_overflow(stack[:, column], self._max_abs) * entry[:, None]
        left, right = self.top, _without_overflow(stack, self._max_abs * stack.shape[1])
        if right.dtype == object:
            left = left.astype(object)
        groups, rows, width = stack.shape
        flat = np.dot(left, right.transpose(1, 0, 2).reshape(rows, groups * width))
        return flat.reshape(len(left), groups, width).transpose(1, 0, 2)


def max_abs(top: np.ndarray) -> int:
    """The largest absolute value; 0 for an empty array."""
    return max(abs(int(top.min())), abs(int(top.max()))) if top.size else 0


def _without_overflow(stack: np.ndarray, factor: int) -> np.ndarray:
    """The stack as Python integers where a product with ``factor`` could overflow, else unchanged."""
    return stack.astype(object) if stack.dtype != object and factor * max_abs(stack) >= WORD else stack


@dataclass(frozen=True, eq=False)
class ExactAffine:
    """x ↦ Σ_i J_i x_i + c in integers: a matrix for each input, and c over 2^shift."""

    matrices: tuple[IntegerMatrix, ...]
    offset: np.ndarray
    shift: int


@dataclass(frozen=True, eq=False)
class ExactLeakyRelu:
    """max(z, αz) at every unit: α as integers over 2^shift. ReLU is α = 0."""

    slope: np.ndarray
    shift: int


@dataclass(frozen=True, eq=False)
class ExactClampMin:
    """max(z, c) at every unit: c as integers over 2^shift."""

    level: np.ndarray
    shift: int


@dataclass(frozen=True)
class ExactAbs:
    """|z| at every unit."""


@dataclass(frozen=True)
class ExactMaximum:
    """max(a, b) of two inputs."""


@dataclass(frozen=True, eq=False)
class ExactWindowMaximum:
    """The maximum over a window of the input: ``members`` (units, m), the positions in each window, padded with −1."""

    members: np.ndarray


ExactNonlinearity: TypeAlias = ExactLeakyRelu | ExactClampMin | ExactAbs | ExactMaximum | ExactWindowMaximum


@dataclass(frozen=True, eq=False)
class ExactNetwork:
    """A network with its ops in exact integer arithmetic.

    Attributes:
        net: the network in float64 on the CPU; its weights are read as exact rationals.
        ops: the exact op of each node, by name.
    """

    net: PiecewiseLinearNetwork
    ops: Mapping[str, ExactAffine | ExactNonlinearity]

    @property
    def variables(self) -> int:
        """The number of inputs d."""
        return torch.Size(self.net.input_shape).numel()


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def exact_network(net: PiecewiseLinearNetwork) -> ExactNetwork:
    """The nodes of a network as integers over powers of two.

    Raises:
        InputError: an op whose matrix has more than two million entries.
    """
    net = net.to(torch.float64).to("cpu")
    zeros = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in net.shapes.items()}
    ops: dict[str, ExactAffine | ExactNonlinearity] = {}
    for node in net.graph.nodes:
        inputs = [zeros[name] for name in node.inputs]
        if isinstance(node, AffineNode):
            ops[node.name] = _exact_affine(node, inputs, net.constants)
        elif isinstance(node, NonlinearityNode):
            ops[node.name] = _exact_nonlinearity(node, inputs, net.constants)
    return ExactNetwork(net, ops)


def _exact_affine(node: AffineNode, zeros: Sequence[Tensor], constants: Mapping[str, Tensor]) -> ExactAffine:
    """An affine op; automatic differentiation gives its weights without rounding."""
    offset = node.apply(zeros, constants)
    out, sizes = offset.numel(), [z.numel() for z in zeros]
    if out * sum(sizes) > MAX_ENTRIES:
        raise InputError(
            f"{node.name} ({node.origin.op or 'an affine op'}) has a matrix of more than {MAX_ENTRIES:,} entries, which is "
            "too large for exact arithmetic; tropical polynomials are meant for small networks"
        )
    with torch.inference_mode(False), torch.enable_grad():
        leaves = [z.clone().requires_grad_() for z in zeros]
        result = node.apply(leaves, constants).flatten()
        rows = [torch.zeros(out, size, dtype=torch.float64) for size in sizes]
        for i in range(out if result.requires_grad else 0):  # of one point: in a batch, the points may stand anywhere
            found = torch.autograd.grad(result[i], leaves, retain_graph=True, allow_unused=True, materialize_grads=True)
            for row, gradient in zip(rows, found, strict=True):
                row[i] = gradient.flatten()
    matrices = [IntegerMatrix(*_integers(row)) for row in rows]
    return ExactAffine(tuple(matrices), *_integers(offset.ravel()))


def _exact_nonlinearity(node: NonlinearityNode, zeros: Sequence[Tensor], constants: Mapping[str, Tensor]) -> ExactNonlinearity:
    """A nonlinearity with its constants."""
    op = node.op
    if isinstance(op, Relu):
        return ExactLeakyRelu(np.zeros(node.units, dtype=np.int64), 0)
    if isinstance(op, LeakyRelu):
        return ExactLeakyRelu(*_integers(torch.full((node.units,), op.slope, dtype=torch.float64)))
    if isinstance(op, PRelu):
        return ExactLeakyRelu(*_integers(-node.apply([zeros[0] - 1], constants).ravel()))
    if isinstance(op, Abs):
        return ExactAbs()
    if isinstance(op, ClampMin):
        return ExactClampMin(*_integers(torch.broadcast_to(node.roles(constants)["level"], zeros[0].shape).ravel()))
    if isinstance(op, Maximum):
        return ExactMaximum()
    return ExactWindowMaximum(_window_members(node, zeros[0]))


def _window_members(node: NonlinearityNode, zeros: Tensor) -> np.ndarray:
    """The positions in each unit's window, padded at the end."""
    positions = torch.arange(zeros.numel(), dtype=torch.float64).reshape(zeros.shape)
    member = node.op.windows(positions, -1.0).flatten(1).T.long().numpy()
    return np.take_along_axis(member, np.argsort(member < 0, axis=1, kind="stable"), 1)


def _integers(numbers: Tensor) -> tuple[np.ndarray, int]:
    """Float64 numbers as integers over 2^shift, and the shift."""
    if not bool(numbers.isfinite().all()):
        raise InputError("the network's weights must be finite numbers")
    return decode(numbers.detach().numpy())
