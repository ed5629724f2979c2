"""What a RegionComplex is made of: computed from a walk when first asked for, or read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError

from tropica.regions.cells import changes, facets
from tropica.regions.flat import solid_cells
from tropica.regions.volume import areas, hull_volume, ordered
from tropica.regions.walk import Walk

POINTS = 2**13
"""Cells whose patterns and maps are computed at once."""
ROUNDING = 1e-10
"""Affine maps whose entries differ by less, in units of the largest such entry of all maps, are one map."""
SMALL = 1e-4
"""These units are at least this share of the largest entry of any kind: a column may hold nothing but rounding."""


@dataclass(frozen=True, eq=False)
class Stored:
    """The arrays of a complex of C cells, as a file has them; a RegionComplex says what each of them is."""

    undecided: int
    patterns: np.ndarray
    centres: np.ndarray
    logits: tuple[np.ndarray, np.ndarray]
    map_of: np.ndarray
    corners: tuple[np.ndarray, np.ndarray]
    volumes: np.ndarray
    adjacency: np.ndarray


class Walked:
    """The same arrays, from a walk that has been through its network."""

    def __init__(self, walk: Walk) -> None:
        self._walk, net = walk, walk.folded.net
        solid = solid_cells(walk)
        self.undecided, self._every, self._kept, points = solid.undecided, solid.every, solid.kept, solid.centres
        batches = (self._inputs(points[low : low + POINTS]) for low in range(0, len(points), POINTS))
        patterns = np.concatenate([net.activation_pattern(x).numpy() for x in batches])
        self.numbers = np.arange(len(self._kept))
        """The cell of each part; a tournament (a pool's) cuts cells into parts."""
        if any(not kink.kind.elementwise for kink in net.kinks):
            patterns, first, numbers = np.unique(patterns, axis=0, return_index=True, return_inverse=True)
            self.numbers, points = numbers.ravel(), points[first]
        self.patterns, self.centres = patterns, points

    def _inputs(self, t: np.ndarray) -> torch.Tensor:
        return self._walk.folded.inputs(torch.from_numpy(np.concatenate([t, np.ones((len(t), 1))], 1)))

    @cached_property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The affine maps of all cells."""
        weights, biases = [], []
        folded = self._walk.folded
        for low in range(0, len(self.centres), POINTS):
            # W x + b at x = origin + t · basis
            found = folded.net.local_map(self._inputs(self.centres[low : low + POINTS]))
            weights.append((found.weight.flatten(2) @ folded.basis.T).numpy())
            biases.append((found.weight.flatten(2) @ folded.origin + found.bias).numpy())
        return np.concatenate(weights), np.concatenate(biases)

    @cached_property
    def map_of(self) -> np.ndarray:
        """The number of each cell's map."""
        weight, bias = self.logits
        rows = np.concatenate([weight.reshape(len(bias), -1), bias], 1)
        scale = np.maximum(np.abs(rows).max(0, initial=0), SMALL * np.abs(rows).max(initial=0))
        rows = rows / np.where(scale > 0, scale, 1)
        line = rows @ np.random.default_rng(0).standard_normal(rows.shape[1])
        order = np.argsort(line, kind="stable")
        step = np.abs(rows[order[1:]] - rows[order[:-1]]).max(1, initial=0) > ROUNDING
        number = np.empty(len(rows), np.int64)
        number[order] = np.append(0, np.cumsum(step))
        return number

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """The corners, sorted by cell, each place of a cell once, coordinate planes left out."""
        state, every = self._walk.state, self._every
        part = np.full(len(every), -1)
        part[self._kept] = self.numbers
        cell, vertex = part[every.faces], every.members
        keep = (cell >= 0) & (state.vertices["on"][vertex] >= state.planes).all(1)
        cell, vertex = cell[keep], vertex[keep]
        place = state.vertices["place"][vertex]
        order = np.lexsort((place, cell))
        cell, vertex, place = cell[order], vertex[order], place[order]
        new = changes(cell, place)
        cell, vertex = cell[new], vertex[new]
        at = state.vertices["at"][vertex]
        if state.d == 2 and not state.planes:
            order = ordered(cell, at[:, :2], self.centres)
            cell, at = cell[order], at[order]
        joined = np.bincount(self.numbers, minlength=len(self.centres))[cell] > 1
        if joined.any() and not state.planes:
            keep = ~joined
            keep[joined] = _outermost(cell[joined], at[joined, :-1])
            cell, at = cell[keep], at[keep]
        return np.append(np.searchsorted(cell, np.arange(len(self.centres))), len(cell)), at

    @cached_property
    def volumes(self) -> np.ndarray:
        """Length, area, volume of each cell."""
        if self._walk.unbounded:
            starts, at = self.corners
            cells = (at[low:high] for low, high in pairwise(starts.tolist()))
            return np.array([_volume(corners) for corners in cells])
        sizes = areas(self._walk.state, self._every, self._kept)
        return np.bincount(self.numbers, sizes, minlength=len(self.centres))

    @cached_property
    def adjacency(self) -> np.ndarray:
        """Pairs of neighbours."""
        found = facets(self._walk.state, self._every, self._kept)
        pairs = np.sort(self.numbers[found.cell[found.pairs()]], axis=1)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        return np.unique(pairs, axis=0).reshape(-1, 2)


Parts = Walked | Stored


def _volume(corners: np.ndarray) -> float:
    """The volume of a cell of a space, with corners in homogeneous coordinates."""
    if not len(corners) or (corners[:, -1] == 0).any():
        return np.inf
    return hull_volume(corners[:, :-1] / corners[:, -1:], corners.shape[1] - 1)


def _outermost(cell: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Which points (M, d), sorted by cell, are corners of the hull of their cell: where parts are joined, some lie within."""
    keep = np.zeros(len(cell), bool)
    starts = np.flatnonzero(changes(cell))
    for low, points in zip(starts.tolist(), np.split(at, starts[1:]), strict=True):
        if points.shape[1] == 1:
            found = [points.argmin(), points.argmax()]
        else:
            try:
                found = ConvexHull(points).vertices
            except QhullError:  # too thin for it: nothing is left out
                found = np.arange(len(points))
        keep[low + np.asarray(found)] = True
    return keep
