"""A lowered network as matrices and thresholds alone: a window is a tree of maxima max(a, b) = b + relu(a − b).

What bounds outputs (:mod:`tropica.queries.backward_bounds`) and what checks a proof of bounds
(:mod:`tropica.queries.proof_check`) read this form, so that the units of a proof have one numbering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from tropica.errors import InputError
from tropica.regions.lower.composed_affine import SOURCE_INPUT, ComposedAffine
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered, Stage

MOST_NUMBERS = 1 << 25
"""Entries of one matrix that is multiplied out."""
SPARSE = 0.1
"""A large matrix of fewer nonzero entries than this share is a sparse one."""
LARGE = 1 << 14

Matrix = np.ndarray | sparse.csr_array


@dataclass(frozen=True, eq=False)
class Layer:
    """Rows z = Σ_k W_k s_k + b and units low · z for z ≤ 0, high · z for z > 0.

    Attributes:
        weights: the nearest float64 of W_k (n, size) by source: −1 is the input, k the units of layer k.
        bias: (n,) the nearest float64 of b.
        low, high: (n,) slopes; where they are equal a unit bends nowhere.
    """

    weights: Mapping[int, Matrix]
    bias: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.bias)

    @cached_property
    def bends(self) -> np.ndarray:
        """(n,) whether a unit bends."""
        return self.low != self.high

    @cached_property
    def absolute(self) -> Mapping[int, Matrix]:
        """|W_k| by source."""
        return {k: abs(w) for k, w in self.weights.items()}


@dataclass(frozen=True, eq=False)
class Program:
    """Layers in topological order, and the outputs as a last layer that bends nowhere."""

    layers: tuple[Layer, ...]
    output: Layer
    inputs: int

    @cached_property
    def starts(self) -> np.ndarray:
        """The number of the first unit of each layer among all units, and their number."""
        return np.cumsum([0, *(layer.size for layer in self.layers)])

    @property
    def units(self) -> int:
        """How many units there are, those that bend nowhere counted."""
        return int(self.starts[-1])

    def parts(self, values: np.ndarray) -> list[np.ndarray]:
        """Numbers of all units (…, units) layer by layer."""
        return [values[..., a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]

    @cached_property
    def refresh_cost(self) -> int:
        """Products of numbers that bounds of all units from the outputs backwards cost, roughly."""
        entries = np.cumsum([sum(_entries(w) for w in layer.weights.values()) for layer in self.layers])
        sizes = [int(layer.bends.sum()) for layer in self.layers]
        return int(sum(2 * n * e for n, e in zip(sizes[1:], entries[:-1], strict=True)))


def _entries(matrix: Matrix) -> int:
    return int(matrix.nnz) if isinstance(matrix, sparse.csr_array) else matrix.size


def threshold_program(lowered: Lowered) -> Program:
    """The layers of a lowered network.

    Raises:
        InputError: a network whose matrices are too large.

    >>> import tropica as tp
    >>> from tropica.regions.lower.lowering import lower
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])
    >>> program = threshold_program(lower(net))
    >>> program.units, program.layers[0].weights[-1].tolist()
    (2, [[1.0], [-1.0]])
    """
    layers: list[Layer] = []
    place = {SOURCE_INPUT: SOURCE_INPUT}
    for s, stage in enumerate(lowered.stages):
        rows = _read(stage.affine, place)
        if stage.kind == "threshold":
            layers.append(Layer(rows.weights, rows.bias, stage.low, stage.high))
        else:
            layers.append(rows)
            layers += _maxima(stage, len(layers) - 1)
        place[s] = len(layers) - 1
    size = int(np.prod(lowered.input_shape))
    return Program(tuple(layers), _read(lowered.output, place), size)


def _read(affine: ComposedAffine, place: Mapping[int, int]) -> Layer:
    """The rows of an affine map."""
    weights: dict[int, Matrix] = {}
    for k in affine.sources:
        entries = affine.size * affine.source_size(k)
        if entries > MOST_NUMBERS or not affine.nearest(k):
            raise InputError(f"a matrix of the network has {entries:,} entries; bounds are for smaller ones")
        weights[place[k]] = _stored(affine.weight(k))
    ones = np.ones(affine.size)
    return Layer(weights, affine.bias, ones, ones)


def _stored(w: Matrix) -> Matrix:
    """A matrix as it is multiplied fastest."""
    entries, size = (w.nnz, w.shape[0] * w.shape[1]) if isinstance(w, sparse.csr_array) else (np.count_nonzero(w), w.size)  # pyright: ignore[reportOptionalSubscript]
    if size >= LARGE and entries < SPARSE * size:
        return sparse.csr_array(w)
    return w.toarray() if isinstance(w, sparse.csr_array) else w


Sum = Mapping[tuple[int, int], int]
"""A sum of units: (layer, unit) → an integer factor."""


def _maxima(stage: Stage, rows: int) -> list[Layer]:
    """The layers behind the rows of a window stage: differences, level by level, and the largest inputs."""
    values: list[list[Sum]] = [
        [{} if j == ZERO else {(rows, j): 1} for j in row if j != NO_INPUT] for row in stage.inputs.tolist()
    ]
    found: list[Layer] = []
    while max(map(len, values), default=1) > 1:
        number, differences, reduced = rows + 1 + len(found), [], []
        for row in values:
            kept: list[Sum] = []
            for a, b in zip(row[::2], row[1::2], strict=False):
                kept.append({**b, (number, len(differences)): 1})
                differences.append({key: a.get(key, 0) - b.get(key, 0) for key in {**a, **b}})
            reduced.append(kept + row[len(row) - len(row) % 2 :])
        found.append(_sums(differences, rows, stage, found, relu=True))
        values = reduced
    return [*found, _sums([row[0] for row in values], rows, stage, found, relu=False)]


def _sums(sums: Sequence[Sum], rows: int, stage: Stage, found: Sequence[Layer], *, relu: bool) -> Layer:
    sizes = {rows: stage.size, **{rows + 1 + i: layer.size for i, layer in enumerate(found)}}
    entries: dict[int, tuple[list[Any], list[Any], list[Any]]] = {}
    for i, one in enumerate(sums):
        for (layer, unit), factor in sorted(one.items()):
            data, at, of = entries.setdefault(layer, ([], [], []))
            data.append(float(factor))
            at.append(i)
            of.append(unit)
    weights = {
        layer: _stored(sparse.csr_array((data, (at, of)), shape=(len(sums), sizes[layer])))
        for layer, (data, at, of) in sorted(entries.items())
    }
    ones = np.ones(len(sums))
    return Layer(weights, np.zeros(len(sums)), np.zeros(len(sums)) if relu else ones, ones)
