"""Logarithms of huge numbers, and the recursion in floating point against the exact one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.sizes import some_slow
from tropica import bounds


@given(st.lists(st.integers(1, 60), min_size=2, max_size=6).map(tuple))
def test_the_recursion_in_floating_point_is_the_exact_one(w):
    assert bounds.serra2018_log10(w) == pytest.approx(math.log10(bounds.serra2018(w)), rel=1e-9)


LARGE = [(784, 784, 200, 80), (784, 2500, 2000, 1500, 1000, 500), (9000, 5), (3072, *[4096] * 8, 128)]


@pytest.mark.parametrize("w", some_slow(LARGE, quick=3))
def test_so_it_is_for_large_networks(w):
    assert bounds.serra2018_log10(w) == pytest.approx(bounds.log10(bounds.serra2018(w)), rel=1e-9)


def test_no_number_is_too_large():
    assert bounds.log10(10**100_000) == 100_000
    assert bounds.log10(7 * 2**5_000_000) == pytest.approx(math.log10(7) + 5_000_000 * math.log10(2), rel=1e-14)
    assert bounds.log10(1) == 0


@pytest.mark.parametrize("value", [0, -3, 2.0, "7", None])
def test_log10_takes_positive_whole_numbers(value):
    with pytest.raises(tp.InputError, match="whole number, 1 or more"):
        bounds.log10(value)
