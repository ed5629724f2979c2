"""Envelopes and clipped polygons, against dense values on points and SciPy's intersection of half-planes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, HalfspaceIntersection

import tropica as tp
from tests.sizes import examples
from tropica.polyhedra.envelope import upper_envelope
from tropica.polyhedra.polygons import area, clip
from tropica.polyhedra.upper_hull import upper_hull

SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
seeds = st.integers(0, 2**32 - 1)


def functions(seed, n, grid=0):
    random = np.random.default_rng(seed)
    if grid:  # few different gradients, on lattice points: ties, cells without area and repeated functions
        return random.integers(-grid, grid + 1, (n, 2)).astype(float), random.integers(-2, 3, n) / 2.0
    weight = random.standard_normal((n, 2))
    return weight, -(weight**2).sum(1) / 2 + 0.1 * random.standard_normal(n)


@given(seeds, st.integers(1, 6))
def test_clip_is_the_intersection_of_half_planes(seed, m):
    random = np.random.default_rng(seed)
    normals, offsets = random.standard_normal((m, 2)), 0.5 * random.random(m) + 0.05  # the origin is in the interior
    part, edges = clip(SQUARE, SQUARE @ normals.T + offsets)
    sides = np.array([[1, 0, -1], [-1, 0, -1], [0, 1, -1], [0, -1, -1]], float)
    whole = HalfspaceIntersection(np.concatenate([np.concatenate([-normals, -offsets[:, None]], 1), sides]), np.zeros(2))
    assert area(part) == pytest.approx(ConvexHull(whole.intersections).volume, rel=1e-9)
    for v, edge in enumerate(edges):
        ends = part[[v, (v + 1) % len(part)]]
        if edge >= 0:
            np.testing.assert_allclose(ends @ normals[edge] + offsets[edge], 0, atol=1e-12)
        else:
            assert np.isclose(np.abs(ends), 1).all(0).any(), "an edge of the square"


def test_clip_leaves_nothing_or_all():
    assert len(clip(SQUARE, SQUARE[:, :1] - 2)[0]) == 0
    assert clip(SQUARE, SQUARE[:, :1] + 2)[0].tolist() == SQUARE.tolist()
    assert len(clip(SQUARE, np.stack([SQUARE[:, 0] - 0.5, -SQUARE[:, 0] - 0.5], 1))[0]) == 0, "x ≥ ½ and x ≤ −½"


@given(seeds, st.integers(1, 40), st.sampled_from([0, 1, 3]))
@examples(60)
def test_each_point_is_in_the_polygon_of_its_largest_function(seed, n, grid):
    weight, bias = functions(seed, n, grid)
    found = upper_envelope(weight, bias, SQUARE)
    assert sum(area(p) for p in found.polygons) == pytest.approx(4.0, rel=1e-9)
    for k, polygon in zip(found.active, found.polygons, strict=True):
        inside = np.concatenate([polygon, polygon.mean(0)[None]])
        values = inside @ weight.T + bias
        np.testing.assert_allclose(values[:, k], values.max(1), atol=1e-9)
    # A function that is the largest by far at some point has a polygon.
    x = np.random.default_rng(seed).uniform(-1, 1, (200, 2))
    values = x @ weight.T + bias
    first = np.array([np.flatnonzero((weight == w).all(1) & (bias == b))[0] for w, b in zip(weight, bias, strict=True)])
    values = values[:, np.unique(first)]
    top = np.sort(values, 1)
    clear = top[:, -1] - top[:, -2] > 1e-6 if values.shape[1] > 1 else np.ones(len(x), bool)
    assert set(np.unique(first)[values.argmax(1)][clear]) <= set(found.active.tolist())


@given(seeds, st.integers(2, 25), st.integers(2, 25))
@examples(30)
def test_areas_of_one_envelope_in_another(seed, n, m):
    one, other = upper_envelope(*functions(seed, n), SQUARE), upper_envelope(*functions(seed + 1, m), SQUARE)
    number, active, size = one.areas(other.polygons)
    by_polygon = np.bincount(number, size, minlength=len(other.polygons))
    np.testing.assert_allclose(by_polygon, [area(p) for p in other.polygons], atol=1e-9)
    by_active = np.bincount(active, size, minlength=n)[one.active]
    np.testing.assert_allclose(by_active, [area(p) for p in one.polygons], atol=1e-9)


@given(seeds, st.integers(2, 30))
@examples(30)
def test_borders_are_where_two_functions_tie_for_the_largest(seed, n):
    weight, bias = functions(seed, n)
    found = upper_envelope(weight, bias, SQUARE)
    ends, pairs = found.edges()
    middle = ends.mean(1)
    values = middle @ weight.T + bias
    rows = np.arange(len(pairs))
    for side in (0, 1):
        np.testing.assert_allclose(values[rows, pairs[:, side]], values.max(1), atol=1e-9)
    outside = sum(
        np.linalg.norm(np.roll(p, -1, 0) - p, axis=1)[s < 0].sum() for p, s in zip(found.polygons, found.across, strict=True)
    )
    every = sum(np.linalg.norm(np.roll(p, -1, 0) - p, axis=1).sum() for p in found.polygons)
    assert outside == pytest.approx(8.0), "the square's own border"
    assert outside + 2 * np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).sum() == pytest.approx(every)


def test_functions_of_one_direction_and_equal_ones():
    weight = np.array([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0], [0.0, 0.0]])
    found = upper_envelope(weight, np.array([-0.5, -0.5, 0.0, 0.0]), SQUARE)
    assert found.active.tolist() == [0, 1, 2]
    assert upper_envelope(weight[2:], np.zeros(2), SQUARE).active.tolist() == [0]
    with pytest.raises(tp.InputError, match=r"functions \(n, 2\)"):
        upper_envelope(np.zeros((3, 3)), np.zeros(3), SQUARE)
    with pytest.raises(tp.InputError, match="finite"):
        upper_envelope(weight, np.array([0.0, np.nan, 0, 0]), SQUARE)


def test_results_are_one_line():
    assert repr(upper_envelope(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2), SQUARE)) == "Envelope(2 of 2 functions active)"
    assert repr(upper_hull([[0], [1], [2]], [0, 1, 0])) == "UpperHull(2 cells, 3 vertices, dimension 1)"
