"""Cells of space that the walls of the fan cut, put together again by sign vector.

A vertex of a part is a vertex of the cell if the facets of the cell through it, with the hyperplane at infinity, have rank d;
the others come from the walls and are left out. A cell that holds a line has no vertices and keeps all points and directions
of its parts, which generate it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tropica.exact.linear_algebra import rank
from tropica.exact.rational_arrays import as_objects, primitive
from tropica.regions.engine.cell_blocks import CellBlock, concatenated
from tropica.regions.engine.exact_vertices import spread_signs, towards
from tropica.regions.engine.fan import INFINITY, SpaceProblem, cones_at

_NEAR = 1e-7
"""Corners of a cell whose projections to a line are that near to each other are compared exactly."""


def joined_cells(problem: SpaceProblem, parts: list[tuple[int, CellBlock]]) -> CellBlock:
    """The cells (n,) that parts in several cones belong to, in the order of their first parts.

    Args:
        problem: the network on space.
        parts: cones, and cells there with their signs; vertices are joined where there are any.
    """
    whole = concatenated([block for _, block in parts])
    cone = np.repeat([i for i, _ in parts], [len(block) for _, block in parts])
    assert whole.signs is not None
    rows = np.ascontiguousarray(whole.signs).view([("", np.uint64)] * whole.signs.shape[1]).ravel()
    _, first, group = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank_of = np.empty(len(order), np.int64)
    rank_of[order] = np.arange(len(order))
    first, group = first[order], rank_of[group.ravel()]
    found = whole.select(np.isin(np.arange(len(whole)), first))  # signs and maps are those of the first part
    if whole.vertices is not None:
        found = _Joined(problem, whole, cone, group, first).block(found)
    if whole.volumes is not None:
        found = replace(found, volumes=np.bincount(group, whole.volumes, minlength=len(first)))
    return found


@dataclass(frozen=True, eq=False)
class _Facets:
    """Facets (K, 4) of the joined cells, sorted: cell, stage, unit, other; and the number (k,) of each part's facet in them."""

    rows: np.ndarray
    number: np.ndarray


@dataclass(frozen=True, eq=False)
class _Corners:
    """Corners of the joined cells: a vertex of a part for each, its cell, whether it lies on a wall; pairs with facets."""

    vertex: np.ndarray
    cell: np.ndarray
    on_wall: np.ndarray
    pairs: np.ndarray  # (P, 2): corner, facet


