"""``PolyhedralComplex``: a tropical hypersurface with the closed regions of its complement, and its faces."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import ratio, rationals
from tropica.polyhedra import curves, latex
from tropica.polyhedra.conventions import Convention, shown
from tropica.polyhedra.faces import Face
from tropica.polyhedra.subdivision import Subdivision
from tropica.polyhedra.thumbnails import MOST_LINES, room_around, svg
from tropica.runtime.html import HtmlRepr


@dataclass(frozen=True, eq=False)
class PolyhedralComplex(HtmlRepr):
    """A tropical hypersurface with the closed regions of its complement: a complex that covers ℝ^d.

    Attributes:
        subdivision: the dual subdivision.
        vertices: (V, d) ints and Fractions, in the order of ``subdivision.cells``: where k + 1 affinely independent monomials
            tie. With lineality each vertex represents the affine subspace through it.
        rays: (R, d) primitive integers: outward normals of the facets of the Newton polytope; inward ones in min-plus.
        lineality: (d − k, d) integers that span the lineality space: the directions orthogonal to the Newton polytope.

    >>> from tropica.polyhedra import hypersurface
    >>> line = hypersurface([[0, 0], [1, 0], [0, 1]], [0, 0, 0])  # max(0, x₁, x₂)
    >>> line
    PolyhedralComplex(1 vertices, 3 facets, d = 2, max-plus)
    >>> line.vertices.tolist(), line.rays.tolist(), line.is_balanced()
    ([[0, 0]], [[-1, 0], [0, -1], [1, 1]], True)
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
        for dual, (size, cells) in s.all_faces.items():
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
        self.subdivision.dimension_of(dual)
        return self._faces[dual]

    @property
    def exponents(self) -> np.ndarray:
        """(n, d) the exponents of all monomials by index, ints and Fractions; 0 for monomials that repeat another one."""
        return self._exponents

    @cached_property
    def _exponents(self) -> np.ndarray:
        c = self.subdivision.hull.configuration
        out = np.zeros((int(c.index.max()) + 1, c.coordinates.shape[1]), dtype=object)
        for j, scale in enumerate(c.scales[:-1]):
            out[c.index, j] = [ratio(int(v), scale) for v in c.coordinates[:, j].tolist()]
        return out

    def genus(self, of: curves.GenusOf = "parametrized") -> int:
        """The genus of a curve in the plane.

        Args:
            of: "parametrized" for the curve whose edges pass through each other where the dual cell is a parallelogram;
                "set" for the first Betti number of the set: its number of bounded regions.

        Raises:
            InputError: another number of variables, or another word.

        >>> from tropica.polyhedra import hypersurface
        >>> lines = hypersurface([[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]], [0, 3, 1, 2, 4, 0])
        >>> lines.genus(), lines.genus("set")
        (0, 0)
        """
        return curves.genus(self, of)

    def is_smooth(self) -> bool:
        """Whether the dual subdivision consists of unimodular simplices.

        Raises:
            InputError: exponents that are not integers.
        """
        return curves.is_smooth(self)

    def vertex_multiplicities(self) -> list[int | Fraction]:
        """For each vertex, k! times the volume of its dual cell; in the plane and at three edges, Mikhalkin's multiplicity."""
        return curves.vertex_multiplicities(self)

    def lattice_lengths(self) -> dict[tuple[int, ...], int | Fraction | float]:
        """The lattice length of each edge, by its ``dual``: in units of the primitive integer vector; ∞ for a ray."""
        return curves.lattice_lengths(self)

    def j_invariant(self) -> int | Fraction:
        """The tropical j-invariant of a plane cubic: the length of its cycle, 0 where the inner monomial is not essential.

        An edge of weight w counts its lattice length over w (Katz, Markwig and Markwig 2008). Of any curve with one bounded
        region it is the length around that region.

        Raises:
            InputError: no bounded region or several, and a Newton polygon with other than one inner lattice point.
        """
        return curves.j_invariant(self)

    def weight_vectors(self) -> list[np.ndarray]:
        """For each vertex of a curve, the primitive outgoing directions of its edges times their weights (E, 2).

        For parallel lines, both directions of each.
        """
        return curves.weight_vectors(self)

    def is_balanced(self) -> bool:
        """Whether the weighted primitive directions around every face of codimension 2 sum to 0, from the vertices and rays."""
        return curves.is_balanced(self)

    def interior_point(self, face: Face) -> list[Fraction]:
        """A point in the relative interior of a face, in Fractions: the mean of its vertices plus the sum of its rays."""
        corners, rays = self.vertices[list(face.vertices)], self.rays[list(face.rays)]
        mean = [sum(map(Fraction, column), Fraction(0)) / len(corners) for column in corners.T.tolist()]
        return [m + sum(column) for m, column in zip(mean, rays.T.tolist(), strict=True)]

    def latex(self) -> str:
        r"""Return LaTeX of the hypersurface as a set: the union of its facets, each a convex hull plus a cone plus a span.

        >>> from tropica.polyhedra import hypersurface
        >>> print(hypersurface([[0], [1], [2]], [0, 1, 0]).latex())
        \left\{(-1)\right\} \cup \left\{(1)\right\}
        """
        return latex.union(self._latex_facets(short=False))

    def _latex_facets(self, *, short: bool) -> list[str]:
        d = self.ambient_dimension
        facets = self.faces(d - 1) if d else []
        return [
            latex.face(self.vertices[list(f.vertices)], self.rays[list(f.rays)], self.lineality, short=short) for f in facets
        ]

    def _repr_latex_(self) -> str:
        return latex.shown_list(self.convention, self._latex_facets(short=True), latex.union, "facets")

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.thumbnail()

    def thumbnail(self) -> str:
        """A small picture of a curve in the plane, as SVG; "" in other dimensions and for large curves."""
        if self.ambient_dimension != 2 or len(self.vertices) > MOST_LINES:
            return ""
        vertices = rationals(self.vertices).floats()
        low, high = room_around(vertices, 0.25)
        segments = []
        for face in self.faces(1):
            ends = [vertices[v] for v in face.vertices]
            ways = [self.rays[r].astype(np.float64) for r in face.rays]
            ways += [sign * row.astype(np.float64) for row in self.lineality for sign in (1, -1)]
            ends += [ends[0] + 4 * (high - low).max() * way / np.abs(way).max() for way in ways]
            if len(ends) > 1 and face.weight is not None:
                segments.append(np.array(ends[-2:]))
        return svg(segments, (low, high))

    def __repr__(self) -> str:
        d = self.ambient_dimension
        count = len(self.faces(d - 1)) if d else 0
        return f"PolyhedralComplex({len(self.vertices)} vertices, {count} facets, d = {d}, {shown(self.convention)})"
