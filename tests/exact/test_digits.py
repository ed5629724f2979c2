"""Digits against Python's integers and Fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from tropica.exact.digits import Digits, common_places


def numbers(seed: int) -> Tensor:
    """Float64 of all sizes, with zeros, subnormals and ±1e±300."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(60, generator=generator, dtype=torch.float64)
    drawn *= 2.0 ** torch.randint(-80, 80, (60,), generator=generator).double()
    return torch.cat([drawn, torch.tensor([0.0, -0.0, 5e-324, -1e-310, 1e300, -1e300, 1.7e308, 1.0], dtype=torch.float64)])


def fractions(x: Digits) -> list[Fraction]:
    places = [Fraction(2) ** (x.bits * (x.low + i)) for i in range(len(x))]
    return [sum((d * p for d, p in zip(column, places, strict=True)), Fraction(0)) for column in x.limbs.flatten(1).T.tolist()]


@pytest.mark.parametrize("bits", [20, 24])
def test_arithmetic(bits: int) -> None:
    a, b = numbers(1), numbers(2)
    x, y = Digits.of(a, bits), Digits.of(b, bits)
    exact_a, exact_b = [Fraction(v) for v in a.tolist()], [Fraction(v) for v in b.tolist()]
    pairs = list(zip(exact_a, exact_b, strict=True))
    assert fractions(x) == exact_a
    assert fractions(x + y) == [p + q for p, q in pairs]
    assert fractions(x - y) == [p - q for p, q in pairs]
    assert fractions(x * y) == [p * q for p, q in pairs]
    assert fractions(-x) == [-p for p in exact_a]
    assert (x - y).sign().tolist() == [(p > q) - (p < q) for p, q in pairs]
    assert (x - x).sign().eq(0).all()
    assert int(x.limbs.max()) < 2 ** (bits - 1) <= -int(x.limbs.min()) + 2 ** (bits - 1)


def test_truncation_is_bounded_and_zero_only_where_nothing_is_lost() -> None:
    a = torch.tensor([1.0, 1 + 2.0**-52, 0.0, -3.0, 2.0**-60], dtype=torch.float64)
    cut, error = Digits.of(a, 20).truncated(2)
    lost = [abs(Fraction(v) - w) for v, w in zip(a.tolist(), fractions(cut), strict=True)]
    assert all(e <= Fraction(bound) for e, bound in zip(lost, error.tolist(), strict=True))
    assert [e > 0 for e in lost] == (error > 0).tolist() == [False, True, False, False, True]


def test_floats_and_places() -> None:
    a = torch.tensor([1.0, -(2.0**-70), 3e5], dtype=torch.float64)
    x, y = Digits.of(a, 22), Digits.of(a * 2.0**100, 22)
    assert torch.equal(x.to_float(), a)
    assert torch.equal(y.to_float(), a * 2.0**100)
    normal = numbers(3)[numbers(3).abs() > 1e-300]
    assert torch.equal(Digits.of(normal, 21).to_float(), normal)
    limbs, low = common_places((x, y))
    assert limbs[0].shape == limbs[1].shape
    assert fractions(Digits(limbs[1], low, 22)) == fractions(y)
