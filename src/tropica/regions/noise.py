"""How far rounding can have moved the values of a network at the vertices of a complex: proven bounds, one a unit.

With u = 2⁻⁵³, a sum of k products is computed with an error of at most k u/(1 − k u) times the sum of their sizes. So beside
the values of every node three numbers a unit are carried along, by the node's own op with |J| in place of J:

* X, the largest |value| on the domain;
* E, the error: E ← |J| E + k u (|J| X + |c|);
* L, the length of the gradient in the domain's coordinates: L ← |J| L.

Kinks hand them on (a maximum moves by no more than what it is of). Interpolation between two vertices adds a few u X.

E bounds the distance between a value that is carried at a vertex and the affine function of any cell at that vertex, at the
point p where the interpolation stands. What p misses the vertex by is the matter of :mod:`tropica.regions.misses`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tropica.network import Affine, Kink, Node
from tropica.network.graph import INPUT
from tropica.network.kinds import Floor
from tropica.regions.functions import Folded, Options

UNIT = 2.0**-53
STEP = 8 * UNIT
"""What one interpolation adds to the error, in units of X; and what a share t that was rounded leaves where 0 is meant."""
LARGE = 2.0**80
"""Small numbers are sent through an affine op this many times as large, so that its offset does not drown them."""

X, E, L = range(3)
Noise = dict[str, Tensor]
"""By the name of a value: (3, *shape), rows X, E and L."""


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
        rows = torch.cat([folded.basis, folded.origin[None]])
        x = corners.abs().amax(0) @ rows.abs()
        slope = (rows if scaled else folded.basis).norm(dim=0) * (1 + 8 * UNIT * len(rows))
        self.alive: Noise = {INPUT: torch.stack([x, (len(rows) + 4) * UNIT * x, slope]).reshape(3, *folded.net.input_shape)}

    def copy(self) -> Rounding:
        """The same, to go on from here by itself."""
        found = copy.copy(self)
        found.alive = {name: noise.clone() for name, noise in self.alive.items()}
        return found

    def run(self, nodes: tuple[Node, ...]) -> int:
        """Through affine nodes; the terms of their longest sums, added up."""
        for node in nodes:
            assert isinstance(node, Affine)
            self.alive[node.name] = self._affine(node, [self.alive[name] for name in node.inputs])
        return sum(self._parts[node.name][3] for node in nodes)

    def keep(self, names: set[str] | frozenset[str]) -> None:
        """Forget what is not read any more."""
        self.alive = {name: noise for name, noise in self.alive.items() if name in names}

    def bend(self, kink: Kink) -> None:
        """Through a kink."""
        inputs = [self.alive[name] for name in kink.inputs]
        if isinstance(kink.kind, Floor):
            out = inputs[0].clone()
            level = kink.roles(self.folded.net.constants)["level"].abs()
            out[X] = torch.maximum(out[X], torch.broadcast_to(level, (1, *out.shape[1:]))[0])
        else:
            out = kink.apply(inputs, self.folded.net.constants)  # each of these numbers is ≥ 0
        self.alive[kink.name] = out

    def functions(self, kink: Kink, options: Options | None, turn: int) -> Tensor:
        """(3, n): of the functions of a kink, or of one turn of its tournament."""
        inputs = [self.alive[name].reshape(3, -1) for name in kink.inputs]
        if options is not None:
            table = options.table[:, : turn + 1]
            found = torch.where(table < 0, 0.0, inputs[0][:, table.clamp(min=0)]).amax(2) * 2
        elif len(inputs) == 2:
            found = inputs[0] + inputs[1]
        elif isinstance(kink.kind, Floor):
            level = kink.roles(self.folded.net.constants)["level"].abs()
            found = inputs[0].clone()
            found[X] += torch.broadcast_to(level, (1, *self.folded.shapes[kink.inputs[0]])).reshape(-1)
        else:
            return inputs[0].clone()
        found[E] += 2 * UNIT * found[X]
        return found

    def interpolated(self, depth: int) -> None:
        """After a step in which vertices were found by up to ``depth`` interpolations, one on the other."""
        for noise in self.alive.values():
            noise[E] += depth * STEP * noise[X]

    def moved(self, name: str, units: np.ndarray, by: np.ndarray) -> None:
        """Some values have been set to what exact arithmetic says: by so much."""
        self.alive[name].reshape(3, -1)[E, units] += torch.from_numpy(by)

    def _affine(self, node: Affine, inputs: list[Tensor]) -> Tensor:
        if node.name not in self._parts:
            self._parts[node.name] = self._taken(node)
        plain, constants, offset, terms = self._parts[node.name]
        assert isinstance(plain, Affine)
        signs = plain.signs or (1,) * len(inputs)
        zeros = plain.apply([torch.zeros_like(z[:1]) for z in inputs], constants)
        scaled = [sign * LARGE * z for sign, z in zip(signs, inputs, strict=True)]
        out = ((plain.apply(scaled, constants) - zeros) / LARGE).abs() * (1 + 4 * terms * UNIT)
        out[X] += 3 * offset
        if self.scaled:
            out[L] += offset
        out[E] += terms * UNIT * (1 + 2 * terms * UNIT) * out[X]
        return out

    def _taken(self, node: Affine) -> tuple[Node, Mapping[str, Tensor], Tensor, int]:
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
