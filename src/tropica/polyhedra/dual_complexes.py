"""Tropical hypersurfaces as polyhedral complexes, and the dual subdivisions of their Newton polytopes.

A face σ of the dual subdivision and the set σ* = {x : all monomials of σ are maximal at x} are dual: they are orthogonal,
dim σ + dim σ* = d, and σ ⊂ τ exactly if σ* ⊃ τ*. Vertices σ are dual to the closed regions of the complement of
the hypersurface, edges to its facets (of dimension d − 1), maximal cells to its minimal faces.
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
from tropica.exact.linear_algebra import kernel
from tropica.exact.rational_arrays import exact_array, exact_numbers, from_fractions, primitive, ratio
from tropica.polyhedra.conventions import Convention, shown, sign_of
from tropica.polyhedra.face_lattice import MAX_FACES, faces_from_facets
from tropica.polyhedra.integer_hulls import facets, hull_vertices
from tropica.polyhedra.upper_hull import UpperHull, upper_hull
from tropica.runtime.html import HtmlRepr


@dataclass(frozen=True, eq=False)
class Subdivision(HtmlRepr):
    """The dual subdivision δ(f): the projections of the upper faces of P(f), of every dimension.

    Attributes:
        hull: the upper hull of which it is the projection.
        max_faces: the largest number of faces to list.
        convention: "max"; or "min", where the hull is that of the negated heights: the lower hull, turned over.
    """

    hull: UpperHull
    max_faces: int = MAX_FACES
    convention: Convention = "max"

    @property
    def dimension(self) -> int:
        """k: the dimension of the Newton polytope."""
        return self.hull.dimension

    @cached_property
    def cells(self) -> list[tuple[int, ...]]:
        """The vertices of each maximal face, in the order of ``hull.cells`` (which list the other points on it too)."""
        essential = set(self.hull.vertices.tolist())
        return [tuple(i for i in cell if i in essential) for cell in self.hull.cells]

    @cached_property
    def _faces(self) -> dict[tuple[int, ...], tuple[int, list[int]]]:
        """For each face, as a tuple of vertices, its dimension and the indices of the cells that contain it."""
        found: dict[tuple[int, ...], tuple[int, list[int]]] = {}
        k = self.dimension
        for number, cell in enumerate(self.cells):
            if len(cell) == k + 1:
                own: Iterable[tuple[tuple[int, ...], int]] = (
                    (face, size - 1) for size in range(1, k + 2) for face in combinations(cell, size)
                )
            else:
                own = self._faces_of(cell)
            for face, size in own:
                found.setdefault(face, (size, []))[1].append(number)
            if len(found) > self.max_faces:
                raise InputError(f"the subdivision has more than {self.max_faces:,} faces: use upper_hull for its cells alone")
        return found

    def _faces_of(self, cell: tuple[int, ...]) -> Iterable[tuple[tuple[int, ...], int]]:
        """The faces of a cell that is not a simplex, with their dimensions."""
        c = self.hull.configuration
        ridges = [f.points.tolist() for f in facets(c.projected[c.places(cell)])]
        return ((tuple(cell[i] for i in face), size) for face, size in faces_from_facets(len(cell), ridges).items())

    def faces(self, dimension: int) -> list[tuple[int, ...]]:
        """The faces of one dimension: the monomials at the vertices of each, sorted.

        Raises:
            InputError: a dimension outside 0, …, k, or more than ``max_faces`` faces in all.
        """
        if dimension not in range(self.dimension + 1):
            raise InputError(f"faces have dimensions 0 to {self.dimension}; found {dimension!r}")
        return sorted(face for face, (size, _) in self._faces.items() if size == dimension)

    def dimension_of(self, face: tuple[int, ...]) -> int:
        """The dimension of a face, in the form returned by :meth:`faces`."""
        return self._around(face)[0]

    def cells_around(self, face: tuple[int, ...]) -> list[int]:
        """The indices of the maximal cells that contain a face."""
        return self._around(face)[1]

    def _around(self, face: tuple[int, ...]) -> tuple[int, list[int]]:
        try:
            return self._faces[face]
        except (KeyError, TypeError):
            raise InputError(f"a face is a sorted tuple of monomials, as faces() returns it; {face!r} is not a face") from None

    @cached_property
    def border(self) -> list[tuple[np.ndarray, frozenset[int]]]:
        """The facets of the Newton polytope: outward normals (primitive integers), and the subdivision's vertices on each."""
        c = self.hull.configuration
        if not c.dimension:
            return []
        x = c.projected[c.places(self.hull.vertices)]
        found = []
        for f in facets(x[hull_vertices(x)]):
            on = x @ f.normal == f.offset
            normal = primitive(c.functional(f.normal[None])[0])
            found.append((normal, frozenset(self.hull.vertices[on.astype(bool)].tolist())))
        return sorted(found, key=lambda pair: pair[0].tolist())

    def length(self, edge: tuple[int, int]) -> int | Fraction:
        """The lattice length of an edge: its length in units of the primitive integer vector along it."""
        c = self.hull.configuration
        a, b = c.places(edge)
        parts = [
            Fraction(int(y) - int(x), s) for x, y, s in zip(c.coordinates[a], c.coordinates[b], c.scales[:-1], strict=True)
        ]
        both = from_fractions(parts, (len(parts),))
        return ratio(math.gcd(*both.numerators.tolist()), both.denominator)

    def __repr__(self) -> str:
        counts = f"{len(self.cells)} cells, {len(self.hull.vertices)} vertices, dimension {self.dimension}"
        return f"Subdivision({counts}, {shown(self.convention)})"


