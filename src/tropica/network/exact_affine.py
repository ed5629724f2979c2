"""Affine ops on rational vectors, exactly: a convolution stays a convolution.

An op with a weight is linear in it. Weights and vectors are cut into limbs of few binary digits, so that PyTorch's own op
computes the product of two limbs in float64 without rounding; the products are put together in integers. An op without a weight
mostly moves entries around (reshaping, padding, sums of two inputs): then it is kept as indices and signs. Any other op
(averages) is kept as the sparse matrix of its float64 Jacobian.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, compact, largest, rationals
from tropica.network.graph import AffineNode

EXACT_BITS = 52
"""Integers of at most this many binary digits are added in float64 without rounding."""
MOST_ENTRIES = 1 << 26
"""Entries of a Jacobian that is computed row by row."""
_ROWS = 1 << 22
"""Entries of a Jacobian computed at once."""

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True, eq=False)
class Moved:
    """For each output the index of the one input entry it copies (−1: none) and its sign."""

    index: np.ndarray
    sign: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(B, in) integers to (B, out)."""
        return np.where(self.index >= 0, values[:, self.index], 0) * self.sign


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A sparse integer matrix by rows: where each starts, columns, entries."""

    starts: np.ndarray
    columns: np.ndarray
    entries: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(B, in) integers to (B, out)."""
        out = np.zeros((len(values), len(self.starts) - 1), dtype=object)
        filled = np.flatnonzero(np.diff(self.starts) > 0)
        if len(filled):
            products = values[:, self.columns].astype(object) * self.entries
            out[:, filled] = np.add.reduceat(products, self.starts[filled], axis=1)
        return out


@dataclass(frozen=True, eq=False)
class ExactOp:
    """An affine op in exact arithmetic.

    Attributes:
        node: the op.
        shapes: of each input, for a batch of one point.
        constants: float64 tensors by role.
        offset: (out,) the value at 0.
        parts: for an op without a weight, what it does with each input; None for an op with a weight.
        scale: the denominator of the parts' entries.
        axes: the dimension of each input, then of the output, that counts the points of a batch; None: there is none that
            counts nothing else, and the op is applied to each point by itself.
    """

    node: AffineNode
    shapes: tuple[tuple[int, ...], ...]
    constants: Mapping[str, Tensor]
    offset: RationalArray
    parts: tuple[Moved | SparseRows, ...] | None
    scale: int = 1
    axes: tuple[int, ...] | None = None

    @property
    def moves(self) -> bool:
        """Whether each output copies one entry of one input, up to its sign."""
        if self.parts is None or not all(isinstance(part, Moved) for part in self.parts):
            return False
        used = np.sum([part.index >= 0 for part in self.parts if isinstance(part, Moved)], axis=0)
        return bool((used <= 1).all())

    @property
    def keeps_signs(self) -> bool:
        """Whether each output is an entry of the input or a constant ≥ 0: then relu and leaky relu commute with the op."""
        if not self.moves or self.parts is None or len(self.parts) != 1:
            return False
        part = self.parts[0]
        assert isinstance(part, Moved)
        offset = self.offset.numerators
        return bool(((part.sign >= 0) & (offset >= 0) & ((part.index < 0) | (offset == 0))).all())

    def __call__(self, values: Sequence[RationalArray], linear: bool = False) -> RationalArray:
        """(B, in) for each input to (B, out). ``linear`` leaves out the value at 0."""
        denominator = math.lcm(*(v.denominator for v in values))
        integers = [v.numerators_over(denominator) for v in values]
        product = _weighted(self, integers) if self.parts is None else RationalArray(_added(self.parts, integers), self.scale)
        total = RationalArray(product.numerators, product.denominator * denominator).reduced()
        return total if linear else _plus(total, self.offset)


