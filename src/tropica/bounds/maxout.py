"""Upper bounds for dense networks of maxout units; a unit of rank k is the maximum of k affine functions."""

from __future__ import annotations

import math

from tropica.bounds.architecture import Architecture, integer, layer_widths
from tropica.exact.binomials import binomial_sum, binomials


def serra2018_maxout(architecture: Architecture, rank: int) -> int:
    """The upper bound that counts a hyperplane for each pair of the k functions of a unit.

        ∏_{l=1}^{L} Σ_{j=0}^{d_l} C(k(k − 1)/2 · n_l, j),   d_l = min{n_0, n_1, ..., n_l}

    Serra, Tjandraatmadja and Ramalingam 2018, Theorem 8. Assumes units of one rank k.

    Args:
        architecture: (n_0, n_1, ..., n_L); a traced network of (leaky) ReLUs counts as a maxout network of any rank.
        rank: k, 2 or more.

    Raises:
        InputError: a rank below 2, or an invalid architecture.

    >>> serra2018_maxout((2, 4), rank=3)
    79
    """
    pairs = math.comb(integer(rank, "the rank of maxout units", least=2), 2)
    widths = layer_widths(architecture)
    return math.prod(binomial_sum(pairs * n, min(m, n)) for n, m in zip(widths.hidden, widths.dimensions(), strict=True))


def montufar2022(architecture: Architecture, rank: int) -> int:
    """The upper bound that multiplies the sharp bounds for the single layers.

        ∏_{l=1}^{L} Σ_{j=0}^{m_l} C(n_l, j) (k − 1)^j,   m_l = min{n_0, ..., n_{l−1}}

    Montúfar, Ren and Zhang 2022, "Sharp bounds for the number of regions of maxout networks and vertices of Minkowski sums":
    for one layer the bound is the largest number of upper vertices of a Minkowski sum of n_1 polytopes of k vertices each,
    and is attained. Assumes units of one rank k. Rank 2 gives :func:`~tropica.bounds.montufar2017`.

    Args:
        architecture: (n_0, n_1, ..., n_L); a traced network of (leaky) ReLUs counts as a maxout network of any rank.
        rank: k, 2 or more.

    Raises:
        InputError: a rank below 2, or an invalid architecture.

    >>> montufar2022((2, 4), rank=3)
    33
    """
    k = integer(rank, "the rank of maxout units", least=2)
    widths = layer_widths(architecture)
    return math.prod(_one_layer(n, m, k) for n, m in zip(widths.hidden, widths.dimensions(), strict=True))


def _one_layer(units: int, dimension: int, rank: int) -> int:
    """Σ_{j ≤ dimension} C(units, j) (rank − 1)^j."""
    if dimension >= units:
        return rank**units
    return sum(c * (rank - 1) ** j for j, c in enumerate(binomials(units, dimension)))
