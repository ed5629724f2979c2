"""Norms of rows, by exact squares, where rows of zeros and of any scale lie side by side."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import pytest
import torch

from tropica.terms.affine_functions import norms_of


def exact_norm(row: list[float]) -> float:
    """The square root of the exact sum of squares, to 100 bits below its leading one."""
    square = sum((Fraction(number) ** 2 for number in row), Fraction(0))
    if square == 0:
        return 0.0
    shift = 2 * (100 - (square.numerator.bit_length() - square.denominator.bit_length()) // 2)
    return float(Fraction(isqrt(int(square * Fraction(2) ** shift))) / Fraction(2) ** (shift // 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_each_row_has_its_own_scale(dtype: torch.dtype) -> None:
    """A tiny row beside a huge one keeps its norm: one scale for all rows gave 0."""
    power = 30 if dtype == torch.float32 else 200
    rows = torch.randn(6, 20, generator=torch.Generator().manual_seed(0), dtype=dtype)
    rows[1], rows[2], rows[4] = 0, rows[2] * 10.0**power, rows[4] * 10.0**-power
    wanted = torch.tensor([exact_norm(row) for row in rows.tolist()], dtype=torch.float64)
    torch.testing.assert_close(norms_of(rows), wanted, rtol=1e-6 if dtype == torch.float32 else 1e-14, atol=0)


def test_rows_of_zeros_change_no_other_row() -> None:
    """The norms of the other rows are those without the rows of zeros, bit by bit: they are not computed again in float64."""
    rows = torch.randn(50, 300, generator=torch.Generator().manual_seed(1))
    padded = torch.cat([rows, torch.zeros(3, 300)])
    assert torch.equal(norms_of(padded), torch.cat([norms_of(rows), torch.zeros(3, dtype=torch.float64)]))
    assert norms_of(torch.zeros(2, 0)).tolist() == [0, 0]


def test_what_is_not_finite_stays_so() -> None:
    found = norms_of(torch.tensor([[torch.inf, 1.0], [torch.nan, 1.0], [3.0, 4.0]]))
    assert found[0] == torch.inf
    assert found[1].isnan()
    assert found[2] == 5
