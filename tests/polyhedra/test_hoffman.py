"""Hoffman constants: against all subsets, and against distances."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

import tropica as tp
from tests.oracles import polyhedra as oracle
from tests.polyhedra.configurations import array, fractions, lifted, rational, whole
from tests.sizes import examples
from tropica.errors import InputError
from tropica.polyhedra.hoffman import hoffman_constant, region_system
from tropica.polyhedra.upper_hull import upper_hull
from tropica.tropical.hoffman import polynomial_hoffman_constant


def matrices(most=5):
    numbers = st.sampled_from([whole, rational])
    return st.tuples(st.integers(1, 3), numbers).flatmap(
        lambda t: st.lists(st.lists(t[1], min_size=t[0], max_size=t[0]), min_size=1, max_size=most).map(array)
    )


@examples(40)
@given(matrices())
def test_exact_constants_are_those_of_all_subsets(rows):
    assume(any(any(r) for r in rows.tolist()))
    rows = array([r for r in rows.tolist() if any(r)])
    found = hoffman_constant(rows)
    assert found.exact
    assert found.squared == oracle.hoffman_squared(fractions(rows))
    assert found.lower == found.upper == pytest.approx(float(found.squared) ** 0.5)


@examples(60)
@given(matrices(8), st.integers(1, 30))
def test_bounds_hold(rows, subsets):
    assume(any(any(r) for r in rows.tolist()))
    exact, rough = hoffman_constant(rows), hoffman_constant(rows, subsets=subsets)
    assert rough.lower <= exact.lower * (1 + 1e-12)
    assert rough.upper >= exact.upper * (1 - 1e-12)


def test_no_point_is_farther_than_the_constant_says():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(-3, 4, (4, 2)).astype(float), rng.random(4)  # 0 is feasible
        a = a[(a != 0).any(1)]
        b = b[: len(a)]
        constant = hoffman_constant(a).upper
        x = rng.normal(size=2) * 5
        near = minimize(
            lambda y, x=x: ((y - x) ** 2).sum(),
            np.zeros(2),
            constraints={"type": "ineq", "fun": lambda y, a=a, b=b: b - a @ y},
            method="SLSQP",
        )
        assert np.sqrt(near.fun) <= constant * max((a @ x - b).max(), 0) * (1 + 1e-6) + 1e-6


def test_the_constant_is_attained():
    # A wedge with a small angle: from its tip on, outward.
    a = np.array([[0, 1], [0, -1], [1, 10], [1, -10]])
    found = hoffman_constant(a[2:])
    assert found.squared == 1  # (1, 0) is the nearest point of the segment: both at once
    narrow = hoffman_constant([[1, 10], [-1, 10]])
    assert float(narrow.squared) == pytest.approx(1 / 100)
    assert hoffman_constant([[1, 10], [0, -1]]).squared == 122  # dist² = 1/122


@examples(60)
@given(lifted(most=7))
def test_regions_are_what_their_systems_say(configuration):
    points, heights = configuration
    hull = upper_hull(points, heights)
    rng = np.random.default_rng(0)
    for monomial in hull.vertices.tolist():
        a, b = region_system(points, heights, monomial)
        x = rng.integers(-6, 7, (30, points.shape[1])).astype(object)
        values = x @ points.T + heights
        largest = values[:, monomial] == values.max(1)
        assert ((x @ a.T <= b).all(1) if len(a) else np.ones(30, bool)).tolist() == largest.tolist()


def test_sizes_beyond_floats():
    found = hoffman_constant(np.array([[10**300, 1], [1, 10**300], [-(10**300), 10**299]], dtype=object), subsets=2)
    assert found.lower <= found.upper
    assert not found.exact


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hoffman_constant([[0, 0]]), "not zero"),
        (lambda: hoffman_constant(np.zeros((0, 2))), "not zero"),
        (lambda: hoffman_constant([[1, np.nan]]), "nan"),
        (lambda: hoffman_constant([[1]], subsets=0), "at least 1; found 0"),
        (lambda: region_system([[0], [1], [2]], [0, 0, 0], 1), "monomial 1 is the largest on no open set"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


@examples(30)
@given(matrices(4))
def test_distances_in_the_largest_coordinate(rows):
    """The dual linear program of every set of rows: max Σ λ with λ ≥ 0 and ‖Aᵀλ‖₁ ≤ 1."""
    rows = array([r for r in rows.tolist() if any(r)])
    assume(len(rows))
    a = np.array(rows.tolist(), dtype=float)
    best = 0.0
    for size in range(1, len(a) + 1):
        for chosen in combinations(range(len(a)), size):
            part = a[list(chosen)]
            if np.linalg.matrix_rank(part) < size:
                continue
            # λ, and t ≥ |Aᵀλ| coordinate by coordinate
            d = part.shape[1]
            eye = np.eye(d)
            above = np.block([[part.T, -eye], [-part.T, -eye]])
            limits = np.concatenate([np.zeros(2 * d), [1.0]])
            above = np.vstack([above, np.concatenate([np.zeros(size), np.ones(d)])])
            found = linprog(-np.concatenate([np.ones(size), np.zeros(d)]), A_ub=above, b_ub=limits)
            best = max(best, -found.fun)
    constant = hoffman_constant(rows, norm="linf")
    assert constant.upper == pytest.approx(best)
    assert constant.exact


def test_norms_and_polynomials():
    assert hoffman_constant(np.eye(3), norm="linf").squared == 1
    assert hoffman_constant(np.eye(3)).squared == 3
    p = tp.MinPlusPolynomial({(1, 0): 0, (0, 1): 0, (0, 0): 0})
    assert polynomial_hoffman_constant(p).squared == polynomial_hoffman_constant(p.max_plus).squared == 2
    with pytest.raises(InputError, match="found 'l1'"):
        hoffman_constant(np.eye(2), norm="l1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="raise subsets"):
        hoffman_constant(np.random.default_rng(0).normal(size=(30, 5)), norm="linf", subsets=10)
    with pytest.raises(InputError, match="not zero"):
        polynomial_hoffman_constant(tp.TropicalPolynomial({1: 0}))
