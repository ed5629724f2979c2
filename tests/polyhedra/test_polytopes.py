"""Polytopes, Minkowski sums, hulls of unions."""

import itertools
from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from tests.oracles import polyhedra as oracle
from tests.polyhedra.configurations import array, fractions, rational, whole
from tests.sizes import examples
from tropica.errors import InputError
from tropica.polyhedra import integer_hulls, polytope
from tropica.polyhedra.polytope import Polytope, hull_of_union, minkowski_sum


def point_sets(most: int = 8, d=None):
    dimensions = st.integers(1, 3) if d is None else st.just(d)
    numbers = st.sampled_from([whole, st.integers(0, 1), rational])
    return st.tuples(dimensions, numbers).flatmap(
        lambda t: st.lists(st.lists(t[1], min_size=t[0], max_size=t[0]), min_size=1, max_size=most).map(array)
    )


def extreme(points) -> set:
    rows = {tuple(p) for p in fractions(points)}
    return {p for p in rows if not oracle.inside(p, sorted(rows - {p}))}


@examples(60)
@given(point_sets())
def test_vertices_are_the_points_not_in_the_hull_of_the_others(points):
    p = Polytope(points)
    assert {tuple(v) for v in p.vertices.tolist()} == extreme(points)
    assert len(p.vertices) == len(extreme(points))
    assert p.dimension == oracle.rank([[a - b for a, b in zip(r, points[0], strict=True)] for r in points.tolist()] or [[0]])
    assert [points[i].tolist() for i in p.vertex_indices] == p.vertices.tolist()


@examples(40)
@given(point_sets(), st.data())
def test_membership_by_caratheodory(points, data):
    p = Polytope(points)
    d = points.shape[1]
    queries = data.draw(st.lists(st.lists(rational, min_size=d, max_size=d), min_size=1, max_size=4))
    queries += [((points[0] + points[-1]) * Fraction(1, 2)).tolist(), points[0].tolist()]
    expected = [oracle.inside([Fraction(e) for e in q], fractions(points)) for q in queries]
    assert p.contains(array(queries)).tolist() == expected


@examples(60)
@given(point_sets())
def test_faces_obey_euler_and_inequalities_are_tight_on_facets(points):
    p = Polytope(points)
    assert sum((-1) ** j * n for j, n in enumerate(p.f_vector)) == 1
    normals, offsets = p.inequalities
    for normal, offset, facet in zip(normals, offsets, p.facets, strict=True):
        values = p.vertices @ normal
        assert values.max() == offset
        assert tuple(np.flatnonzero(values == offset).tolist()) == facet
    for j in range(p.dimension):  # a face is a set of vertices on which some facets are tight, and nothing else is
        for face in p.faces(j):
            around = [set(f) for f in p.facets if set(face) <= set(f)]
            assert set.intersection(*around) == set(face)
            rows = p.vertices[list(face)] - p.vertices[face[0]]
            assert oracle.rank(rows.tolist()) == j


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_known_polytopes(d):
    cube = Polytope(list(itertools.product((0, 2), repeat=d)))
    assert cube.volume == 2**d
    assert cube.f_vector == tuple(comb(d, j) * 2 ** (d - j) for j in range(d + 1))
    cross = Polytope(np.concatenate([np.eye(d, dtype=int), -np.eye(d, dtype=int)]))
    assert cross.volume == Fraction(2**d, factorial(d))
    assert cross.f_vector == (*(comb(d, j + 1) * 2 ** (j + 1) for j in range(d)), 1)
    simplex = Polytope(np.concatenate([np.zeros((1, d), int), np.eye(d, dtype=int)]) / 2)
    assert simplex.volume == Fraction(1, factorial(d) * 2**d)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_volumes_are_qhulls(d):
    points = np.random.default_rng(d).normal(size=(30, d))
    p = Polytope(points)
    hull = ConvexHull(points)
    assert float(p.volume) == pytest.approx(hull.volume, rel=1e-10)
    assert sorted(hull.vertices) == p.vertex_indices.tolist()
    assert len(p.facets) == len(hull.simplices)
    assert p.f_vector[-2] == len(hull.simplices)


def test_without_qhull_volumes_are_the_same(monkeypatch):
    points = np.array(list(itertools.product(range(3), repeat=3)))
    monkeypatch.setattr(polytope, "propose", lambda points: None)
    monkeypatch.setattr(integer_hulls, "propose", lambda points: None)
    assert Polytope(points).volume == 8


@examples(40)
@given(st.integers(1, 3).flatmap(lambda d: st.tuples(point_sets(4, d), point_sets(4, d))))
def test_sums_and_unions(both):
    a, b = (Polytope(p) for p in both)
    sums = Polytope([(p + q).tolist() for p in a.vertices for q in b.vertices])
    assert minkowski_sum(a, b) == sums == a + b
    assert {tuple(v) for v in sums.vertices.tolist()} == extreme(
        array([(p + q).tolist() for p in a.vertices for q in b.vertices])
    )
    assert hull_of_union(a, b) == Polytope(np.concatenate(both))


def test_degenerate_polytopes_are_ordinary():
    point = Polytope([[1, 2, 3], [1, 2, 3]])
    assert (point.dimension, point.volume, point.f_vector, point.facets) == (0, 0, (1,), [])
    assert point.contains([[1, 2, 3], [1, 2, 4]]).tolist() == [True, False]
    segment = Polytope([[0, 0], [1, 1], [3, 3]])
    assert (segment.dimension, segment.f_vector, segment.volume) == (1, (2, 1), 0)
    assert segment.contains([[2, 2], [2, 1], [4, 4]]).tolist() == [True, False, False]
    flat = Polytope([[0, 0, 0], [1, 0, 1], [0, 1, 1], [1, 1, 2]])
    assert flat.f_vector == (4, 4, 1)
    nothing = Polytope(np.zeros((1, 0)))
    assert (nothing.dimension, nothing.volume) == (0, 1)
    assert (nothing + nothing).volume == 1


def test_equality_is_of_sets():
    a, b = Polytope([[0, 0], [1, 0], [0, 1]]), Polytope([[0, 1], [0, 0], [1, 0], [0, 0], [0.5, 0.5]])
    assert a == b
    assert hash(a) == hash(b)
    assert a != Polytope([[0, 0]])
    assert a != "a"
    assert "3 vertices" in repr(a)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Polytope([]), "at least one point"),
        (lambda: Polytope([[0, np.nan]]), "nan"),
        (lambda: Polytope([[0, 1]]).contains([[1, 2, 3]]), "2 coordinates; found 3"),
        (lambda: Polytope([[0, 1]]).faces(1), "dimensions 0 to 0; found 1"),
        (lambda: Polytope([[0, 1]]).faces("a"), "dimensions 0 to 0; found 'a'"),
        (lambda: Polytope([[0, 1]]) + 3, "two Polytopes are needed; found int"),
        (lambda: Polytope([[0, 1]]) + Polytope([[0]]), "same ambient dimension; found 2 and 1"),
        (lambda: hull_of_union(Polytope([[0, 1]]), Polytope([[0]])), "same ambient dimension; found 2 and 1"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
