"""Mixed volumes: against inclusion–exclusion over Minkowski sums, and published root counts."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, QhullError

import tropica as tp
from tests.sizes import examples
from tests.tropical.systems import cyclic, katsura
from tropica.errors import InputError
from tropica.polyhedra.mixed_cell_homotopy import _exact_adjugates, _rounded_adjugates


def volume(points: np.ndarray) -> float:
    try:
        return ConvexHull(points).volume if points.shape[1] > 1 else float(np.ptp(points))
    except QhullError:  # flat
        return 0.0


def inclusion_exclusion(supports: list[np.ndarray]) -> int:
    """Σ (−1)^(n − |S|) vol(Σ_{i ∈ S} P_i)."""
    n, total = len(supports), 0.0
    for size in range(1, n + 1):
        for chosen in combinations(supports, size):
            points = chosen[0]
            for other in chosen[1:]:
                points = np.unique((points[:, None] + other[None]).reshape(-1, n), axis=0)
            total += (-1) ** (n - size) * volume(points.astype(float))
    return round(total)


def systems(n: int):
    support = st.lists(st.lists(st.integers(-2, 3), min_size=n, max_size=n), min_size=1, max_size=6).map(np.array)
    return st.lists(support, min_size=n, max_size=n)


@examples(60)
@given(st.integers(1, 3).flatmap(systems))
def test_by_inclusion_and_exclusion(supports) -> None:
    assert tp.mixed_volume(*supports) == inclusion_exclusion(supports)


@pytest.mark.parametrize(("n", "count"), [(3, 6), (4, 16), (5, 70), (6, 156), (7, 924)])
def test_cyclic_roots(n: int, count: int) -> None:
    assert tp.mixed_volume(*cyclic(n)) == count


@pytest.mark.parametrize(("n", "torus"), [(1, 2), (2, 2), (3, 6), (4, 12)])
def test_katsura(n: int, torus: int) -> None:
    assert tp.mixed_volume(*katsura(n)) == torus
    assert tp.mixed_volume(*katsura(n), roots="affine") == 2**n


def test_any_order_and_any_form() -> None:
    bodies = [[[0, 0, 0], [2, 0, 1], [0, 3, 0]], [[1, 1, 1], [0, 2, 0], [3, 0, 1]], np.eye(3, dtype=int)]
    assert len({tp.mixed_volume(*order) for order in permutations(bodies)}) == 1
    square = [[0, 0], [1, 0], [0, 1], [1, 1]]
    f = tp.TropicalPolynomial({tuple(e): 0 for e in square})
    forms = [square, f, tp.MinPlusPolynomial(f), tp.polyhedra.Polytope(square), np.array(square, float)]
    assert {tp.mixed_volume(a, b) for a in forms for b in forms} == {2}
    assert tp.mixed_volume(np.array(square) / 2, [[0, 0], ["1/3", 0], [0, "1/3"]]) == Fraction(1, 3)
    huge = [[0, 0], [2**70, 0], [0, 2**70]]
    assert tp.mixed_volume(huge, huge) == 2**140
    tiny = [[0, 0], [5e-324, 0], [0, 1e300]]
    assert tp.mixed_volume(tiny, tiny) == Fraction(5e-324) * Fraction(1e300)
    assert tp.mixed_volume([[0, 0]], square) == 0


def test_adjugates_are_proven() -> None:
    m = np.random.default_rng(0).integers(-9, 10, (20, 4, 4))
    m = m[np.rint(np.linalg.det(m)) != 0]
    fast, slow = _rounded_adjugates(m), _exact_adjugates(m)
    assert fast is not None
    assert [a.tolist() for a in fast] == [a.tolist() for a in slow]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: tp.mixed_volume(), "at least one"),
        (lambda: tp.mixed_volume([[0, 0], [1, 1]]), "n bodies in n dimensions; found 1 in dimensions 2"),
        (lambda: tp.mixed_volume([[0], [1]], roots="all"), "found 'all'"),  # type: ignore[arg-type]
        (lambda: tp.mixed_volume([[-1], [1]], roots="affine"), "negative"),
        (lambda: tp.mixed_volume([]), "no point"),
    ],
)
def test_bad_input(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()
