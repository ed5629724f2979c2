"""The cell of a point, exactly, from the sign vectors of the cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.complex.sign_vectors import SignIndex, SignLayout
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.exact_points import pieces_of_signs
from tropica.regions.lower.lowering import NO_INPUT, Lowered, lower
from tropica.regions.lower.points import PointsOfDomain

_NUMBERS = 1 << 22
"""Numbers of the network's units that are in memory at a time."""


@dataclass(frozen=True, eq=False)
class Locator:
    """Cells by their sign vectors, which are hashed once.

    Attributes:
        domain: of the cells.
        lowered: the network.
        layout, index: the layout of sign vectors, and the cells by theirs.
    """

    domain: Domain
    lowered: Lowered
    layout: SignLayout
    index: SignIndex

    @classmethod
    def of_patterns(cls, net: PiecewiseLinearNetwork, domain: Domain, patterns: np.ndarray) -> Locator:
        """From the activation patterns (C, bytes) of the cells, as ``net.activation_pattern`` gives them."""
        lowered = lower(net, simplify=False)
        sizes = (s.size if s.kind == "threshold" else int((s.inputs != NO_INPUT).sum()) for s in lowered.stages)
        layout = SignLayout(lowered, tuple(sizes))
        return cls(domain, lowered, layout, SignIndex(layout.vectors(pieces_of_patterns(net, patterns), len(patterns))))

    def cells(self, t: np.ndarray) -> np.ndarray:
        """The lowest number (N,) of the cells whose closures hold each point t (N, d); −1 outside of the domain."""
        step = max(1, _NUMBERS // max(1, sum(stage.size for stage in self.lowered.stages)))
        parts = [t[start : start + step] for start in range(0, len(t), step)]
        found = [self.of_signs(self._points.signs(part), len(part)) for part in parts]
        number = np.concatenate(found) if found else np.zeros(0, np.int64)
        inside = self.domain.contains(t) if self.domain.limits() is not None else np.ones(len(number), bool)
        return np.where(inside, number, -1)

    @cached_property
    def _points(self) -> PointsOfDomain:
        return PointsOfDomain(self.lowered, self.domain)

    def of_signs(self, signs: Sequence[np.ndarray], count: int) -> np.ndarray:
        """The lowest number (N,) of the cells whose closures hold N points with signs as :class:`ExactPoints` has them."""
        vectors = self.layout.vectors(pieces_of_signs(self.lowered, signs), count)
        number = self.index.find(vectors)
        decided = self._decided(signs, count)
        for i in np.flatnonzero((decided != self.layout.bending).any(1)).tolist():
            found = self.index.closed(vectors[i], decided[i])
            number[i] = found[0] if len(found) else -1
        return number

    def _decided(self, signs: Sequence[np.ndarray], count: int) -> np.ndarray:
        """The bits (N, words) that a point's signs fix: all but those of units that are 0, and of tied inputs of a window."""
        free = []
        for stage, sign in zip(self.lowered.stages, signs, strict=True):
            free.append(sign == 0 if stage.kind == "threshold" else sign & (sign.sum(2, keepdims=True) > 1))
        return self.layout.bending & ~self.layout.free_words(free, count)


def pieces_of_patterns(net: PiecewiseLinearNetwork, patterns: np.ndarray) -> list[np.ndarray]:
    """For each nonlinearity (C, units): 1 for the upper piece of a threshold, the position in a window."""
    bits = np.unpackbits(patterns, axis=1).astype(np.int64)
    found, at = [], 0
    for node in net.nonlinearities:
        width = max(1, (node.op.num_pieces(*(net.shapes[name] for name in node.inputs)) - 1).bit_length())
        digits = bits[:, at : at + node.units * width].reshape(len(bits), node.units, width)
        found.append(digits @ (1 << np.arange(width - 1, -1, -1)))
        at += node.units * width
    return found
