"""Upper bounds on the number of linear regions of dense networks with ReLU units."""

from __future__ import annotations

import math

from tropica.bounds.architecture import Architecture, NotCovered, layer_widths, relu_widths
from tropica.exact.binomials import binomial_sum, binomials


def zaslavsky(architecture: Architecture) -> int:
    """The maximal number of regions of one layer, attained by hyperplanes in general position.

        Σ_{j=0}^{n_0} C(n_1, j)

    Zaslavsky 1975. Assumes one hidden layer of (leaky) ReLU units.

    Args:
        architecture: (n_0, n_1), or a traced network.

    Raises:
        InputError: more than one hidden layer, or an invalid architecture.

    >>> zaslavsky((2, 3))
    7
    """
    widths = layer_widths(architecture)
    if len(widths.hidden) != 1:
        raise NotCovered(
            f"Zaslavsky's number is that of one hidden layer; found {len(widths.hidden)}, of widths {widths.hidden}: "
            "for several use serra2018"
        )
    return binomial_sum(widths.hidden[0], widths.inputs)


def raghu2017(architecture: Architecture) -> int:
    """The upper bound that lets each layer cut every region as n hyperplanes can cut the input space.

        (Σ_{j=0}^{n_0} C(n, j))^L

    Raghu et al. 2017, Theorem 1, stated as O(n^{L n_0}); the proof uses the formula above. Assumes
    hidden layers of one width n, (leaky) ReLU.

    Args:
        architecture: (n_0, n, ..., n), or a traced network.

    Raises:
        InputError: hidden layers of different widths, or an invalid architecture.

    >>> raghu2017((2, 16, 16, 16))
    2571353
    """
    widths = layer_widths(architecture)
    if len(set(widths.hidden)) != 1:
        raise NotCovered(f"Theorem 1 of Raghu et al. 2017 takes hidden layers of one width; found {widths.hidden}")
    return binomial_sum(widths.hidden[0], widths.inputs) ** len(widths.hidden)


def montufar2017(architecture: Architecture) -> int:
    """The upper bound that lets each layer cut every region as its hyperplanes can cut the space of its inputs.

        ∏_{l=1}^{L} Σ_{j=0}^{m_l} C(n_l, j),   m_l = min{n_0, ..., n_{l−1}}

    Montúfar 2017, "Notes on the number of linear regions of deep neural networks". Assumes (leaky) ReLU, nothing else.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced network.

    Raises:
        InputError: an invalid architecture.

    >>> montufar2017((5, 16, 12, 8, 4))
    38262313440
    """
    widths = layer_widths(architecture)
    return math.prod(binomial_sum(n, m) for n, m in zip(widths.hidden, widths.dimensions(), strict=True))


def zhang2018(architecture: Architecture) -> int:
    """The upper bound that follows from the dual subdivisions of tropical polynomials.

        ∏_{l=1}^{L} Σ_{j=0}^{n_0} C(n_l, j)

    Zhang, Naitzat and Lim 2018, Theorem 6.3 (whose L counts the linear output layer too). Assumes (leaky) ReLU, every hidden
    width at least n_0, and a linear output. Under these assumptions the bound equals :func:`montufar2017`.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced network.

    Raises:
        InputError: a hidden width below n_0, or an invalid architecture.

    >>> zhang2018((2, 5))
    16
    """
    widths = layer_widths(architecture)
    if min(widths.hidden) < widths.inputs:
        raise NotCovered(
            f"Theorem 6.3 of Zhang et al. 2018 takes hidden widths of at least the input dimension, {widths.inputs}; "
            f"found {widths.hidden}"
        )
    return math.prod(binomial_sum(n, widths.inputs) for n in widths.hidden)


def serra2018(architecture: Architecture) -> int:
    """The upper bound that tracks the dimension of each region's image, which inactive units lower.

        Σ_{(j_1, ..., j_L) ∈ J} ∏_{l=1}^{L} C(n_l, j_l),   J = {0 ≤ j_l ≤ min{n_0, n_1 − j_1, ..., n_{l−1} − j_{l−1}, n_l}}

    Serra, Tjandraatmadja and Ramalingam 2018, Theorem 1. Assumes ReLU: an inactive leaky unit is not constant. The sum runs
    over layers and dimensions, in O(L n_0) multiplications of long integers.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.

    Raises:
        InputError: leaky units, or an invalid architecture.

    >>> serra2018((5, 16, 12, 8, 4))
    37650815280
    """
    widths = relu_widths(architecture, "Theorem 1 of Serra et al. 2018")
    counts = [0] * widths.inputs + [1]  # entry m: the number of regions of dimension m
    for width in widths.hidden:
        counts = _after_layer(counts, width)
    return sum(counts)


def _after_layer(counts: list[int], width: int) -> list[int]:
    """Regions by dimension after one layer: C(width, j) regions go from dimension m ≥ j to min(m, width − j)."""
    top = min(len(counts) - 1, width)
    row = binomials(width, top)
    sums = [0]
    for c in row:
        sums.append(sums[-1] + c)
    above = [0]
    for count in reversed(counts):
        above.append(above[-1] + count)
    above.reverse()  # entry m: the regions of dimension m or more
    # Regions of dimension m keep it if j ≤ width − m. Regions of a larger dimension get the dimension m if j = width − m.
    kept = [counts[m] * sums[min(m, width - m) + 1] for m in range(top + 1)]
    lowered = [row[m] * above[min(max(m + 1, width - m), len(counts))] for m in range(top + 1)]
    return [k + d for k, d in zip(kept, lowered, strict=True)]
