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
    """

    dimension: int
    dual: tuple[int, ...]
    vertices: tuple[int, ...]
    rays: tuple[int, ...]
    bounded: bool
    weight: int | Fraction | None = None
