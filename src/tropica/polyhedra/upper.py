"""Upper hulls of lifted integer points: the cells, and which points are vertices."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.exact.determinants import cofactors
from tropica.exact.linear_algebra import echelon, ranks
from tropica.exact.linear_programs import exceeds_upper_hull
from tropica.polyhedra.predicates import Points
from tropica.polyhedra.triangulation import Triangulation, Unverified, triangulate
from tropica.polyhedra.wrapping import cell_ridges, wrap

JOGGLES = (0.0, 1e-10, 1e-7, 1e-5, 1e-9, 1e-6)
"""What Qhull is tried with before gift wrapping."""
LOW = 6
"""Up to so many coordinates, heights included, vertices are read off the hull; beyond, it has too many faces."""
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
    return upper_faces(points)[0]


def upper_faces(points: Points) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Cells as :func:`upper_cells`, vertices as :func:`upper_vertices`, and k + 1 points that span each cell (C, k + 1)."""
    if points.width == 1:
        return [np.arange(points.n)], np.arange(points.n), np.zeros((1, 1), np.int64)
    found = propose(points)
    if found is not None:
        groups = Groups(points, found)
        first = np.unique(groups.group, return_index=True)[1]
        return groups.cells, groups.vertices, found.simplices[first]
    return _wrapped(points)


def _wrapped(points: Points) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """As :func:`upper_faces`, without Qhull."""
    cells = wrap(points)
    flat = points.whole.astype(object)[:, :-1]
    corners = [np.append(c[:1], c[echelon(flat[c] - flat[c[:1]])[1]]) for c in cells]
    vertices = {p for cell in cells for p in cell_vertices(flat, cell).tolist()}
    return cells, np.array(sorted(vertices), np.int64), np.array(corners)


def upper_vertices(points: Points) -> np.ndarray:
    """The sorted indices of the points that are alone on a hyperplane above all others; points as in :func:`upper_cells`."""
    if points.width == 1:
        return np.arange(points.n)
    if points.width > LOW:
        return vertices_by_linear_programs(points)
    found = propose(points)
    return _wrapped(points)[1] if found is None else Groups(points, found).vertices


