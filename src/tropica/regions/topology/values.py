"""Values of an output, or of a label's margin, at vertices: floats with bounds, exact where these do not decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray
from tropica.regions.complex.clipping import EPSILON, Polytopes
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.output_cells import Functions, OutputCells, clip
from tropica.regions.topology.faces import FaceComplex
from tropica.regions.topology.parts import cell_complex, part_complex

AT_ONCE = 512
"""Cells whose exact maps are made at a time."""


@dataclass(frozen=True, eq=False)
class VertexValues:
    """A function that is affine on each of some polytopes: the combination ``weight`` of the outputs.

    Attributes:
        found: the cells.
        parts: them, or the parts of them on which the function is affine; None for the cells themselves.
        weight: (P, outputs) whole numbers, a row a polytope.
    """

    found: Enumerated
    parts: OutputCells | None
    weight: np.ndarray

    @cached_property
    def complex(self) -> FaceComplex:
        """The faces of the polytopes."""
        return cell_complex(self.found) if self.parts is None else part_complex(self.parts)

    @property
    def polytopes(self) -> Polytopes:
        """The polytopes."""
        return self.found.polytopes if self.parts is None else self.parts.parts

    @cached_property
    def points(self) -> np.ndarray:
        """(V, d) the vertices of the complex in t."""
        return self.polytopes.at[self.complex.rows, :-1]

    @property
    def inside(self) -> np.ndarray:
        """(V,) whether each vertex is inside of the domain."""
        return ~self.complex.border

    @cached_property
    def floats(self) -> tuple[np.ndarray, np.ndarray]:
        """(V,) values at the vertices of the complex, and bounds of their errors."""
        rows = self.complex.rows
        part, at = self._part(rows), self.polytopes.at[rows]
        cell, weight = self._cell(part), self.weight[part].astype(np.float64)
        maps, errors = self.found.maps
        with np.errstate(over="ignore", invalid="ignore"):
            row = np.einsum("no,nok->nk", weight, maps[cell])
            size = np.einsum("no,nok->nk", np.abs(weight), np.abs(maps[cell])) * (maps.shape[1] + 2)
            value = np.einsum("nk,nk->n", row, at)
            terms = np.einsum("nk,nk->n", size, np.abs(at))
            slack = np.abs(row[:, :-1]).sum(1) * self.polytopes.displacement[rows]
            error = np.einsum("no,no->n", np.abs(weight), errors[cell]) + slack
            return value, error + (at.shape[1] + 3) * EPSILON * terms + 1e-305

    @cached_property
    def nearest(self) -> np.ndarray:
        """(V,) the values as floats, rounded from exact ones where bounds are large or floats overflow; ±∞ beyond float64."""
        value, error = self.floats
        blunt = ~(error <= 1e-11 * np.abs(value).max(initial=0.0, where=np.isfinite(value)) + 1e-300)
        found = value.copy()
        if blunt.any() and self.found.problem.exact.proves:
            found[blunt] = [_float(v) for v in self.exact(np.flatnonzero(blunt))]
        return found

    def exact(self, vertices: np.ndarray) -> list[Fraction]:
        """The values at some vertices of the complex, in rational arithmetic."""
        if not self.found.problem.exact.proves:
            raise InputError(
                "floating point does not decide the order of the outputs, in a network too wide for exact arithmetic"
            )
        rows = self.complex.rows[vertices]
        cells, place = np.unique(self._cell(self._part(rows)), return_inverse=True)
        maps = [m for low in range(0, len(cells), AT_ONCE) for m in self.found.exact_maps(cells[low : low + AT_ONCE])]
        outputs = self.weight.shape[1]
        corner = self.found.exact_corner if self.parts is None else self.parts.corner
        values = []
        for row, own in zip(rows.tolist(), place.ravel().tolist(), strict=True):
            weight, point, numbers = self.weight[self._part(np.array([row]))[0]].tolist(), corner(row), maps[own]
            wide = len(numbers) // outputs
            terms = (w * _dot(numbers[o * wide : (o + 1) * wide], point) for o, w in enumerate(weight) if w)
            values.append(sum(terms, Fraction(0)))
        return values

    def signs(self, level: float) -> np.ndarray:
        """(V,) int8, −1, 0 and 1 at vertices with a value below, at and above a level; exactly."""
        value, error = self.floats
        with np.errstate(invalid="ignore", over="ignore"):
            away = value - level
            sure = np.abs(away) > error + EPSILON * np.abs(level)
            sure &= np.isfinite(away) & np.isfinite(error)
        sign = np.where(sure, np.sign(away), 0).astype(np.int8)
        doubtful = np.flatnonzero(~sure)
        exactly = Fraction(level)
        sign[doubtful] = [(v > exactly) - (v < exactly) for v in self.exact(doubtful)]
        return sign

    @cached_property
    def ranks(self) -> np.ndarray:
        """(V,) the place of each vertex's value among all different values, exactly: equal for equal values."""
        value, error = self.floats
        with np.errstate(invalid="ignore", over="ignore"):
            low, high = (np.nextafter(value + s * error, s * np.inf) for s in (-1, 1))
        low, high = np.nan_to_num(low, nan=-np.inf), np.nan_to_num(high, nan=np.inf)
        order = np.argsort(low, kind="stable")
        apart = low[order][1:] > np.maximum.accumulate(high[order])[:-1]
        start = np.flatnonzero(np.append(True, apart)) if len(order) else np.zeros(0, np.int64)
        size = np.diff(np.append(start, len(order)))
        close = np.repeat(size > 1, size)
        within = np.zeros(len(order), np.int64)
        cluster = np.repeat(np.arange(len(start)), size)
        exactly = self.exact(order[close]) if close.any() else []
        known = {v: i for i, v in enumerate(sorted(set(exactly)))}
        within[close] = [known[v] for v in exactly]
        _, rank = np.unique(np.stack([cluster, within], 1), axis=0, return_inverse=True)
        found = np.empty(len(order), np.int64)
        found[order] = rank.ravel()
        return found

    def _part(self, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.polytopes.start, rows, side="right") - 1

    def _cell(self, part: np.ndarray) -> np.ndarray:
        return part if self.parts is None else self.parts.parent[part]


