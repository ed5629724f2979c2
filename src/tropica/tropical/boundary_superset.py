"""``tp.boundary_superset``: the tropical hypersurface that contains a decision boundary (Proposition 6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tropica.exact.rational_arrays import to_fraction
from tropica.network.graph import Graph, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Amax, Relu
from tropica.network.trace import as_network
from tropica.polyhedra.dual_complexes import Face, PolyhedralComplex
from tropica.runtime.arithmetic import own_settings
from tropica.tropical.from_network import to_tropical
from tropica.tropical.limits import MAX_MONOMIALS
from tropica.tropical.polynomial import PolynomialWithQuotients
from tropica.tropical.rational_map import TropicalMap

if TYPE_CHECKING:
    from pandas import DataFrame

LARGEST_LOGIT = "largest logit"
"""Name of the node that is appended to the network."""


@dataclass(frozen=True, eq=False)
class BoundarySuperset:
    """A tropical polynomial whose hypersurface contains the decision boundary of a network.

    For s labels the polynomial is ⊕_i (F_i ⊙ ⊙_{j≠i} G_j), for two labels F_1 ⊙ G_2 ⊕ F_2 ⊙ G_1; for one logit F ⊘ G and the
    threshold c it is F ⊕ c ⊙ G. Where two labels tie for the largest score, two operands of ⊕ tie for the maximum. Two
    monomials of one operand may tie too, where the label does not change, so the hypersurface can be larger than the boundary.

    Attributes:
        polynomial: with essential monomials only.
        network: the network itself, as a tropical map.
        threshold: c; unused for several labels.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> found = tp.boundary_superset(net)
    >>> found.contains([1, 1]), found.contains([2, 1])
    (True, False)
    """

    polynomial: PolynomialWithQuotients
    network: TropicalMap
    threshold: Fraction

    @property
    def operands(self) -> list[PolynomialWithQuotients]:
        """The polynomials, one for each label, whose maximum is ``polynomial``. They are pruned, but may be large."""
        rational = self.network
        if len(rational) == 1:
            return [rational[0].g * self.threshold, rational[0].f]
        return [self._operand(i) for i in range(len(rational))]

    def _operand(self, i: int) -> PolynomialWithQuotients:
        out = self.network[i].f
        for j, other in enumerate(self.network):
            if j != i:
                out = out.times_essential(other.g)
        return out

    def hypersurface(self) -> PolyhedralComplex:
        """T(polynomial) as a polyhedral complex; its faces refer to monomials of ``polynomial`` by index."""
        return self.polynomial.hypersurface()

    @cached_property
    def labels(self) -> list[frozenset[int]]:
        """The labels whose operand each monomial of ``polynomial`` belongs to; for one logit 1 above the threshold, 0 below."""
        found = [set(o.essential().to_dict().items()) for o in self.operands]
        return [frozenset(i for i, terms in enumerate(found) if m in terms) for m in self.polynomial.to_dict().items()]

    def boundary_faces(self) -> list[Face]:
        """The facets of the hypersurface that form the decision boundary: their two monomials belong to different operands."""
        facets = self.hypersurface().faces(self.polynomial.variables - 1)
        sides = self.labels
        return [face for face in facets if not sides[face.dual[0]] & sides[face.dual[1]]]

    def contains(self, x: Iterable[Any]) -> bool:
        """Whether the maximum is attained at least twice at a point, exactly."""
        values = self.polynomial.exact_terms(x)
        return values.count(max(values)) > 1

    def margin(self, x: Any) -> Any:
        """The largest monomial minus the second largest at points (B, d), in float64: 0 on the hypersurface."""
        return self.polynomial.margin(x)

    @property
    def region_bounds(self) -> tuple[int, int] | None:
        """For one logit, upper bounds (N(f), N(g)) on the connected regions above and below the threshold; else None."""
        if len(self.network) != 1:
            return None
        return len(self.network[0].f), len(self.network[0].g)

    def __repr__(self) -> str:
        return f"BoundarySuperset({len(self.polynomial):,} monomials in {self.polynomial.variables} variables, {self._sides})"

    @property
    def _sides(self) -> str:
        return f"threshold {self.threshold}" if len(self.network) == 1 else f"{len(self.network)} labels"

    def to_dataframe(self) -> DataFrame:
        """A row for each monomial: its exponents, its coefficient, and the labels whose operand it belongs to."""
        from pandas import DataFrame

        p = self.polynomial
        columns = {f"exponent {i + 1}": column for i, column in enumerate(p.exponents.T)}
        return DataFrame(columns | {"coefficient": p.coefficients, "labels": [sorted(sides) for sides in self.labels]})

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(max_rows=20)


@own_settings()
def boundary_superset(
    net: PiecewiseLinearNetwork | nn.Module, *, threshold: Any = 0, limit: int = MAX_MONOMIALS, check: bool = True
) -> BoundarySuperset:
    """Compute the tropical hypersurface that contains a network's decision boundary, exactly (Proposition 6.1).

    The boundary itself is ``tp.linear_regions(net, domain).boundary()``.

    Args:
        net: as for :func:`tropica.to_tropical`.
        threshold: c for a single logit, whose boundary is {N = c}; for a score function s, pass s⁻¹ of the score.
        limit, check: as for :func:`tropica.to_tropical`.

    Raises:
        InputError: as :func:`tropica.to_tropical`.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2)).double().eval()
    >>> with torch.no_grad():
    ...     _ = model[0].weight.copy_(torch.eye(2)), model[0].bias.zero_()
    >>> boundary_superset(model).polynomial  # the labels meet where x₁ = x₂
    max-plus: 0⊙x₂ ⊕ 0⊙x₁
    """
    network = as_network(net)
    level = to_fraction(threshold, "threshold")
    rational = to_tropical(network, limit=limit, check=check)
    if len(rational) > 1:
        whole = to_tropical(_largest_logit(network), limit=limit, check=check)
        return BoundarySuperset(whole[0].f, rational, level)
    if level == 0:
        return BoundarySuperset(to_tropical(_largest_logit(network), limit=limit, check=check)[0].f, rational, level)
    return BoundarySuperset((rational[0].f + rational[0].g * level).essential(), rational, level)


def _largest_logit(net: PiecewiseLinearNetwork) -> PiecewiseLinearNetwork:
    """The network that computes the largest logit; for one logit z, max(z, 0)."""
    graph = net.graph
    op = Amax((-1,), keepdim=True, first=True) if net.num_outputs > 1 else Relu()
    node = NonlinearityNode(LARGEST_LOGIT, (graph.output,), op=op, unit_shape=(1,))
    net = net.to(torch.float64)
    return PiecewiseLinearNetwork(
        Graph((*graph.nodes, node), LARGEST_LOGIT), net.constants, net.input_shape, net.dtype, net.device
    )
