"""Floats as integers over a power of two, against ``Fraction``."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tropica.exact.dyadic import INT64_BITS, decode

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NEAR = st.floats(-1024, 1024, width=16)


@given(st.lists(FINITE | NEAR, max_size=12) | st.lists(NEAR, min_size=1, max_size=12))
def test_decoded_numbers_are_the_floats(values: list[float]) -> None:
    numbers, places = decode(np.array(values))
    exact = [Fraction(v) for v in values]
    assert [Fraction(int(n), 1 << places) for n in numbers.tolist()] == exact
    assert 1 << places == max((v.denominator for v in exact), default=1)
    small = all(abs(n) < 2**INT64_BITS for n in numbers.tolist())
    assert (numbers.dtype == np.int64) == small


def test_shapes_are_kept() -> None:
    numbers, places = decode(np.array([[0.75], [-2.0]]))
    assert numbers.tolist() == [[3], [-8]]
    assert places == 2
    assert decode(np.zeros((0, 3)))[0].shape == (0, 3)
