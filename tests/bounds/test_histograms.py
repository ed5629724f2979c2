"""The framework of Hinz and van de Geer: its instances, its matrices written out, and refused histograms."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tropica import bounds

widths = st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple)


def by_matrices(w, gamma):
    """The product of the matrices M and B as in the paper."""
    vector = np.zeros(w[0] + 1, dtype=object)
    vector[w[0]] = 1
    for before, width in pairwise(w):
        m = np.zeros((width + 1, before + 1), dtype=object)
        m[[min(i, width) for i in range(before + 1)], range(before + 1)] = 1
        b = np.zeros((width + 1, width + 1), dtype=object)
        for i in range(width + 1):
            column = list(gamma(i, width))
            b[: i + 1, i] = [*column[:i], sum(column[i:])]
        vector = b @ (m @ vector)
    return vector.sum()


@given(widths)
def test_the_known_bounds_are_instances(w):
    assert bounds.hinz2019(w) == bounds.serra2018(w)
    assert bounds.hinz2019(w, bounds.gamma_montufar2017) == bounds.montufar2017(w)
    assert bounds.hinz2019(w, bounds.gamma_naive) == 2 ** sum(w[1:])


@given(widths)
def test_it_is_the_product_of_the_matrices(w):
    for gamma in (bounds.gamma_serra2018, bounds.gamma_montufar2017):
        assert bounds.hinz2019(w, gamma) == by_matrices(w, gamma)


def sharper(dimension, width):
    """A sharper histogram on a line: one region with all units active, two with one inactive, two with two, and so on."""
    if dimension != 1:
        return bounds.gamma_serra2018(dimension, width)
    tails = [min(2 * j + 1, width + 1) for j in range(width + 1)]
    return np.diff([0, *tails])[::-1].tolist()


@given(widths)
def test_a_histogram_of_ones_own(w):
    assert bounds.hinz2019(w, sharper) <= bounds.serra2018(w)


def test_what_is_no_histogram_is_refused():
    with pytest.raises(tp.InputError, match=r"gamma\(0, 3\) must have 4 entries.*found 2"):
        bounds.hinz2019((2, 3), lambda n, width: [1, 1])
    with pytest.raises(tp.InputError, match=r"entry 0 of gamma\(0, 2\) must be a whole number, 0 or more; found -1"):
        bounds.hinz2019((2, 2), lambda n, width: [-1, 4, 4])
    with pytest.raises(tp.InputError, match=r"gamma\(1, 3\) bounds nothing: it has room for 3 regions.*make 4 of 1"):
        bounds.hinz2019((1, 3), lambda n, width: [0, 0, 0, 1 + 2 * n])
    with pytest.raises(tp.InputError, match=r"grow with the dimension: gamma\(0, 2\) has more regions than gamma\(1, 2\)"):
        bounds.hinz2019((1, 2), lambda n, width: [0, 0, 9 - n])


def test_hinz_2021() -> None:
    """The values of the paper, and no arrangement of lines or planes has more regions with few inactive units."""
    gamma = bounds.gamma_hinz2021
    assert bounds.hinz2019((4, 6, 4), gamma) == 805
    assert bounds.hinz2019((8, 8, 8, 8, 8, 8), gamma) == 115_383_335_044
    rng = np.random.default_rng(0)
    for d, n in ((1, 5), (2, 5), (2, 6), (3, 5), (3, 6)):
        rows, offsets = rng.normal(size=(n, d)), rng.normal(size=n) + 0.7
        x = np.concatenate([rng.normal(size=(20_000, d)) * s for s in (1, 3, 30)])
        active = np.unique(x @ rows.T + offsets > 0, axis=0).sum(1)
        tails = [int((active >= k).sum()) for k in range(n + 1)]
        assert all(t <= sum(gamma(d, n)[k:]) for k, t in enumerate(tails))
