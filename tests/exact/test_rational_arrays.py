"""Rational arrays: lossless input, overflow, and refused input."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tropica.errors import InputError
from tropica.exact.dyadic import INT64_BITS
from tropica.exact.rational_arrays import (
    RationalArray,
    common_denominator,
    compact,
    exact_numbers,
    multiply,
    rational_array,
    rationals,
    to_fraction,
)

NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False), st.fractions(max_denominator=99)
)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_floats_become_integers_without_loss(numbers):
    found = rationals(np.array(numbers))
    assert [Fraction(int(t), found.denominator) for t in found.numerators.tolist()] == [Fraction(n) for n in numbers]


@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_mixed_numbers_are_read_without_loss(numbers):
    found = rational_array(numbers, "numbers", 1)
    exact = [Fraction(n) for n in numbers]
    assert exact_numbers(found.numbers()).tolist() == exact
    assert found.reduced().numbers().tolist() == exact
    assert found.floats().tolist() == [float(e) for e in exact]


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=5), st.integers(-(2**70), 2**70))
def test_products_do_not_overflow(numbers, factor):
    top = compact(np.array(numbers, dtype=object))
    assert (top.dtype == np.int64) == all(abs(n) < 2**INT64_BITS for n in numbers)
    assert multiply(top, factor).tolist() == [n * factor for n in numbers]


def test_numbers_of_every_kind():
    assert rational_array([["1/3", 2], [0.5, Fraction(1, 6)]], "numbers", 2).numbers().tolist() == [
        [Fraction(1, 3), 2],
        [Fraction(1, 2), Fraction(1, 6)],
    ]
    assert rational_array(["0.1"], "numbers", 1).numbers().tolist() == [Fraction(1, 10)]
    assert rational_array(torch.tensor([0.25], requires_grad=True), "numbers", 1).numbers().tolist() == [Fraction(1, 4)]
    assert rational_array(np.array([2**63], dtype=np.uint64), "numbers", 1).numbers().tolist() == [2**63]
    assert rational_array([2**53 + 1, 0.5], "numbers", 1).numbers().tolist() == [2**53 + 1, Fraction(1, 2)]
    assert rational_array([], "numbers", 2).numerators.shape == (0, 0)
    assert RationalArray(np.array([10**400], dtype=object)).floats().tolist() == [np.inf]
    (a, b), denominator = common_denominator(rationals(np.array([0.5])), rational_array(["1/3"], "numbers", 1))
    assert (a.tolist(), b.tolist(), denominator) == ([3], [2], 6)


@pytest.mark.parametrize("number", ["a", "1/0", None, float("nan"), float("inf"), 1j, [1, 2]])
def test_what_is_no_number(number):
    with pytest.raises(InputError, match="the number must be an int, a Fraction, a float"):
        to_fraction(number, "the number")
