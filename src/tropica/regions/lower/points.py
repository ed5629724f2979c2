"""Signs of a lowered network at many points of a domain: float64 with proven bounds, exact where these decide nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from tropica.exact.rational_arrays import rationals
from tropica.exact.roundoff import UNIT_ROUNDOFF
from tropica.network.numbers import Enclosed
from tropica.network.point_signs import PointSigns, UnitPieces
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.exact_points import embedded, exact_points
from tropica.regions.lower.lowering import Lowered, Stage

_SMALLEST = 2.0**-1000
"""More than an underflow loses."""


@dataclass(frozen=True, eq=False)
class PointsOfDomain:
    """The signs of all units at points of a domain.

    Attributes:
        lowered: the network.
        domain: with the coordinates t of the points.
    """

    lowered: Lowered
    domain: Domain

    def signs(self, t: np.ndarray) -> tuple[np.ndarray, ...]:
        """For each stage what :class:`ExactPoints` has, at points t (N, d) in float64."""
        found, proven = self._predicate.filtered(self._enclosed(t))
        signs = tuple(_signs(stage, pieces, len(t)) for stage, pieces in zip(self.lowered.stages, found, strict=True))
        left = np.flatnonzero(~proven.numpy())
        if len(left):
            exact = exact_points(self.lowered, embedded(self.domain, rationals(t[left])))
            for sign, better in zip(signs, exact.signs, strict=True):
                sign[left] = better
        return signs

    @cached_property
    def _predicate(self) -> PointSigns:
        context = self.lowered.output.context
        return PointSigns(context.graph, dict(context.constants), dict(context.shapes))

    def _enclosed(self, t: np.ndarray) -> Enclosed:
        """The inputs at points t, with bounds of their errors: 0 where a coordinate is copied, or is constant."""
        basis, origin = self.domain.basis, self.domain.origin
        x = t @ basis + origin
        terms = len(basis) + 2
        error = terms * 2 * UNIT_ROUNDOFF * (np.abs(t) @ np.abs(basis) + np.abs(origin)) + _SMALLEST
        used = (basis != 0).sum(0)
        copied = (used == 1) & (np.abs(basis).max(0, initial=0.0) == 1) & (origin == 0)
        error[:, copied | (used == 0)] = 0.0
        shape = self.lowered.input_shape
        return Enclosed(*(torch.from_numpy(part).reshape(-1, *shape) for part in (x, error)))


def _signs(stage: Stage, found: UnitPieces, count: int) -> np.ndarray:
    assert found.attaining is not None
    attaining = found.attaining.reshape(len(found.attaining), count, -1).numpy()
    if stage.kind == "window":
        return np.ascontiguousarray(attaining.transpose(1, 2, 0))
    return attaining[1].astype(np.int8) - attaining[0].astype(np.int8)
