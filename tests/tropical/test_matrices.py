"""Tropical matrices, against brute force."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tropica.errors import InputError
from tropica.tropical import matrices

INF = math.inf
ENTRY = st.one_of(st.integers(-9, 9), st.just(-INF))


def square_matrices(most: int = 4):
    return st.integers(1, most).flatmap(lambda n: st.lists(st.lists(ENTRY, min_size=n, max_size=n), min_size=n, max_size=n))


@given(square_matrices(), st.integers(0, 5))
def test_matrix_powers(a, n) -> None:
    size = len(a)
    want = [[0 if i == j else -INF for j in range(size)] for i in range(size)]
    for _ in range(n):
        want = [[max(want[i][k] + a[k][j] for k in range(size)) for j in range(size)] for i in range(size)]
    assert matrices.power(a, n).tolist() == want


@given(square_matrices())
def test_permanent(a) -> None:
    n = len(a)
    sums = sorted((sum(a[i][s[i]] for i in range(n)) for s in itertools.permutations(range(n))), reverse=True)
    found = matrices.permanent(a)
    assert found.value == sums[0]
    if sums[0] > -INF:
        assert sum(a[i][j] for i, j in enumerate(found.permutation)) == sums[0]
        assert found.singular == (len(sums) > 1 and sums[1] == sums[0])
    else:
        assert found.singular


@given(square_matrices())
def test_eigenvalue(a) -> None:
    n = len(a)
    means = [
        Fraction(sum(int(a[c[i]][c[(i + 1) % k]]) for i in range(k)), k)
        for k in range(1, n + 1)
        for c in itertools.permutations(range(n), k)
        if all(a[c[i]][c[(i + 1) % k]] > -INF for i in range(k))
    ]
    exact = matrices.eigenvalue(np.array([[v if v == -INF else Fraction(v) for v in row] for row in a], dtype=object))
    assert exact == max(means, default=-INF)
    assert matrices.eigenvalue(a) == pytest.approx(float(max(means, default=-INF)))


def test_matrices_of_fractions() -> None:
    a = np.array([[Fraction(1, 3), Fraction(1, 2)], [-INF, Fraction(1, 5)]], dtype=object)
    assert matrices.permanent(a).value == Fraction(8, 15)
    assert matrices.matmul(a, a).tolist() == [[Fraction(2, 3), Fraction(5, 6)], [-INF, Fraction(2, 5)]]
    assert matrices.eigenvalue(a) == Fraction(1, 3)
    cube = matrices.matmul(a, matrices.matmul(a, a))
    assert matrices.power(a, 3).tolist() == cube.tolist() == [[Fraction(1), Fraction(7, 6)], [-INF, Fraction(3, 5)]]
    assert all(isinstance(v, int | Fraction) for n in (0, 1, 5) for v in matrices.power(a, n).ravel() if v != -INF)
    assert matrices.matmul([[2**60 + 1]], [[2]]).tolist() == [[2**60 + 3]]


def reachable(a) -> np.ndarray:
    """Largest weights of walks of at most n arcs."""
    n = len(a)
    total, step = matrices.identity(n), matrices.identity(n)
    for _ in range(n):
        step = matrices.matmul(step, a)
        total = np.maximum(total, step)
    return total


@given(square_matrices(3), st.booleans())
def test_stars_and_eigenvectors(a, minimum) -> None:
    word = "min" if minimum else "max"
    array = -np.array(a, float) if minimum else np.array(a, float)
    value = matrices.eigenvalue(array, convention=word)
    if np.isinf(value):
        with pytest.raises(InputError, match="no cycle"):
            matrices.eigenvectors(array, convention=word)
        return
    means = matrices.cycle_means(array, convention=word)
    assert (min if minimum else max)(m.value for m in means) == value
    for m in means:
        weights = [array[p, q] for p, q in zip(m.cycle, [*m.cycle[1:], m.cycle[0]], strict=True)]
        assert sum(weights) / len(weights) == pytest.approx(m.value)
    exact = np.array([[v if math.isinf(v) else Fraction(v) for v in row] for row in array.tolist()], dtype=object)
    vectors = matrices.eigenvectors(exact, convention=word)
    image = matrices.matmul(exact, vectors, convention=word)
    assert image.tolist() == (vectors + matrices.eigenvalue(exact, convention=word)).tolist()
    if value * (-1 if minimum else 1) <= 0:
        assert np.array_equal(matrices.kleene_star(array, convention=word), (-1 if minimum else 1) * reachable(a))
    else:
        with pytest.raises(InputError, match="on a cycle of"):
            matrices.kleene_star(array, convention=word)


@given(square_matrices())
def test_min_plus_is_max_plus_with_signs(a) -> None:
    array = np.array(a, float)
    mirrored = matrices.permanent(-array, convention="min")
    plain = matrices.permanent(array)
    assert (-mirrored.value, mirrored.permutation, mirrored.singular) == (plain.value, plain.permutation, plain.singular)
    assert matrices.determinant(array) == plain.value
    assert np.array_equal(-matrices.power(-array, 3, convention="min"), matrices.power(array, 3))


def test_strings_are_fractions_and_zero_has_no_sign() -> None:
    assert matrices.determinant([["1/3", 0], ["-inf", 1]]) == Fraction(4, 3)
    for found in (matrices.power([[0]], 2, convention="min"), matrices.matmul([[0]], [[0]], convention="min")):
        assert not np.signbit(found).any()
    assert str(tp.MinPlusPolynomial({1: 0, 0: 0})([5.0])) == "0.0"


def test_numbers_of_any_size() -> None:
    assert matrices.permanent(np.array([[Fraction(1, 3**50), 2**90], [0, 2**89]], dtype=object)).value == 2**90
    assert matrices.eigenvalue([[1e308, 1e308], [1e308, -1e308]]) == 1e308
    assert matrices.kleene_star([[-5e-324, 1.0], [-1e300, 0.0]]).tolist() == [[0, 1.0], [-1e300, 0]]
    for call in (lambda: matrices.matmul([[1e308]], [[1e308]]), lambda: matrices.permanent([[1.5e308, 0], [0, 1.5e308]])):
        with pytest.raises(InputError, match="beyond float64; give the entries as ints or Fractions"):
            call()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: matrices.matmul([[1, 2]], [[1, 2]]), "no product"),
        (lambda: matrices.permanent([[1, 2]]), "square"),
        (lambda: matrices.eigenvalue([[math.nan]]), "found nan"),
        (lambda: matrices.eigenvalue([[INF]]), 'zero of max-plus; found inf; for min-plus pass convention="min"'),
        (lambda: matrices.eigenvalue([[-INF]], convention="min"), 'pass convention="max"'),
        (lambda: matrices.power([[1]], -1), "0 or more"),
        (lambda: matrices.matmul([["a"]], [[1]]), "matrix of numbers"),
    ],
)
def test_bad_input(call, says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()
