"""Upper bounds of dense networks: known numbers, plain sums, orders between them, and networks counted one region at a time."""

import math
import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.bounds.oracle import count, random_layers
from tests.sizes import examples, some_slow
from tropica import bounds

FCN6 = (784, 2500, 2000, 1500, 1000, 500)
widths = st.lists(st.integers(1, 7), min_size=2, max_size=5).map(tuple)


def serra_by_terms(n0, *hidden):
    """Theorem 1 term by term."""
    total = 0
    for js in product(*(range(n + 1) for n in hidden)):
        limits = [min([n0, *(n - j for n, j in zip(hidden[:i], js[:i], strict=True))]) for i in range(len(hidden))]
        if all(j <= limit for j, limit in zip(js, limits, strict=True)):
            total += math.prod(math.comb(n, j) for n, j in zip(hidden, js, strict=True))
    return total


def test_the_published_numbers():
    assert [bounds.serra2018((4, 6, 2 * i)) for i in range(1, 9)] == [228, 817, 2424, 6001, 12852, 24633, 43352, 71369]
    assert bounds.serra2018((2, 16, 16, 16)) == 2571353
    assert bounds.serra2018((5, 16, 12, 8, 4)) == 37650815280
    assert bounds.montufar2017((5, 16, 12, 8, 4)) == 38262313440
    assert round(bounds.log10(bounds.serra2018((784, 784, 200, 80))), 2) == 320.30
    assert bounds.zhang2018((2, 5)) == 16  # a 2-5-1 network: attained by the example of Zhang et al.'s supplement


@given(widths.filter(lambda w: math.prod(n + 1 for n in w[1:]) < 5000))
def test_serra_is_its_sum_term_by_term(w):
    assert bounds.serra2018(w) == serra_by_terms(*w)


@given(widths)
def test_the_bounds_are_ordered(w):
    serra, montufar = bounds.serra2018(w), bounds.montufar2017(w)
    assert serra <= montufar <= 2 ** sum(w[1:])
    if min(w[1:]) >= w[0]:
        assert bounds.zhang2018(w) == montufar
    if len(set(w[1:])) == 1:
        assert montufar <= bounds.raghu2017(w)
    if len(w) == 2:
        assert bounds.zaslavsky(w) == serra == montufar


@given(widths, st.data())
def test_a_wider_or_deeper_network_has_no_smaller_bound(w, data):
    at = data.draw(st.integers(0, len(w) - 1))
    for bound in (bounds.serra2018, bounds.montufar2017):
        assert bound((*w[:at], w[at] + 1, *w[at + 1 :])) >= bound(w)
        assert bound((*w, data.draw(st.integers(1, 5)))) >= bound(w)


@pytest.mark.parametrize(("dimension", "planes"), [(1, 4), (2, 4), (3, 5), (2, 1), (3, 2)])
def test_zaslavsky_is_attained(dimension, planes):
    assert count(random_layers((dimension, planes), seed=1)) == bounds.zaslavsky((dimension, planes))


@pytest.mark.parametrize("w", some_slow([(1, 3, 2), (2, 1, 3), (2, 3, 2), (2, 2, 1, 2), (3, 3, 2), (3, 2, 2)], quick=2))
def test_no_network_has_more_regions(w):
    assert max(count(random_layers(w, seed)) for seed in range(4)) <= bounds.serra2018(w)
    assert max(count(random_layers(w, seed), slope=0.2) for seed in range(4)) <= bounds.montufar2017(w)


def test_serra_is_attained_where_leaving_a_dimension_leaves_nothing_to_cut():
    # One unit, then three units with breakpoints on the ray where it is active, and none elsewhere.
    layers = [(np.ones((1, 1)), np.zeros(1)), (np.ones((3, 1)), -np.arange(1.0, 4.0))]
    assert count(layers) == bounds.serra2018((1, 1, 3)) == 5
    assert bounds.montufar2017((1, 1, 3)) == 8


def test_fcn6_takes_milliseconds():
    times = []
    for bound in (bounds.serra2018_log10, bounds.serra2018) * 3:
        start = time.perf_counter()
        bound(FCN6)
        times.append(time.perf_counter() - start)
    assert min(times[::2]) < 0.1
    assert min(times[1::2]) < 0.1


def test_numbers_are_python_ints():
    w = tuple(np.array([3, 8, 8]))
    for bound in (bounds.serra2018, bounds.montufar2017, bounds.raghu2017, bounds.zhang2018, bounds.hinz2019):
        assert type(bound(w)) is int


def test_what_a_theorem_does_not_cover_is_refused():
    with pytest.raises(tp.InputError, match=r"one hidden layer; found 2.*serra2018"):
        bounds.zaslavsky((2, 3, 3))
    with pytest.raises(tp.InputError, match=r"one width; found \(3, 4\)"):
        bounds.raghu2017((2, 3, 4))
    with pytest.raises(tp.InputError, match=r"at least the input dimension, 4; found \(5, 3\)"):
        bounds.zhang2018((4, 5, 3))


@examples(30)
@given(st.integers(1, 40), st.integers(1, 40))
def test_one_hidden_layer_is_a_sum_of_binomials(dimension, planes):
    assert bounds.zaslavsky((dimension, planes)) == sum(math.comb(planes, j) for j in range(dimension + 1))
