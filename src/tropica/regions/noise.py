"""How far rounding can have moved the values of a network at the vertices of a complex: proven bounds, one a unit.

With u = 2⁻⁵³, a sum of k products is computed with an error of at most k u/(1 − k u) times the sum of their sizes. So beside
the values of every node three numbers a unit are carried along, by the node's own op with |J| in place of J:

* X, the largest |value| on the domain;
* E, the error: E ← |J| E + k u (|J| X + |c|);
* L, the length of the gradient in the domain's coordinates: L ← |J| L.

Nonlinearities hand them on (a maximum moves by no more than what it is of). Interpolation between two vertices adds a few u X.

Two things keep these from growing without need, layer by layer. Rounding happens to values that are carried, so X need be no
more than the largest of them, as the walk sees them. And beside E and L of each unit go two numbers for all units together: e,
the length of the error as a vector, and l, the largest singular value of the Jacobian. With σ the largest singular value of J
and r_i the length of its row i, where the op is small enough to be a matrix,

    E_i ← min((|J| E)_i, r_i e) + …,  e ← min(σ e + …, |E|),  and so for L and l.

Relu and abs, of slopes 1 at most, leave e and l as they are.

E bounds the distance between a value that is carried at a vertex and the affine function of any cell at that vertex, at the
point p where the interpolation stands. What p misses the vertex by is the matter of :mod:`tropica.regions.misses`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tropica.network.graph import INPUT, AffineNode, Node, NonlinearityNode
from tropica.network.nonlinearities import Abs, ClampMin, Relu
from tropica.regions.functions import Folded, Options

UNIT = 2.0**-53
STEP = 8 * UNIT
"""What one interpolation adds to the error, in units of X; and what a share t that was rounded leaves where 0 is meant."""
LARGE = 2.0**80
"""Small numbers are sent through an affine op this many times as large, so that its offset does not drown them."""

X, E, L = range(3)
Noise = dict[str, Tensor]
"""By the name of a value: (3, *shape), rows X, E and L."""
MATRIX = 2**20
"""Entries of the largest matrix whose largest singular value is bounded, of 2¹⁰ rows and columns at most."""
SHORT = (Relu, Abs)
"""Nonlinearities of one input whose slopes are 1 at the most."""


def length(noise: Tensor) -> Tensor:
    """e and l (2,) that hold for any errors and slopes with the sizes E and L."""
    return noise[[E, L]].flatten(1).norm(dim=1) * (1 + noise[0].numel() * UNIT)


def largest_singular_value(matrix: Tensor) -> float:
    """An upper bound, by no more than a factor n^(1/16) too large: (Σ σ¹⁶)^(1/16), as the length of (M Mᵀ)⁴.

    With M scaled to length 1, products of n × n matrices are wrong by n u at most, and σ² is 1/n at least; so the factor
    1 + 2⁻²⁰ is enough for n up to 2¹⁰.
    """
    largest = float(matrix.abs().max()) if matrix.numel() else 0.0
    if not 0 < largest < float("inf"):
        return largest
    scaled = matrix / largest  # lest squares be too small or too large
    size = float(scaled.norm())
    scaled /= size
    power = scaled @ scaled.T if len(scaled) <= scaled.shape[1] else scaled.T @ scaled
    for _ in range(2):
        power = power @ power
    return largest * size * min(float(power.norm()) ** 0.125, 1.0) * (1 + 2.0**-20)


class Rounding:
    """The noise of the values that are alive in a walk.

    Args:
        folded: the network.
        corners: (V, d + 1) homogeneous coordinates of the domain's vertices.
        scaled: are coordinates homogeneous, so that directions in which s changes count?
    """

    def __init__(self, folded: Folded, corners: Tensor, scaled: bool) -> None:
        self.folded, self.scaled = folded, scaled
        self._parts: dict[str, tuple[Node, Mapping[str, Tensor], Tensor, int]] = {}
        self._gains: dict[str, tuple[Tensor, float] | None] = {}
        rows = torch.cat([folded.basis, folded.origin[None]])
        x = corners.abs().amax(0) @ rows.abs()
        slope = (rows if scaled else folded.basis).norm(dim=0) * (1 + 8 * UNIT * len(rows))
        noise = torch.stack([x, (len(rows) + 4) * UNIT * x, slope])
        self.alive: Noise = {INPUT: noise.reshape(3, *folded.net.input_shape)}
        self.lengths = {INPUT: length(noise)}
        self.lengths[INPUT][1] = min(largest_singular_value(rows if scaled else folded.basis), float(self.lengths[INPUT][1]))

    def copy(self) -> Rounding:
        """The same, to go on from here by itself."""
        found = copy.copy(self)
        found.alive = {name: noise.clone() for name, noise in self.alive.items()}
        found.lengths = {name: both.clone() for name, both in self.lengths.items()}
        return found

    def seen(self, name: str, sizes: np.ndarray) -> None:
        """No value that is carried under a name is larger than this (*shape); so none is that will be interpolated."""
        x = self.alive[name][X]
        torch.minimum(x, torch.from_numpy(sizes).reshape(x.shape), out=x)

    def run(self, nodes: tuple[Node, ...]) -> int:
        """Through affine nodes; the terms of their longest sums, added up."""
        for node in nodes:
            assert isinstance(node, AffineNode)
            self.alive[node.name], self.lengths[node.name] = self._affine(node, [self.alive[name] for name in node.inputs])
        return sum(self._parts[node.name][3] for node in nodes)

    def keep(self, names: set[str] | frozenset[str]) -> None:
        """Forget what is not read any more."""
        self.alive = {name: noise for name, noise in self.alive.items() if name in names}
        self.lengths = {name: both for name, both in self.lengths.items() if name in names}

    def bend(self, nonlinearity: NonlinearityNode) -> None:
        """Through a nonlinearity."""
        inputs = [self.alive[name] for name in nonlinearity.inputs]
        if isinstance(nonlinearity.op, ClampMin):
            out = inputs[0].clone()
            level = nonlinearity.roles(self.folded.net.constants)["level"].abs()
            out[X] = torch.maximum(out[X], torch.broadcast_to(level, (1, *out.shape[1:]))[0])
        else:
            out = nonlinearity.apply(inputs, self.folded.net.constants)  # each of these numbers is ≥ 0
        self.alive[nonlinearity.name] = out
        self.lengths[nonlinearity.name] = length(out)
        if isinstance(nonlinearity.op, SHORT):
            self.lengths[nonlinearity.name] = torch.minimum(
                self.lengths[nonlinearity.name], self.lengths[nonlinearity.inputs[0]]
            )

    def functions(self, nonlinearity: NonlinearityNode, options: Options | None, turn: int) -> Tensor:
        """(3, n): of the functions of a nonlinearity, or of one turn of its tournament."""
        inputs = [self.alive[name].reshape(3, -1) for name in nonlinearity.inputs]
        if options is not None:
            table = options.table[:, : turn + 1]
            found = torch.where(table < 0, 0.0, inputs[0][:, table.clamp(min=0)]).amax(2) * 2
        elif len(inputs) == 2:
            found = inputs[0] + inputs[1]
        elif isinstance(nonlinearity.op, ClampMin):
            level = nonlinearity.roles(self.folded.net.constants)["level"].abs()
            found = inputs[0].clone()
            found[X] += torch.broadcast_to(level, (1, *self.folded.shapes[nonlinearity.inputs[0]])).reshape(-1)
        else:
            return inputs[0].clone()
        found[E] += 2 * UNIT * found[X]
        return found

    def interpolated(self, depth: int) -> None:
        """After a step in which vertices were found by up to ``depth`` interpolations, one on the other."""
        for name, noise in self.alive.items():
            noise[E] += (added := depth * STEP * noise[X])
            self.lengths[name][0] += float(added.norm()) * (1 + added.numel() * UNIT)

    def moved(self, name: str, units: np.ndarray, by: np.ndarray) -> None:
        """Some values have been set to what exact arithmetic says: by so much."""
        self.alive[name].reshape(3, -1)[E, units] += torch.from_numpy(by)
        self.lengths[name][0] += float(np.abs(by).sum())

    def _affine(self, node: AffineNode, inputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        if node.name not in self._parts:
            self._parts[node.name] = self._taken(node)
        plain, constants, offset, terms = self._parts[node.name]
        assert isinstance(plain, AffineNode)
        signs = plain.signs or (1,) * len(inputs)
        zeros = plain.apply([torch.zeros_like(z[:1]) for z in inputs], constants)
        scaled = [sign * LARGE * z for sign, z in zip(signs, inputs, strict=True)]
        out = ((plain.apply(scaled, constants) - zeros) / LARGE).abs() * (1 + 4 * terms * UNIT)
        out[X] += 3 * offset
        added = torch.stack(
            [torch.zeros_like(offset), terms * UNIT * (1 + 2 * terms * UNIT) * out[X], torch.zeros_like(offset)]
        )
        if self.scaled:
            added[L] = offset
        gain, before = self._gain(node, terms), self.lengths[node.inputs[0]]
        if gain is not None:
            out[[E, L]] = torch.minimum(out[[E, L]], gain[0].reshape(offset.shape) * before.reshape(2, *(1,) * offset.ndim))
        out += added
        both = length(out)
        if gain is not None:
            both = torch.minimum(both, gain[1] * before * (1 + 4 * UNIT) + length(added))
        return out, both

    def _gain(self, node: AffineNode, terms: int) -> tuple[Tensor, float] | None:
        """Bounds on the lengths of the rows of J, and on its largest singular value; None where J is too large."""
        if node.name not in self._gains:
            self._gains[node.name] = None
            columns = self.folded.shapes[node.inputs[0]]
            rows, width = math.prod(self.folded.shapes[node.name]), math.prod(columns)
            if len(node.inputs) == 1 and node.weighted and rows * width <= MATRIX and max(rows, width) <= 2**10:
                table = self.folded.net.constants
                zero = node.apply([torch.zeros(1, *columns, dtype=torch.float64)], table)
                unit = LARGE * torch.eye(width, dtype=torch.float64).reshape(width, *columns)
                matrix = ((node.apply([unit], table) - zero) / LARGE).reshape(width, rows).T
                slack = 1 + 2.0**-40 + 4 * (terms + width) * UNIT
                self._gains[node.name] = matrix.norm(dim=1) * slack, largest_singular_value(matrix) * slack
        return self._gains[node.name]

    def _taken(self, node: AffineNode) -> tuple[Node, Mapping[str, Tensor], Tensor, int]:
        """A node with |weight| for its weight, |offset| of the node as it is, and the terms of its longest sum."""
        table = dict(self.folded.net.constants)
        zeros = [torch.zeros(1, *self.folded.shapes[name], dtype=torch.float64) for name in node.inputs]
        offset = node.apply(zeros, table)[0].abs()
        if "bias" in node.constants:  # so that slopes that are not zero do not drown in it
            table[node.constants["bias"]] = torch.zeros_like(table[node.constants["bias"]])
        terms = sum(z.numel() for z in zeros)
        if node.weighted:
            name = node.constants["weight"]
            weight = table[name]
            table[name] = (weight != 0).to(weight)
            ones = [torch.ones_like(z) for z in zeros]
            terms = min(terms, int((node.apply(ones, table) - node.apply(zeros, table)).abs().max().ceil()))
            table[name] = weight.abs()
        elif all(z.numel() == offset.numel() for z in zeros):
            terms = len(zeros)
        return node, table, offset, terms + 8
