"""Functions that are done together make the same complex as functions one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.regions.test_complex import mlp, traced
from tests.sizes import examples
from tropica.regions import refine
from tropica.regions.noise import largest_singular_value
from tropica.regions.refine import Refinement
from tropica.regions.signs import NEVER, Signs, bit, set_bits
from tropica.regions.state import State
from tropica.regions.walk import Walk


def _sorted(state: State) -> tuple[np.ndarray, ...]:
    """Keys, constraints and coordinates of the vertices, and keys and constraints of the edges, in the order of keys."""
    vertices, edges = state.vertices, state.edges
    v, e = np.lexsort(vertices["key"].T), np.lexsort(edges["key"].T)
    return vertices["key"][v], vertices["on"][v], edges["key"][e], edges["on"][e], vertices["at"][v]


@pytest.mark.parametrize("crowd", [0, 2])
@pytest.mark.parametrize(
    ("domain", "sizes"),
    [
        (tp.Box(-1, 1, d=1), (1, 12, 9, 2)),
        (tp.Box(-1, 1, d=2), (2, 16, 11, 1)),
        (tp.Space(2), (2, 9, 9, 1)),
        (tp.Box(-1, 2, d=3), (3, 10, 9, 1)),
        (tp.Space(3), (3, 7, 5, 1)),
        (tp.Box(-1, 1, d=4), (4, 7, 6, 1)),
    ],
    ids=["segment", "square", "plane", "cube", "space", "hypercube"],
)
@given(seed=st.integers(0, 10**6))
@examples(4)
def test_together_or_one_by_one(domain: tp.Box | tp.Space, sizes: tuple[int, ...], crowd: int, seed: int) -> None:
    """All functions of a layer at once, a few, or one: the same vertices, edges and constraints."""
    net = traced(mlp(*sizes, seed=seed), sizes[0])
    whole = _sorted(Walk.through(net, domain).state)
    sizes_of_steps: list[int] = []
    cut = Refinement._cut

    def watched(self: Refinement, low: int, high: int, edges: np.ndarray) -> None:
        cut(self, low, high, edges)
        sizes_of_steps.append(high - low)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refine, "CROWD", crowd)
        patch.setattr(Refinement, "_cut", watched)
        few = _sorted(Walk.through(net, domain).state)
    assert crowd or set(sizes_of_steps) == {1}
    for one, other in zip(whole[:-1], few[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(whole[-1], few[-1], atol=1e-9, rtol=1e-9)


@given(n=st.integers(1, 40), rows=st.integers(0, 30), seed=st.integers(0, 10**6))
@examples(50)
def test_packed_signs(n: int, rows: int, seed: int) -> None:
    """Against plain tables of bools."""
    random = np.random.default_rng(seed)
    names = random.integers(0, 2**64, (n, 2), dtype=np.uint64)
    table = random.random((rows, n)) < 0.3
    signs, packed = Signs(names), np.packbits(table, axis=1)
    np.testing.assert_array_equal(np.stack(signs.pairs(packed)), np.stack(np.nonzero(table)))
    low, high = sorted(random.integers(0, n + 1, 2).tolist())
    np.testing.assert_array_equal(
        np.unpackbits(signs.between(low, high), count=n), (np.arange(n) >= low) & (np.arange(n) < high)
    )
    function = random.integers(0, n, rows)
    np.testing.assert_array_equal(np.unpackbits(signs.later(function), axis=1, count=n), np.arange(n) > function[:, None])
    np.testing.assert_array_equal(bit(packed, np.arange(rows), function), table[np.arange(rows), function])
    expected = [next((k for k in range(low, n) if row[k]), NEVER) for row in table]
    np.testing.assert_array_equal(signs.first(packed, low), expected)
    total = [names[:high][row[:high]].sum(0, dtype=np.uint64) for row in table]
    np.testing.assert_array_equal(signs.names(packed, high), np.array(total, np.uint64).reshape(-1, 2))
    set_bits(packed, np.arange(rows), function)
    table[np.arange(rows), function] = True
    np.testing.assert_array_equal(packed, np.packbits(table, axis=1))


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), log=st.integers(-200, 100), seed=st.integers(0, 10**6))
@examples(60)
def test_largest_singular_values(rows: int, columns: int, log: int, seed: int) -> None:
    """Never less than what LAPACK finds, and at most n^(1/16) times that; also where one is far larger than the others."""
    random = np.random.default_rng(seed)
    matrix = random.standard_normal((rows, columns)) * 10.0 ** random.integers(-6, 1, columns) * 10.0**log
    found = largest_singular_value(torch.from_numpy(matrix))
    exact = float(np.linalg.svd(matrix, compute_uv=False)[0])
    assert exact <= found <= exact * min(rows, columns) ** (1 / 16) * 1.001
    assert largest_singular_value(torch.zeros(3, 2)) == 0
