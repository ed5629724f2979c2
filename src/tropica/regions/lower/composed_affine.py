"""The affine ops between nonlinearities, composed into one affine map."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.network.exact_affine import ExactOp, exact_op
from tropica.network.graph import INPUT, AffineNode, Graph, Node
from tropica.regions.lower.exact_rows import ExactRows

SOURCE_INPUT = -1
"""The number of the network's input among the sources of an affine map; others are stages."""
MOST_EXACT_ENTRIES = 1 << 22
"""Entries of a matrix that is multiplied out exactly."""
MOST_BYTES = 1 << 32
"""Bytes of a matrix that is made at all."""


@dataclass(frozen=True, eq=False)
class AffineGraph:
    """A graph in float64, and its affine ops in exact arithmetic, read once.

    Attributes:
        graph: its nodes.
        constants: by name.
        shapes: of the values for one point.
        axes: the dimension of each value that counts the points of a batch.
    """

    graph: Graph
    constants: Mapping[str, Tensor]
    shapes: Mapping[str, torch.Size]
    axes: Mapping[str, int]

    @classmethod
    def of(cls, graph: Graph, constants: Mapping[str, Tensor], input_shape: Sequence[int]) -> AffineGraph:
        """A graph with the shapes and axes that it has on batches of one and two points.

        Raises:
            InputError: a value has no dimension that counts the points.
        """
        with torch.no_grad():
            one, two = (
                graph.evaluate(torch.zeros(n, *input_shape, dtype=torch.float64), constants, keep=graph.names) for n in (1, 2)
            )
        shapes = {name: value.shape for name, value in one.items()}
        return cls(graph, constants, shapes, {name: _batch_axis(name, s, two[name].shape) for name, s in shapes.items()})

    def tensor(self, name: str, rows: Tensor) -> Tensor:
        """A batch of values (B, n), a row a point, as the graph's own tensor."""
        shape, axis = self.shapes[name], self.axes[name]
        return rows.reshape(len(rows), *shape).movedim(0, axis).flatten(axis, axis + 1)

    def rows(self, name: str, value: Tensor, count: int) -> Tensor:
        """A value of the graph for ``count`` points as rows (B, n)."""
        axis = self.axes[name]
        return value.unflatten(axis, (count, self.shapes[name][axis])).movedim(axis, 0).reshape(count, -1)

    def _axes(self, node: Node) -> tuple[int, ...] | None:
        """The dimensions of a node's inputs and of its output that count the points, where they count nothing else."""
        names = (*node.inputs, node.name)
        return tuple(self.axes[n] for n in names) if all(self.shapes[n][self.axes[n]] == 1 for n in names) else None

    @cached_property
    def _exact(self) -> dict[str, ExactOp]:
        return {}

    def exact(self, node: Node) -> ExactOp:
        """An op in exact arithmetic."""
        assert isinstance(node, AffineNode)
        if node.name not in self._exact:
            self._exact[node.name] = exact_op(node, self.shapes, self.constants, self._axes(node))
        return self._exact[node.name]

    def linear(self, node: Node, inputs: Sequence[Tensor]) -> Tensor:
        """The linear part of an op at a batch."""
        assert isinstance(node, AffineNode)
        roles = node.roles(self.constants)
        silent = {role: torch.zeros_like(c) if role != "weight" and c.is_floating_point() else c for role, c in roles.items()}
        out = node.fn(*inputs, **silent)
        if not node.weighted:  # constants inside of the function: padding
            out = out - node.fn(*(torch.zeros_like(x) for x in inputs), **silent)
        return out