def _float(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _dot(row: Sequence[Fraction], point: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(row, point, strict=True)), Fraction(0))


def output_values(found: Enumerated, output: int | None, label: int | None, sign: int = 1) -> VertexValues:
    """An output, or the margin of a label (its logit minus the largest other one), times ``sign``.

    With one output f the margin of label 1 is f, that of label 0 is −f.

    Raises:
        InputError: neither or both are given, or a number that there is not.
    """
    outputs = found.maps[0].shape[1]
    if output is not None and label is not None:
        raise InputError("output= or label= says what is looked at; found both")
    if label is None:
        if output is None and outputs > 1:
            raise InputError(f"output= must say which of the {outputs} outputs is looked at, or label= whose margin")
        number = checked_number(0 if output is None else output, outputs, "output")
        return VertexValues(found, None, _rows(len(found), outputs, {number: sign}))
    number = checked_number(label, max(2, outputs), "label")
    if outputs == 1:
        return VertexValues(found, None, _rows(len(found), 1, {0: sign if number else -sign}))
    others = np.delete(np.arange(outputs), number)
    if outputs == 2:
        return VertexValues(found, None, _rows(len(found), 2, {number: sign, int(others[0]): -sign}))
    identity = np.eye(outputs, dtype=np.int64)
    largest = Functions(RationalArray(identity[others]), RationalArray(np.zeros(len(others), np.int64)), "largest")
    parts = clip(found, largest)
    return VertexValues(found, parts, sign * (identity[number] - identity[others[parts.piece]]))


def _rows(count: int, outputs: int, entries: dict[int, int]) -> np.ndarray:
    row = np.zeros(outputs, np.int64)
    row[list(entries)] = list(entries.values())
    return np.broadcast_to(row, (count, outputs))


def checked_number(number: object, count: int, name: str) -> int:
    """A number of an output or a label; an InputError for another thing."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 0 <= number < count:
        raise InputError(f"{name} must be a number from 0 to {count - 1}; found {number!r}")
    return int(number)
