"""F and G of every unit of a network, multiplied out op by op as polynomials and pruned after each op.

Slower than reading the monomials off the network's cells, and independent of the region engine: sums are Minkowski sums of
polytopes, maxima are hulls of unions, and ``essential`` drops nonessential monomials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tropica.network.graph import INPUT, Node
from tropica.tropical.exact_network import (
    ExactAbs,
    ExactAffine,
    ExactClampMin,
    ExactLeakyRelu,
    ExactNetwork,
    ExactNonlinearity,
    ExactWindowMaximum,
)
from tropica.tropical.limits import ALTERNATIVES, TooManyMonomials
from tropica.tropical.polynomial import PolynomialWithQuotients, TropicalPolynomial, TropicalRational
from tropica.tropical.rational_map import TropicalMap

Units = list[TropicalRational]
"""F ⊘ G of each unit of a node."""
ONE = Fraction(1)


def multiplied_out(network: ExactNetwork, limit: int) -> TropicalMap:
    """F ⊘ G of each output.

    Raises:
        TooManyMonomials: a polynomial with more than ``limit`` monomials.
    """
    d = network.variables
    inputs = [TropicalRational(TropicalPolynomial.variable(i, d)) for i in range(d)]

    def apply(node: Node, values: Sequence[Units]) -> Units:
        step, op = _Step(limit, node.name, d), network.ops[node.name]
        return step.affine(op, values) if isinstance(op, ExactAffine) else step.nonlinearity(op, values)

    graph = network.net.graph
    return TropicalMap(graph.interpret({INPUT: inputs}, apply)[graph.output])


@dataclass(frozen=True)
class _Step:
    """One node's op on polynomials in ``variables`` variables with at most ``limit`` monomials."""

    limit: int
    node: str
    variables: int

    def affine(self, op: ExactAffine, inputs: Sequence[Units]) -> Units:
        """(F, G) ↦ (J⁺F + J⁻G + c, J⁻F + J⁺G)."""
        out = []
        for i, constant in enumerate(_fractions(op.offset, op.shift)):
            rows = [
                (unit, Fraction(int(m.top[i, k]), 1 << m.shift))
                for m, units in zip(op.matrices, inputs, strict=True)
                for k, unit in enumerate(units)
                if m.top[i, k]
            ]
            f = self._product([(u.f if a > 0 else u.g, abs(a)) for u, a in rows])
            g = self._product([(u.g if a > 0 else u.f, abs(a)) for u, a in rows])
            out.append(TropicalRational(f * constant, g))
        return out

    def nonlinearity(self, op: ExactNonlinearity, inputs: Sequence[Units]) -> Units:
        """The formulas of :mod:`tropica.tropical.convex_pieces`."""
        units = inputs[0]
        if isinstance(op, ExactWindowMaximum):
            return [self._maximum_of([units[p] for p in row if p >= 0]) for row in op.members.tolist()]
        if isinstance(op, ExactLeakyRelu):
            return [self._leaky_relu(z, slope) for z, slope in zip(units, _fractions(op.slope, op.shift), strict=True)]
        if isinstance(op, ExactClampMin):
            levels = _fractions(op.level, op.shift)
            return [TropicalRational(_maximum(z.f, z.g * level), z.g) for z, level in zip(units, levels, strict=True)]
        if isinstance(op, ExactAbs):
            return [TropicalRational(_maximum(z.f**2, z.g**2), self._product([(z.f, ONE), (z.g, ONE)])) for z in units]
        return [self._maximum_of(pair) for pair in zip(*inputs, strict=True)]

    def _leaky_relu(self, z: TropicalRational, slope: Fraction) -> TropicalRational:
        """max(F, αF + (1 − α)G) = αF + (1 − α) max(F, G)."""
        return TropicalRational(self._product([(z.f, slope), (_maximum(z.f, z.g), 1 - slope)]), z.g)

    def _maximum_of(self, operands: Sequence[TropicalRational]) -> TropicalRational:
        """max_k (F_k + Σ_{l≠k} G_l) over Σ_l G_l."""
        tops = [
            self._product([(z.f, ONE), *((other.g, ONE) for i, other in enumerate(operands) if i != k)])
            for k, z in enumerate(operands)
        ]
        return TropicalRational(_maximum(*tops), self._product([(z.g, ONE) for z in operands]))

    def _one(self) -> PolynomialWithQuotients:
        """The neutral element of ⊙."""
        return TropicalPolynomial.constant(0, self.variables)

    def _product(self, factors: Iterable[tuple[PolynomialWithQuotients, Fraction]]) -> PolynomialWithQuotients:
        """Π f^a, the shortest factor first."""
        out = self._one()
        for f, a in sorted(((f, a) for f, a in factors if a), key=lambda pair: len(pair[0])):
            out = out.times_essential(f**a)
            if len(out) > self.limit:
                raise TooManyMonomials(
                    f"at {self.node} a polynomial has {len(out):,} monomials, and the limit is {self.limit:,}; raise limit=, "
                    f"or {ALTERNATIVES}",
                    len(out),
                )
        return out


def _maximum(*operands: PolynomialWithQuotients) -> PolynomialWithQuotients:
    """⊕ of polynomials, pruned."""
    out = operands[0]
    for f in operands[1:]:
        out = (out + f).essential()
    return out


def _fractions(top: np.ndarray, shift: int) -> list[Fraction]:
    return [Fraction(int(n), 1 << shift) for n in top]