def exact_op(node: AffineNode, shapes: Shapes, constants: Mapping[str, Tensor], axes: tuple[int, ...] | None = None) -> ExactOp:
    """Read an op of a graph in float64.

    Args:
        node: the op.
        shapes: by name, for a batch of one point.
        constants: of the graph.
        axes: as :attr:`ExactOp.axes`.

    Raises:
        InputError: an op without a weight that is no copy, with more than 2²⁶ entries in its Jacobian.
    """
    roles = node.roles(constants)
    own = tuple(tuple(shapes[name]) for name in node.inputs)
    zeros = [torch.zeros(*shape, dtype=torch.float64) for shape in own]
    offset = rationals(node.fn(*zeros, **roles).flatten().numpy().copy())
    if node.weighted and not bool(node.fn(*zeros, **_only_weight(roles)).any()):
        return ExactOp(node, own, roles, offset, None, axes=axes)
    silent = {role: torch.zeros_like(c) if role != "weight" and c.is_floating_point() else c for role, c in roles.items()}
    found = [_moved(node, silent, zeros, i) for i in range(len(zeros))]
    if all(part is not None for part in found):
        return ExactOp(node, own, roles, offset, tuple(part for part in found if part is not None), axes=axes)
    parts, scale = _jacobian(node, roles, zeros, together=axes is not None and not any(axes))
    return ExactOp(node, own, roles, offset, parts, scale, axes)


def _plus(a: RationalArray, b: RationalArray) -> RationalArray:
    denominator = math.lcm(a.denominator, b.denominator)
    top = a.numerators_over(denominator).astype(object) + b.numerators_over(denominator).astype(object)
    return RationalArray(compact(top), denominator).reduced()


# ── ops with a weight ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _only_weight(roles: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {role: c if role == "weight" else torch.zeros_like(c) for role, c in roles.items()}


def _weighted(op: ExactOp, values: Sequence[np.ndarray]) -> RationalArray:
    """Σ over limbs of the op on limbs; no sum of products rounds."""
    weight = op.constants["weight"]
    exact = rationals(weight.flatten().numpy())
    terms = sum(math.prod(shape) for shape in op.shapes)
    bits = (EXACT_BITS - terms.bit_length()) // 2
    weights, inputs = _limbs(exact.numerators, bits), [_limbs(v, bits) for v in values]
    count, batch = max(len(x) for x in inputs), len(values[0])
    total: np.ndarray | None = None
    for j, w in weights.items():
        tensor = torch.from_numpy(w).reshape(weight.shape)
        roles = {role: tensor if role == "weight" else c for role, c in _only_weight(op.constants).items()}
        for k in sorted({k for x in inputs for k in x}):
            given = [torch.from_numpy(x[k] if k in x else np.zeros(v.shape)) for x, v in zip(inputs, values, strict=True)]
            product = _applied(op, given, roles).reshape(batch, -1).numpy().astype(np.int64)
            shifted = product if j + k == 0 and count == len(weights) == 1 else product.astype(object) << (bits * (j + k))
            total = shifted if total is None else total + shifted
    if total is None:
        total = np.zeros((batch, op.offset.numerators.size), np.int64)
    return RationalArray(compact(total), exact.denominator)


