"""Lower bounds on the maximal number of linear regions: numbers attained by some weights of the architecture."""

from __future__ import annotations

import math

from tropica.bounds.architecture import Architecture, NotCovered, relu_widths
from tropica.exact.binomials import binomial_sum


def montufar2014(architecture: Architecture) -> int:
    """The number of regions of layers that fold the unit cube ⌊n_l/n_0⌋ times along each axis, and of a generic last layer.

        ∏_{l=1}^{L−1} ⌊n_l/n_0⌋^{n_0} · Σ_{j=0}^{n_0} C(n_L, j)

    Montúfar, Pascanu, Cho and Bengio 2014, the lower bound for deep rectifier networks (Theorem 5 of the preprint). Assumes
    ReLU and every hidden width at least n_0.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.

    Raises:
        InputError: a hidden width below n_0, leaky units, or an invalid architecture.

    >>> montufar2014((2, 16, 16, 16))
    561152
    """
    return _folded(architecture, "the lower bound of Montúfar et al. 2014", least=1, more=0)


def serra2018_lower(architecture: Architecture) -> int:
    """The bound of :func:`montufar2014` with one more fold along each axis, so that each region has an active unit.

        ∏_{l=1}^{L−1} (⌊n_l/n_0⌋ + 1)^{n_0} · Σ_{j=0}^{n_0} C(n_L, j)

    Serra, Tjandraatmadja and Ramalingam 2018, Theorem 6. Assumes ReLU and every hidden width at least 3 n_0. For n_0 = 1 the
    bound is the maximal number itself (Theorem 5 there).

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.

    Raises:
        InputError: a hidden width below 3 n_0, leaky units, or an invalid architecture.

    >>> serra2018_lower((2, 16, 16, 16))
    898857
    """
    return _folded(architecture, "Theorem 6 of Serra et al. 2018", least=3, more=1)


def _folded(architecture: Architecture, theorem: str, least: int, more: int) -> int:
    """∏_{l<L} (⌊n_l/n_0⌋ + more)^{n_0} · Σ_j C(n_L, j), for hidden widths of at least least · n_0."""
    widths = relu_widths(architecture, theorem)
    n0, last = widths.inputs, widths.hidden[-1]
    if min(widths.hidden) < least * n0:
        times = "" if least == 1 else f"{least} times "
        raise NotCovered(
            f"{theorem} takes hidden widths of at least {times}the input dimension, {least * n0}; found {widths.hidden}"
        )
    return math.prod((n // n0 + more) ** n0 for n in widths.hidden[:-1]) * binomial_sum(last, n0)


def arora2018(architecture: Architecture) -> int:
    """The number of regions of a sawtooth of w^{L−1} pieces, applied to the support function of a zonotope of m generators.

        2 Σ_{j=0}^{n_0−1} C(m − 1, j) · w^{L−1},   n_1 = 2m,   n_2 = ... = n_L = w

    Arora, Basu, Mianjy and Mukherjee 2018, Theorem 2.11(i) of the preprint. Assumes ReLU, an even first width, and one
    width w ≥ 2 of all further hidden layers.

    Args:
        architecture: (n_0, 2m, w, ..., w), or a traced ReLU network.

    Raises:
        InputError: widths not of this form, leaky units, or an invalid architecture.

    >>> arora2018((2, 6, 3, 3))
    54
    """
    widths = relu_widths(architecture, "Theorem 2.11 of Arora et al. 2018")
    first, further = widths.hidden[0], widths.hidden[1:]
    if first % 2 or len(set(further)) > 1 or min(further, default=2) < 2:
        raise NotCovered(
            "Theorem 2.11 of Arora et al. 2018 takes an even first hidden width and one width of 2 or more for all others; "
            f"found {widths.hidden}"
        )
    return 2 * binomial_sum(first // 2 - 1, widths.inputs - 1) * math.prod(further)
