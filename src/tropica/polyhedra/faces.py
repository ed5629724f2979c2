"""``Face``: a face of the complex of a tropical hypersurface."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tropica.runtime.html import HtmlRepr


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

    >>> from tropica.polyhedra import hypersurface
    >>> line = hypersurface([[0, 0], [1, 0], [0, 1]], [0, 0, 0])  # max(0, x₁, x₂)
    >>> line.faces(1)[0]
    Face(dimension=1, dual=(0, 1), vertices=(0,), rays=(1,), bounded=False, weight=1)
    >>> [line.rays[face.rays[0]].tolist() for face in line.faces(1)]
    [[0, -1], [-1, 0], [1, 1]]
    """

    dimension: int
    dual: tuple[int, ...]
    vertices: tuple[int, ...]
    rays: tuple[int, ...]
    bounded: bool
    weight: int | Fraction | None = None
