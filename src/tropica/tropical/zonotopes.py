"""``tp.zonotopes``: the polytopes of a network with one hidden layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray
from tropica.network.graph import INPUT, Graph, Nonlinearity
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Relu
from tropica.polyhedra.polytope import Polytope, hull_of_union
from tropica.polyhedra.zonotope import Zonotope
from tropica.tropical.affine import ExactNetwork, Leaky, Level
from tropica.tropical.from_network import traced
from tropica.tropical.pieces import pieces

ONE_LAYER = "a network with one hidden layer of ReLUs (or max(z, c)), and perhaps a ReLU on its output"


@dataclass(frozen=True, eq=False)
class LayerPolytopes:
    """P(F), P(G) and P(H) of one output: points (α, c), in one dimension more than the network has inputs.

    Attributes:
        g, h: zonotopes: sums of a segment for each hidden unit.
        f: P(H) where the output is linear; Conv(P(H) ∪ P(G)) where there is a ReLU on it, F = H ⊕ G.
    """

    f: Zonotope | Polytope
    g: Zonotope
    h: Zonotope


def zonotopes(net: PiecewiseLinearNetwork | nn.Module) -> list[LayerPolytopes]:
    """The polytopes of a network with one hidden layer, for each output, exactly.

    With an output's weights a_j on hidden units max(⟨w_j, x⟩ + b_j, t_j), w_j = w_j⁺ − w_j⁻ (t_j = 0 for ReLU):

        P(G) = Σ_{a_j<0} |a_j|·Conv{(w_j⁺, b_j), (w_j⁻, t_j)} + Σ_{a_j>0} a_j·(w_j⁻, 0)

    and P(H) with the two sums exchanged, plus (0, b).

    Args:
        net: a traced network, or a chain of torch modules.

    Raises:
        InputError: another kind of network; the message says what it has.

    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1)).double().eval()
    >>> (found,) = zonotopes(model)
    >>> len(found.g.generators) == len(found.h.generators) == 5
    True
    """
    net = traced(net)
    hidden, rectified = _read(net)
    head = _part(net, INPUT, hidden.inputs[0], net.input_shape)
    output = net.graph.output if not rectified else _last(net).inputs[0]
    tail = _part(net, hidden.name, output, hidden.unit_shape)
    nonlinearity = ExactNetwork(net).nonlinearity(hidden)
    inner, outer = _affine(head), _affine(tail)
    above, below = (_fractions(part) for part in inner)  # F and G of each hidden unit before its maximum
    floor = below.copy()
    if isinstance(nonlinearity, Level):
        floor[:, -1] += _fractions(RationalArray(nonlinearity.level, 1 << nonlinearity.shift))
    positive, negative = (_fractions(part) for part in outer)
    found = []
    for p, q in zip(positive, negative, strict=True):
        h = Zonotope(p[:-1, None] * (above - floor), p[:-1] @ floor + q[:-1] @ below + _constant(p[-1], inner[0]))
        g = Zonotope(q[:-1, None] * (above - floor), q[:-1] @ floor + p[:-1] @ below)
        f = hull_of_union(h.polytope(), g.polytope()) if rectified else h
        found.append(LayerPolytopes(f, g, h))
    return found


def _constant(value: object, like: RationalArray) -> np.ndarray:
    out = np.zeros(like.numerators.shape[-1], dtype=object)
    out[-1] = value
    return out


def _read(net: PiecewiseLinearNetwork) -> tuple[Nonlinearity, bool]:
    """The hidden nonlinearity, and whether a ReLU stands on the output."""
    nonlinearities = net.nonlinearities
    names = ", ".join(f"{k.kind.name} of {k.units}" for k in nonlinearities) or "none"
    rectified = (
        len(nonlinearities) == 2 and isinstance(nonlinearities[1].kind, Relu) and net.graph.output == nonlinearities[1].name
    )
    if len(nonlinearities) not in (1, 1 + rectified) or (
        len(nonlinearities) == 1 and net.graph.output == nonlinearities[0].name
    ):
        raise InputError(f"zonotopes are those of {ONE_LAYER}; this one has the nonlinearities: {names}")
    found = ExactNetwork(net).nonlinearity(nonlinearities[0])
    if not isinstance(found, Level) and not (isinstance(found, Leaky) and not found.slope.any()):
        raise InputError(f"zonotopes are those of {ONE_LAYER}; this one has the nonlinearities: {names}")
    after = net.graph.between(nonlinearities[0].name, net.graph.output)
    before = {INPUT, *(n.name for n in net.graph.between(INPUT, nonlinearities[0].inputs[0]).nodes)}
    around = [n.name for n in after.nodes if before & set(n.inputs)]
    if around:
        raise InputError(f"zonotopes are those of {ONE_LAYER}; in this one a connection goes around it, to {around[0]}")
    return nonlinearities[0], rectified


def _last(net: PiecewiseLinearNetwork) -> Nonlinearity:
    return net.nonlinearities[-1]


def _part(net: PiecewiseLinearNetwork, start: str, end: str, shape: Sequence[int]) -> PiecewiseLinearNetwork:
    """The affine network from one value to another."""
    nodes = net.graph.between(start, end).nodes if end != start else ()
    renamed = tuple(replace(n, inputs=tuple(INPUT if i == start else i for i in n.inputs)) for n in nodes)
    graph = Graph(renamed, end if end != start else INPUT)
    return PiecewiseLinearNetwork(graph, net.to(torch.float64).constants, tuple(shape), torch.float64, torch.device("cpu"))


def _affine(net: PiecewiseLinearNetwork) -> tuple[RationalArray, RationalArray]:
    """F and G of each output of an affine network: (outputs, d + 1)."""
    network = ExactNetwork(net)
    flag = np.zeros((1, 1, network.inputs + 1), dtype=np.int64)
    flag[..., -1] = 1
    found = pieces(network, flag)
    return RationalArray(found.f.numerators[0], found.f.denominator), RationalArray(found.g.numerators[0], found.g.denominator)


def _fractions(table: RationalArray) -> np.ndarray:
    return table.numbers().astype(object)
