"""The inequalities g ≤ 0 that bound a cell: one for each threshold, one for each other input of a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tropica.exact.rational_arrays import RationalArray, compact
from tropica.queries.fixed_pieces import Bounded, Pieces
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered

DOMAIN = -1
"""The number of the stage of a row that is a half-space of the domain."""


@dataclass(frozen=True, eq=False)
class Borders:
    """The inequalities of a cell, N of them: those of the network, stage by stage, then those of a domain.

    Attributes:
        stage: (N,) number of the stage; −1 for a half-space of the domain.
        unit: (N,) the unit of the stage; the number of the domain's half-space.
        other: (N,) for a window the position of the input that the active one is compared with; −1 otherwise.
        plus, minus: g = z[plus] − z[minus] ≤ 0 with rows z of the stage; −2 is the constant 0.
    """

    stage: np.ndarray
    unit: np.ndarray
    other: np.ndarray
    plus: np.ndarray
    minus: np.ndarray

    def __len__(self) -> int:
        return len(self.stage)

    def name(self, lowered: Lowered, i: int) -> str:
        """The unit of an inequality, as the network is written: ``relu_1[17]``."""
        if self.stage[i] == DOMAIN:
            return f"domain[{self.unit[i]}]"
        node, units = lowered.stages[self.stage[i]].written[0]
        window = f" (input {self.other[i]})" if self.other[i] >= 0 else ""
        return f"{node}[{units[self.unit[i]]}]{window}"

    def crossed(self, pieces: Pieces, i: int) -> Pieces:
        """The pieces beyond an inequality of the network that alone holds with equality there: those of its unit change."""
        s, unit = int(self.stage[i]), int(self.unit[i])
        changed = pieces[s].copy()
        changed[unit] = self.other[i] if self.other[i] >= 0 else 1 - changed[unit]
        return (*pieces[:s], changed, *pieces[s + 1 :])

    def alone(self, i: int, zero: np.ndarray) -> bool:
        """Whether no inequality of a stage behind that of inequality i is among those (N,) that are 0 on the whole cell."""
        return not bool((zero & (self.stage > self.stage[i])).any())

    def exact(self, rows: Sequence[RationalArray]) -> RationalArray:
        """g (B, N of the network) of the rows (B, n) of each stage."""
        parts = [self._differences(s, z.numerators) for s, z in enumerate(rows)]
        denominators = [z.denominator for z in rows]
        common = math.lcm(1, *denominators)
        scaled = [p.astype(object) * (common // d) for p, d in zip(parts, denominators, strict=True)]
        joined = np.concatenate(scaled, 1) if scaled else np.zeros((1, 0), dtype=object)
        return RationalArray(compact(joined), common)

    def signs(self, rows: Sequence[RationalArray]) -> np.ndarray:
        """The signs of g, (B, N of the network) int8."""
        parts = [np.sign(self._differences(s, z.numerators)).astype(np.int8) for s, z in enumerate(rows)]
        return np.concatenate(parts, 1) if parts else np.zeros((1, 0), np.int8)

    def bounded(self, rows: Sequence[Bounded]) -> Bounded:
        """g of rows in float64, with its error."""
        values: list[np.ndarray] = []
        errors: list[np.ndarray] = []
        for s, z in enumerate(rows[:-1]):
            value = self._differences(s, z.value)
            spread = self._differences(s, z.error, sign=1)
            both = ((self.plus >= 0) & (self.minus >= 0))[self.stage == s]
            errors.append(np.where(both, spread * (1 + 1e-9) + 2.0**-52 * np.abs(value) + 2.0**-1020 * (spread > 0), spread))
            values.append(value)
        empty = np.zeros((len(rows[-1].value), 0))
        return Bounded(np.concatenate([empty, *values], 1), np.concatenate([empty, *errors], 1))

    def _differences(self, s: int, z: np.ndarray, sign: int = -1) -> np.ndarray:
        own = self.stage == s
        plus, minus = self.plus[own], self.minus[own]
        if not z.shape[1]:
            return np.zeros((len(z), 0), z.dtype)
        first = np.where(plus >= 0, z[:, np.maximum(plus, 0)], 0)
        second = np.where(minus >= 0, z[:, np.maximum(minus, 0)], 0)
        return first + sign * second


def borders_of(lowered: Lowered, pieces: Pieces, domain_rows: int = 0) -> Borders:
    """The inequalities of the cell with these pieces, and ``domain_rows`` of a domain."""
    columns: list[np.ndarray] = []
    for s, (stage, piece) in enumerate(zip(lowered.stages, pieces, strict=True)):
        if stage.kind == "threshold":
            unit = np.flatnonzero(stage.low != stage.high)
            up = piece[unit] > 0
            plus, minus = np.where(up, ZERO, unit), np.where(up, unit, ZERO)
            other = np.full(len(unit), -1)
        else:
            active = np.take_along_axis(stage.inputs, piece[:, None], 1)
            unit, other = np.nonzero((stage.inputs != NO_INPUT) & (stage.inputs != active))
            plus, minus = stage.inputs[unit, other], active[unit, 0]
        columns.append(np.stack([np.full(len(unit), s), unit, other, plus, minus]))
    walls = np.arange(domain_rows)
    columns.append(np.stack([np.full(domain_rows, DOMAIN), walls, *[np.full(domain_rows, k) for k in (-1, ZERO, ZERO)]]))
    return Borders(*np.concatenate(columns, 1).astype(np.int64))
