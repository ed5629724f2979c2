"""Arrangements: published counts, and regions found one by one."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.sizes import examples
from tropica.errors import InputError
from tropica.exact.binomials import binomial_sum
from tropica.polyhedra.arrangements import Arrangement

INTEGERS = st.integers(-2, 2)


@examples(40)
@given(st.lists(st.tuples(INTEGERS, INTEGERS, INTEGERS), min_size=1, max_size=5).filter(lambda r: all(any(v[:2]) for v in r)))
def test_regions_in_the_plane(rows) -> None:
    """By the sign vectors on a fine grid of a large square, whose step is below the distance of two vertices."""
    found = tp.arrangement([r[:2] for r in rows], [r[2] for r in rows])
    near, far = np.arange(-60, 61) / 7.3 + 0.0123, np.array([-1e6, -1e5, -1e4, -1e3, 1e3, 1e4, 1e5, 1e6]) * 1.01
    x = np.array(list(product(np.concatenate([near, far]), np.concatenate([near, far]) * 1.0007)))
    signs = np.sign(x @ np.array([r[:2] for r in rows]).T - [r[2] for r in rows])
    assert len(np.unique(signs[(signs != 0).all(1)], axis=0)) <= found.regions
    vertices, edges, regions = found.f_vector
    assert regions == found.regions
    if found.rank == 2:  # Euler's formula of the plane
        assert vertices - edges + regions == 1


def test_published_counts() -> None:
    braid = Arrangement.braid(4)
    assert (braid.regions, braid.characteristic_polynomial, braid.bounded_regions) == (24, (1, -6, 11, -6, 0), 0)
    assert Arrangement.braid(6).regions == 720
    assert Arrangement.catalan(5).regions == 5040 == math.factorial(5) * 42
    assert Arrangement.resonance(4).regions == 370
    assert Arrangement.resonance(4).characteristic_polynomial == (1, -15, 80, -170, 104)
    named = {"linial": (2, 7, 36, 246), "shi": (3, 16, 125, 1296), "semiorder": (3, 19, 183), "threshold": (2, 8, 46)}
    named |= {"coordinate": (4, 8, 16), "coxeter_b": (8, 48, 384), "coxeter_d": (4, 24, 192)}
    for name, counts in named.items():
        assert [getattr(Arrangement, name)(n + 2).regions for n in range(len(counts))] == list(counts), name
    assert Arrangement.shi(4).relatively_bounded_regions == 27  # (n − 1)ⁿ⁻¹
    assert Arrangement.graphical([(0, 1), (1, 2), (2, 0)]).characteristic_polynomial == (1, -3, 2, 0)  # that of a triangle
    assert Arrangement.braid(3).f_vector == (0, 1, 6, 6)
    assert Arrangement.catalan(3).relatively_bounded_regions == 12


@pytest.mark.parametrize(("n", "d"), [(7, 3), (6, 4), (3, 5)])
def test_general_position(n: int, d: int) -> None:
    rng = np.random.default_rng(n)
    found = tp.arrangement(rng.normal(size=(n, d)), rng.normal(size=n))
    assert found.regions == binomial_sum(n, d)
    assert found.bounded_regions == math.comb(n - 1, d)
    assert found.f_vector == tuple(math.comb(n, d - k) * binomial_sum(n - d + k, k) if n >= d - k else 0 for k in range(d + 1))


def test_numbers_of_any_size_and_bad_input() -> None:
    assert tp.arrangement([[5e-324, 1e300], [1e300, 5e-324], [1e300, 5e-324]], [0, 1, 1]).regions == 4
    for call, says in (
        (lambda: tp.arrangement([]), "at least one hyperplane"),
        (lambda: tp.arrangement([[0, 0]]), "row 0 is 0"),
        (lambda: tp.arrangement([[1, 0]], [1, 2]), "1 rows and 2 offsets"),
        (lambda: tp.arrangement(np.eye(4), max_flats=5).regions, "max_flats"),
        (lambda: Arrangement.braid(0), "found 0"),
        (lambda: Arrangement.shi(1), "2 or more; found 1"),
        (lambda: Arrangement.graphical([(0, 0)]), "two different vertices"),
        (lambda: Arrangement.graphical([]), "found 0"),
        (lambda: Arrangement.graphical([(0, 1, 2)]), "pairs of vertices"),  # type: ignore[list-item]
    ):
        with pytest.raises(InputError, match=says):
            call()
