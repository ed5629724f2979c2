"""tp.angles and tp.distances against plain formulas, at the ends of their range, and in blocks."""

import math

import pytest
import torch

import tropica as tp


def terms(weight, dtype=torch.float64) -> tp.AffineTerms:
    weight = torch.as_tensor(weight, dtype=dtype)
    return tp.AffineTerms(weight, torch.zeros(len(weight), dtype=torch.float64), (weight.shape[1],))


def random_pair(rows=50, size=7):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(rows, size, generator=generator, dtype=torch.float64) for _ in range(2))


def test_they_are_the_textbook_formulas():
    a, b = random_pair()
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    torch.testing.assert_close(tp.angles(terms(a), terms(b)), torch.rad2deg(cosine.arccos()))
    torch.testing.assert_close(tp.distances(terms(a), terms(b)), (a - b).norm(dim=1))


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-6, 30.0, 90.0, 135.0, 180 - 1e-6, 180.0])
def test_angles_are_exact_where_the_arc_cosine_is_not(angle):
    turned = [math.cos(math.radians(angle)), math.sin(math.radians(angle))]
    found = float(tp.angles(terms([[3.0, 0.0]]), terms([turned])))
    assert found == pytest.approx(angle, rel=1e-12, abs=1e-13)


def test_float32_terms_are_compared_in_float64():
    a, b = (x.float() for x in random_pair())
    single = terms(a, torch.float32), terms(b, torch.float32)
    double = terms(a.double()), terms(b.double())
    for measure in (tp.angles, tp.distances):
        assert measure(*single).dtype == torch.float64
        assert torch.equal(measure(*single), measure(*double))


def test_a_zero_vector_has_no_direction_but_a_distance():
    zero, one = terms([[0.0, 0.0]]), terms([[3.0, 4.0]])
    assert math.isnan(float(tp.angles(zero, one)))
    assert math.isnan(float(tp.angles(zero, zero)))
    assert float(tp.distances(zero, one)) == 5.0
    assert float(tp.distances(zero, zero)) == 0.0


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_extreme_sizes_neither_overflow_nor_vanish(scale):
    a, b = terms([[3 * scale, 0.0]]), terms([[0.0, 4 * scale]])
    assert float(tp.angles(a, b)) == pytest.approx(90)
    assert float(tp.distances(a, b)) == pytest.approx(5 * scale, rel=1e-12)


@pytest.mark.parametrize("measure", [tp.angles, tp.distances])
def test_blocks_change_nothing(measure):
    pair = [terms(x) for x in random_pair()]
    torch.testing.assert_close(measure(*pair, block_size=20), measure(*pair), rtol=1e-14, atol=1e-14)


def test_no_rows_and_constant_parts():
    assert tp.angles(terms(torch.empty(0, 3)), terms(torch.empty(0, 3))).shape == (0,)
    a, b = random_pair()
    shifted = tp.AffineTerms(b, torch.full((50,), 9.0, dtype=torch.float64), (7,))
    assert torch.equal(tp.distances(terms(a), terms(b)), tp.distances(terms(a), shifted))


def test_pairs_that_do_not_fit_are_refused():
    a, b = random_pair()
    with pytest.raises(tp.InputError, match="49 of 7"):
        tp.angles(terms(a), terms(b[:49]))
    with pytest.raises(tp.InputError, match=r"AffineTerms.*got Tensor"):
        tp.distances(a, terms(b))  # type: ignore[arg-type]
