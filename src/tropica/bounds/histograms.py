"""The matrix framework of Hinz and van de Geer, and the histograms for which it gives the earlier bounds.

A histogram γ(n, n′) has n′ + 1 entries, and bounds the regions into which a layer of n′ ReLUs cuts a region of dimension n: for
every k, at most γ_k + ... + γ_{n′} of these regions have k or more active units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TypeAlias

from tropica.bounds.architecture import Architecture, integer, relu_widths
from tropica.errors import InputError
from tropica.exact.binomials import binomial_sum, binomials

Histogram: TypeAlias = Callable[[int, int], Sequence[int]]
"""γ: a function of a dimension n and a width n′ ≥ n, whose value is a sequence of n′ + 1 whole numbers.

>>> tp.bounds.gamma_naive(2, 3)
[0, 0, 0, 8]
>>> tp.bounds.hinz2019((2, 4, 4), gamma=tp.bounds.gamma_naive)
256
"""


def gamma_naive(dimension: int, width: int) -> list[int]:
    """All 2^{n′} patterns, every unit counted as active: the bound 2^{n_1 + ... + n_L}.

    >>> gamma_naive(1, 3)
    [0, 0, 0, 8]
    """
    return [0] * width + [1 << width]


def gamma_montufar2017(dimension: int, width: int) -> list[int]:
    """Σ_{j≤n} C(n′, j) regions, every unit counted as active: the bound of :func:`~tropica.bounds.montufar2017`.

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


def gamma_hinz2021(dimension: int, width: int) -> list[int]:
    """The numbers of regions with few inactive units on a line and in the plane, and a recursion beyond: tighter than Serra's.

    On a line at most 1 + 2j of n′ + 1 intervals have j or fewer inactive units, in the plane at most 1 + n′j of the regions. In
    more dimensions, a hyperplane that is added makes an inactive copy of every region that it cuts, and the cut regions are
    those of an arrangement in it: γ(n, n′) = γ(n, n′ − 1), with one more active unit, plus γ(n − 1, n′ − 1).

    Hinz 2021, "Using activation histograms to bound the number of affine regions in ReLU feed-forward neural networks".

    >>> gamma_hinz2021(1, 3), gamma_hinz2021(2, 4), gamma_serra2018(2, 4)
    ([0, 1, 2, 1], [0, 2, 4, 4, 1], [0, 0, 6, 4, 1])
    >>> hinz2019((4, 6, 4), gamma_hinz2021)
    805
    """
    return list(_hinz2021(dimension, width))


@lru_cache(maxsize=10_000)
def _hinz2021(dimension: int, width: int) -> tuple[int, ...]:
    if dimension == 0 or width <= dimension:
        return tuple(gamma_serra2018(dimension, width))
    if dimension <= 2:
        step = 2 if dimension == 1 else width
        left, found = binomial_sum(width, dimension) - 1, [1]
        for _ in range(width):
            found.append(min(step, left))
            left -= found[-1]
        return tuple(found[::-1])
    last: tuple[int, ...] = _hinz2021(dimension, dimension)
    for n in range(dimension + 1, width + 1):  # a loop, not a recursion, over the units
        across = _hinz2021(dimension - 1, n - 1)
        last = tuple(a + b for a, b in zip((0, *last), (*across, 0), strict=True))
    return last


KNOWN: tuple[Histogram, ...] = (gamma_naive, gamma_montufar2017, gamma_serra2018, gamma_hinz2021)


def hinz2019(architecture: Architecture, gamma: Histogram = gamma_serra2018) -> int:
    """The upper bound that maps the numbers of regions by dimension through the layers, by two matrices for each layer.

        ‖B_{n_L} M_{n_{L−1}, n_L} ... B_{n_1} M_{n_0, n_1} e_{n_0}‖_1

    M_{n, n′} moves dimension i to min(i, n′). Column i of B_{n′} is γ(i, n′) with all entries above i added to entry i: a
    region of dimension i with k active units has a dimension of at most min(i, k).

    Hinz and van de Geer 2019, the main theorem of "A framework for the construction of upper bounds on the number of affine
    linear regions of ReLU feed-forward neural networks". Assumes ReLU, that γ is a bound (see
    :mod:`~tropica.bounds.histograms`), and that γ(n, n′) grows with n in the order of that bound. The growth is
    checked. That γ is a bound cannot be checked, but a necessary condition is: γ allows as many regions as hyperplanes in
    general position make.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.
        gamma: γ(n, n′): `gamma_naive`, `gamma_montufar2017`, `gamma_serra2018`, `gamma_hinz2021`, or another function.

    Raises:
        InputError: ``gamma`` is not such a histogram, leaky units, or an invalid architecture.

    >>> hinz2019((4, 6, 4)), hinz2019((4, 6, 4), gamma_montufar2017), hinz2019((4, 6, 4), gamma_naive)
    (817, 912, 1024)
    """
    widths = relu_widths(architecture, "the framework of Hinz and van de Geer 2019")
    counts = [0] * widths.inputs + [1]
    for width in widths.hidden:
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
    """The entries of column ``dimension`` of B down to the diagonal."""
    return _clipped(list(gamma(dimension, width)), dimension)


def _clipped(histogram: list[int], top: int) -> list[int]:
    """A histogram with all entries above ``top`` added to entry ``top``."""
    return [*histogram[:top], sum(histogram[top:])] if len(histogram) > top + 1 else histogram


def _check(gamma: Histogram, top: int, width: int) -> None:
    """Check for n = 0, ..., top that γ(n, width) is a histogram, grows with n, and allows general position."""
    before = [0] * (width + 1)
    for n in range(top + 1):
        found = list(gamma(n, width))
        if len(found) != width + 1:
            raise InputError(
                f"gamma({n}, {width}) must have {width + 1} entries, one for each number of active units; found {len(found)}"
            )
        entries = [integer(entry, f"entry {k} of gamma({n}, {width})", least=0) for k, entry in enumerate(found)]
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