def vertices_by_linear_programs(points: Points) -> np.ndarray:
    """As :func:`upper_vertices`, by a linear program with k + 1 variables and n − 1 rows for each point.

    The number of faces of a hull grows too fast with the dimension to list them all.
    """
    z, largest = points.whole.astype(object), np.abs(points.floats).argmax(0)
    scales = [Fraction(abs(int(column[i])) or 1) for column, i in zip(points.whole.T, largest.tolist(), strict=True)]
    scaled = points.floats / np.maximum(np.abs(points.floats).max(0), 1e-300)
    every = np.arange(points.n)
    others = ((i, np.delete(every, i)) for i in every.tolist())
    return np.flatnonzero([exceeds_upper_hull(z[j] - z[i], scaled[j] - scaled[i], scales) for i, j in others])


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
        graph = coo_array((np.ones(len(f)), (f, t.neighbors[f, i])), shape=(count, count))
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
            row, i = np.nonzero(on & (t.neighbors[pairs[:, 0]] >= 0))
            ahead = {(int(f), int(p)) for f, p in zip(t.neighbors[pairs[row, 0], i], pairs[row, 1], strict=True)} - seen
            seen |= ahead
            pairs = np.array(sorted(ahead), np.int64).reshape(-1, 2)
        every = np.array(sorted(seen), np.int64)
        return np.stack([self.group[every[:, 0]], every[:, 1]], 1)

    @cached_property
    def vertices(self) -> np.ndarray:
        """The corners that are vertices, sorted."""
        return self.faces(1)[:, 0]

    def faces(self, size: int, keep: np.ndarray | None = None) -> np.ndarray:
        """Faces of the polyhedron below the hull that are simplices: rows (M, size) of their corners, sorted; size 1 or 2.

        Edges (size 2) are whole where all points are vertices; else they may be in parts, or left out.

        Args:
            keep: (n,) a number for each point; of edges only those between different numbers are wanted.

        A face of a cell that is one simplex is one. Any other face of the triangulation is if the ridges of a cell that go
        through it have normals of rank k + 1 − size, in one cell around it and then in all: what is a face of the polyhedron is
        one of each larger face it is on.
        """
        t = self.triangulation
        corners = t.simplices.shape[1]
        slots = np.array(list(combinations(range(corners), size)))
        ordered = np.sort(t.simplices, axis=1)
        key = ordered[:, slots[:, 0]]
        for s in range(1, size):
            key = key * self.points.n + ordered[:, slots[:, s]]
        wanted = np.ones(key.shape, bool)
        if keep is not None:
            wanted = keep[ordered[:, slots[:, 0]]] != keep[ordered[:, slots[:, 1]]]
        single = np.bincount(self.group)[self.group] == 1
        sure = np.unique(key[single][wanted[single]])
        f, s = np.nonzero(wanted & ~single[:, None])
        left = ~np.isin(key[f, s], sure)
        f, s = f[left], s[left]
        if len(f):
            sure = np.concatenate([sure, self._pointed(key[f, s], f, ordered, slots[s])])
        sure.sort()
        return np.stack([sure // self.points.n ** (size - 1 - i) % self.points.n for i in range(size)], 1)

    def _pointed(self, key: np.ndarray, f: np.ndarray, ordered: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Which faces (key; of simplex f, at slots of its sorted corners) are faces of a cell around them: their keys."""
        t = self.triangulation
        corners = ordered.shape[1]
        k, size = corners - 1, slots.shape[1]
        # For each face the cell with the fewest simplices.
        cell = self.group[f]
        order = np.lexsort((cell, np.bincount(self.group)[cell], key))
        names, first = np.unique(key[order], return_index=True)
        mine = cell == cell[order][first][np.searchsorted(names, key)]
        key, f, slots = key[mine], f[mine], slots[mine]
        # Its ridges there: opposite to a corner that the face does not have, and not flat.
        back = np.argsort(t.simplices, axis=1)
        solid = ~np.take_along_axis(t.flat, back, axis=1)[f]
        np.put_along_axis(solid, slots, False, axis=1)
        row, i = np.nonzero(solid)
        key, f = key[row], f[row]
        order = np.argsort(key, kind="stable")
        key, f, i = key[order], f[order], i[order]
        names, first, count = np.unique(key, return_index=True, return_counts=True)
        enough = count >= k + 1 - size
        names, first, count = names[enough], first[enough], count[enough]
        if not len(names):
            return names
        unique, number = np.unique(f * corners + i, return_inverse=True)
        ridges = ordered[unique // corners][np.arange(corners)[None, :] != (unique % corners)[:, None]].reshape(-1, k)
        sides = self.points.whole[ridges][:, :, :k]
        sides = sides[:, 1:] - sides[:, :1]
        residues = _residues(sides)
        out = np.zeros(len(names), bool)
        for these in _similar(count):  # the last ridge again where there are fewer
            places = first[these][:, None] + np.minimum(np.arange(count[these].max()), count[these][:, None] - 1)
            chosen = number[places]
            out[these] = ranks(residues[chosen], PRIME) == k + 1 - size
            unsure = np.flatnonzero(~out[these])
            if len(unsure):
                exact = cofactors(sides[np.unique(chosen[unsure])].astype(object), signed=True)
                place = np.searchsorted(np.unique(chosen[unsure]), chosen[unsure])
                out[these[unsure]] = ranks(exact[place]) == k + 1 - size
        return names[out]


def _similar(count: np.ndarray) -> list[np.ndarray]:
    """Indices by size class (powers of two), so that padding to the largest at most doubles."""
    size = np.frexp(np.maximum(count - 1, 1).astype(np.float64))[1]
    return [np.flatnonzero(size == c) for c in np.unique(size)]


def _residues(sides: np.ndarray) -> np.ndarray:
    """Normals modulo the prime of ridges with these sides (B, k − 1, k)."""
    rest = (sides % PRIME).astype(object)
    return (cofactors(rest, signed=True) % PRIME).astype(np.int64)
