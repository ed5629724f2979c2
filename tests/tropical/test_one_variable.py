"""Roots, split forms and factors of polynomials in one variable."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.sizes import examples
from tests.tropical.strategies import RATIONAL, polynomials
from tropica.errors import InputError


@examples(60)
@given(polynomials(1, exponents=st.integers(0, 6)), RATIONAL, st.booleans())
def test_factors_are_the_function(f, x, minimum) -> None:
    p = tp.MinPlusPolynomial(f) if minimum else f
    found = p.factor()
    assert tp.tropical_prod(found.factors()) == p
    assert p.split_form() == p
    degree = int(p.exponents.max())
    assert sum(r.multiplicity for r in p.roots()) == degree
    assert len(p.split_form()) == degree - int(p.exponents.min()) + 1
    for r in p.roots():
        if not isinstance(r.value, float):
            terms = p.exact_terms(r.value)
            assert terms.count(p.exact(r.value)) > 1
    piece = next(q for q in p.pieces() if q.low <= x <= q.high)
    assert p.exact(x) == piece.slope * x + piece.constant


def test_published_examples() -> None:
    """Sage's reference: T([1, 4, None, 0]) has roots, and the split form of x² + 3 fills the middle."""
    f = tp.TropicalPolynomial([1, 4, None, 0], names=["x"])
    assert [(r.value, r.multiplicity) for r in f.roots()] == [(-3, 1), (2, 2)]
    assert repr(f.factor()) == "max-plus: 0 ⊙ (x ⊕ -3) ⊙ (x ⊕ 2)^2"
    assert repr(tp.MinPlusPolynomial([None, 0, 5]).factor()) == "min-plus: 5 ⊙ (x₁ ⊕ -5) ⊙ x₁"
    assert tp.MinPlusPolynomial([None, 0, 5]).roots()[-1].value == math.inf
    assert [r.value for r in tp.TropicalPolynomial({3: 0}).roots()] == [-math.inf]
    assert tp.TropicalPolynomial({"1/2": 0, 0: 1}).roots()[0].multiplicity == Fraction(1, 2)
    for call, says in (
        (lambda: tp.TropicalPolynomial({(1, 0): 0}).roots(), "one variable; this one has 2"),
        (lambda: tp.TropicalPolynomial({"1/2": 0, 0: 1}).split_form(), "integer exponents"),
        (lambda: tp.TropicalPolynomial({-1: 0, 0: 1}).factor(), "exponent -1"),
        (lambda: tp.TropicalPolynomial({10**9: 0, 0: 1}).split_form(), "too long"),
    ):
        with pytest.raises(InputError, match=says):
            call()
