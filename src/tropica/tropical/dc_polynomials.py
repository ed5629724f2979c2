"""F⁺ and F⁻ of a DC decomposition as tropical polynomials, and the extracted terms among their monomials.

TropEx's terms are affine pieces of F⁻(x) = c⁻ + Σ_v ⟨K_v, h_v(x)⟩ and F⁺_i = N_i + F⁻. With the paper's decomposition these are
convex everywhere, so they are tropical polynomials. With the calibrated one F⁻ and F⁺_i lie above the terms everywhere and
equal them at the data points, which is all that Theorem 3.3 needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator
from tropica.network.graph import INPUT, AffineNode, Graph, Node
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.domains.constructors import Box
from tropica.regions.linear_regions import linear_regions
from tropica.runtime.html import HtmlRepr
from tropica.terms.linear_terms import AffineTerms, LinearTerms
from tropica.tropical.completeness import complete
from tropica.tropical.convex_pieces import ConvexPieces
from tropica.tropical.exact_network import ExactNetwork, exact_network
from tropica.tropical.from_network import starting_points
from tropica.tropical.limits import MAX_MONOMIALS
from tropica.tropical.piece_collection import PieceCollection
from tropica.tropical.polynomial import TropicalPolynomial

ROUNDING = 1e-9
"""Difference, relative to the largest coefficient, up to which coefficients count as equal: extraction is in floating point."""


@dataclass(frozen=True, eq=False)
class DecompositionPolynomials(HtmlRepr):
    """F⁺_i and F⁻ of a DC decomposition, exactly.

    Attributes:
        plus: F⁺_i, a polynomial for each label.
        minus: F⁻.
        excess: the largest difference between the maximum of the pieces and the function itself, at the points where pieces
            were computed: 0 for a convex function; up to about 1e-16 for non-integer weights, where K is rounded.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> found = tp.tropical.decomposition_polynomials(tp.decompose(net, method="paper"))
    >>> found
    DecompositionPolynomials(monomials of F⁺: 1, 2; of F⁻: 2; excess 0)
    >>> found.plus, found.minus, found.excess
    ((max-plus: 0⊙x₁², max-plus: 0 ⊕ 0⊙x₁⁴), max-plus: 0⊙x₁ ⊕ 0⊙x₁³, 0.0)
    """

    plus: tuple[TropicalPolynomial, ...]
    minus: TropicalPolynomial
    excess: float

    def __repr__(self) -> str:
        plus = ", ".join(f"{len(p):,}" for p in self.plus[:6]) + (", …" if len(self.plus) > 6 else "")
        return f"DecompositionPolynomials(monomials of F⁺: {plus}; of F⁻: {len(self.minus):,}; excess {self.excess:.2g})"


def decomposition_polynomials(decomposition: DCDecomposition, *, limit: int = MAX_MONOMIALS) -> DecompositionPolynomials:
    """Recover F⁺ and F⁻ of a decomposition from the network's cells: one monomial for each distinct affine piece.

    Args:
        decomposition: the paper's (``tp.decompose(net, method="paper")``), whose F⁺ and F⁻ are convex everywhere; for another
            decomposition ``excess`` measures how far from convex they are.
        limit: number of cells beyond which the computation stops.

    Raises:
        InputError: not a decomposition, or a network that is too large.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).double().eval()
    >>> net = tp.trace(model, torch.zeros(2, 2, dtype=torch.float64))
    >>> found = decomposition_polynomials(tp.decompose(net, method="paper"))
    >>> len(found.plus), found.excess < 1e-12
    (2, True)
    """
    if not isinstance(decomposition, DCDecomposition):
        raise InputError(f"a DCDecomposition is needed, the result of tp.decompose; found a {type(decomposition).__name__}")
    network = exact_network(dc_network(decomposition))
    found = PieceCollection(network, outputs_of)
    centers = starting_points(network.net, limit)
    found.add(centers)
    complete(found, limit)
    *plus, minus = found.polynomials()
    return DecompositionPolynomials(tuple(plus), minus, _excess(network, [*plus, minus], centers))


def outputs_of(found: ConvexPieces) -> list[RationalArray]:
    """The affine pieces f − g of each output."""
    (f, g), bottom = common_denominator(found.f, found.g)
    n = f.astype(object) - g
    return [RationalArray(n[:, i], bottom) for i in range(n.shape[1])]


def dc_network(decomposition: DCDecomposition) -> PiecewiseLinearNetwork:
    """The network (B, *input_shape) → (B, labels + 1) in float64 that computes F⁺_i of every label, then F⁻."""
    net = decomposition.net.to(torch.float64).to("cpu")
    constants = dict(net.constants)
    nodes: list[Node] = list(net.graph.nodes)
    multipliers = {**decomposition.multipliers, INPUT: decomposition.input_multiplier}
    names: list[str] = []
    for name, multiplier in multipliers.items():
        if multiplier is None:
            continue
        constants[f"K {name}"] = multiplier.double().cpu().reshape(1, -1)
        node = AffineNode(f"⟨K, {name}⟩", (name,), {"weight": f"K {name}"}, fn=_inner)
        nodes.append(node)
        names.append(node.name)
    constants["c⁻"] = torch.tensor([decomposition.constant], dtype=torch.float64)

    def parts(logits: Tensor, *sums: Tensor, bias: Tensor) -> Tensor:
        minus = torch.stack(sums).sum(0) + bias if sums else bias.expand(len(logits), 1)
        scores = torch.cat([-logits, logits], 1) if net.num_outputs == 1 else logits
        return torch.cat([scores + minus, minus], 1)

    nodes.append(AffineNode("F⁺, F⁻", (net.graph.output, *names), {"bias": "c⁻"}, fn=parts))
    graph = Graph(tuple(nodes), "F⁺, F⁻")
    return PiecewiseLinearNetwork(graph, constants, net.input_shape, torch.float64, torch.device("cpu"))


def _inner(h: Tensor, weight: Tensor) -> Tensor:
    """⟨K, h⟩ at each point: (B, 1)."""
    return h.reshape(-1, weight.shape[1]) @ weight.T


def _excess(network: ExactNetwork, polynomials: list[TropicalPolynomial], points: np.ndarray) -> float:
    """The largest p(x) − F(x) over points, exactly."""
    worst = Fraction(0)
    for point in points:
        single = PieceCollection(network, outputs_of)
        single.add(point[None])
        for piece, p in zip(single.polynomials(), polynomials, strict=True):
            worst = max(worst, p.exact(point.tolist()) - piece.exact(point.tolist()))
    return float(worst)


@dataclass(frozen=True)
class Membership(HtmlRepr):
    """The monomials of a polynomial that equal extracted terms.

    Attributes:
        monomial: (D,) the monomial that equals each term, −1 for none.
        tied: (D,) whether the term's point lies on the hypersurface, where any convex combination of the tied monomials is a
            subgradient.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> x = torch.tensor([[-2.0], [3.0]], dtype=torch.float64)
    >>> decomposition = tp.decompose(net, method="paper")
    >>> f_minus = tp.tropical.decomposition_polynomials(decomposition).minus
    >>> found = tp.tropical.membership(tp.extract(net, x, decomposition).minus, f_minus, x)
    >>> found.holds, found.monomial.tolist(), found.tied.tolist()
    (True, [0, 1], [False, False])
    """

    monomial: np.ndarray
    tied: np.ndarray

    @property
    def holds(self) -> bool:
        """Whether every term equals a monomial or has a tied point."""
        return bool(((self.monomial >= 0) | self.tied).all())


def membership(terms: AffineTerms, p: TropicalPolynomial, x: Tensor) -> Membership:
    """Find terms a_k, extracted at points x_k, among the monomials of a polynomial, up to the rounding of extraction.

    Args:
        terms: ``terms.minus``, or the terms of ``terms.plus`` with one label.
        p: F⁻, or F⁺ of that label.
        x: the points (D, *input_shape).

    Raises:
        InputError: different numbers of terms and points, or a wrong number of variables.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> x = torch.tensor([[-2.0], [3.0]], dtype=torch.float64)
    >>> decomposition = tp.decompose(net, method="paper")
    >>> f_minus = tp.tropical.decomposition_polynomials(decomposition).minus
    >>> tp.tropical.membership(tp.extract(net, x, decomposition).minus, f_minus, x).holds
    True
    """
    if terms.weight.shape[0] != len(x) or terms.weight[0].numel() != p.variables:
        raise InputError(
            f"terms, polynomial and points must fit: found {len(terms.weight)} terms of {terms.weight[0].numel()} numbers, "
            f"{p.variables} variables and {len(x)} points"
        )
    rows = torch.cat([terms.weight.double(), terms.bias.double()[:, None]], 1).cpu().numpy()
    monomials = p.table.floats()
    scale = max(float(np.abs(monomials).max()), 1e-300)
    distance = np.stack([np.abs(monomials - row).max(1) for row in rows])
    nearest = distance.argmin(1)
    found = np.where(distance[np.arange(len(rows)), nearest] <= ROUNDING * scale, nearest, -1)
    points = x.double().flatten(1).cpu().numpy()
    return Membership(found, p.margin(points) <= ROUNDING * scale * (1 + np.abs(points).max()))


def largest_excess(terms: LinearTerms, decomposition: DCDecomposition, domain: Box) -> float:
    """The largest of a⁻_k(x) − F⁻(x) and a⁺_k(x) − F⁺_i(x) over all terms and all x of a box, relative to the largest |F|.

    F is affine on every cell of the box, so the maximum is attained at a vertex of a cell. The excess is at most 0 (up to
    rounding) where all terms lie below their functions everywhere, which the calibrated decomposition guarantees on its data.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).double().eval()
    >>> x = torch.randn(30, 2, dtype=torch.float64)
    >>> net = tp.trace(model, x)
    >>> decomposition = tp.decompose(net, x)
    >>> largest_excess(tp.extract(net, x, decomposition), decomposition, tp.Box(-4, 4, d=2)) < 1e-12
    True
    """
    net = dc_network(decomposition)
    cx = linear_regions(net, domain)
    _, at = cx.corners
    corners = np.unique(at, axis=0)[:, :-1]
    points = torch.from_numpy(corners).reshape(-1, *net.input_shape)
    values = net(points)
    above = [terms.minus(points) - values[:, -1:]]
    above.append(terms.plus(points) - values[:, terms.labels.cpu()])
    return float(torch.cat(above, 1).max()) / max(float(values.abs().max()), 1e-300)