@dataclass(frozen=True, eq=False)
class ComposedAffine:
    """y = Σ_k W_k s_k + b, where the sources s_k are the input x (number −1) and outputs of stages, all flat.

    Attributes:
        context: the lowered graph.
        target: name of the value y.
        names: the names of the sources, by number.
    """

    context: AffineGraph
    target: str
    names: Mapping[int, str]

    @property
    def sources(self) -> tuple[int, ...]:
        """The numbers of the sources, in order."""
        return tuple(sorted(self.names))

    @property
    def size(self) -> int:
        """The number of rows n."""
        return self.context.shapes[self.target].numel()

    def source_size(self, source: int) -> int:
        """How many numbers a source has."""
        return self.context.shapes[self.names[source]].numel()

    @property
    def dense_bytes(self) -> int:
        """Bytes of all matrices together in float64."""
        return 8 * self.size * sum(self.source_size(k) for k in self.names)

    # ── through the graph ─────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, values: Mapping[int, Tensor], linear: bool = False) -> Tensor:
        """y (B, n) for sources (B, size) in float64, through the graph: a convolution stays one. ``linear`` leaves out b."""

        def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
            return self.context.linear(node, inputs) if linear else node.apply(inputs, self.context.constants)

        given = {name: self.context.tensor(name, values[k]) for k, name in self.names.items()}
        with torch.no_grad():
            return self.context.rows(self.target, self._interpret(given, step), len(next(iter(values.values()))))

    def apply_exact(self, values: Mapping[int, RationalArray], linear: bool = False) -> RationalArray:
        """:meth:`apply` for rational sources, exactly."""

        def step(node: Node, inputs: Sequence[RationalArray]) -> RationalArray:
            return self.context.exact(node)(inputs, linear)

        return self._interpret({name: values[k] for k, name in self.names.items()}, step)

    def _interpret(self, given: Mapping[str, Any], step: Callable[..., Any]) -> Any:
        return self.context.graph.interpret(given, step, stop=self.target)[self.target]

    # ── multiplied out ────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def exact_bias(self) -> RationalArray:
        """b (n,) exactly."""
        zeros = {k: RationalArray(np.zeros((1, self.source_size(k)), np.int64)) for k in self.names}
        found = self.apply_exact(zeros)
        return RationalArray(found.numerators[0], found.denominator)

    @cached_property
    def bias(self) -> np.ndarray:
        """b (n,), the nearest float64."""
        return np.ascontiguousarray(self.exact_bias.floats())

    def weight(self, source: int) -> np.ndarray:
        """W_k (n, size) in float64: the nearest numbers, up to 2²² entries, and rounded by PyTorch beyond.

        Raises:
            InputError: a matrix of more than 4 GiB.
        """
        if source not in self._weights:
            self._weights[source] = self._columns(source)
        return self._weights[source]

    @cached_property
    def _weights(self) -> dict[int, np.ndarray]:
        return {}

    def nearest(self, source: int) -> bool:
        """Whether ``weight`` gives the nearest float64 numbers."""
        return self.direct or self.size * self.source_size(source) <= MOST_EXACT_ENTRIES

    @cached_property
    def rows(self) -> dict[int, ExactRows]:
        """The matrices that :func:`exact_rows` has made, by their sources."""
        return {}

    def exact_weight(self, source: int) -> RationalArray:
        """W_k (n, size) exactly."""
        if self.direct:
            return rationals(self.weight(source))
        return self._exact_columns(source)

    @cached_property
    def exact(self) -> bool:
        """Whether ``weight`` and ``bias`` are the exact values."""
        if not _same(self.bias, self.exact_bias):
            return False
        if self.direct:
            return True
        small = self.dense_bytes <= 8 * MOST_EXACT_ENTRIES
        return small and all(_same(self.weight(k), self._exact_columns(k)) for k in self.names)

    def _columns(self, source: int) -> np.ndarray:
        size = self.source_size(source)
        if 8 * self.size * size > MOST_BYTES:
            raise InputError(
                f"a matrix of {self.size:,} × {size:,} numbers is too large; use the map without multiplying it out"
            )
        if self.direct or self.size * size > MOST_EXACT_ENTRIES:
            values = {k: torch.zeros(size, self.source_size(k), dtype=torch.float64) for k in self.names}
            values[source] = torch.eye(size, dtype=torch.float64)
            return np.ascontiguousarray(self.apply(values, linear=True).numpy().T)
        return np.ascontiguousarray(self._exact_columns(source).floats())

    def _exact_columns(self, source: int) -> RationalArray:
        size = self.source_size(source)
        values = {k: RationalArray(np.zeros((size, self.source_size(k)), np.int64)) for k in self.names}
        values[source] = RationalArray(np.eye(size, dtype=np.int64))
        found = self.apply_exact(values, linear=True)
        return RationalArray(np.ascontiguousarray(found.numerators.T), found.denominator)

    @cached_property
    def direct(self) -> bool:
        """Whether no entry of a matrix is a sum or a product: on any path one op with a weight at most, and no sums."""
        depth: dict[str, float] = dict.fromkeys(self.names.values(), 0.0)

        def step(node: Node, inputs: Sequence[float]) -> float:
            op = self.context.exact(node)
            if op.parts is None:
                return max(inputs) + 1
            distinct = all(_distinct(part) for part in op.parts)
            return max(inputs) + (0 if op.moves and (distinct or max(inputs) > 0) else math.inf)

        result = self._interpret(depth, step)
        assert isinstance(result, float)
        return result <= 1


def composed_affine(context: AffineGraph, target: str, stages: Mapping[str, int]) -> ComposedAffine:
    """The affine map from the input and the outputs of stages (numbers by name) to a value of the graph."""
    known = {**stages, INPUT: SOURCE_INPUT}
    needed, names = {target}, {}
    if target in known:
        return ComposedAffine(context, target, {known[target]: target})
    for node in reversed(context.graph.nodes):
        if node.name in needed and node.name not in known:
            needed.update(node.inputs)
    names = {known[name]: name for name in needed if name in known}
    return ComposedAffine(context, target, names)


def _batch_axis(name: str, one: torch.Size, two: torch.Size) -> int:
    """The dimension in which the shapes for one and for two points differ."""
    differ = [d for d, (n, m) in enumerate(zip(one, two, strict=False)) if m == 2 * n and n]
    if len(one) != len(two) or (one != two and len(differ) != 1):
        found = f"the shape {tuple(one)} for one point and {tuple(two)} for two"
        raise InputError(f"the points of a batch are joined in the value {name}: it has {found}")
    return differ[0] if differ else 0


def _distinct(part: object) -> bool:
    """Whether no entry is copied twice."""
    index = getattr(part, "index", None)
    return index is not None and len(np.unique(index[index >= 0])) == int((index >= 0).sum())


def _same(floats: np.ndarray, exact: RationalArray) -> bool:
    """Whether floats are exact values."""
    if not np.isfinite(floats).all():
        return False
    own = rationals(floats)
    return bool((own.numerators.astype(object) * exact.denominator == exact.numerators.astype(object) * own.denominator).all())