class _Joined:
    """One join: the parts as a block, the cone of each, the number of its cell, and the first part of each cell."""

    def __init__(self, problem: SpaceProblem, whole: CellBlock, cone: np.ndarray, group: np.ndarray, first: np.ndarray) -> None:
        self.problem, self.whole, self.cone, self.group, self.first = problem, whole, cone, group, first

    def block(self, kept: CellBlock) -> CellBlock:
        """The joined cells."""
        facets = self._facets()
        corners = self._coinciding(facets, self._corners(facets))
        true = self._are_vertices(facets, corners)
        finite = true & ~self._given(self.whole.rays)[corners.vertex]
        pointed = np.bincount(corners.cell[finite], minlength=len(self.first)) > 0
        stays = true | ~pointed[corners.cell]
        shown = ~_on_walls(facets.rows) | ~pointed[facets.rows[:, 0]]
        return self._assembled(kept, facets, corners, stays, shown)

    @staticmethod
    def _given(array: np.ndarray | None) -> np.ndarray:
        assert array is not None  # parts have signs and vertices
        return array

    # ── facets ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _facets(self) -> _Facets:
        start, facets = self._given(self.whole.facet_start), self._given(self.whole.facets).copy()
        part = np.repeat(np.arange(len(self.group)), np.diff(start))
        for i in self._lone(part, facets).tolist():
            facets[i] = self._unit_on(int(part[i]), i)
        rows, number = np.unique(np.concatenate([self.group[part][:, None], facets], 1), axis=0, return_inverse=True)
        return _Facets(rows, number.ravel())

    def _lone(self, part: np.ndarray, facets: np.ndarray) -> np.ndarray:
        """Facets on a wall behind which there is no part of the same cell: the cell itself ends there."""
        d = self.problem.dimension
        at = np.flatnonzero((facets[:, 0] < 0) & (facets[:, 1] != INFINITY))
        low, high = cones_at(facets[at, 1], d)
        own = self.cone[part[at]]
        there = np.where(own == low, high, low)
        known = self.group * (d + 1) + self.cone
        return at[~np.isin(self.group[part[at]] * (d + 1) + there, known)]

    def _unit_on(self, part: int, facet: int) -> tuple[int, int, int]:
        """A unit of the part's cell that vanishes on a facet which lies on a wall."""
        exact, masks = self.problem.exact, spread_signs(self.problem, self._given(self.whole.signs)[part])
        wall = primitive(as_objects(exact.row((-1, int(self._given(self.whole.facets)[facet, 1]), -1), masks)))
        for form in exact.bending(masks):
            row = primitive(as_objects(exact.row(form, masks)))
            if (row == wall).all() or (row == -wall).all():
                return form
        raise AssertionError("a cell ends where one of its units vanishes")

    # ── corners ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _corners(self, facets: _Facets) -> _Corners:
        """The parts' vertices, those of one cell with the same facets and the same walls as one."""
        whole = self.whole
        start, vertex_start = self._given(whole.facet_start), self._given(whole.vertex_start)
        part = np.repeat(np.arange(len(whole)), np.diff(vertex_start))
        bits = np.unpackbits(self._given(whole.incidence).astype("<u8").view(np.uint8), axis=1, bitorder="little")
        vertex, local = np.nonzero(bits)
        facet = facets.number[start[part[vertex]] + local]
        wall = _on_walls(facets.rows[facet])
        random = np.random.default_rng(0).integers(1, 1 << 62, (2, len(facets.rows)))
        key = np.zeros((len(part), 4), np.int64)
        key[:, 0] = self.group[part]
        for column in (1, 2):
            np.add.at(key[:, column], vertex[~wall], random[column - 1, facet[~wall]])  # overflow wraps around
        low, high = cones_at(facets.rows[facet[wall], 2], self.problem.dimension)
        np.bitwise_or.at(key[:, 3], vertex[wall], (1 << low) | (1 << high))
        alone = key[:, 3] == 0
        key[alone, 3] = -1 - np.flatnonzero(alone)
        _, chosen, number = np.unique(key, axis=0, return_index=True, return_inverse=True)
        pairs = np.unique(np.stack([number.ravel()[vertex], facet], 1), axis=0)
        return _Corners(chosen, self.group[part[chosen]], ~alone[chosen], pairs)

    def _coinciding(self, facets: _Facets, corners: _Corners) -> _Corners:
        """The corners with those at one place as one: of a cell some may have met different facets in different cones."""
        rays = self._given(self.whole.rays)[corners.vertex]
        at = np.concatenate([self._given(self.whole.vertices)[corners.vertex], ~rays[:, None]], 1)
        at /= np.abs(at).max(1)[:, None]
        line = at @ np.random.default_rng(1).uniform(0.5, 1.0, at.shape[1])
        order = np.lexsort((line, corners.cell))
        near = (np.diff(line[order]) <= _NEAR) & (np.diff(corners.cell[order]) == 0)
        doubtful = order[np.append(near, False) | np.append(False, near)]
        number, known = np.arange(len(order)), dict[tuple, int]()
        for c in np.sort(doubtful).tolist():
            number[c] = known.setdefault((int(corners.cell[c]), *self._place(facets, corners, c)), c)
        same, renamed = np.unique(number, return_inverse=True)
        wall = np.zeros(len(same), bool)
        np.logical_or.at(wall, renamed, corners.on_wall)
        pairs = np.unique(np.stack([renamed[corners.pairs[:, 0]], corners.pairs[:, 1]], 1), axis=0)
        return _Corners(corners.vertex[same], corners.cell[same], wall, pairs)

    def _place(self, facets: _Facets, corners: _Corners, corner: int) -> tuple[int, ...]:
        """A corner as d + 1 integers without a common factor: equal for equal places."""
        low, high = np.searchsorted(corners.pairs[:, 0], [corner, corner + 1])
        forms = [tuple(form) for form in facets.rows[corners.pairs[low:high, 1], 1:].tolist()]
        masks = spread_signs(self.problem, self._given(self.whole.signs)[self.first[corners.cell[corner]]])
        point = primitive(as_objects(self.problem.exact.vertex(forms, masks)))  # type: ignore[arg-type]
        if not point[-1]:
            point = point * towards(point[:-1].tolist(), self._given(self.whole.vertices)[corners.vertex[corner]])
        return tuple(point.tolist())

    def _are_vertices(self, facets: _Facets, corners: _Corners) -> np.ndarray:
        """Which corners are vertices of their cells, or directions of their extreme rays."""
        d = self.problem.dimension
        real = ~_on_walls(facets.rows)[corners.pairs[:, 1]]
        count = np.bincount(corners.pairs[real, 0], minlength=len(corners.vertex))
        rays = self._given(self.whole.rays)[corners.vertex]
        true = ~corners.on_wall
        ends = np.searchsorted(corners.pairs[:, 0], np.arange(len(true) + 1))
        infinity = [0] * d + [1]
        for c in np.flatnonzero(corners.on_wall & (count + rays >= d)).tolist():
            through = facets.rows[corners.pairs[ends[c] : ends[c + 1], 1], 1:]
            masks = spread_signs(self.problem, self._given(self.whole.signs)[self.first[corners.cell[c]]])
            rows = [self.problem.exact.row(tuple(form), masks) for form in through[~_walls(through)].tolist()]
            true[c] = rank(np.array([*rows, *([infinity] if rays[c] else [])], dtype=object)) == d
        return true

    # ── the block ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _assembled(
        self, kept: CellBlock, facets: _Facets, corners: _Corners, stays: np.ndarray, shown: np.ndarray
    ) -> CellBlock:
        n, whole = len(self.first), self.whole
        order = np.argsort(corners.cell[stays], kind="stable")
        chosen = np.flatnonzero(stays)[order]
        place = np.full(len(stays), -1)
        place[chosen] = np.arange(len(chosen))
        rows = facets.rows[shown]
        facet_start = np.searchsorted(rows[:, 0], np.arange(n + 1))
        local = np.cumsum(shown) - 1
        local -= facet_start[facets.rows[:, 0]]
        corner, facet = corners.pairs[stays[corners.pairs[:, 0]] & shown[corners.pairs[:, 1]]].T
        words = int(np.diff(facet_start).max(initial=1) + 63) // 64
        incidence = np.zeros((len(chosen), words), np.uint64)
        bit = local[facet]
        np.bitwise_or.at(incidence, (place[corner], bit // 64), np.uint64(1) << (bit % 64).astype(np.uint64))
        vertex = corners.vertex[chosen]
        return replace(
            kept,
            vertex_start=np.searchsorted(corners.cell[chosen], np.arange(n + 1)),
            vertices=self._given(whole.vertices)[vertex],
            displacement=self._given(whole.displacement)[vertex],
            rays=self._given(whole.rays)[vertex],
            facet_start=facet_start,
            facets=np.ascontiguousarray(rows[:, 1:]),
            incidence=incidence,
        )


def _walls(forms: np.ndarray) -> np.ndarray:
    """Which of some forms (n, 3) are walls of the fan."""
    return (forms[:, 0] < 0) & (forms[:, 1] != INFINITY)


def _on_walls(rows: np.ndarray) -> np.ndarray:
    """Which of some facets (n, 4) are walls of the fan."""
    return _walls(rows[:, 1:])
