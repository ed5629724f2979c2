"""Cells clipped by affine functions of the outputs: by the largest logit, by a level, by half-spaces.

No cell is enumerated again. Signs at vertices are those of floats where their error bound decides, and of integers elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np

from tropica.exact.rational_arrays import RationalArray, from_fractions, nearest_float
from tropica.regions.complex.clipping import EPSILON, Plane, Polytopes, cut, joined
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.exact_corner import exact_corner, points_along
from tropica.regions.complex.neighbors import neighbors
from tropica.regions.complex.sign_vectors import SignIndex
from tropica.regions.complex.simplices import chunks
from tropica.regions.engine.exact_signs import ExactSigns
from tropica.regions.engine.exact_vertices import interior_point, spread_signs
from tropica.regions.engine.fan import INFINITY
from tropica.regions.lower.exact_points import embedded, exact_maps, exact_points

VALUES = 1 << 22
"""Values at vertices that are made at a time."""


@dataclass(frozen=True, eq=False)
class Functions:
    """Affine functions W z + b of the outputs z.

    Attributes:
        weight, bias: (m, outputs) and (m,), exact.
        parting: "largest": cells are parted by which of the functions, each of them an output, is largest, the first of equal
            ones; "signs": by the sign of each, a function that is 0 on a whole cell counting as negative; "above": only the
            parts stay on which every function is ≥ 0.
    """

    weight: RationalArray
    bias: RationalArray
    parting: Literal["largest", "signs", "above"]

    @property
    def largest(self) -> bool:
        """Whether the largest function parts the cells."""
        return self.parting == "largest"

    def __len__(self) -> int:
        return len(self.bias.numerators)


def label_functions(outputs: int) -> Functions:
    """The logits, parted by the largest; one output by its sign: label 1 where it is positive."""
    zeros = np.zeros(outputs, np.int64)
    identity = RationalArray(np.eye(outputs, dtype=np.int64))
    return Functions(identity, RationalArray(zeros), "largest" if outputs > 1 else "signs")


@dataclass(frozen=True, eq=False)
class OutputCells:
    """Parts of cells on which affine functions of the outputs keep their order or their signs.

    Attributes:
        found: the cells.
        functions: the functions.
        exact: exact signs, in which the functions are one more stage.
        parent: (P,) the cell of each part, in order.
        piece: (P,) the largest function; a number with bit j set where function j is positive; 0 for parts above.
        parts: the parts as polytopes.
        undecided: how many signs rest on floating point, where exact arithmetic is out of reach.
        sector: (cells, 1) uint64 the cone of the fan that each cell is a part in, where a cell of space comes in parts. The
            walls between them then count as facets that parts share.
    """

    found: Enumerated
    functions: Functions
    exact: ExactSigns
    parent: np.ndarray
    piece: np.ndarray
    parts: Polytopes
    undecided: int
    sector: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.parent)

    @cached_property
    def facets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Offsets (P + 1,), hyperplanes (K, 3), and the column of each facet in ``parts.on``."""
        there = np.zeros(self.parts.planes.shape[:2], bool)
        np.logical_or.at(there, self.parts.owner, self.parts.on)
        part, column = np.nonzero(there)
        return np.append(0, np.cumsum(there.sum(1))), self.parts.planes[part, column], column

    @cached_property
    def shared(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (A, 2) of parts that share a facet, and the facet (A,) of one of both."""
        start, planes, _ = self.facets
        if self.sector is not None:  # a bit that no part has: what lies behind a wall is told by exact signs
            wall = (planes[:, 0] < 0) & (planes[:, 1] != INFINITY)
            planes = np.where(wall[:, None], [len(self._offsets) - 1, 63, -1], planes)
        pairs, on, _ = neighbors(self._offsets, SignIndex(self._vectors), start, planes, self._facet_keys)
        return pairs, on

    def vertices_of(self, facet: int) -> np.ndarray:
        """The rows of a facet's vertices."""
        start, _, column = self.facets
        part = int(np.searchsorted(start, facet, side="right")) - 1
        low, high = self.parts.start[part : part + 2].tolist()
        return low + np.flatnonzero(self.parts.on[low:high, column[facet]])

    def corner(self, vertex: int) -> list[Fraction]:
        """A vertex (t, 1), or the direction (t, 0) of a ray, exactly."""
        part = int(np.searchsorted(self.parts.start, vertex, side="right")) - 1
        through = self.parts.through(vertex)
        return exact_corner(self.found, self.exact, int(self.parent[part]), through, self.parts.at[vertex])

    @property
    def stage(self) -> int:
        """The number of the functions among the stages."""
        return len(self.found.problem.net.size) - 1

    @property
    def _offsets(self) -> np.ndarray:
        stages = self.stage
        before = self.found.layout.offsets
        before = np.append(before, np.full(stages + 1 - len(before), before[-1]))
        return np.append(before, before[-1] + -(-len(self.functions) // 64))

    @property
    def _vectors(self) -> np.ndarray:
        m = len(self.functions)
        bits = np.zeros((len(self), 64 * (-(-m // 64))), bool)
        if self.functions.largest:
            bits[np.arange(len(self)), self.piece] = True
        else:
            bits[:, :m] = self.piece[:, None] >> np.minimum(np.arange(m), 62) & 1
        own = np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)
        words = [self.found.index.vectors[self.parent], own]
        return np.concatenate(words if self.sector is None else [*words, self.sector[self.parent]], 1)

    def _facet_keys(self, facets: np.ndarray) -> list[bytes]:
        """Exact signs of all units, and the order of the functions, at the mean of the vertices of facets; names of their own
        where these are out of reach."""
        if not self.exact.proves:
            return [b"%d" % f for f in facets.tolist()]
        means = [interior_point([self.corner(v) for v in self.vertices_of(f).tolist()]) for f in facets.tolist()]
        t = from_fractions((x for point in means for x in point), (len(means), self.found.domain.dimension))
        points = exact_points(self.found.lowered, embedded(self.found.domain, t))
        values = _applied(self.functions, points.outputs)
        last = values == values.max(1, keepdims=True) if self.functions.largest else np.sign(values).astype(np.int8)
        signs = [*points.signs, last.astype(np.int8)]
        return [b"".join(sign[i].tobytes() for sign in signs) for i in range(len(means))]


def _applied(functions: Functions, outputs: RationalArray) -> np.ndarray:
    """The values (N, m) of functions at outputs (N, s), times one positive number."""
    product = outputs.numerators.astype(object) @ functions.weight.numerators.astype(object).T
    below = functions.weight.denominator * outputs.denominator
    return product * functions.bias.denominator + functions.bias.numerators.astype(object) * below


def clip(found: Enumerated, functions: Functions) -> OutputCells:
    """Part all cells by functions of the outputs."""
    return _Clipper(found, functions).run()


class _Clipper:
    """One run of :func:`clip`: rows of the functions on each cell, with error bounds."""

    def __init__(self, found: Enumerated, functions: Functions) -> None:
        self.found, self.functions, self.above = found, functions, functions.parting == "above"
        self.exact = found.problem.exact.followed_by(functions.weight, functions.bias)
        self.undecided = 0
        self.stage = len(found.problem.net.size) - 1
        self.cells = found.polytopes
        limits = found.domain.limits()
        self.extent = 1.0 if limits is None else float((limits[1] - limits[0]).max())
        self.weight, self.bias = functions.weight.floats(), functions.bias.floats()
        self.output = self.weight.argmax(1)

    def run(self) -> OutputCells:
        kept: list[np.ndarray] = []
        pieces: list[np.ndarray] = []
        parts: list[Polytopes] = []
        for cells in self._cell_chunks():
            for chosen, piece, made in self._parted(cells):
                kept.append(chosen)
                pieces.append(piece)
                parts.append(made)
        whole = joined(parts) if parts else self.cells.select(np.zeros(0, np.int64))
        parent = np.concatenate([np.zeros(0, np.int64), *kept])
        piece = np.concatenate([np.zeros(0, np.int64), *pieces])
        order = np.lexsort((piece, parent))
        return OutputCells(
            self.found, self.functions, self.exact, parent[order], piece[order], whole.select(order), self.undecided
        )

    def _cell_chunks(self):  # type: ignore[no-untyped-def]
        """Some cells at a time, so that the values at their vertices stay small."""
        limit = max(1, VALUES // max(1, len(self.functions)))
        low = 0
        while low < len(self.cells):
            high = int(np.searchsorted(self.cells.start, self.cells.start[low] + limit, side="right")) - 1
            high = min(max(high, low + 1), len(self.cells))
            yield np.arange(low, high)
            low = high

    # ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _rows(
        self, cells: np.ndarray, first: np.ndarray, other: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each cell the row (n, d + 1) of a function or a difference of two, sizes of its terms, and an error bound."""
        maps, errors = self.found.maps
        with np.errstate(over="ignore", invalid="ignore"):
            if self.functions.largest:  # the outputs themselves
                plus, minus = (self.output[first if k is None else k] for k in (first, other))
                a, b = maps[cells, plus], maps[cells, minus] * (other is not None)
                error = errors[cells, plus] + errors[cells, minus] * (other is not None)
                return a - b, np.abs(a) + np.abs(b), error
            weight = self.weight[first]
            row = np.einsum("no,nok->nk", weight, maps[cells])
            size = np.einsum("no,nok->nk", np.abs(weight), np.abs(maps[cells]))
            row[:, -1] += self.bias[first]
            size[:, -1] += np.abs(self.bias[first])
            return row, size * (maps.shape[1] + 2), np.einsum("no,no->n", np.abs(weight), errors[cells])

    def _values(
        self, parts: Polytopes, cells: np.ndarray, first: np.ndarray, other: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values (N,) at the vertices, and bounds of their errors."""
        row, size, error = self._rows(cells, first, other)
        owner = parts.owner
        with np.errstate(over="ignore", invalid="ignore"):
            value = np.einsum("nk,nk->n", row[owner], parts.at)
            terms = np.einsum("nk,nk->n", size[owner], np.abs(parts.at))
            slack = np.abs(row[:, :-1]).sum(1)[owner] * parts.displacement
            if self.found.cells.rays is not None:  # there the bounds of maps are for |t| ≤ 1
                error = error[owner] * np.maximum(1.0, np.abs(parts.at).max(1))
                return value, error + slack + (row.shape[1] + 3) * EPSILON * terms + 1e-305
            return value, error[owner] + slack + (row.shape[1] + 3) * EPSILON * terms + 1e-305

    def _signs(
        self, parts: Polytopes, cells: np.ndarray, first: np.ndarray, other: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values, their error bounds, and exact signs."""
        value, error = self._values(parts, cells, first, other)
        with np.errstate(invalid="ignore"):
            sure = (np.abs(value) > error) & np.isfinite(value) & np.isfinite(error)
        sign = np.where(sure, np.sign(value), 0).astype(np.int8)
        doubtful = np.flatnonzero(~sure)
        if len(doubtful) and not self.exact.proves:
            sign[doubtful] = np.sign(np.nan_to_num(value[doubtful]))
            self.undecided += len(doubtful)
        elif len(doubtful):
            owner = parts.owner[doubtful]
            flat = np.bincount(owner, minlength=len(parts)) == np.diff(parts.start)  # perhaps 0 on all of a part
            zero = np.zeros(len(parts), bool)
            zero[flat] = self._vanish(cells[flat], first[flat], None if other is None else other[flat])
            for v, own in zip(doubtful[~zero[owner]].tolist(), owner[~zero[owner]].tolist(), strict=True):
                sign[v] = self._exact_sign(parts, v, int(cells[own]), int(first[own]), -1 if other is None else int(other[own]))
        return value, error, sign

    def _vanish(self, cells: np.ndarray, first: np.ndarray, other: np.ndarray | None) -> np.ndarray:
        """Whether functions are 0 on all of their cells, in integers."""
        if not len(cells):
            return np.zeros(0, bool)
        own, at = np.unique(cells, return_inverse=True)
        layout, signs = self.found.layout, self.found.signs
        found = np.zeros(len(cells), bool)
        for low in range(0, len(own), 512):
            some = np.flatnonzero((at >= low) & (at < low + 512))
            pieces = layout.pieces(signs[own[low : low + 512]])
            rows = exact_maps(self.found.lowered, self.found.domain, dict(enumerate(pieces)))
            if not pieces:
                rows = RationalArray(np.repeat(rows.numerators, len(own), axis=0), rows.denominator)
            top = rows.numerators.astype(object)[at[some] - low]
            weight = self.functions.weight.numerators.astype(object)[first[some]]
            bias = self.functions.bias.numerators.astype(object)[first[some]]
            if other is not None:
                weight = weight - self.functions.weight.numerators.astype(object)[other[some]]
                bias = bias - self.functions.bias.numerators.astype(object)[other[some]]
            form = (weight[:, :, None] * top).sum(1) * self.functions.bias.denominator
            form[:, -1] += bias * (rows.denominator * self.functions.weight.denominator)
            found[some] = ~(form != 0).any(1)
        return found

    def _exact_sign(self, parts: Polytopes, vertex: int, cell: int, first: int, other: int) -> int:
        masks = spread_signs(self.found.problem, self.found.cells_signs[cell])
        sign, point = self.exact.sign((self.stage, first, other), parts.through(vertex), masks)
        if point[-1]:
            return sign
        direction = [x * Fraction(2) ** int(e) for x, e in zip(point[:-1], self.found.problem.exponents, strict=True)]
        return sign if points_along(direction, parts.at[vertex]) else -sign

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _parted(self, cells: np.ndarray):  # type: ignore[no-untyped-def]
        """Cells, a piece and a polytope for each part of some cells."""
        if not self.functions.largest:
            yield from self._by_signs(cells)
            return
        candidates = self._candidates(cells)
        several = candidates.sum(1) > 1
        alone = cells[~several]
        if len(alone):
            yield alone, candidates[~several].argmax(1), self.cells.select(alone)
        for chunk in chunks(np.append(0, np.cumsum(np.diff(self.cells.start)[cells[several]])), self.cells.on.shape[1]):
            own = np.flatnonzero(several)[chunk]
            yield from self._by_largest(cells[own], candidates[own])

    def _candidates(self, cells: np.ndarray) -> np.ndarray:
        """(n, m) which functions may be the largest somewhere in each cell, by floats."""
        parts = self.cells.select(cells)
        low, high = (np.empty((len(cells), len(self.functions))) for _ in range(2))
        for i in range(len(self.functions)):
            value, error = self._values(parts, cells, np.full(len(cells), i), None)
            with np.errstate(invalid="ignore"):
                low[:, i] = np.minimum.reduceat(value - error, parts.start[:-1])
                high[:, i] = np.maximum.reduceat(value + error, parts.start[:-1])
        low = np.nan_to_num(low, nan=-np.inf)
        return ~(high < low.max(1, keepdims=True))

    def _by_largest(self, cells: np.ndarray, candidates: np.ndarray):  # type: ignore[no-untyped-def]
        """Every candidate's part of its cell, cut by the others one after the other."""
        own, piece = np.nonzero(candidates)
        parts, live = self.cells.select(cells[own]), np.arange(len(own))
        for turn in range(int(candidates.sum(1).max())):
            order = np.argsort(~candidates, axis=1, kind="stable")[:, turn]  # the candidate of this turn
            other = np.where(candidates.sum(1) > turn, order, -1)[own[live]]
            asked = (other >= 0) & (other != piece[live])
            parts, kept = self._cut(parts, cells[own[live]], piece[live], other, asked)
            live = live[kept]
        yield cells[own[live]], piece[live], parts

    def _cut(
        self, parts: Polytopes, cells: np.ndarray, first: np.ndarray, other: np.ndarray | None, asked: np.ndarray
    ) -> tuple[Polytopes, np.ndarray]:
        """Parts where a function is at least another one, or at least 0; those that are not asked for stay."""
        some = np.flatnonzero(asked)
        if not len(some):
            return parts, np.arange(len(parts))
        chosen = parts.select(some)
        minus = None if other is None else other[some]
        value, error, sign = self._signs(chosen, cells[some], first[some], minus)
        flat = np.maximum.reduceat(np.abs(sign), chosen.start[:-1]) == 0  # equal everywhere: the first has it all
        if minus is not None:
            sign = np.where((flat & (first[some] < minus))[chosen.owner], 1, sign)
        elif self.above:
            sign = np.where(flat[chosen.owner], 1, sign)
        plane = np.stack([np.full(len(some), self.stage), first[some], np.full(len(some), -1) if minus is None else minus], 1)
        solve = self._solver(cells[some])
        made, kept = cut(chosen, value, error, sign, plane, solve, self.extent)
        rest = np.flatnonzero(~asked)
        whole = joined([parts.select(rest), made]) if len(rest) else made
        number = np.concatenate([rest, some[kept]])
        order = np.argsort(number, kind="stable")
        return whole.select(order), number[order]

    def _by_signs(self, cells: np.ndarray):  # type: ignore[no-untyped-def]
        """Cells cut by the zero sets of the functions one after the other."""
        for chunk in chunks(np.append(0, np.cumsum(np.diff(self.cells.start)[cells])), self.cells.on.shape[1]):
            own, parts = cells[chunk], self.cells.select(cells[chunk])
            piece = np.zeros(len(own), np.int64)
            for i in range(len(self.functions)):
                if not len(own):
                    break  # no part is left
                number = np.full(len(own), i)
                value, error, sign = self._signs(parts, own, number, None)
                flat = np.maximum.reduceat(np.abs(sign), parts.start[:-1]) == 0
                plane = np.stack([np.full(len(own), self.stage), number, np.full(len(own), -1)], 1)
                sides = []
                for bit, side in ((1, 1), (0, -1)):
                    whole = flat if bit == int(self.above) else np.zeros_like(flat)
                    signed = np.where(whole[parts.owner], 1, side * sign)
                    if self.above and not bit:
                        continue
                    made, kept = cut(parts, side * value, error, signed, plane, self._solver(own), self.extent)
                    sides.append((made, own[kept], piece[kept] | (0 if self.above else bit << i)))
                parts = joined([s[0] for s in sides])
                own, piece = (np.concatenate([s[k] for s in sides]) for k in (1, 2))
            yield own, piece, parts

    def _solver(self, cells: np.ndarray):  # type: ignore[no-untyped-def]
        def solve(number: int, through: list[Plane], near: np.ndarray) -> np.ndarray:
            if not self.exact.proves:
                return near
            corner = exact_corner(self.found, self.exact, int(cells[number]), through, near)
            return np.array([nearest_float(*x.as_integer_ratio()) for x in corner])

        return solve
