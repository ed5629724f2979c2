"""``tp.boundary_superset``: the tropical hypersurface that a decision boundary lies in (Proposition 6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tropica.exact.rational_arrays import to_fraction
from tropica.network.graph import Graph, Nonlinearity
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Amax, Relu
from tropica.tropical.from_network import LIMIT, to_tropical, traced
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalMap

if TYPE_CHECKING:
    from tropica.polyhedra.complexes import Face, PolyhedralComplex

LABEL = "label"


@dataclass(frozen=True, eq=False)
class BoundarySuperset:
    """A tropical polynomial whose hypersurface contains the decision boundary of a network.

    For s labels it is ⊕_i (F_i ⊙ ⊙_{j≠i} G_j), for two F_1 ⊙ G_2 ⊕ F_2 ⊙ G_1; for one logit F ⊘ G against the threshold c it
    is F ⊕ c ⊙ G. Where two labels tie for the largest score, two of its operands tie for the maximum; but two monomials of one
    operand may tie, too, where the label does not change: so the hypersurface is larger than the boundary.

    Attributes:
        polynomial: with essential monomials only.
        network: the network itself, as a tropical map.
    """

    polynomial: TropicalPolynomial
    network: TropicalMap
    threshold: Fraction

    @property
    def operands(self) -> list[TropicalPolynomial]:
        """The polynomials whose maximum it is, one a label: made on request (products are pruned, but may be large)."""
        rational = self.network
        if len(rational) == 1:
            return [rational[0].g * self.threshold, rational[0].f]
        return [self._operand(i) for i in range(len(rational))]

    def _operand(self, i: int) -> TropicalPolynomial:
        out = self.network[i].f
        for j, other in enumerate(self.network):
            if j != i:
                out = out.times_essential(other.g)
        return out

    def hypersurface(self) -> PolyhedralComplex:
        """T(polynomial), as a polyhedral complex; its faces name monomials of ``polynomial`` by their places."""
        return self.polynomial.hypersurface()

    @cached_property
    def labels(self) -> list[frozenset[int]]:
        """The labels whose operand each monomial of ``polynomial`` is from (one logit: 1 above the threshold, 0 below)."""
        found = [set(o.essential().to_dict().items()) for o in self.operands]
        return [frozenset(i for i, terms in enumerate(found) if m in terms) for m in self.polynomial.to_dict().items()]

    def boundary_faces(self) -> list[Face]:
        """The pieces of the hypersurface that are the decision boundary: their two monomials are from different operands."""
        pieces = self.hypersurface().faces(self.polynomial.variables - 1)
        sides = self.labels
        return [face for face in pieces if not sides[face.dual[0]] & sides[face.dual[1]]]

    def contains(self, x: Iterable[Any]) -> bool:
        """Is the maximum attained at least twice at a point? Exactly."""
        values = self.polynomial.exact_terms(x)
        return values.count(max(values)) > 1

    def distance(self, x: Any) -> np.ndarray:
        """How far points (B, d) are from the hypersurface: largest less second largest monomial, in float64."""
        return gap(self.polynomial, x)

    @cached_property
    def bounds(self) -> tuple[int, int] | None:
        """For one logit: at most so many connected regions above the threshold, and below (N(f), N(g)); else None."""
        if len(self.network) != 1:
            return None
        return len(self.network[0].f), len(self.network[0].g)


def gap(f: TropicalPolynomial, x: Any) -> np.ndarray:
    """The largest monomial less the second largest at points (B, d), in float64: 0 on the hypersurface, ∞ for one monomial."""
    numbers = f.table.floats()
    points = np.atleast_2d(np.asarray(x, dtype=np.float64))
    values = points @ numbers[:, :-1].T + numbers[:, -1]
    if len(f) == 1:
        return np.full(len(points), np.inf)
    top = np.partition(values, -2, axis=1)
    return top[:, -1] - top[:, -2]


def boundary_superset(
    net: PiecewiseLinearNetwork | nn.Module, *, threshold: Any = 0, limit: int = LIMIT, check: bool = True
) -> BoundarySuperset:
    """The tropical hypersurface in which a network's decision boundary lies, exactly; for the boundary itself see
    ``tp.linear_regions(net, domain).boundary()``.

    Args:
        net: as for :func:`tropica.to_tropical`.
        threshold: of a single logit: the boundary is {N = threshold}; for the score s it is s⁻¹(c).
        limit, check: as for :func:`tropica.to_tropical`.

    Raises:
        InputError: as :func:`tropica.to_tropical`.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2)).double().eval()
    >>> with torch.no_grad():
    ...     _ = model[0].weight.copy_(torch.eye(2)), model[0].bias.zero_()
    >>> boundary_superset(model).polynomial  # the labels meet where x₁ = x₂
    0⊙x₂ ⊕ 0⊙x₁
    """
    network = traced(net)
    level = to_fraction(threshold, "threshold")
    rational = to_tropical(network, limit=limit, check=check)
    if len(rational) > 1:
        whole = to_tropical(_with_label(network), limit=limit, check=check)
        return BoundarySuperset(whole[0].f, rational, level)
    if level == 0:
        return BoundarySuperset(to_tropical(_with_label(network), limit=limit, check=check)[0].f, rational, level)
    return BoundarySuperset((rational[0].f + rational[0].g * level).essential(), rational, level)


def _with_label(net: PiecewiseLinearNetwork) -> PiecewiseLinearNetwork:
    """The largest logit; for one logit z, max(z, 0)."""
    graph = net.graph
    many = net.num_outputs > 1
    kind = Amax((-1,), keepdim=True, first=True) if many else Relu()
    label = Nonlinearity(LABEL, (graph.output,), kind=kind, unit_shape=(1,))
    net = net.to(torch.float64)
    return PiecewiseLinearNetwork(Graph((*graph.nodes, label), LABEL), net.constants, net.input_shape, net.dtype, net.device)
