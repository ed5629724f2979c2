"""The matrix framework of Hinz and van de Geer, and the histograms that make the earlier bounds instances of it.

A histogram γ(n, n′) has n′ + 1 entries. It bounds what a layer of n′ ReLUs can do to a region of dimension n: for every k, the
number of its regions with k or more active units is at most γ_k + ... + γ_{n′}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeAlias

from tropica.bounds.architecture import Architecture, relu_layers, whole
from tropica.errors import InputError
from tropica.exact.binomials import binomial_sum, binomials

Histogram: TypeAlias = Callable[[int, int], Sequence[int]]
"""γ: a dimension n and a width n′, n ≤ n′, to n′ + 1 whole numbers."""


def gamma_naive(dimension: int, width: int) -> list[int]:
    """All 2^{n′} patterns, with every unit active: the bound 2^{n_1 + ... + n_L}.

    >>> gamma_naive(1, 3)
    [0, 0, 0, 8]
    """
    return [0] * width + [1 << width]


def gamma_montufar2017(dimension: int, width: int) -> list[int]:
    """Σ_{j≤n} C(n′, j) regions, with every unit active: the bound of :func:`~tropica.bounds.montufar2017`.

    >>> gamma_montufar2017(1, 3)
    [0, 0, 0, 4]
    """
    return [0] * width + [binomial_sum(width, dimension)]


def gamma_serra2018(dimension: int, width: int) -> list[int]:
    """C(n′, j) regions with j inactive units, for j = 0, ..., n: the bound of :func:`~tropica.bounds.serra2018`.

    >>> gamma_serra2018(1, 3)
    [0, 0, 3, 1]
    """
    row = binomials(width, dimension)
    return [0] * (width + 1 - len(row)) + row[::-1]


KNOWN: tuple[Histogram, ...] = (gamma_naive, gamma_montufar2017, gamma_serra2018)


def hinz2019(architecture: Architecture, gamma: Histogram = gamma_serra2018) -> int:
    """The number of regions by dimension, pushed through the layers by one matrix each.

        ‖B_{n_L} M_{n_{L−1}, n_L} ... B_{n_1} M_{n_0, n_1} e_{n_0}‖_1

    M_{n, n′} moves dimension i to min(i, n′). Column i of B_{n′} is γ(i, n′) with all entries above i added to entry i: a
    region of dimension i with k active units has a dimension of at most min(i, k).

    Hinz and van de Geer 2019, the main theorem of "A framework for the construction of upper bounds on the number of affine
    linear regions of ReLU feed-forward neural networks". Assumes ReLU, and two things of γ: that it bounds what layers can do
    (see :mod:`~tropica.bounds.histograms`), and that γ(n, n′) grows with n in the order of that bound. The second is checked,
    and of the first what is necessary: that γ leaves room for hyperplanes in general position.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.
        gamma: γ(n, n′); `gamma_naive`, `gamma_montufar2017`, `gamma_serra2018`, or a function of your own.

    Raises:
        InputError: a γ that is no such histogram, a leaky network, or not an architecture.

    >>> hinz2019((4, 6, 4)), hinz2019((4, 6, 4), gamma_montufar2017), hinz2019((4, 6, 4), gamma_naive)
    (817, 912, 1024)
    """
    layers = relu_layers(architecture, "the framework of Hinz and van de Geer 2019")
    counts = [0] * layers.inputs + [1]
    for width in layers.hidden:
        counts = _clipped(counts, width)
        if gamma not in KNOWN:
            _check(gamma, len(counts) - 1, width)
        columns = [_column(gamma, n, width) if count else [] for n, count in enumerate(counts)]
        pushed = [0] * len(counts)
        for count, column in zip(counts, columns, strict=True):
            for k, entry in enumerate(column):
                pushed[k] += count * entry
        counts = pushed
    return sum(counts)


def _column(gamma: Histogram, dimension: int, width: int) -> list[int]:
    """Column ``dimension`` of B, to its diagonal."""
    return _clipped(list(gamma(dimension, width)), dimension)


def _clipped(histogram: list[int], top: int) -> list[int]:
    """All entries above ``top`` added to it."""
    return [*histogram[:top], sum(histogram[top:])] if len(histogram) > top + 1 else histogram


def _check(gamma: Histogram, top: int, width: int) -> None:
    """γ(n, width) is a histogram for n = 0, ..., top, has room for general position, and grows with n."""
    before = [0] * (width + 1)
    for n in range(top + 1):
        found = list(gamma(n, width))
        if len(found) != width + 1:
            raise InputError(
                f"gamma({n}, {width}) must have {width + 1} entries, one a number of active units; found {len(found)}"
            )
        entries = [whole(entry, f"entry {k} of gamma({n}, {width})", least=0) for k, entry in enumerate(found)]
        tails = list(accumulate(reversed(entries)))
        if tails[-1] < binomial_sum(width, n):
            raise InputError(
                f"gamma({n}, {width}) bounds nothing: it has room for {tails[-1]} regions, and {width} hyperplanes in general "
                f"position make {binomial_sum(width, n)} of {n} dimensions"
            )
        if any(a > b for a, b in zip(before, tails, strict=True)):
            raise InputError(
                f"gamma must grow with the dimension: gamma({n - 1}, {width}) has more regions than gamma({n}, {width}) with "
                "some number of active units or more"
            )
        before = tails
