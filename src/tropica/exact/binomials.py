"""Sums of binomial coefficients: the regions of hyperplanes in general position."""

from __future__ import annotations


def binomials(n: int, top: int) -> list[int]:
    """C(n, 0), ..., C(n, min(n, top)), each from the one before.

    >>> binomials(4, 9)
    [1, 4, 6, 4, 1]
    """
    row = [1]
    for j in range(min(n, top)):
        row.append(row[-1] * (n - j) // (j + 1))
    return row


def binomial_sum(n: int, top: int) -> int:
    """Σ_{j=0}^{top} C(n, j): the number of regions of n hyperplanes in general position in ``top`` dimensions.

    >>> binomial_sum(16, 2)
    137
    """
    return 1 << n if top >= n else sum(binomials(n, top))
