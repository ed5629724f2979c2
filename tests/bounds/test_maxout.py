"""Maxout: the formulas, layers counted region by region, and a comparison of the two bounds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.bounds.oracle import count_maxout
from tropica import bounds

widths = st.lists(st.integers(1, 8), min_size=2, max_size=4).map(tuple)


@given(widths, st.integers(2, 6))
def test_the_formulas_as_they_stand(w, k):
    serra = sharp = 1
    for i, n in enumerate(w[1:], start=1):
        serra *= sum(math.comb(k * (k - 1) // 2 * n, j) for j in range(min(w[: i + 1]) + 1))
        sharp *= sum(math.comb(n, j) * (k - 1) ** j for j in range(min(w[:i]) + 1))
    assert bounds.serra2018_maxout(w, k) == serra
    assert bounds.montufar2022(w, k) == sharp
    assert sharp <= serra


@given(widths)
def test_rank_two_is_relu(w):
    assert bounds.montufar2022(w, rank=2) == bounds.serra2018_maxout(w, rank=2) == bounds.montufar2017(w)


@given(widths, st.integers(2, 5))
def test_more_rank_gives_no_smaller_bound(w, k):
    assert bounds.montufar2022(w, k) <= bounds.montufar2022(w, k + 1)
    assert bounds.serra2018_maxout(w, k) <= bounds.serra2018_maxout(w, k + 1)


@pytest.mark.parametrize(("dimension", "units", "k"), [(1, 3, 3), (2, 2, 3), (2, 3, 3), (3, 2, 3), (2, 3, 2)])
def test_no_layer_has_more_regions(dimension, units, k):
    rng = np.random.default_rng(0)
    for _ in range(3):
        layer = [(rng.standard_normal((k, dimension)), 0.5 * rng.standard_normal(k)) for _ in range(units)]
        assert count_maxout(layer) <= bounds.montufar2022((dimension, units), k)


@pytest.mark.parametrize(("dimension", "units", "k"), [(1, 3, 4), (2, 3, 3), (2, 2, 4), (3, 3, 2)])
def test_units_of_parallel_hyperplanes_attain_the_number_of_one_layer(dimension, units, k):
    rng = np.random.default_rng(0)
    slopes = np.arange(k, dtype=float)
    layer = []
    for _ in range(units):
        direction, at = rng.standard_normal(dimension), np.sort(rng.standard_normal(k - 1))
        layer.append((slopes[:, None] * direction, -np.append(0, np.cumsum(at))))
    assert count_maxout(layer) == bounds.montufar2022((dimension, units), k)


@pytest.mark.parametrize("bound", [bounds.serra2018_maxout, bounds.montufar2022])
@pytest.mark.parametrize("rank", [1, 0, -2, 2.0, True, None])
def test_a_rank_is_a_whole_number_from_two(bound, rank):
    with pytest.raises(tp.InputError, match="rank of maxout units must be a whole number, 2 or more"):
        bound((2, 3), rank)
