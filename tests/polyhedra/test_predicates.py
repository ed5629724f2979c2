"""Signs of determinants: the floating-point filter accepts only correct signs."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sizes import examples
from tropica.exact.rational_arrays import compact
from tropica.polyhedra.predicates import BLOCK, IntegerPoints


def exact_sign(rows) -> int:
    k = len(rows)
    value = Fraction(1)
    left = [[Fraction(e) for e in r] for r in rows]
    for c in range(k):
        p = next((r for r in range(c, k) if left[r][c] != 0), None)
        if p is None:
            return 0
        if p != c:
            left[c], left[p], value = left[p], left[c], -value
        value *= left[c][c]
        for r in range(c + 1, k):
            share = left[r][c] / left[c][c]
            left[r] = [a - share * b for a, b in zip(left[r], left[c], strict=True)]
    return (value > 0) - (value < 0)


def points_of(columns) -> IntegerPoints:
    return IntegerPoints([compact(np.array(c, dtype=object)) for c in columns])


def nearly_dependent(rng, k: int, bits: int, nudge: int) -> list[list[int]]:
    """k + 1 random points of ``bits`` bits; the last is in the hyperplane of the others, moved by ``nudge``."""
    rows = [[int.from_bytes(rng.bytes(bits // 8 + 1), "big") for _ in range(k)] for _ in range(k)]
    mix = rng.integers(-2, 3, max(k - 1, 0)).tolist()
    last = [rows[0][c] + sum(m * (rows[i + 1][c] - rows[0][c]) for i, m in enumerate(mix)) for c in range(k)]
    last[int(rng.integers(k))] += nudge
    return [*rows, last]


def sides_of(rows) -> list[list[int]]:
    return [[a - b for a, b in zip(r, rows[0], strict=True)] for r in rows[1:]]


@examples(100)
@given(st.integers(1, 5), st.sampled_from([3, 30, 50, 60, 300, 2000]), st.integers(-1, 1), st.integers(0, 10**6))
def test_orientation_of_points_nearly_in_a_hyperplane(k, bits, nudge, seed):
    rows = nearly_dependent(np.random.default_rng(seed), k, bits, nudge)
    points = points_of(zip(*rows, strict=True))
    expected = exact_sign(sides_of(rows))
    assert points.orientation(np.arange(k + 1)[None], k)[0] == expected
    assert points.sides(np.arange(k)[None], np.array([k]))[0, 0] == expected


@pytest.mark.parametrize("bits", [4, 58, 200])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_sides_are_orientations(k, bits):
    rng = np.random.default_rng(bits + k)
    rows = [[int(e) << bits for e in r] for r in rng.integers(-3, 4, (12, k))]
    points = points_of(zip(*rows, strict=True))
    ridges = np.stack([rng.permutation(12)[:k] for _ in range(20)])
    found = points.sides(ridges, np.arange(12))
    for b, v in np.ndindex(found.shape):
        sides = [[x - y for x, y in zip(rows[i], rows[ridges[b, 0]], strict=True)] for i in [*ridges[b, 1:], v]]
        assert found[b, v] == exact_sign(sides)


def test_more_than_one_block_and_none():
    points = points_of([[0, 1, 0], [0, 0, 1]])
    many = np.tile([[0, 1, 2], [0, 2, 1]], (BLOCK // 4 + 3, 1))
    assert (points.orientation(many, 2) == np.tile([1, -1], BLOCK // 4 + 3)).all()
    assert points.orientation(many[:0], 2).shape == (0,)


def test_dimensions_beyond_expansion():
    k = 11
    rng = np.random.default_rng(0)
    rows = rng.integers(-5, 6, (k + 1, k)).tolist()
    points = points_of(zip(*rows, strict=True))
    sides = [[a - b for a, b in zip(r, rows[0], strict=True)] for r in rows[1:]]
    assert points.orientation(np.arange(k + 1)[None], k)[0] == exact_sign(sides)


def test_coordinates_that_float64_rounds_to_zero_are_distinguished():
    huge = 10**700
    rows = [[0, 0], [1, 5], [3, 16], [huge, 0], [0, huge]]  # (3, 16) is off the line through the first two
    points = points_of(zip(*rows, strict=True))
    assert points.sides(np.array([[0, 1]]), np.array([2]))[0, 0] == 1
    assert points.orientation(np.array([[0, 1, 2]]), 2)[0] == 1
    line = points_of([[-huge, 0, 1, huge]])
    assert line.sides(np.array([[1]]), np.arange(4)).tolist() == [[-1, 0, 1, 1]]
