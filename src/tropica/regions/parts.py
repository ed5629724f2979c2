"""What a RegionComplex is made of: computed from a walk when first asked for, or read from a file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, QhullError

from tropica.errors import InputError
from tropica.regions.cell_arrays import CellArrays
from tropica.regions.cell_blocks import CellBlock
from tropica.regions.cells import changes, neighbors
from tropica.regions.domain import Domain
from tropica.regions.enumerated import Enumerated
from tropica.regions.maps import affine_maps, number_maps
from tropica.regions.patterns import checked_patterns, equal_patterns
from tropica.regions.solid import Solid
from tropica.regions.volume import areas, hull_volume, ordered

THIN = 1e-9
"""A cone of directions is taken to hold a line where no plane meets its rays at more than such an angle."""


@dataclass(frozen=True, eq=False)
class Stored(CellArrays):
    """Cells from a file, without their network: an :class:`Enumerated` says what the arrays are."""

    domain: Domain
    cells: CellBlock
    undecided: int
    undecided_maps: int
    map_of: np.ndarray
    adjacency: np.ndarray
    written: np.ndarray | None
    stopped: str | None
    simplify: bool
    upto: str | None
    proven: bool

    @property
    def as_written(self) -> bool:
        """Whether each cell has one activation pattern of the network as written."""
        return self.written is not None

    @property
    def patterns(self) -> np.ndarray:
        """The activation patterns (C, bytes)."""
        if self.written is None:
            raise InputError("nonlinearities were merged: a cell may have several activation patterns")
        return self.written


class Walked:
    """The same arrays, from the cells of a complex."""

    stopped: str | None = None
    as_written = True

    def __init__(self, solid: Solid) -> None:
        self._solid, self.centers = solid, solid.centers
        self.numbers = np.arange(len(solid.cells))
        """The cell of each part; a tournament (a pool's) cuts cells into parts."""
        self._joined = any(not nonlinearity.op.elementwise for nonlinearity in solid.folded.net.nonlinearities)
        if self._joined:
            parts, self._lost = equal_patterns(solid)
            self.numbers[parts.members] = parts.faces
            self._first = np.minimum.reduceat(parts.members, parts.starts[:-1])
            self.centers = self.centers[self._first]

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def undecided(self) -> int:
        """How many signs, and patterns of cells, were left to floating point."""
        return self._solid.undecided + (self._lost if self._joined else self._checked[1])

    @property
    def proven(self) -> bool:
        """Whether every sign is proven."""
        return self.undecided == 0

    @property
    def patterns(self) -> np.ndarray:
        """The activation patterns."""
        return self._checked[0]

    @cached_property
    def _checked(self) -> tuple[np.ndarray, int]:
        found, lost = zip(*checked_patterns(self._solid, self._first if self._joined else None), strict=True)
        return np.concatenate(found), sum(lost)

    @cached_property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The affine maps of all cells."""
        return affine_maps(self._solid.folded, self.centers)

    @cached_property
    def _maps(self) -> tuple[np.ndarray, int]:
        return number_maps(self._solid.folded, self._solid.exact, self.logits, self.centers)

    @property
    def map_of(self) -> np.ndarray:
        """The number of each cell's map."""
        return self._maps[0]

    @property
    def undecided_maps(self) -> int:
        """How many maps had to be told apart by floating point alone."""
        return self._maps[1]

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """The corners, sorted by cell, each place of a cell once, coordinate planes left out."""
        state, cells = self._solid.state, self._solid.cells
        cell, vertex = self.numbers[cells.faces], cells.members
        if state.planes:
            keep = (state.vertices["on"][vertex] >= state.planes).all(1)
            cell, vertex = cell[keep], vertex[keep]
        if np.bincount(state.vertices["place"]).max() > 1 or self._joined:  # some of a cell's vertices may be at one place
            place = state.vertices["place"].take(vertex)
            order = np.lexsort((place, cell))
            cell, vertex, place = cell[order], vertex[order], place[order]
            new = changes(cell, place)
            cell, vertex = cell[new], vertex[new]
        at = state.vertices["at"].take(vertex, axis=0)
        if state.d == 2 and not state.planes:
            order = ordered(cell, at[:, :2], self.centers)
            at = at.take(order, axis=0)
        joined = np.bincount(self.numbers, minlength=len(self.centers))[cell] > 1
        if joined.any():
            keep = ~joined
            keep[joined] = _outermost(cell[joined], at[joined])
            cell, at = cell[keep], at[keep]
        return np.append(np.searchsorted(cell, np.arange(len(self.centers))), len(cell)), at

    @cached_property
    def volumes(self) -> np.ndarray:
        """Length, area, volume of each cell."""
        if self._solid.unbounded:
            starts, at = self.corners
            cells = (at[low:high] for low, high in pairwise(starts.tolist()))
            return np.array([_volume(corners) for corners in cells])
        sizes = areas(self._solid.state, self._solid.cells)
        return np.bincount(self.numbers, sizes, minlength=len(self.centers))

    @cached_property
    def adjacency(self) -> np.ndarray:
        """Pairs of neighbors."""
        pairs = np.sort(self.numbers[neighbors(self._solid.state, self._solid.cells)], axis=1)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        return np.unique(pairs, axis=0).reshape(-1, 2)


Cells = Walked | Stored | Enumerated


def _volume(corners: np.ndarray) -> float:
    """The volume of a cell of a space, with corners in homogeneous coordinates."""
    if not len(corners) or (corners[:, -1] == 0).any():
        return np.inf
    return hull_volume(corners[:, :-1] / corners[:, -1:], corners.shape[1] - 1)


def _outermost(cell: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Which points (M, d + 1), sorted by cell, are corners of the hull of their cell; of joined parts, some lie within."""
    keep = np.zeros(len(cell), bool)
    starts = np.flatnonzero(changes(cell))
    for low, points in zip(starts.tolist(), np.split(at, starts[1:]), strict=True):
        found = np.arange(len(points))
        flat = _in_a_plane(points)
        if flat is not None and flat.shape[1] == 1:
            found = np.array([flat.argmin(), flat.argmax()])
        elif flat is not None:
            with contextlib.suppress(QhullError):  # too thin for it: nothing is left out
                found = ConvexHull(flat).vertices
        keep[low + found] = True
    return keep


def _in_a_plane(points: np.ndarray) -> np.ndarray | None:
    """Points of a cell in homogeneous coordinates (V, d + 1), as they meet a plane that cuts all of their rays, in d
    coordinates there; None where there is none such, as the cell holds a line."""
    if (points[:, -1] > 0).all():
        return points[:, :-1] / points[:, -1:]
    rays = points / np.linalg.norm(points, axis=1)[:, None]
    size = rays.shape[1]
    # The plane f · r = 1, with the least of f · r over the unit rays as large as can be.
    least = linprog(
        np.append(np.zeros(size), -1.0),
        A_ub=np.column_stack([-rays, np.ones(len(rays))]),
        b_ub=np.zeros(len(rays)),
        bounds=[(-1, 1)] * size + [(None, None)],
    )
    if least.status != 0 or least.x[-1] <= THIN:
        return None
    normal = least.x[:-1]
    meeting = rays / (rays @ normal)[:, None]
    basis = np.linalg.svd(normal[None])[2][1:]
    return meeting @ basis.T
