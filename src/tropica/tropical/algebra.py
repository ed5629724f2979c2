"""A network multiplied out, op by op, as polynomials F and G of every unit: what the theorem says, pruned after each step.

Slower than reading the monomials off the network's cells, and independent of the region engine: sums are Minkowski sums of
polytopes, maxima are hulls of unions, and ``essential`` drops what never wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from tropica.network.graph import INPUT, AffineNode, Node, NonlinearityNode
from tropica.tropical.affine import ExactAffine, ExactNetwork, ExactNonlinearity, Larger, Largest, Leaky, Level
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalMap, TropicalRational

Units = list[TropicalRational]
"""F ⊘ G of each unit of a value."""


def multiplied_out(network: ExactNetwork, limit: int) -> TropicalMap:
    """F ⊘ G of each output.

    Raises:
        TooManyMonomials: a polynomial with more than ``limit`` monomials.
    """
    d = network.inputs
    work = _Multiplication(limit, d)

    def step(node: Node, inputs: Sequence[Units]) -> Units:
        work.at = node.name
        if isinstance(node, NonlinearityNode):
            return work.nonlinearity(network.nonlinearity(node), inputs)
        assert isinstance(node, AffineNode)
        return work.affine(network.affine(node), inputs)

    graph = network.net.graph
    variables = [TropicalRational(TropicalPolynomial.variable(i, d)) for i in range(d)]
    return TropicalMap(graph.interpret({INPUT: variables}, step)[graph.output])


class _Multiplication:
    """The ops on polynomials, pruned, with a look at the limit."""

    def __init__(self, limit: int, variables: int) -> None:
        self.limit, self.variables, self.at = limit, variables, ""

    def product(self, factors: Iterable[tuple[TropicalPolynomial, Fraction]]) -> TropicalPolynomial:
        """Π f^a, the shortest first."""
        chosen = sorted(((f, a) for f, a in factors if a), key=lambda pair: len(pair[0]))
        out = TropicalPolynomial.constant(0, self.variables)
        for f, a in chosen:
            out = out.times_essential(f**a)
            self.look(len(out))
        return out

    def look(self, reached: int) -> None:
        """Is the limit kept?"""
        if reached > self.limit:
            from tropica.tropical.from_network import INSTEAD, TooManyMonomials

            raise TooManyMonomials(
                f"at {self.at} a polynomial has {reached:,} monomials, and the limit is {self.limit:,}; raise limit=, "
                f"or {INSTEAD}",
                reached,
            )

    def maximum(self, *operands: TropicalPolynomial) -> TropicalPolynomial:
        """⊕."""
        out = operands[0]
        for f in operands[1:]:
            out = (out + f).essential()
        return out

    def affine(self, op: ExactAffine, inputs: Sequence[Units]) -> Units:
        out = []
        for i, c in enumerate(op.offset.tolist()):
            rows = [
                (unit, Fraction(int(m.top[i, k]), 1 << m.shift))
                for m, units in zip(op.matrices, inputs, strict=True)
                for k, unit in enumerate(units)
                if m.top[i, k]
            ]
            f = self.product([(u.f if a > 0 else u.g, abs(a)) for u, a in rows])
            g = self.product([(u.g if a > 0 else u.f, abs(a)) for u, a in rows])
            out.append(TropicalRational(f * Fraction(c, 1 << op.shift), g))
        return out

    def nonlinearity(self, nonlinearity: ExactNonlinearity, inputs: Sequence[Units]) -> Units:
        if isinstance(nonlinearity, Largest):
            return [self._largest([inputs[0][p] for p in row if p >= 0]) for row in nonlinearity.places.tolist()]
        if isinstance(nonlinearity, Larger):
            return [self._largest(pair) for pair in zip(*inputs, strict=True)]
        one: Callable[[int, TropicalRational], TropicalRational]
        if isinstance(nonlinearity, Leaky):
            slopes = [Fraction(int(a), 1 << nonlinearity.shift) for a in nonlinearity.slope]
            one = lambda i, z: self._leaky(z, slopes[i])  # noqa: E731
        elif isinstance(nonlinearity, Level):
            levels = [Fraction(int(c), 1 << nonlinearity.shift) for c in nonlinearity.level]
            one = lambda i, z: TropicalRational(self.maximum(z.f, z.g * levels[i]), z.g)  # noqa: E731
        else:
            one = lambda i, z: TropicalRational(self.maximum(z.f**2, z.g**2), self.product([(z.f, ONE), (z.g, ONE)]))  # noqa: E731
        return [one(i, z) for i, z in enumerate(inputs[0])]

    def _leaky(self, z: TropicalRational, slope: Fraction) -> TropicalRational:
        """max(F, αF + (1 − α)G) = αF + (1 − α) max(F, G)."""
        top = self.maximum(z.f, z.g)
        return TropicalRational(self.product([(z.f, slope), (top, 1 - slope)]), z.g)

    def _largest(self, options: Sequence[TropicalRational]) -> TropicalRational:
        """max_k (F_k + Σ_{l≠k} G_l) over Σ_l G_l."""
        tops = [
            self.product([(z.f, ONE), *((other.g, ONE) for i, other in enumerate(options) if i != k)])
            for k, z in enumerate(options)
        ]
        return TropicalRational(self.maximum(*tops), self.product([(z.g, ONE) for z in options]))


ONE = Fraction(1)
