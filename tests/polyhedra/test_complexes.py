"""Hypersurfaces and dual subdivisions: duality, orthogonality, covering, balancing."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given

from tests.oracles import polyhedra as oracle
from tests.polyhedra.configurations import lifted, rational, value, whole
from tests.sizes import examples
from tropica.errors import InputError
from tropica.exact.rational_arrays import primitive
from tropica.polyhedra.dual_complexes import dual_subdivision, hypersurface
from tropica.polyhedra.face_lattice import faces_from_facets
from tropica.polyhedra.polytope import Polytope


def ties(points, heights, x) -> set[int]:
    top = value(points, heights, x)
    return {
        i
        for i, (p, h) in enumerate(zip(points.tolist(), heights.tolist(), strict=True))
        if sum(a * b for a, b in zip(p, x, strict=True)) + h == top
    }


def inner_point(complex_, face) -> list[Fraction]:
    """A point in the relative interior: the mean of the vertices, and all rays."""
    at = sum((complex_.vertices[v] for v in face.vertices), np.zeros(complex_.ambient_dimension, dtype=object)) * Fraction(
        1, len(face.vertices)
    )
    for r in face.rays:
        at = at + complex_.rays[r]
    return at.tolist()


@examples(60)
@given(lifted(most=8))
def test_faces_of_both_are_dual(configuration):
    points, heights = configuration
    cx = hypersurface(points, heights)
    s, d = cx.subdivision, cx.ambient_dimension
    for j in range(s.dimension + 1):
        for dual in s.faces(j):
            face = cx.face_of(dual)
            assert face.dual == dual
            assert face.dimension + j == d
            assert s.dimension_of(dual) == j
            # In the relative interior the monomials of the dual face tie, and of the essential ones no others.
            at = inner_point(cx, face)
            assert ties(points, heights, at) & set(s.hull.vertices.tolist()) == set(dual)
            # Its directions: dimension, and orthogonal to the dual face.
            base = cx.vertices[face.vertices[0]]
            spans = [(cx.vertices[v] - base).tolist() for v in face.vertices[1:]] + [cx.rays[r].tolist() for r in face.rays]
            spans += cx.lineality.tolist()
            assert oracle.rank(spans or [[0] * d]) == face.dimension
            for i, direction in itertools.product(dual[1:], spans):
                assert sum((a - b) * c for a, b, c in zip(points[i], points[dual[0]], direction, strict=True)) == 0
    # Inclusion is reversed.
    every = [cx.face_of(dual) for j in range(s.dimension + 1) for dual in s.faces(j)]
    for a, b in itertools.product(every[:12], every[:12]):
        if set(a.dual) <= set(b.dual):
            assert set(b.vertices) <= set(a.vertices)
            assert set(b.rays) <= set(a.rays)


@examples(50)
@given(lifted(most=8))
def test_cells_cover_the_newton_polytope_and_the_complex_covers_space(configuration):
    points, heights = configuration
    s = dual_subdivision(points, heights)
    if s.dimension == points.shape[1]:
        assert sum(Polytope(points[list(c)]).volume for c in s.cells) == Polytope(points).volume
    # With compact supports space has Euler characteristic (−1)^d: open faces, by dimension.
    cx = hypersurface(points, heights)
    d = cx.ambient_dimension
    assert sum((-1) ** j * len(cx.faces(j)) for j in range(d + 1)) == (-1) ** d
    # Vertices of the subdivision ↔ regions
    assert [f.dual for f in cx.faces(d)] == [(int(i),) for i in s.hull.vertices]
    assert all(f.bounded == (not f.rays and not len(cx.lineality)) for j in range(d + 1) for f in cx.faces(j))


def outgoing(cx, face, vertex) -> np.ndarray:
    """The direction (primitive) in which an edge of a tropical curve leaves a vertex."""
    if face.rays:
        return cx.rays[face.rays[0]]
    other = next(v for v in face.vertices if v != vertex)
    return primitive(cx.vertices[other] - cx.vertices[vertex])


@examples(60)
@given(lifted(most=9, dimensions=(2,), numbers=whole) | lifted(most=9, dimensions=(2,), numbers=rational))
def test_curves_are_balanced(configuration):
    cx = hypersurface(*configuration)
    assume(cx.subdivision.dimension == 2)
    for vertex in range(len(cx.vertices)):
        edges = [f for f in cx.faces(1) if vertex in f.vertices]
        total = sum((outgoing(cx, f, vertex) * f.weight for f in edges), np.zeros(2, dtype=object))
        assert total.tolist() == [0, 0]
        assert len(edges) >= 3


@examples(60)
@given(lifted(most=8, dimensions=(3,), numbers=whole))
def test_surfaces_are_balanced_around_each_edge(configuration):
    points, heights = configuration
    cx = hypersurface(points, heights)
    assume(cx.subdivision.dimension == 3)
    for edge in cx.faces(1):
        base = cx.vertices[edge.vertices[0]]
        along = cx.rays[edge.rays[0]] if edge.rays else cx.vertices[edge.vertices[1]] - base
        along = [int(e * math.lcm(*(Fraction(a).denominator for a in along))) for e in along]
        along = [e // math.gcd(*along) for e in along]
        total = np.zeros(3, dtype=object)
        for piece in cx.faces(2):
            if not set(edge.dual) >= set(piece.dual):
                continue
            # A primitive vector n of the lattice of normals: ⟨n, m⟩ for integers m orthogonal to the edge is what counts,
            # so the sum of weight · n must vanish on all of these.
            toward = np.array(inner_point(cx, piece), dtype=object) - base
            total = total + primitive_modulo(toward, along) * piece.weight
        for m in ([along[1], -along[0], 0], [along[2], 0, -along[0]], [0, along[2], -along[1]]):
            assert sum(a * b for a, b in zip(total, m, strict=True)) == 0


def primitive_modulo(vector, along) -> np.ndarray:
    """t·vector (mod the line), t > 0 such that its image in ℤ³/ℤ·along is primitive: integer pairings of content 1."""
    pairings = [sum((Fraction(a) * b for a, b in zip(m, vector, strict=True)), Fraction(0)) for m in orthogonal_lattice(along)]
    bottom = math.lcm(*(p.denominator for p in pairings))
    content = Fraction(math.gcd(*(int(p * bottom) for p in pairings)), bottom)
    return vector * (1 / content)


def orthogonal_lattice(along) -> list[tuple[int, int, int]]:
    """A basis of all integer vectors orthogonal to a primitive one (extended Euclid)."""
    a, b, c = along
    g = math.gcd(a, b)
    if g == 0:
        return [(1, 0, 0), (0, 1, 0)]
    u, v = bezout(a, b)
    return [(b // g, -a // g, 0), (-u * c, -v * c, g)]


def bezout(a: int, b: int) -> tuple[int, int]:
    """u, v with u·a + v·b = gcd(a, b)."""
    old, new, s, t = a, b, (1, 0), (0, 1)
    while new:
        q = old // new
        old, new = new, old - q * new
        s, t = t, (s[0] - q * t[0], s[1] - q * t[1])
    return s if old > 0 else (-s[0], -s[1])


def test_weights_are_lattice_lengths():
    cx = hypersurface([[0, 0], [4, 2], [0, 3]], [0, 0, 0])
    assert {f.dual: f.weight for f in cx.faces(1)} == {(0, 1): 2, (0, 2): 3, (1, 2): 1}
    half = hypersurface(np.array([[0], [Fraction(3, 2)]], dtype=object), [0, 0])
    assert [f.weight for f in half.faces(0)] == [Fraction(3, 2)]
    assert hypersurface([[0], [1], [2], [4]], [0, 0, 0, 0]).faces(0)[0].weight == 4


def test_recession_cones_and_lineality():
    cx = hypersurface([[0, 0], [1, 1], [2, 2]], [0, 1, 0])  # parallel lines
    assert cx.lineality.tolist() == [[-1, 1]]
    assert cx.vertices.tolist() == [[-0.5, -0.5], [0.5, 0.5]]
    assert len(cx.faces(1)) == 2
    assert [f.bounded for f in cx.faces(1)] == [False, False]
    assert [f.rays for f in cx.faces(2)] == [(0,), (), (1,)]
    assert cx.rays.tolist() == [[-1, -1], [1, 1]]
    assert cx.bounded(1) == []
    single = hypersurface([[3, 4]], [5])
    assert single.faces(1) == []
    assert len(single.faces(2)) == 1
    assert single.lineality.shape == (2, 2)
    assert "d = 2" in repr(single)


def test_faces_of_cells_that_are_no_simplices():
    cube = list(itertools.product((0, 1), repeat=3))
    s = dual_subdivision(cube, [0] * 8)
    assert [len(s.faces(j)) for j in range(4)] == [8, 12, 6, 1]
    assert hypersurface(cube, [0] * 8).vertices.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dual_subdivision([[0], [1]], [0, 0]).faces(2), "dimensions 0 to 1; found 2"),
        (lambda: dual_subdivision([[0], [1]], [0, 0]).dimension_of((1, 0)), "not a face"),
        (lambda: hypersurface([[0], [1]], [0, 0]).face_of((5,)), "not a face"),
        (lambda: hypersurface([[0], [1]], [0, 0]).faces(2), "dimensions 0 to 1; found 2"),
        (lambda: hypersurface([[0], [np.nan]], [0, 0]), "nan"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_too_many_faces_are_refused():
    cube = Polytope(list(itertools.product((0, 1), repeat=4)))
    with pytest.raises(InputError, match="more than 20 faces"):
        faces_from_facets(len(cube.vertices), cube.facets, max_faces=20)
    subdivision = dual_subdivision([[i, i * i] for i in range(12)], [-(i**4) for i in range(12)])
    with pytest.raises(InputError, match="more than 20 faces"):
        replace(subdivision, max_faces=20).faces(1)