@dataclass(frozen=True)
class Face(HtmlRepr):
    """A face of the complex of a tropical hypersurface: the convex hull of vertices plus the cone of rays plus the lineality.

    Attributes:
        dimension: the dimension of the face as a polyhedron.
        dual: the monomials that are maximal on the whole face: the vertices of the dual face.
        vertices: indices into the complex's vertices.
        rays: indices into the complex's rays that span the recession cone.
        bounded: whether the face has no rays and no lineality.
        weight: the lattice length of the dual edge for a facet of the hypersurface; None for other faces.
    """

    dimension: int
    dual: tuple[int, ...]
    vertices: tuple[int, ...]
    rays: tuple[int, ...]
    bounded: bool
    weight: int | Fraction | None = None


@dataclass(frozen=True, eq=False)
class PolyhedralComplex(HtmlRepr):
    """A tropical hypersurface with the closed regions of its complement: a complex that covers ℝ^d.

    Attributes:
        subdivision: the dual subdivision.
        vertices: (V, d) ints and Fractions, in the order of ``subdivision.cells``: where k + 1 affinely independent monomials
            tie. With lineality each vertex represents the affine subspace through it.
        rays: (R, d) primitive integers: outward normals of the facets of the Newton polytope; inward ones in min-plus.
        lineality: (d − k, d) integers that span the lineality space: the directions orthogonal to the Newton polytope.
    """

    subdivision: Subdivision
    vertices: np.ndarray
    rays: np.ndarray
    lineality: np.ndarray

    @property
    def ambient_dimension(self) -> int:
        """d: the number of coordinates."""
        return self.vertices.shape[1]

    @property
    def convention(self) -> Convention:
        """Whether monomials tie for the maximum, "max", or for the minimum, "min"."""
        return self.subdivision.convention

    @cached_property
    def _faces(self) -> dict[tuple[int, ...], Face]:
        s, d = self.subdivision, self.ambient_dimension
        walls = [on for _, on in s.border]
        found = {}
        for dual, (size, cells) in s._faces.items():
            rays = tuple(i for i, on in enumerate(walls) if on.issuperset(dual))
            weight = s.length((dual[0], dual[1])) if size == 1 else None
            found[dual] = Face(d - size, dual, tuple(cells), rays, not rays and not len(self.lineality), weight)
        return found

    def faces(self, dimension: int) -> list[Face]:
        """The faces of a dimension: faces of dimension d are the closed regions, all others form the hypersurface.

        Raises:
            InputError: a dimension outside 0, …, d.
        """
        if dimension not in range(self.ambient_dimension + 1):
            raise InputError(f"faces have dimensions 0 to {self.ambient_dimension}; found {dimension!r}")
        return sorted((f for f in self._faces.values() if f.dimension == dimension), key=lambda f: f.dual)

    def bounded(self, dimension: int) -> list[Face]:
        """The bounded faces of a dimension."""
        return [f for f in self.faces(dimension) if f.bounded]

    def unbounded(self, dimension: int) -> list[Face]:
        """The unbounded faces of a dimension."""
        return [f for f in self.faces(dimension) if not f.bounded]

    def face_of(self, dual: tuple[int, ...]) -> Face:
        """The face σ* dual to a face σ of the subdivision (a sorted tuple of monomials); ``face.dual`` leads back.

        Raises:
            InputError: no such face.
        """
        self.subdivision._around(dual)
        return self._faces[dual]

    def interior_point(self, face: Face) -> list[Fraction]:
        """A point in the relative interior of a face, in Fractions: the mean of its vertices plus the sum of its rays."""
        corners, rays = self.vertices[list(face.vertices)], self.rays[list(face.rays)]
        mean = [sum(map(Fraction, column), Fraction(0)) / len(corners) for column in corners.T.tolist()]
        return [m + sum(column) for m, column in zip(mean, rays.T.tolist(), strict=True)]

    def __repr__(self) -> str:
        d = self.ambient_dimension
        count = len(self.faces(d - 1)) if d else 0
        return f"PolyhedralComplex({len(self.vertices)} vertices, {count} facets, d = {d}, {shown(self.convention)})"


