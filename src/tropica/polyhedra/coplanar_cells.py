"""The cells of an upper hull from a certified triangulation: connected simplices in one hyperplane form a cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.exact.determinants import cofactors
from tropica.exact.linear_algebra import ranks
from tropica.polyhedra.predicates import IntegerPoints
from tropica.polyhedra.triangulation import Triangulation, barycentric_signs

PRIME = (1 << 31) - 1
"""A minor that is not 0 modulo a prime is not 0."""


@dataclass(frozen=True, eq=False)
class CoplanarCells:
    """The simplices of a certified triangulation, grouped into cells by hyperplane."""

    points: IntegerPoints
    triangulation: Triangulation

    @cached_property
    def cell_of(self) -> np.ndarray:
        """The index (F,) of each simplex's cell."""
        t = self.triangulation
        f, i = np.nonzero(t.coplanar)
        count = len(t.simplices)
        if not len(f):
            return np.arange(count)
        graph = coo_array((np.ones(len(f)), (f, t.neighbors[f, i])), shape=(count, count))
        return connected_components(graph, directed=False)[1].astype(np.int64)

    @cached_property
    def points_of_cells(self) -> list[np.ndarray]:
        """The sorted indices of all points on each cell."""
        t = self.triangulation
        corners = np.stack([np.repeat(self.cell_of, t.simplices.shape[1]), t.simplices.ravel()], 1)
        pairs = np.unique(np.concatenate([corners, self._pairs_inside()]), axis=0)
        return np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, self.cell_of.max() + 1)))

    def _pairs_inside(self) -> np.ndarray:
        """Pairs (cell, point) for points that are not corners, from all simplices around each point, found across ridges."""
        t = self.triangulation
        pairs = np.stack([t.where, t.inside], 1)
        seen = {(int(f), int(p)) for f, p in pairs}
        while len(pairs):
            on = barycentric_signs(self.points, t.simplices[pairs[:, 0]], pairs[:, 1]) == 0
            row, i = np.nonzero(on & (t.neighbors[pairs[:, 0]] >= 0))
            ahead = {(int(f), int(p)) for f, p in zip(t.neighbors[pairs[row, 0], i], pairs[row, 1], strict=True)} - seen
            seen |= ahead
            pairs = np.array(sorted(ahead), np.int64).reshape(-1, 2)
        found = np.array(sorted(seen), np.int64).reshape(-1, 2)
        return np.stack([self.cell_of[found[:, 0]], found[:, 1]], 1)

    @cached_property
    def vertices(self) -> np.ndarray:
        """The points that are vertices of the hull: sorted indices."""
        return self._faces(1, None)[:, 0]

    def edges(self, part: np.ndarray) -> np.ndarray:
        """The edges of the hull between points of different parts: sorted rows (M, 2) of increasing indices.

        All points must be vertices of the hull: an edge with a point in its interior is found in parts, or not at all.

        Args:
            part: (n,) the part of each point.
        """
        return self._faces(2, part)

    def _faces(self, size: int, part: np.ndarray | None) -> np.ndarray:
        """The faces of the hull with ``size`` = 1 or 2 corners: rows (M, size) of sorted corners.

        Any face of a cell that is one simplex is a face of the hull. Any other face of the triangulation is a face of the hull
        exactly if the ridges of a cell that contain the face have normals of rank k + 1 − size, in one cell around the face and
        hence in all: a face of the hull is a face of each larger face that contains it.
        """
        n, simplices = self.points.n, np.sort(self.triangulation.simplices, axis=1)
        slots = np.array(list(combinations(range(simplices.shape[1]), size)))
        corners = simplices[:, slots]  # (F, S, size)
        key = corners @ n ** np.arange(size)[::-1]
        wanted = np.ones(key.shape, bool) if part is None else part[corners[:, :, 0]] != part[corners[:, :, -1]]
        single = np.bincount(self.cell_of)[self.cell_of] == 1
        known = np.unique(key[single][wanted[single]])
        f, s = np.nonzero(wanted & ~single[:, None])
        left = ~np.isin(key[f, s], known)
        f, s = f[left], s[left]
        if len(f):
            known = np.sort(np.concatenate([known, self._faces_of_cells(key[f, s], f, simplices, slots[s])]))
        return np.stack([known // n**i % n for i in range(size)][::-1], 1)

    def _faces_of_cells(self, key: np.ndarray, f: np.ndarray, simplices: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """The candidates that are faces of the cells around them.

        Args:
            key: (B,) an integer key for each candidate.
            f: (B,) a simplex that contains each candidate.
            simplices: (F, k + 1) sorted corners.
            slots: (B, size) the positions of the candidate's corners in the simplex.
        """
        corners = simplices.shape[1]
        k, size = corners - 1, slots.shape[1]
        # One cell for each candidate: the one with the fewest simplices.
        cell = self.cell_of[f]
        order = np.lexsort((cell, np.bincount(self.cell_of)[cell], key))
        names, first = np.unique(key[order], return_index=True)
        mine = cell == cell[order][first][np.searchsorted(names, key)]
        key, f, slots = key[mine], f[mine], slots[mine]
        # The ridges of the cell that contain the candidate: opposite to another corner, between two cells or at the boundary.
        back = np.argsort(self.triangulation.simplices, axis=1)
        through = ~np.take_along_axis(self.triangulation.coplanar, back, axis=1)[f]
        np.put_along_axis(through, slots, False, axis=1)
        row, i = np.nonzero(through)
        order = np.argsort(key[row], kind="stable")
        names, first, count = np.unique(key[row][order], return_index=True, return_counts=True)
        enough = count >= k + 1 - size
        names, first, count = names[enough], first[enough], count[enough]
        if not len(names):
            return names
        unique, number = np.unique((f[row] * corners + i)[order], return_inverse=True)
        ridges = simplices[unique // corners][np.arange(corners)[None, :] != (unique % corners)[:, None]].reshape(-1, k)
        sides = self.points.integers[ridges][:, :, :k]
        sides = sides[:, 1:] - sides[:, :1]
        normals = (cofactors((sides % PRIME).astype(object), signed=True) % PRIME).astype(np.int64)
        found = np.zeros(len(names), bool)
        for these in _similar(count):  # rows are padded with the last ridge
            chosen = number[first[these][:, None] + np.minimum(np.arange(count[these].max()), count[these][:, None] - 1)]
            found[these] = ranks(normals[chosen], PRIME) == k + 1 - size
            unsure = np.flatnonzero(~found[these])
            if len(unsure):
                used, place = np.unique(chosen[unsure], return_inverse=True)
                exact = cofactors(sides[used].astype(object), signed=True)
                found[these[unsure]] = ranks(exact[place.reshape(len(unsure), -1)]) == k + 1 - size
        return names[found]


def _similar(count: np.ndarray) -> list[np.ndarray]:
    """Indices by size class (powers of two), so that padding rows to the longest at most doubles them."""
    size = np.frexp(np.maximum(count - 1, 1).astype(np.float64))[1]
    return [np.flatnonzero(size == c) for c in np.unique(size)]
