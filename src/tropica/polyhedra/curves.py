"""Numbers of tropical curves and hypersurfaces: genus, smoothness, multiplicities, lengths, balancing.

Functions of a :class:`~tropica.polyhedra.PolyhedralComplex`, which has them as methods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np

from tropica.errors import InputError
from tropica.exact.lattices import kernel_basis, saturated_basis
from tropica.exact.linear_algebra import solve
from tropica.exact.rational_arrays import as_objects, primitive, ratio, rationals
from tropica.polyhedra.polytope import Polytope

if TYPE_CHECKING:
    from tropica.polyhedra.complexes import Face, PolyhedralComplex

GenusOf = Literal["parametrized", "set"]


def genus(curve: PolyhedralComplex, of: GenusOf = "parametrized") -> int:
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


def _parallel(curve: PolyhedralComplex, first: Face, second: Face) -> bool:
    """Whether two edges of a curve are parallel: their dual edges are."""
    p = curve.exponents
    u, v = p[first.dual[1]] - p[first.dual[0]], p[second.dual[1]] - p[second.dual[0]]
    return bool(u[0] * v[1] == u[1] * v[0])


def _parallelograms(curve: PolyhedralComplex) -> set[int]:
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


def is_smooth(surface: PolyhedralComplex) -> bool:
    """Whether the dual subdivision is unimodular: every cell is a simplex of the least volume that a lattice simplex has."""
    _check_integers(surface)
    return all(len(cell) == surface.subdivision.dimension + 1 for cell in surface.subdivision.cells) and set(
        vertex_multiplicities(surface)
    ) <= {1}


def vertex_multiplicities(surface: PolyhedralComplex) -> list[int | Fraction]:
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


def lattice_lengths(surface: PolyhedralComplex) -> dict[tuple[int, ...], int | Fraction | float]:
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


def j_invariant(curve: PolyhedralComplex) -> int | Fraction:
    """The tropical j-invariant of a cubic: the length of its cycle, edges of weight w counting their lattice length over w."""
    _check_curve(curve)
    _check_integers(curve)
    inner = _inner_points(curve.exponents[curve.subdivision.hull.vertices])
    if len(inner) != 1:
        raise InputError(
            "the j-invariant is that of a curve whose Newton polygon has one inner lattice point, as that of a cubic; "
            f"this one has {len(inner)}"
        )
    middle = next((i for i in curve.subdivision.hull.vertices.tolist() if tuple(curve.exponents[i]) == inner[0]), None)
    if middle is None:
        return 0
    lengths = lattice_lengths(curve)
    around = [f for f in curve.faces(1) if middle in f.dual]
    return ratio(sum((Fraction(lengths[f.dual]) / Fraction(f.weight or 1) for f in around), Fraction(0)))


def _inner_points(corners: np.ndarray) -> list[tuple[int, ...]]:
    """The lattice points in the interior of the convex hull of integer points in the plane."""
    return [tuple(p) for p in Polytope(corners).lattice_points(interior=True).tolist()]


def weight_vectors(curve: PolyhedralComplex) -> list[np.ndarray]:
    """For each vertex, the primitive outgoing directions of its edges times their weights (E, d)."""
    out: list[list[np.ndarray]] = [[] for _ in curve.vertices]
    for face in curve.faces(1):
        if face.weight is None:
            raise InputError("weight vectors are those of a curve in the plane; use is_balanced() for surfaces")
        for v in face.vertices:
            others = [u for u in face.vertices if u != v]
            way = curve.vertices[others[0]] - curve.vertices[v] if others else curve.rays[face.rays[0]]
            out[v].append(primitive(as_objects(way.tolist())) * face.weight)
    return [np.array(rows, dtype=object).reshape(len(rows), curve.ambient_dimension) for rows in out]


def is_balanced(surface: PolyhedralComplex) -> bool:
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


def _span(surface: PolyhedralComplex, face: Face) -> np.ndarray:
    """Integer vectors that span the directions of a face."""
    corners = surface.vertices[list(face.vertices)]
    sides = [primitive(as_objects((c - corners[0]).tolist())) for c in corners[1:]]
    rows = [*sides, *surface.rays[list(face.rays)], *surface.lineality]
    return np.array(rows, dtype=object).reshape(len(rows), surface.ambient_dimension)


def _check_curve(curve: PolyhedralComplex) -> None:
    if curve.ambient_dimension != 2:
        raise InputError(f"this is a number of curves in the plane; the polynomial has {curve.ambient_dimension} variables")


def _check_integers(surface: PolyhedralComplex) -> None:
    if any(Fraction(e).denominator > 1 for e in surface.exponents.ravel().tolist()):
        raise InputError("this needs integer exponents")
