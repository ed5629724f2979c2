"""Tropical hypersurfaces as polyhedral complexes, and the dual subdivisions of their Newton polytopes.

A face σ of the dual subdivision and the set σ* = {x : all monomials of σ are maximal at x} are dual: dim σ + dim σ* = d, they
are orthogonal, and σ ⊂ τ exactly if σ* ⊃ τ*. Points (dim σ = 0) are dual to the closed regions between the pieces of the
hypersurface, edges to its pieces of dimension d − 1, maximal cells to its smallest faces.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.linear_algebra import echelon, kernel
from tropica.exact.rational_arrays import from_fractions, primitive, ratio
from tropica.polyhedra import lattice
from tropica.polyhedra.facets import extreme, facets
from tropica.polyhedra.hull import UpperHull, upper_hull
from tropica.polyhedra.overlay import side_by_side


@dataclass(frozen=True, eq=False)
class Subdivision:
    """The dual subdivision δ(f): the projections of the upper faces of P(f), of every dimension.

    Attributes:
        hull: the upper hull it is the projection of.
    """

    hull: UpperHull

    @property
    def dimension(self) -> int:
        """k: of the Newton polytope."""
        return self.hull.dimension

    @cached_property
    def cells(self) -> list[tuple[int, ...]]:
        """The vertices of each maximal face, in the order of ``hull.cells`` (which has the points between them too)."""
        essential = set(self.hull.vertices.tolist())
        return [tuple(i for i in cell if i in essential) for cell in self.hull.cells]

    @cached_property
    def _faces(self) -> dict[tuple[int, ...], tuple[int, list[int]]]:
        """By vertices: the dimension, and the numbers of the cells around."""
        found: dict[tuple[int, ...], tuple[int, list[int]]] = {}
        k = self.dimension
        for number, cell in enumerate(self.cells):
            if len(cell) == k + 1:
                own: Iterable[tuple[tuple[int, ...], int]] = (
                    (face, size - 1) for size in range(1, k + 2) for face in combinations(cell, size)
                )
            else:
                own = self._of_cell(cell)
            for face, size in own:
                found.setdefault(face, (size, []))[1].append(number)
            if len(found) > lattice.MOST:
                raise InputError(f"the subdivision has more than {lattice.MOST:,} faces: use upper_hull for its cells alone")
        return found

    def _of_cell(self, cell: tuple[int, ...]) -> Iterable[tuple[tuple[int, ...], int]]:
        c = self.hull.configuration
        flat = c.flat[np.searchsorted(c.index, cell)]
        ridges = [frozenset(f.points.tolist()) for f in facets(flat)]
        every = lattice.faces(frozenset(range(len(cell))), ridges)
        return ((tuple(sorted(cell[i] for i in face)), size) for face, size in every.items())

    def faces(self, dimension: int) -> list[tuple[int, ...]]:
        """The faces of a dimension, 0 to k: the monomials at the vertices of each, sorted.

        Raises:
            InputError: another dimension.
        """
        if dimension not in range(self.dimension + 1):
            raise InputError(f"faces have dimensions 0 to {self.dimension}; found {dimension!r}")
        return sorted(face for face, (size, _) in self._faces.items() if size == dimension)

    def dimension_of(self, face: tuple[int, ...]) -> int:
        """The dimension of a face, given as :meth:`faces` does."""
        return self._around(face)[0]

    def cells_around(self, face: tuple[int, ...]) -> list[int]:
        """The numbers of the maximal cells that a face is on."""
        return self._around(face)[1]

    def _around(self, face: tuple[int, ...]) -> tuple[int, list[int]]:
        try:
            return self._faces[face]
        except (KeyError, TypeError):
            raise InputError(f"{face!r} is no face of the subdivision: a sorted tuple of monomials, as faces() gives") from None

    @cached_property
    def border(self) -> list[tuple[np.ndarray, frozenset[int]]]:
        """The facets of the Newton polytope: outward normal (primitive integers), and the vertices of the subdivision on it."""
        c = self.hull.configuration
        if not c.k:
            return []
        place = np.searchsorted(c.index, self.hull.vertices)
        flat = c.flat[place]
        corners = extreme(flat)
        found = []
        for f in facets(flat[corners]):
            on = flat @ f.normal == f.offset
            normal = primitive(c.functional(f.normal[None])[0])
            found.append((normal, frozenset(self.hull.vertices[on.astype(bool)].tolist())))
        return sorted(found, key=lambda pair: pair[0].tolist())

    def length(self, edge: tuple[int, int]) -> int | Fraction:
        """The lattice length of an edge: how many times the primitive integer vector along it."""
        c = self.hull.configuration
        a, b = np.searchsorted(c.index, edge)
        parts = [
            Fraction(int(y) - int(x), s) for x, y, s in zip(c.coordinates[a], c.coordinates[b], c.scales[:-1], strict=True)
        ]
        both = from_fractions(parts, (len(parts),))
        return ratio(math.gcd(*both.numerators.tolist()), both.denominator)

    def __repr__(self) -> str:
        return f"Subdivision({len(self.cells)} cells, {len(self.hull.vertices)} vertices, dimension {self.dimension})"


@dataclass(frozen=True)
class Face:
    """A face of the complex of a tropical hypersurface: the hull of vertices plus the cone of rays plus the lineality.

    Attributes:
        dimension: as a polyhedron.
        dual: the monomials (vertices of the dual face) that are maximal on all of it.
        vertices: which of the complex's vertices.
        rays: which of its rays span the recession cone.
        bounded: no rays and no lineality.
        weight: of a piece of the hypersurface (dimension d − 1): the lattice length of its dual edge; None for others.
    """

    dimension: int
    dual: tuple[int, ...]
    vertices: tuple[int, ...]
    rays: tuple[int, ...]
    bounded: bool
    weight: int | Fraction | None = None


@dataclass(frozen=True, eq=False)
class PolyhedralComplex:
    """A tropical hypersurface with the regions between its pieces: a complex that covers ℝ^d.

    Attributes:
        subdivision: the dual.
        vertices: (V, d) ints and Fractions, in the order of ``subdivision.cells``: where k + 1 affinely independent monomials
            tie. With lineality each stands for the flat through it.
        rays: (R, d) primitive integers: outward normals of the facets of the Newton polytope.
        lineality: (d − k, d) integers: directions that change nothing (the Newton polytope being flat).
    """

    subdivision: Subdivision
    vertices: np.ndarray
    rays: np.ndarray
    lineality: np.ndarray

    @property
    def ambient(self) -> int:
        """d."""
        return self.vertices.shape[1]

    @cached_property
    def _faces(self) -> dict[tuple[int, ...], Face]:
        s, d = self.subdivision, self.ambient
        walls = [on for _, on in s.border]
        found = {}
        for dual, (size, cells) in s._faces.items():
            rays = tuple(i for i, on in enumerate(walls) if on.issuperset(dual))
            weight = s.length((dual[0], dual[1])) if size == 1 else None
            found[dual] = Face(d - size, dual, tuple(cells), rays, not rays and not len(self.lineality), weight)
        return found

    def faces(self, dimension: int) -> list[Face]:
        """The faces of a dimension; those of dimension d are the closed regions, all others make up the hypersurface.

        Raises:
            InputError: a dimension not from 0 to d.
        """
        if dimension not in range(self.ambient + 1):
            raise InputError(f"faces have dimensions 0 to {self.ambient}; found {dimension!r}")
        return sorted((f for f in self._faces.values() if f.dimension == dimension), key=lambda f: f.dual)

    def bounded(self, dimension: int) -> list[Face]:
        """The bounded faces of a dimension."""
        return [f for f in self.faces(dimension) if f.bounded]

    def unbounded(self, dimension: int) -> list[Face]:
        """The others."""
        return [f for f in self.faces(dimension) if not f.bounded]

    def face_of(self, dual: tuple[int, ...]) -> Face:
        """The face σ* dual to a face σ of the subdivision (a sorted tuple of monomials); back: ``face.dual``.

        Raises:
            InputError: no such face.
        """
        self.subdivision._around(dual)
        return self._faces[dual]

    def __repr__(self) -> str:
        d = self.ambient
        pieces = len(self.faces(d - 1)) if d else 0
        return f"PolyhedralComplex({len(self.vertices)} vertices, {pieces} pieces of dimension {d - 1}, d = {d})"


def dual_subdivision(points: Any, heights: Any) -> Subdivision:
    """The regular subdivision of the convex hull of points (n, d) by heights (n,): the upper faces, seen from above.

    Raises:
        InputError: as :func:`essential`.

    >>> s = dual_subdivision([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, -1])
    >>> s.cells, len(s.faces(1))
    ([(0, 1, 2), (1, 2, 3)], 5)
    """
    return Subdivision(upper_hull(points, heights))


def hypersurface(points: Any, heights: Any) -> PolyhedralComplex:
    """Where the maximum of ⟨x, p_i⟩ + h_i is attained at least twice, as a polyhedral complex with its weights.

    Raises:
        InputError: as :func:`essential`.

    >>> line = hypersurface([[0, 0], [1, 0], [0, 1]], [0, 0, 0])
    >>> line.vertices.tolist(), line.rays.tolist(), [f.weight for f in line.faces(1)]
    ([[0, 0]], [[-1, 0], [0, -1], [1, 1]], [1, 1, 1])
    """
    s = dual_subdivision(points, heights)
    c = s.hull.configuration
    d = c.coordinates.shape[1]
    rays = np.array([normal for normal, _ in s.border], dtype=object).reshape(len(s.border), d)
    return PolyhedralComplex(s, s.hull.slopes, rays, kernel(c.spans))


@dataclass(frozen=True)
class MixedCell:
    """A vertex of the common refinement of two hypersurfaces, with its dual: a cell σ + τ of the mixed subdivision.

    Attributes:
        point: the vertex (d,), ints and Fractions; where both Newton polytopes are flat alike, a point of the flat that it is.
        first, second: the monomials of each that are maximal there.
        dimensions: of σ and τ.
    """

    point: np.ndarray
    first: tuple[int, ...]
    second: tuple[int, ...]
    dimensions: tuple[int, int]

    @property
    def mixed(self) -> bool:
        """Do both hypersurfaces go through it?"""
        return min(self.dimensions) > 0


def mixed_cells(p1: Any, h1: Any, p2: Any, h2: Any) -> list[MixedCell]:
    """The vertices of the overlay of two hypersurfaces, as cells of the mixed subdivision (by the Cayley trick).

    Args, Raises: as :func:`overlay_pairs`.

    >>> cells = mixed_cells([[0, 0], [1, 0]], [0, 0], [[0, 0], [0, 1]], [0, 5])  # two lines that cross
    >>> [(c.point.tolist(), c.first, c.second, c.mixed) for c in cells]
    [([0, -5], (0, 1), (0, 1), True)]
    """
    points, heights, left = side_by_side(p1, h1, p2, h2)
    second = np.arange(len(points)) >= left
    hull = upper_hull(np.concatenate([points, second[:, None].astype(points.dtype)], 1), heights)
    c = hull.configuration
    out = []
    for cell, slope in zip(hull.cells, hull.slopes[:, :-1], strict=True):
        parts = [[i for i in cell if (i >= left) == side] for side in (False, True)]
        sizes = []
        for part in parts:
            rows = c.coordinates[np.searchsorted(c.index, part)].astype(object)
            sizes.append(len(echelon(rows - rows[:1])[1]))
        first, then = (tuple(p) for p in parts)
        out.append(MixedCell(slope, first, tuple(i - left for i in then), (sizes[0], sizes[1])))
    return out
