"""Upper hulls of lifted integer points: the cells, and which points are vertices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.polyhedra.predicates import Points, cofactors
from tropica.polyhedra.triangulation import Triangulation, Unverified, triangulate
from tropica.polyhedra.wrapping import cell_ridges, wrap

JOGGLES = (0.0, 1e-10, 1e-7)
"""What Qhull is tried with before gift wrapping."""
PRIME = (1 << 31) - 1
"""A minor that is not 0 modulo a prime is not 0."""


def propose(points: Points) -> Triangulation | None:
    """A certified triangulation; None where no proposal passed."""
    for joggle in JOGGLES:
        try:
            return triangulate(points, joggle=joggle)
        except Unverified:
            continue
    return None


def upper_cells(points: Points) -> list[np.ndarray]:
    """The maximal upper faces of points that span k ≥ 0 dimensions (all different): sorted indices of all points on each."""
    if points.width == 1:
        return [np.arange(points.n)]
    found = propose(points)
    return wrap(points) if found is None else Groups(points, found).cells


def upper_vertices(points: Points) -> np.ndarray:
    """The sorted indices of the points that are alone on a hyperplane above all others; points as in :func:`upper_cells`."""
    if points.width == 1:
        return np.arange(points.n)
    found = propose(points)
    if found is not None:
        return Groups(points, found).vertices
    z = points.whole.astype(object)[:, :-1]
    chosen: set[int] = set()
    for cell in wrap(points):
        chosen.update(cell_vertices(z, cell).tolist())
    return np.array(sorted(chosen), np.int64)


def cell_vertices(x: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The extreme ones among points of a cell (indices), which span x's k dimensions."""
    k = x.shape[1]
    if len(cell) == k + 1:
        return cell
    meeting: dict[int, list[np.ndarray]] = {}
    for ridge, normal in cell_ridges(x, cell):
        for p in ridge.tolist():
            meeting.setdefault(p, []).append(normal)
    chosen = [p for p, normals in meeting.items() if ranks(np.stack(normals)[None])[0] == k]
    return np.array(sorted(chosen), np.int64)


