"""``tp.zonotopes``: the polytopes of a network with one hidden layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray
from tropica.network.graph import INPUT, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Relu
from tropica.network.trace import as_network
from tropica.polyhedra.polytope import Polytope, hull_of_union
from tropica.polyhedra.zonotope import Zonotope
from tropica.runtime.arithmetic import own_settings
from tropica.tropical.convex_pieces import affine_parts
from tropica.tropical.exact_network import ExactClampMin, ExactLeakyRelu, exact_network
from tropica.tropical.limits import MAX_MONOMIALS, TooManyMonomials, shown_count

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN = 10_000
"""Largest number of vertices that a repr enumerates."""
ONE_LAYER = "a network with one hidden layer of ReLUs (or max(z, c)), and optionally a ReLU on its output"


@dataclass(frozen=True, eq=False)
class LayerPolytopes:
    """P(F), P(G) and P(H) of one output: points (α, c), in one dimension more than the network has inputs.

    Attributes:
        g, h: zonotopes: sums of one segment for each hidden unit.
        f: P(H) where the output is linear; Conv(P(H) ∪ P(G)) where the output has a ReLU, F = H ⊕ G.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], [0.0, 1.0]), ([[1.0, -1.0]], None)])
    >>> (found,) = tp.zonotopes(net)
    >>> found.g, found.h
    (Zonotope(2 generators in dimension 3), Zonotope(2 generators in dimension 3))
    """

    f: Zonotope | Polytope
    g: Zonotope
    h: Zonotope

    @property
    def most_vertices(self) -> int:
        """The largest number of vertices that P(G) or P(H) may have: that of as many generic generators."""
        return max(Zonotope.most_vertices(len(z.generators), z.ambient_dimension) for z in (self.g, self.h))

    def __repr__(self) -> str:
        if self.most_vertices > SHOWN:  # not enumerated for a line of text
            return (
                f"LayerPolytopes({len(self.g.generators)} generators, at most {shown_count(self.most_vertices)} vertices each)"
            )
        f, g, h = (f"{len(p.vertices):,}" for p in (self.f, self.g, self.h))
        return f"LayerPolytopes(vertices of P(F): {f}, of P(G): {g}, of P(H): {h})"

    def to_dataframe(self) -> DataFrame:
        """A row for each polytope: its dimension, and its numbers of vertices and of generators."""
        from pandas import DataFrame

        rows = [
            (f"P({name})", p.dimension, len(p.vertices), len(p.generators) if isinstance(p, Zonotope) else None)
            for name, p in (("F", self.f), ("G", self.g), ("H", self.h))
        ]
        return DataFrame(rows, columns=["polytope", "dimension", "vertices", "generators"]).astype({"generators": "Int64"})

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(index=False)


@own_settings()
def zonotopes(net: PiecewiseLinearNetwork | nn.Module, *, limit: int = MAX_MONOMIALS) -> list[LayerPolytopes]:
    """Compute the polytopes of a network with one hidden layer, for each output, exactly.

    With an output's weights a_j on hidden units max(⟨w_j, x⟩ + b_j, t_j), w_j = w_j⁺ − w_j⁻ (t_j = 0 for ReLU):

        P(G) = Σ_{a_j<0} |a_j|·Conv{(w_j⁺, b_j), (w_j⁻, t_j)} + Σ_{a_j>0} a_j·(w_j⁻, 0)

    and P(H) with the two sums exchanged, plus (0, b).

    Args:
        net: a traced network, or a torch module whose first layer is ``nn.Linear``.
        limit: on the number of vertices that P(G) and P(H) may have, where the output has a ReLU and P(F) is the hull of both.
            A linear output costs nothing; its vertices are enumerated when they are asked for.

    Raises:
        TooManyMonomials: more vertices possible than ``limit``; ``known`` are P(G) and P(H) of each output, not enumerated.
        InputError: another kind of network; the message lists its nonlinearities.

    >>> model = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1)).double().eval()
    >>> (found,) = zonotopes(model)
    >>> len(found.g.generators) == len(found.h.generators) == 5
    True
    """
    net = as_network(net)
    hidden, rectified = _hidden_layer(net)
    network = exact_network(net)
    op = network.ops[hidden.name]
    if not isinstance(op, ExactClampMin) and not (isinstance(op, ExactLeakyRelu) and not op.slope.any()):
        raise _unsupported(net)
    stop = net.nonlinearities[-1].inputs[0] if rectified else net.graph.output
    # F and G of each hidden unit before its maximum, in x; F and G of each output in the hidden units' outputs.
    above, below = map(_numbers, affine_parts(network, INPUT, hidden.inputs[0], network.variables))
    positive, negative = map(_numbers, affine_parts(network, hidden.name, stop, hidden.units))
    threshold = below.copy()
    if isinstance(op, ExactClampMin):
        threshold[:, -1] += _numbers(RationalArray(op.level, 1 << op.shift))
    pairs = []
    for p, q in zip(positive, negative, strict=True):
        constant = np.zeros(above.shape[1], dtype=object)
        constant[-1] = p[-1]
        h = Zonotope(p[:-1, None] * (above - threshold), p[:-1] @ threshold + q[:-1] @ below + constant)
        g = Zonotope(q[:-1, None] * (above - threshold), q[:-1] @ threshold + p[:-1] @ below)
        pairs.append((g, h))
    most = Zonotope.most_vertices(hidden.units, above.shape[1])
    if rectified and most > limit:
        raise TooManyMonomials(
            f"P(G) and P(H) of {hidden.units} units may have up to {shown_count(most)} vertices each, and P(F) is the hull of "
            f"both; the limit is {limit:,}; raise limit=, or leave the ReLU of the output away",
            most,
            pairs,
        )
    return [LayerPolytopes(hull_of_union(h.polytope(), g.polytope()) if rectified else h, g, h) for g, h in pairs]


def _hidden_layer(net: PiecewiseLinearNetwork) -> tuple[NonlinearityNode, bool]:
    """The hidden nonlinearity, and whether the output has a ReLU."""
    first, *others = net.nonlinearities or (None,)
    rectified = len(others) == 1 and isinstance(others[0].op, Relu) and net.graph.output == others[0].name
    if first is None or (others and not rectified) or net.graph.output == first.name:
        raise _unsupported(net)
    after = net.graph.between(first.name, net.graph.output)
    before = {INPUT, *(n.name for n in net.graph.between(INPUT, first.inputs[0]).nodes)}
    around = [n.name for n in after.nodes if before & set(n.inputs)]
    if around:
        raise InputError(
            f"zonotopes are defined for {ONE_LAYER}; in this network a connection bypasses the layer, to {around[0]}"
        )
    return first, rectified


def _unsupported(net: PiecewiseLinearNetwork) -> InputError:
    names = ", ".join(f"{node.op.name} of {node.units}" for node in net.nonlinearities) or "none"
    return InputError(f"zonotopes are defined for {ONE_LAYER}; this network has the nonlinearities: {names}")


def _numbers(table: RationalArray) -> np.ndarray:
    """The numbers as ints and Fractions (dtype object)."""
    return table.numbers().astype(object)
