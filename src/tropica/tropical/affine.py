"""A network's nodes as exact integer matrices: float64 weights are integers over powers of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.dyadic import decode
from tropica.exact.rational_arrays import exact_array
from tropica.network.check import evaluate
from tropica.network.graph import Affine, Nonlinearity
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Abs, Floor, LeakyRelu, Maximum, PRelu, Relu

LARGEST = 2_000_000
"""Entries of the matrix of one op."""
WIDE = 2**62
"""No product of integers in int64 may come near this."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """An integer matrix (out, in) over 2^shift that multiplies stacks of vectors."""

    top: np.ndarray
    shift: int

    @cached_property
    def _single(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Column and entry of each row where no row has more than one entry (a choice, a permutation)."""
        filled = self.top != 0
        if not self.top.size or bool((filled.sum(1) > 1).any()):
            return None
        column = filled.argmax(1)
        return column, self.top[np.arange(len(column)), column]

    @cached_property
    def _size(self) -> int:
        return largest(self.top)

    @cached_property
    def absolute(self) -> Matrix:
        """The matrix of absolute values."""
        return Matrix(np.abs(self.top), self.shift)

    def __matmul__(self, stack: np.ndarray) -> np.ndarray:
        """(G, in, k) to (G, out, k), exact."""
        if self._single is not None:
            column, entry = self._single
            return _wide(stack[:, column], self._size) * entry[:, None]
        left, right = self.top, _wide(stack, self._size * stack.shape[1])
        if right.dtype == object:
            left = left.astype(object)
        groups, rows, width = stack.shape
        flat = np.dot(left, right.transpose(1, 0, 2).reshape(rows, groups * width))
        return flat.reshape(len(left), groups, width).transpose(1, 0, 2)


def largest(top: np.ndarray) -> int:
    """The largest absolute value."""
    return max(abs(int(top.min())), abs(int(top.max()))) if top.size else 0


def _wide(stack: np.ndarray, factor: int) -> np.ndarray:
    """As Python integers where a product by up to ``factor`` could overflow."""
    return stack.astype(object) if stack.dtype != object and factor * largest(stack) >= WIDE else stack


@dataclass(frozen=True, eq=False)
class ExactAffine:
    """x ↦ Σ_i J_i x_i + c in integers: a matrix an input, and c over 2^shift."""

    matrices: tuple[Matrix, ...]
    offset: np.ndarray
    shift: int


@dataclass(frozen=True, eq=False)
class Leaky:
    """max(z, αz) at every unit: α as integers over 2^shift. ReLU is α = 0."""

    slope: np.ndarray
    shift: int


@dataclass(frozen=True, eq=False)
class Level:
    """max(z, c) at every unit: c as integers over 2^shift."""

    level: np.ndarray
    shift: int


@dataclass(frozen=True, eq=False)
class Size:
    """|z| at every unit."""


@dataclass(frozen=True, eq=False)
class Larger:
    """max(a, b) of two inputs."""


@dataclass(frozen=True, eq=False)
class Largest:
    """The largest of some entries of the input: ``places`` (units, m), padded with −1."""

    places: np.ndarray


ExactNonlinearity: TypeAlias = Leaky | Level | Size | Larger | Largest


@dataclass(eq=False)
class ExactNetwork:
    """A network, node by node in exact arithmetic.

    Args:
        net: a traced network; its weights are taken as float64 has them.
    """

    net: PiecewiseLinearNetwork
    _known: dict[str, ExactAffine | ExactNonlinearity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.net = self.net.to(torch.float64).to("cpu")

    @property
    def inputs(self) -> int:
        """d."""
        return torch.Size(self.net.input_shape).numel()

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of one point of every value."""
        example = torch.zeros(1, *self.net.input_shape, dtype=torch.float64)
        return {name: tuple(v.shape[1:]) for name, v in evaluate(self.net.graph, self.net.constants, example).items()}

    def affine(self, node: Affine) -> ExactAffine:
        """An affine node as matrices."""
        if node.name not in self._known:
            self._known[node.name] = self._affine(node)
        found = self._known[node.name]
        assert isinstance(found, ExactAffine)
        return found

    def nonlinearity(self, node: Nonlinearity) -> ExactNonlinearity:
        """A nonlinearity with its constants."""
        if node.name not in self._known:
            self._known[node.name] = self._nonlinearity(node)
        found = self._known[node.name]
        assert not isinstance(found, ExactAffine)
        return found

    def _zeros(self, name: str, points: int = 1) -> Tensor:
        return torch.zeros(points, *self.shapes[name], dtype=torch.float64)

    def _affine(self, node: Affine) -> ExactAffine:
        """By automatic differentiation, which gives the weights themselves, without rounding."""
        constants = self.net.constants
        offset = node.apply([self._zeros(name) for name in node.inputs], constants)
        out = offset.numel()
        if out * sum(self._zeros(name).numel() for name in node.inputs) > LARGEST:
            raise InputError(
                f"{node.name} ({node.origin.op or 'an affine op'}) has a matrix of more than {LARGEST:,} entries, which is "
                "too large for exact arithmetic; a network's tropical form is meant for small ones"
            )
        leaves = [self._zeros(name, out).requires_grad_() for name in node.inputs]
        with torch.inference_mode(False), torch.enable_grad():
            result = node.apply(leaves, constants)
            seeds = torch.eye(out, dtype=torch.float64).reshape(result.shape)
            rows = (
                torch.autograd.grad(result, leaves, seeds, allow_unused=True, materialize_grads=True)
                if result.requires_grad
                else [torch.zeros_like(leaf) for leaf in leaves]
            )
        c, shift = _dyadic(offset.detach().numpy().ravel())
        sizes = [self._zeros(name).numel() for name in node.inputs]
        dense = [row.reshape(out, size).numpy() for row, size in zip(rows, sizes, strict=True)]
        return ExactAffine(tuple(Matrix(*_dyadic(matrix)) for matrix in dense), c, shift)

    def _nonlinearity(self, node: Nonlinearity) -> ExactNonlinearity:
        kind, constants = node.kind, self.net.constants
        if isinstance(kind, Relu):
            return Leaky(np.zeros(node.units, dtype=np.int64), 0)
        if isinstance(kind, LeakyRelu):
            return Leaky(*_dyadic(np.full(node.units, kind.slope)))
        if isinstance(kind, PRelu):
            return Leaky(*_dyadic(-node.apply([self._zeros(node.inputs[0]) - 1], constants).detach().numpy().ravel()))
        if isinstance(kind, Abs):
            return Size()
        if isinstance(kind, Floor):
            level = torch.broadcast_to(node.roles(constants)["level"], (1, *self.shapes[node.inputs[0]]))
            return Level(*_dyadic(level.numpy().ravel()))
        if isinstance(kind, Maximum):
            return Larger()
        return Largest(self._places(node))

    def _places(self, node: Nonlinearity) -> np.ndarray:
        """Which entries each unit of a pool takes the largest of, found with one-hot inputs."""
        size = self._zeros(node.inputs[0]).numel()
        one_hot = torch.eye(size, dtype=torch.float64).reshape(size, *self.shapes[node.inputs[0]])
        member = (node.kind(one_hot).reshape(size, -1) > 0.5).T.numpy()  # (units, size)
        width = int(member.sum(1).max(initial=1))
        order = np.argsort(~member, axis=1, kind="stable")[:, :width]
        return np.where(np.take_along_axis(member, order, 1), order, -1)


def _dyadic(array: np.ndarray) -> tuple[np.ndarray, int]:
    return decode(exact_array(array, "the network's weights", array.ndim))