@dataclass(frozen=True, eq=False)
class Groups:
    """The simplices of a certified triangulation, those in one hyperplane together."""

    points: Points
    triangulation: Triangulation

    @cached_property
    def group(self) -> np.ndarray:
        """The number (F,) of each simplex's cell."""
        t = self.triangulation
        f, i = np.nonzero(t.flat)
        count = len(t.simplices)
        if not len(f):
            return np.arange(count)
        graph = coo_array((np.ones(len(f)), (f, t.neighbours[f, i])), shape=(count, count))
        return connected_components(graph, directed=False)[1].astype(np.int64)

    @cached_property
    def cells(self) -> list[np.ndarray]:
        """Sorted indices of all points on each."""
        t = self.triangulation
        pairs = [np.stack([np.repeat(self.group, t.simplices.shape[1]), t.simplices.ravel()], 1)]
        if len(t.inside):
            pairs.append(self._inside())
        both = np.unique(np.concatenate(pairs), axis=0)
        return np.split(both[:, 1], np.searchsorted(both[:, 0], np.arange(1, self.group.max() + 1)))

    def _inside(self) -> np.ndarray:
        """Pairs (cell, point) of points that are no corners: all simplices around each, by steps across ridges it is on."""
        t = self.triangulation
        k = t.simplices.shape[1] - 1
        pairs = np.stack([t.where, t.inside], 1)
        seen = {(int(f), int(p)) for f, p in pairs}
        while len(pairs):
            replaced = np.repeat(t.simplices[pairs[:, 0]][:, None, :], k + 1, axis=1)
            replaced[:, np.arange(k + 1), np.arange(k + 1)] = pairs[:, 1][:, None]
            on = self.points.orientation(replaced.reshape(-1, k + 1), k).reshape(-1, k + 1) == 0
            row, i = np.nonzero(on & (t.neighbours[pairs[:, 0]] >= 0))
            ahead = {(int(f), int(p)) for f, p in zip(t.neighbours[pairs[row, 0], i], pairs[row, 1], strict=True)} - seen
            seen |= ahead
            pairs = np.array(sorted(ahead), np.int64).reshape(-1, 2)
        every = np.array(sorted(seen), np.int64)
        return np.stack([self.group[every[:, 0]], every[:, 1]], 1)

    @cached_property
    def vertices(self) -> np.ndarray:
        """The corners that are vertices, sorted.

        A corner of a cell that is one simplex is one. Any other is if the ridges of a cell that go through it have normals of
        rank k, in one cell around it and then in all: a vertex of a polyhedron is one of each face it is on.
        """
        t = self.triangulation
        k = t.simplices.shape[1] - 1
        size = np.bincount(self.group)[self.group]
        known = np.zeros(self.points.n, bool)
        known[t.simplices[size == 1]] = True
        # For each other corner the cell with the fewest simplices.
        order = np.argsort(-size, kind="stable")
        chosen = np.full(self.points.n, -1)
        for c in range(k + 1):
            corner = t.simplices[order, c]
            better = (chosen[corner] < 0) | (size[order] <= size[np.maximum(chosen[corner], 0)])
            chosen[corner[better]] = order[better]
        at = np.flatnonzero((chosen >= 0) & ~known)
        if len(at):
            cell = np.full(self.points.n, -1)
            cell[at] = self.group[chosen[at]]
            known[at[self._pointed(at, cell)]] = True
        return np.flatnonzero(known)

    def _pointed(self, at: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Which points ``at`` are vertices of their ``cell`` (by point)."""
        t = self.triangulation
        corners = t.simplices.shape[1]
        k = corners - 1
        f, i, c = np.nonzero(
            ~t.flat[:, :, None] & (cell[t.simplices] == self.group[:, None])[:, None, :] & ~np.eye(corners, dtype=bool)[None]
        )
        point = t.simplices[f, c]
        order = np.argsort(point, kind="stable")
        f, i, point = f[order], i[order], point[order]
        first = np.searchsorted(point, at)
        count = np.searchsorted(point, at, side="right") - first
        out = np.zeros(len(at), bool)
        enough = np.flatnonzero(count >= k)
        if not len(enough):
            return out
        unique, number = np.unique(f * corners + i, return_inverse=True)
        ridges = t.simplices[unique // corners][np.arange(corners)[None, :] != (unique % corners)[:, None]].reshape(-1, k)
        widest = int(count[enough].max())
        slots = first[enough][:, None] + np.minimum(np.arange(widest), count[enough][:, None] - 1)
        chosen = number[slots]  # (M, widest): the last ridge again where there are fewer
        sides = self.points.whole[ridges][:, :, :k]
        sides = sides[:, 1:] - sides[:, :1]
        small = _residues(sides)
        pointed = ranks(small[chosen], PRIME) == k
        unsure = np.flatnonzero(~pointed)
        if len(unsure):
            exact = cofactors(sides.astype(object), signed=True)
            pointed[unsure] = ranks(exact[chosen[unsure]]) == k
        out[enough] = pointed
        return out


def _residues(sides: np.ndarray) -> np.ndarray:
    """Normals modulo the prime of ridges with these sides (B, k − 1, k)."""
    rest = (sides % PRIME).astype(object)
    return (cofactors(rest, signed=True) % PRIME).astype(np.int64)


def ranks(matrices: np.ndarray, prime: int = 0) -> np.ndarray:
    """Ranks (M,) of integer matrices (M, r, c): modulo a prime below 2³¹ (then at most the rank), or exactly for 0."""
    left = matrices.copy() if prime else matrices.astype(object)
    count, rows, columns = left.shape
    every = np.arange(count)
    used = np.zeros((count, rows), bool)
    found = np.zeros(count, np.int64)
    for c in range(columns):
        candidates = (left[:, :, c] != 0) & ~used
        p = candidates.argmax(1)
        has = candidates[every, p]
        found += has
        used[every[has], p[has]] = True
        if c == columns - 1:
            break
        pivot_row = np.where(has[:, None], left[every, p], 0)
        scale = np.where(has, left[every, p, c], 1)
        entry = left[:, :, c].copy()
        if prime:
            left = (left * scale[:, None, None] % prime - entry[:, :, None] * pivot_row[:, None, :] % prime) % prime
        else:
            left = left * scale[:, None, None] - entry[:, :, None] * pivot_row[:, None, :]
    return found