def dual_subdivision(points: Any, heights: Any, *, convention: Convention = "max") -> Subdivision:
    """The regular subdivision of the convex hull of points (n, d) by heights (n,): the projection of the upper faces.

    Args:
        points, heights: as for :func:`essential`.
        convention: "max"; or "min" for the projection of the lower faces.

    Raises:
        InputError: as :func:`essential`; another convention.

    >>> s = dual_subdivision([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, -1])
    >>> s.cells, len(s.faces(1))
    ([(0, 1, 2), (1, 2, 3)], 5)
    """
    if sign_of(convention) < 0:
        heights = -exact_numbers(exact_array(heights, "heights", 1))
    return Subdivision(upper_hull(points, heights), convention=convention)


def hypersurface(points: Any, heights: Any, *, convention: Convention = "max") -> PolyhedralComplex:
    """The set where the maximum of ⟨x, p_i⟩ + h_i is attained at least twice, as a polyhedral complex with weights.

    Args:
        points, heights: as for :func:`essential`.
        convention: "max"; or "min" for the set where the minimum is attained at least twice.

    Raises:
        InputError: as :func:`essential`; another convention.

    >>> line = hypersurface([[0, 0], [1, 0], [0, 1]], [0, 0, 0])
    >>> line.vertices.tolist(), line.rays.tolist(), [f.weight for f in line.faces(1)]
    ([[0, 0]], [[-1, 0], [0, -1], [1, 1]], [1, 1, 1])
    >>> hypersurface([[0, 0], [1, 0], [0, 1]], [0, 0, 0], convention="min").rays.tolist()
    [[1, 0], [0, 1], [-1, -1]]
    """
    s = dual_subdivision(points, heights, convention=convention)
    sign = sign_of(convention)
    c = s.hull.configuration
    d = c.coordinates.shape[1]
    rays = np.array([sign * normal for normal, _ in s.border], dtype=object).reshape(len(s.border), d)
    return PolyhedralComplex(s, sign * s.hull.slopes, rays, kernel(c.spans))
