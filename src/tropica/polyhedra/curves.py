"""Numbers of tropical curves and hypersurfaces: genus, smoothness, multiplicities, lengths, balancing.

They are methods of a :class:`~tropica.polyhedra.PolyhedralComplex`; here they ask for no more than a :class:`Surface`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np

from tropica.errors import InputError
from tropica.exact.lattices import kernel_basis, saturated_basis
from tropica.exact.linear_algebra import solve
from tropica.exact.rational_arrays import as_objects, primitive, ratio, rationals
from tropica.polyhedra.faces import Face
from tropica.polyhedra.polytope import Polytope
from tropica.polyhedra.subdivision import Subdivision


class Surface(Protocol):
    """What these functions need of a complex."""

    @property
    def vertices(self) -> np.ndarray:
        """(V, d) ints and Fractions."""
        ...

    @property
    def rays(self) -> np.ndarray:
        """(R, d) primitive integers."""
        ...

    @property
    def lineality(self) -> np.ndarray:
        """(l, d) integers."""
        ...

    @property
    def subdivision(self) -> Subdivision:
        """The dual subdivision."""
        ...

    @property
    def exponents(self) -> np.ndarray:
        """(n, d) the exponents by index."""
        ...

    @property
    def ambient_dimension(self) -> int:
        """The number of coordinates d."""
        ...

    def faces(self, dimension: int) -> list[Face]:
        """The faces of a dimension."""
        ...

    def interior_point(self, face: Face) -> list[Fraction]:
        """A point in the relative interior of a face."""
        ...


GenusOf = Literal["parametrized", "set"]


def genus(curve: Surface, of: GenusOf = "parametrized") -> int:
    """The genus of the parametrized curve, or the first Betti number of the set."""
    _check_curve(curve)
    if of not in ("parametrized", "set"):
        raise InputError(f'the genus is that of the "parametrized" curve or of the "set"; found {of!r}')
    if len(curve.lineality):
        return 0
    crossings = _parallelograms(curve) if of == "parametrized" else set()
    # Nodes are the vertices that are not crossings; at a crossing the two edges of one direction are joined.
    edges = curve.faces(1)
    ends: list[list[int]] = [list(f.vertices) for f in edges]
    parent = list(range(len(edges)))

    def find(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    closed = 0
    for vertex in crossings:
        around = [i for i, e in enumerate(ends) if vertex in e]
        first = around[0]
        partner = next(i for i in around[1:] if _parallel(curve, edges[first], edges[i]))
        for a, b in ((first, partner), tuple(i for i in around if i not in (first, partner))):
            closed += find(a) == find(b)
            parent[find(a)] = find(b)
    nodes = set(range(len(curve.vertices))) - crossings
    links: dict[int, list[int]] = {}
    for i, e in enumerate(ends):
        links.setdefault(find(i), []).extend(v for v in e if v in nodes)
    bounded = [e for e in links.values() if len(e) == 2]
    return len(bounded) - len(nodes) + _components(nodes, bounded) + closed


def _components(nodes: set[int], edges: Sequence[Sequence[int]]) -> int:
    parent = {n: n for n in nodes}

    def find(n: int) -> int:
        while parent[n] != n:
            n = parent[n]
        return n

    for a, b in edges:
        parent[find(a)] = find(b)
    return sum(parent[n] == n for n in nodes)


def _parallel(curve: Surface, first: Face, second: Face) -> bool:
    """Whether two edges of a curve are parallel: their dual edges are."""
    p = curve.exponents
    u, v = p[first.dual[1]] - p[first.dual[0]], p[second.dual[1]] - p[second.dual[0]]
    return bool(u[0] * v[1] == u[1] * v[0])


def _parallelograms(curve: Surface) -> set[int]:
    """The vertices whose dual cell is a parallelogram: crossings of two edges."""
    found = set()
    p = curve.exponents
    for number, cell in enumerate(curve.subdivision.cells):
        if len(cell) == 4:
            corners = p[list(cell)]
            twice = corners.sum(0)
            if any((2 * (corners[0] + c) == twice).all() for c in corners[1:]):
                found.add(number)
    return found


def is_smooth(surface: Surface) -> bool:
    """Whether the dual subdivision is unimodular: every cell is a simplex of the least volume that a lattice simplex has."""
    _check_integers(surface)
    return all(len(cell) == surface.subdivision.dimension + 1 for cell in surface.subdivision.cells) and set(
        vertex_multiplicities(surface)
    ) <= {1}


def vertex_multiplicities(surface: Surface) -> list[int | Fraction]:
    """For each vertex, the volume of its dual cell in units of the least simplex: k! vol, in the lattice of its span."""
    s = surface.subdivision
    if not s.dimension:
        return [1]
    p = surface.exponents
    whole = rationals(as_objects((p - p[0]).ravel().tolist()).reshape(p.shape))
    basis = saturated_basis(whole.numerators)
    coordinates = solve(basis.T, whole.numerators.T)
    assert coordinates is not None  # the rows are in the span
    rows, k = coordinates.T, s.dimension
    scale = Fraction(math.factorial(k), whole.denominator**k)
    return [ratio(Polytope(rows[list(cell)]).volume * scale) for cell in s.cells]


def lattice_lengths(surface: Surface) -> dict[tuple[int, ...], int | Fraction | float]:
    """The lattice length of each edge (by its dual): its length in primitive integer vectors; ∞ for a ray or a line."""
    out: dict[tuple[int, ...], int | Fraction | float] = {}
    for face in surface.faces(1):
        if len(face.vertices) < 2:
            out[face.dual] = math.inf
            continue
        a, b = (rationals(surface.vertices[v]) for v in face.vertices)
        bottom = math.lcm(a.denominator, b.denominator)
        side = a.numerators_over(bottom).astype(object) - b.numerators_over(bottom)
        out[face.dual] = ratio(math.gcd(*map(int, side.tolist())), bottom)
    return out


def j_invariant(curve: Surface) -> int | Fraction:
    """The length of the only cycle of a curve, edges of weight w counting their lattice length over w."""
    _check_curve(curve)
    _check_integers(curve)
    regions = [face for face in curve.faces(2) if face.bounded]
    if len(regions) != 1:
        polygon = Polytope(curve.exponents[curve.subdivision.hull.vertices])
        inner = len(polygon.lattice_points(interior=True)) if polygon.dimension == 2 else 0
        if inner == 1:  # the cycle of a cubic is contracted
            return 0
        raise InputError(
            "the j-invariant is that of a curve with one bounded region, or whose Newton polygon has one inner lattice point "
            f"(a cubic); this one has {len(regions)} bounded regions and {inner} inner lattice points"
        )
    lengths = lattice_lengths(curve)
    around = [face for face in curve.faces(1) if regions[0].dual[0] in face.dual]
    return ratio(sum((Fraction(lengths[f.dual]) / Fraction(f.weight or 1) for f in around), Fraction(0)))


def weight_vectors(curve: Surface) -> list[np.ndarray]:
    """For each vertex, the primitive outgoing directions of its edges times their weights (E, d); of a line both directions."""
    out: list[list[np.ndarray]] = [[] for _ in curve.vertices]
    for face in curve.faces(1):
        if face.weight is None:
            raise InputError("weight vectors are those of a curve in the plane; use is_balanced() for surfaces")
        for v in face.vertices:
            others = [u for u in face.vertices if u != v]
            if len(curve.lineality):
                ways = [curve.lineality[0], -curve.lineality[0]]
            else:
                ways = [curve.vertices[others[0]] - curve.vertices[v] if others else curve.rays[face.rays[0]]]
            out[v] += [primitive(as_objects(way.tolist())) * face.weight for way in ways]
    return [np.array(rows, dtype=object).reshape(len(rows), curve.ambient_dimension) for rows in out]


def is_balanced(surface: Surface) -> bool:
    """Whether around every face of dimension d − 2 the weighted primitive directions of the facets sum to 0 modulo the face."""
    d = surface.ambient_dimension
    if d - 2 < len(surface.lineality):
        return True
    for ridge in surface.faces(d - 2):
        at = surface.interior_point(ridge)
        span = _span(surface, ridge)
        # Onto the quotient lattice ℤ^d / span, which is ℤ²
        onto = kernel_basis(span) if len(span) else np.eye(d, dtype=np.int64).astype(object)
        total = np.zeros(len(onto), dtype=object)
        for facet in surface.faces(d - 1):
            if set(facet.dual) < set(ridge.dual) and facet.weight is not None:
                way = onto @ as_objects(a - b for a, b in zip(surface.interior_point(facet), at, strict=True))
                total = total + facet.weight * primitive(as_objects(way.tolist()))
        if total.any():
            return False
    return True


def _span(surface: Surface, face: Face) -> np.ndarray:
    """Integer vectors that span the directions of a face."""
    corners = surface.vertices[list(face.vertices)]
    sides = [primitive(as_objects((c - corners[0]).tolist())) for c in corners[1:]]
    rows = [*sides, *surface.rays[list(face.rays)], *surface.lineality]
    return np.array(rows, dtype=object).reshape(len(rows), surface.ambient_dimension)


def _check_curve(curve: Surface) -> None:
    if curve.ambient_dimension != 2:
        raise InputError(f"this is a number of curves in the plane; the polynomial has {curve.ambient_dimension} variables")


def _check_integers(surface: Surface) -> None:
    if any(Fraction(e).denominator > 1 for e in surface.exponents.ravel().tolist()):
        raise InputError("this needs integer exponents")
