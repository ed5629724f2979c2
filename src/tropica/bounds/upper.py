"""Upper bounds on the number of linear regions of dense networks with ReLU units."""

from __future__ import annotations

import math

from tropica.bounds.architecture import Architecture, NotCovered, read_layers, relu_layers
from tropica.exact.binomials import binomial_sum, binomials


def zaslavsky(architecture: Architecture) -> int:
    """The maximal number of regions of one layer, which is attained by hyperplanes in general position.

        Σ_{j=0}^{n_0} C(n_1, j)

    Zaslavsky 1975. Assumes one hidden layer of (leaky) ReLU units.

    Args:
        architecture: (n_0, n_1), or a traced network.

    Raises:
        InputError: more than one hidden layer, or not an architecture.

    >>> zaslavsky((2, 3))
    7
    """
    layers = read_layers(architecture)
    if len(layers.hidden) != 1:
        raise NotCovered(
            f"Zaslavsky's number is that of one hidden layer; found {len(layers.hidden)}, of widths {layers.hidden}: "
            "for several there is serra2018"
        )
    return binomial_sum(layers.hidden[0], layers.inputs)


def raghu2017(architecture: Architecture) -> int:
    """Each layer cuts every region at most as n hyperplanes cut the input space.

        (Σ_{j=0}^{n_0} C(n, j))^L

    Raghu et al. 2017, Theorem 1, which states it as O(n^{L n_0}); this is the number that its proof counts with. Assumes
    hidden layers of one width n, (leaky) ReLU.

    Args:
        architecture: (n_0, n, ..., n), or a traced network.

    Raises:
        InputError: hidden layers of different widths, or not an architecture.

    >>> raghu2017((2, 16, 16, 16))
    2571353
    """
    layers = read_layers(architecture)
    if len(set(layers.hidden)) != 1:
        raise NotCovered(f"Theorem 1 of Raghu et al. 2017 takes hidden layers of one width; found {layers.hidden}")
    return binomial_sum(layers.hidden[0], layers.inputs) ** len(layers.hidden)


def montufar2017(architecture: Architecture) -> int:
    """Each layer cuts every region at most as its hyperplanes cut a space of the dimension that can reach it.

        ∏_{l=1}^{L} Σ_{j=0}^{m_l} C(n_l, j),   m_l = min{n_0, ..., n_{l−1}}

    Montúfar 2017, "Notes on the number of linear regions of deep neural networks". Assumes (leaky) ReLU, nothing else.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced network.

    Raises:
        InputError: not an architecture.

    >>> montufar2017((5, 16, 12, 8, 4))
    38262313440
    """
    layers = read_layers(architecture)
    return math.prod(binomial_sum(n, m) for n, m in zip(layers.hidden, layers.dimensions(), strict=True))


def zhang2018(architecture: Architecture) -> int:
    """The bound that follows from the dual subdivisions of tropical polynomials.

        ∏_{l=1}^{L} Σ_{j=0}^{n_0} C(n_l, j)

    Zhang, Naitzat and Lim 2018, Theorem 6.3 (whose L counts the linear output layer too). Assumes that every hidden width is
    at least n_0, and a linear output; (leaky) ReLU. Then it is :func:`montufar2017`.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced network.

    Raises:
        InputError: a hidden width below n_0, or not an architecture.

    >>> zhang2018((2, 5))
    16
    """
    layers = read_layers(architecture)
    if min(layers.hidden) < layers.inputs:
        raise NotCovered(
            f"Theorem 6.3 of Zhang et al. 2018 takes hidden widths of at least the input dimension, {layers.inputs}; "
            f"found {layers.hidden}"
        )
    return math.prod(binomial_sum(n, layers.inputs) for n in layers.hidden)


def serra2018(architecture: Architecture) -> int:
    """Each layer cuts a region at most as its hyperplanes cut a space of its own dimension, which inactive units lower.

        Σ_{(j_1, ..., j_L) ∈ J} ∏_{l=1}^{L} C(n_l, j_l),   J = {0 ≤ j_l ≤ min{n_0, n_1 − j_1, ..., n_{l−1} − j_{l−1}, n_l}}

    Serra, Tjandraatmadja and Ramalingam 2018, Theorem 1. Assumes ReLU: an inactive leaky unit is not constant. The sum runs
    over layers and dimensions, in O(L n_0) multiplications of long integers.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.

    Raises:
        InputError: a leaky network, or not an architecture.

    >>> serra2018((5, 16, 12, 8, 4))
    37650815280
    """
    layers = relu_layers(architecture, "Theorem 1 of Serra et al. 2018")
    counts = [0] * layers.inputs + [1]  # entry m: how many regions have dimension m
    for width in layers.hidden:
        counts = _through(counts, width)
    return sum(counts)


def _through(counts: list[int], width: int) -> list[int]:
    """One layer: j inactive units, at most the dimension m, take C(width, j) regions from m to min(m, width − j)."""
    top = min(len(counts) - 1, width)
    row = binomials(width, top)
    sums = [0]
    for c in row:
        sums.append(sums[-1] + c)
    above = [0]
    for count in reversed(counts):
        above.append(above[-1] + count)
    above.reverse()  # entry m: the regions of dimension m or more
    # A region keeps its dimension m where j ≤ width − m; it gets the dimension m from above where j = width − m.
    kept = [counts[m] * sums[min(m, width - m) + 1] for m in range(top + 1)]
    lowered = [row[m] * above[min(max(m + 1, width - m), len(counts))] for m in range(top + 1)]
    return [k + d for k, d in zip(kept, lowered, strict=True)]
