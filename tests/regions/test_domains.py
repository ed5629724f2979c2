"""Domains: their vertices and facets against enumeration of all subsets, their coordinates, what they refuse."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

import tropica as tp
from tests.oracles import convex
from tropica.regions.domains.constructors import Ball, Box, Plane, Polygon, Polytope, Segment, Simplex, Slice, Space, Triangle
from tropica.regions.domains.domain import Domain, vector

OCTAHEDRON = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
RANDOM = np.random.default_rng(3)


def exact(array: object) -> list:
    return [[Fraction(x) for x in row] for row in array.numbers().tolist()]  # type: ignore[attr-defined]


def as_polyhedron(domain: Domain) -> convex.Polyhedron:
    """The domain in the oracle's integers."""
    vertices = tuple(sorted(convex.integers([*v, Fraction(1)]) for v in exact(domain.exact_vertices)))
    rows = tuple(convex.integers([*(-x for x in row[:-1]), row[-1]]) for row in exact(domain.halfspaces))
    return convex.Polyhedron(vertices, rows)


DOMAINS = [
    Box(-1, 1, d=1),
    Box([-1, 0, 2], [0.1, 1e-300, 3]),
    Box([-1, 0.3, 2], [0.1, 0.3, 3]),
    Ball([0.1, 0.2, 0.3], 0.7, norm="l1"),
    Ball([0.1, 0.2], 0.7, norm="linf"),
    Polytope(OCTAHEDRON, np.ones(8)),
    Polytope(np.vstack([OCTAHEDRON, OCTAHEDRON[:2] / 3, np.zeros((1, 3))]), [1.0] * 8 + [5, 1, 0]),
    Polytope(RANDOM.standard_normal((12, 3)), np.ones(12)),
    Polytope.from_vertices(RANDOM.standard_normal((9, 3))),
    Simplex(RANDOM.standard_normal((4, 3))),
    Triangle([0, 0], [1, 1e-9], [2, 0]),
    Polygon([[0, 0], [1, 0], [2, 0], [1, 1], [0, 0]]),
    Ball([0, 0, 0], 1, norm="l1").slice([0.25, 0, 0], [[1, 1, 0], [0, 0, 1]]),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_faces(domain: Domain) -> None:
    body = as_polyhedron(domain)
    halfspaces = exact(domain.halfspaces)
    by_subsets = convex.from_halfspaces([r[:-1] for r in halfspaces], [r[-1] for r in halfspaces])
    assert body.vertices == by_subsets.vertices
    assert len(body.facets()) == len(halfspaces)  # each is a facet, and another one
    incidence = [[convex.dot(f, v) == 0 for f in body.halfspaces] for v in map(_lifted, exact(domain.exact_vertices))]
    assert domain.incidence.tolist() == incidence


def _lifted(v: list[Fraction]) -> convex.Row:
    return convex.integers([*v, Fraction(1)])


def test_polytopes_are_read_exactly() -> None:
    rows = np.array([[Fraction(1, 3), 0], [-1, 0], [0, 1], [0, -1]], dtype=object)
    assert exact(Polytope(rows, [1, 0, 1, 0]).exact_vertices) == [[0, 0], [0, 1], [3, 0], [3, 1]]
    random = RANDOM.standard_normal((10, 3))
    by_subsets = convex.from_halfspaces(random.tolist(), [1.0] * 10)
    assert as_polyhedron(Polytope(random, np.ones(10))).vertices == by_subsets.vertices


def test_flat_polytopes() -> None:
    """A polytope without an interior gets coordinates of its own, and the same points."""
    diagonal = Polytope([[1, 1], [-1, -1], [1, 0], [-1, 0]], [1, -1, 2, 1])
    assert diagonal.dimension == 1
    assert sorted(diagonal.embed(diagonal.vertices).tolist()) == [[-1, 2], [2, -1]]
    square = Polytope.from_vertices([[0.1, 0, 0], [0.1, 1, 0], [0.1, 0, 1], [0.1, 1, 1]])
    assert square.dimension == 2
    assert square.embed(square.vertices)[:, 0].tolist() == [0.1] * 4
    with pytest.raises(tp.InputError, match="no origin and basis in float64"):
        Polytope([[3, 0], [-3, 0], [0, 1], [0, -1]], [1, -1, 1, 1])
    with pytest.raises(tp.InputError, match="single point"):
        Polytope.from_vertices([[1, 2], [1, 2]])


def test_coordinates() -> None:
    box = Box([0, 5, 0], [1, 5, 2])
    assert (box.dimension, box.embed([[0.5, 1]]).tolist()) == (2, [[0.5, 5, 1]])
    segment = Segment(torch.zeros(1, 2, 2), np.arange(4.0))
    assert (segment.origin.tolist(), segment.basis.tolist()) == ([0, 0, 0, 0], [[0, 1, 2, 3]])
    plane = Plane([1, 1, 1], [1, 0, 0], [0, 2, 0], extent=[2, 3])
    assert (plane.embed([[1, 1]]).tolist(), plane.volume_scale) == ([[2, 3, 1]], 2)
    assert [x.tolist() for x in plane.limits() or ()] == [[-2, -3], [2, 3]]
    through = Plane.through([0, 1], [2, 1], [0, 4], margin=0.5)
    assert through.embed(np.eye(2)).tolist() == [[2, 1], [0, 4]]
    triangle = Triangle(torch.zeros(1, 2, 2), torch.ones(1, 2, 2), torch.eye(2)[None])
    assert triangle.embed(triangle.vertices).tolist() == [[0] * 4, [1, 0, 0, 1], [1] * 4]
    inner = Slice([0, 0, 1], [[1, 0, 0], [0, 1, 1]], Ball([0, 0], 1, norm="l1"))
    assert sorted(inner.embed(inner.vertices).tolist()) == [[-1, 0, 1], [0, -1, 0], [0, 1, 2], [1, 0, 1]]
    assert Slice([0, 0, 1], [[1, 0, 0], [0, 1, 1]], Plane([1, 1], [1, 0], [0, 2])).embed([[1, 1]]).tolist() == [[2, 3, 4]]


def test_slices_hold_the_same_points() -> None:
    body, origin, basis = Polytope(OCTAHEDRON, np.ones(8)), np.array([0.25, 0.0, 0.0]), np.array([[1.0, 2, 0], [0, 0, 1]])
    cut = body.slice(origin, basis)
    t = RANDOM.uniform(-1, 1, (50, 2))
    assert cut.contains(t).tolist() == body.contains(cut.embed(t)).tolist()
    with pytest.raises(tp.InputError, match="empty"):
        body.slice([9, 0, 0], basis)
    with pytest.raises(tp.InputError, match="no interior"):
        body.slice([1, 0, 0], [[0, 1, 0]])
    with pytest.raises(tp.InputError, match="full dimension"):
        Segment([0, 0], [1, 1]).slice([0, 0], [[1, 0]])


def test_cones_fill_space() -> None:
    for d in (1, 2, 3):
        points = np.column_stack([RANDOM.standard_normal((40, d)), np.ones(40)])
        inside = [(points[:, :d] @ f.halfspaces.numerators[:, :d].T <= 0).all(1) for f in Space(d).cones]
        assert np.sum(inside, 0).tolist() == [1] * 40
        for faces in Space(d).cones:
            v, h = faces.vertices.numerators, faces.halfspaces.numerators
            assert ((v[:, :d] @ h[:, :d].T == 0) == faces.incidence).all()
            assert (v[:, :d] @ h[:, :d].T <= 0).all()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Box([0, 0], [1, 1, 1]), "3 numbers each"),
        (lambda: Box([0, 2], [1, 1]), "coordinate 1"),
        (lambda: Box(1, 1, d=2), "a point"),
        (lambda: Box(0, 1, d=0), "numbers each"),
        (lambda: Box(0, float("inf"), d=2), "finite"),
        (lambda: Box("zero", 1, 2), "lo must be numbers"),  # type: ignore[arg-type]
        (lambda: Box([], []), "finite numbers, at least one"),
        (lambda: Box(0, 1, d=784).vertices, r"784 dimensions has 10\^236 vertices"),
        (lambda: Ball([0.0] * 40, 1, norm="l1").vertices, "40 dimensions has 1,099,511,627,776 facets"),
        (lambda: Ball([0, 0], 0), "positive"),
        (lambda: Ball([0, 0], 1, norm="l2"), "no polytope"),
        (lambda: Polytope([[1, 0], [0, 1]], [1, 1, 1]), "A must be"),
        (lambda: Polytope([[1, 0], [0, 1], [-1, 0]], [1, 1, 1]), "unbounded"),
        (lambda: Polytope([[1, 0], [-1, 0]], [1, 1]), "unbounded"),
        (lambda: Polytope([[1], [-1]], [1, -2]), "empty"),
        (lambda: Polytope([[float("nan")]], [1]), "finite"),
        (lambda: Simplex([[0, 0], [1, 1], [2, 2]]), "flat of less than 2"),
        (lambda: Simplex([[0, 0, 0], [1, 1, 1], [2, 2, 2]]), "independent"),
        (lambda: Simplex([[0], [1], [2]]), "needs 2 dimensions"),
        (lambda: Triangle([0, 0], [1, 0], [1]), "number of coordinates"),
        (lambda: Polygon([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), "Slice"),
        (lambda: Polygon([[0, 0], [1, 1], [2, 2]]), "no interior"),
        (lambda: Segment([0] * 4, [1] * 3), "4 and 3"),
        (lambda: Segment([1, 2], [1, 2]), "differ"),
        (lambda: Segment([-1.7e308], [1.7e308]), "overflows"),
        (lambda: Plane([0, 0], [1, 1], [2, 2]), "must span a plane"),
        (lambda: Plane([0, 0], [1, 0], [0, 1], extent=[1, -1]), "extent"),
        (lambda: Plane.through([0, 0], [1, 0], [0, 1], margin=-1), "margin"),
        (lambda: Slice([0, 0], [[1, 0]], Box(0, 1, d=2)), "inner must be a domain of 1 dim"),
        (lambda: Space(0), "whole number"),
        (lambda: Space(2).vertices, "no vertices"),
        (lambda: Box(0, 1, d=2).check_input((1, 3)), "2 coordinates, but an input of the network has 3"),
        (lambda: Box(0, 1, d=2).contains([[0.5]]), "2 coordinates; found 1"),
    ],
)
def test_refused(make, match: str) -> None:
    with pytest.raises(tp.InputError, match=match):
        make()


def test_vectors() -> None:
    assert vector(torch.ones(2, 2, requires_grad=True), "x").tolist() == [1, 1, 1, 1]
    lo = np.zeros(2)
    box = Box(lo, 1)
    lo[0] = 0.5
    assert box.lo.tolist() == [0, 0]