def _limbs(integers: np.ndarray, bits: int) -> dict[int, np.ndarray]:
    """Integers Σ_k limb_k 2^(bits·k): the limbs that are not all 0, as float64, by k."""
    if integers.dtype != object and largest(integers) < 1 << bits:
        return {0: integers.astype(np.float64)} if integers.any() else {}
    left, sign = np.abs(integers), np.sign(integers).astype(np.float64)
    if integers.dtype != object:
        left = left.astype(np.uint64)  # the least int64 is its own absolute value: as uint64 it is 2⁶³
    found = {}
    for k in range(-(-largest(left).bit_length() // bits)):
        shift, low = (np.uint64(bits * k), np.uint64((1 << bits) - 1)) if left.dtype != object else (bits * k, (1 << bits) - 1)
        limb = ((left >> shift) & low).astype(np.float64)
        if limb.any():
            found[k] = limb * sign
    return found


def _applied(op: ExactOp, given: Sequence[Tensor], roles: Mapping[str, Tensor]) -> Tensor:
    """The op at rows (B, in) of each input: (B, …)."""
    values = [x.reshape(len(x), *shape) for x, shape in zip(given, op.shapes, strict=True)]
    if op.axes is None:
        return torch.stack([op.node.fn(*point, **roles) for point in zip(*values, strict=True)])
    batches = [x.movedim(0, axis).squeeze(axis + 1) for x, axis in zip(values, op.axes, strict=False)]
    return op.node.fn(*batches, **roles).movedim(op.axes[-1], 0)


# ── ops without ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _added(parts: Sequence[Moved | SparseRows], values: Sequence[np.ndarray]) -> np.ndarray:
    products = [part.apply(v) for part, v in zip(parts, values, strict=True)]
    return compact(products[0] if len(products) == 1 else np.sum([p.astype(object) for p in products], axis=0))


def _moved(node: AffineNode, roles: Mapping[str, Tensor], zeros: Sequence[Tensor], i: int) -> Moved | None:
    """What an op does with one input if it copies entries: found with the vector 1, 2, 3, …, confirmed with random ones."""
    n = zeros[i].numel()
    base = node.fn(*zeros, **roles).flatten()

    def at(values: np.ndarray) -> np.ndarray:
        given = [torch.from_numpy(values).reshape(z.shape) if k == i else z for k, z in enumerate(zeros)]
        return (node.fn(*given, **roles).flatten() - base).numpy()

    marked = at(np.arange(1.0, n + 1))
    index = np.rint(np.abs(marked)).astype(np.int64) - 1
    if bool((index >= n).any()):
        return None
    sign = np.sign(np.rint(marked)).astype(np.int64)
    random = np.random.default_rng(n)
    for _ in range(2):
        values = random.integers(1, 1 << 40, n).astype(np.float64)
        if not np.allclose(at(values), np.where(index >= 0, values[index], 0) * sign, rtol=1e-12, atol=1e-3):
            return None
    return Moved(index, sign)


def _jacobian(
    node: AffineNode, roles: Mapping[str, Tensor], zeros: Sequence[Tensor], *, together: bool
) -> tuple[tuple[SparseRows, ...], int]:
    """The float64 Jacobian for each input as sparse rows, and the common denominator of all entries.

    ``together``: points of one batch give several rows at once.
    """
    sizes = [z.numel() for z in zeros]
    out = node.fn(*zeros, **roles).numel()
    if out * sum(sizes) > MOST_ENTRIES:
        raise InputError(f"{node.name} ({node.origin.op or 'an affine op'}) is too large for exact arithmetic")
    step = max(1, _ROWS // max(1, sum(sizes))) if together else 1
    blocks: list[list[np.ndarray]] = [[] for _ in zeros]
    with torch.inference_mode(False), torch.enable_grad():
        for start in range(0, out, step):
            rows = range(start, min(start + step, out))
            leaves = [z.repeat(len(rows), *(1,) * (z.ndim - 1)).requires_grad_() for z in zeros]
            result = node.fn(*leaves, **roles).reshape(len(rows), out)
            seeds = torch.zeros(len(rows), out, dtype=torch.float64)
            seeds[torch.arange(len(rows)), torch.tensor(rows)] = 1
            grads = torch.autograd.grad(result, leaves, seeds, allow_unused=True, materialize_grads=True)
            for block, grad in zip(blocks, grads, strict=True):
                block.append(grad.reshape(len(rows), -1).numpy())
    dense = [np.concatenate(block) for block in blocks]
    exact = rationals(np.concatenate([m[m != 0] for m in dense]))
    found, first = [], 0
    for m in dense:
        row, column = np.nonzero(m)
        starts = np.append(0, np.cumsum(np.bincount(row, minlength=out)))
        found.append(SparseRows(starts, column, exact.numerators[first : first + len(row)]))
        first += len(row)
    return tuple(found), exact.denominator
