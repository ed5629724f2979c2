"""Exact linear algebra: ranks, kernels, solutions, projections and determinants, against Fractions and definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles import polyhedra as oracle
from tropica.exact.determinants import bareiss, cofactors, determinants
from tropica.exact.linear_algebra import kernel, projection, rank, ranks, solve

matrices = st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=5)


@given(matrices)
def test_ranks(rows):
    matrix = np.array(rows)
    assert rank(matrix) == ranks(matrix[None])[0] == oracle.rank(rows)
    assert ranks(matrix[None] % 5, 5)[0] <= rank(matrix)


@given(matrices)
def test_kernels_are_orthogonal_and_complete(rows):
    found = kernel(np.array(rows))
    assert not (np.array(rows, dtype=object) @ found.T).any()
    assert rank(found) == len(found) == 3 - oracle.rank(rows) if len(found) else oracle.rank(rows) == 3


@given(matrices, st.lists(st.integers(-3, 3), min_size=3, max_size=3))
def test_solutions_are_unique_or_none(rows, x):
    matrix, right = np.array(rows), np.array(rows) @ np.array(x)[:, None]
    found = solve(matrix, right)
    assert (found is None) == (oracle.rank(rows) < 3)
    assert found is None or found[:, 0].tolist() == x
    beside = np.concatenate([matrix, matrix[:1]]), np.concatenate([right, right[:1] + 1])
    assert solve(*beside) is None  # the last equation contradicts the first


def test_projections_keep_the_span_and_drop_its_complement():
    basis = np.array([[1, 2, 0], [0, 1, -1]], dtype=object)
    p = projection(basis)
    assert (p @ basis.T == basis.T).all()
    assert not (p @ kernel(basis).T).any()
    assert projection(np.zeros((0, 2), dtype=object)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_determinants_of_every_kind_agree(k):
    m = np.random.default_rng(k).integers(-9, 10, (6, k, k))
    m[0] = 0
    if k > 1:
        m[1, 1] = m[1, 0]
    found = determinants(m.astype(object))
    assert found.tolist() == bareiss(m.astype(object)).tolist()
    assert np.allclose(found.astype(float), np.linalg.det(m.astype(float)), rtol=1e-9, atol=1e-6)
    q = np.arange(1, k + 1)
    last = np.concatenate([m[:, :-1], np.broadcast_to(q, (6, 1, k))], 1)
    assert (cofactors(m[:, :-1].astype(object), signed=True) @ q).tolist() == determinants(last.astype(object)).tolist()
