"""``Subdivision``: the dual subdivision of a Newton polytope."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, from_fractions, primitive, ratio
from tropica.polyhedra import latex
from tropica.polyhedra.conventions import Convention, shown
from tropica.polyhedra.face_lattice import MAX_FACES, faces_from_facets
from tropica.polyhedra.integer_hulls import facets, hull_vertices
from tropica.polyhedra.thumbnails import MOST_LINES, room_around, svg
from tropica.polyhedra.upper_hull import UpperHull
from tropica.runtime.html import HtmlRepr


@dataclass(frozen=True, eq=False)
class Subdivision(HtmlRepr):
    """The dual subdivision δ(f): the projections of the upper faces of P(f), of every dimension.

    Attributes:
        hull: the upper hull of which it is the projection.
        max_faces: the largest number of faces to list.
        convention: "max"; or "min", where the hull is that of the negated heights: the lower hull, turned over.

    >>> from tropica.polyhedra import dual_subdivision
    >>> found = dual_subdivision([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, -1])
    >>> found, found.cells
    (Subdivision(2 cells, 4 vertices, dimension 2, max-plus), [(0, 1, 2), (1, 2, 3)])
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
    def all_faces(self) -> dict[tuple[int, ...], tuple[int, list[int]]]:
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
        return sorted(face for face, (size, _) in self.all_faces.items() if size == dimension)

    def dimension_of(self, face: tuple[int, ...]) -> int:
        """The dimension of a face, in the form returned by :meth:`faces`."""
        return self._around(face)[0]

    def cells_around(self, face: tuple[int, ...]) -> list[int]:
        """The indices of the maximal cells that contain a face."""
        return self._around(face)[1]

    def _around(self, face: tuple[int, ...]) -> tuple[int, list[int]]:
        try:
            return self.all_faces[face]
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

    def latex(self) -> str:
        r"""Return LaTeX: the set of the cells, each the convex hull of its exponents.

        >>> from tropica.polyhedra import dual_subdivision
        >>> print(dual_subdivision([[0], [1], [2]], [0, 1, 0]).latex())
        \left\{\operatorname{conv}\{(0), (1)\}, \operatorname{conv}\{(1), (2)\}\right\}
        """
        return latex.collection(self._latex_cells(short=False))

    def _latex_cells(self, *, short: bool) -> list[str]:
        c = self.hull.configuration
        none = np.zeros((0, len(c.scales) - 1), dtype=object)
        rows = [[ratio(int(v), s) for v, s in zip(row, c.scales[:-1], strict=True)] for row in c.coordinates.tolist()]
        points = np.array(rows, dtype=object).reshape(len(rows), len(c.scales) - 1)
        return [latex.face(points[c.places(cell)], none, none, short=short) for cell in self.cells]

    def _repr_latex_(self) -> str:
        return latex.shown_list(self.convention, self._latex_cells(short=True), latex.collection, "cells")

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.thumbnail()

    def thumbnail(self) -> str:
        """A small picture of a subdivision in the plane, as SVG; "" in other dimensions and for large subdivisions."""
        c = self.hull.configuration
        if c.coordinates.shape[1] != 2 or not self.dimension or len(self.cells) > MOST_LINES:
            return ""
        points = np.stack([RationalArray(c.coordinates[:, i], c.scales[i]).floats() for i in range(2)], 1)
        return svg([points[c.places(edge)] for edge in self.faces(1)], room_around(points, 0.06))

    def __repr__(self) -> str:
        counts = f"{len(self.cells)} cells, {len(self.hull.vertices)} vertices, dimension {self.dimension}"
        return f"Subdivision({counts}, {shown(self.convention)})"
