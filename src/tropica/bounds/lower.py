"""Lower bounds on the maximal number of linear regions: some weights of the architecture give at least so many."""

from __future__ import annotations

import math

from tropica.bounds.architecture import Architecture, NotCovered, relu_layers
from tropica.exact.binomials import binomial_sum


def montufar2014(architecture: Architecture) -> int:
    """Layers that fold the unit cube onto itself ⌊n_l/n_0⌋ times along each axis, and a last one in general position.

        ∏_{l=1}^{L−1} ⌊n_l/n_0⌋^{n_0} · Σ_{j=0}^{n_0} C(n_L, j)

    Montúfar, Pascanu, Cho and Bengio 2014, the lower bound for deep rectifier networks (Theorem 5 of the preprint). Assumes
    ReLU and every hidden width at least n_0.

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.

    Raises:
        InputError: a hidden width below n_0, a leaky network, or not an architecture.

    >>> montufar2014((2, 16, 16, 16))
    561152
    """
    return _folded(architecture, "the lower bound of Montúfar et al. 2014", least=1, more=0)


def serra2018_lower(architecture: Architecture) -> int:
    """As :func:`montufar2014`, with one fold more along each axis: no region there is without an active unit.

        ∏_{l=1}^{L−1} (⌊n_l/n_0⌋ + 1)^{n_0} · Σ_{j=0}^{n_0} C(n_L, j)

    Serra, Tjandraatmadja and Ramalingam 2018, Theorem 6. Assumes ReLU and every hidden width at least 3 n_0. For n_0 = 1 it
    is the maximal number itself (Theorem 5 there).

    Args:
        architecture: (n_0, n_1, ..., n_L), or a traced ReLU network.

    Raises:
        InputError: a hidden width below 3 n_0, a leaky network, or not an architecture.

    >>> serra2018_lower((2, 16, 16, 16))
    898857
    """
    return _folded(architecture, "Theorem 6 of Serra et al. 2018", least=3, more=1)


def _folded(architecture: Architecture, theorem: str, least: int, more: int) -> int:
    layers = relu_layers(architecture, theorem)
    n0, last = layers.inputs, layers.hidden[-1]
    if min(layers.hidden) < least * n0:
        times = "" if least == 1 else f"{least} times "
        raise NotCovered(
            f"{theorem} takes hidden widths of at least {times}the input dimension, {least * n0}; found {layers.hidden}"
        )
    return math.prod((n // n0 + more) ** n0 for n in layers.hidden[:-1]) * binomial_sum(last, n0)


def arora2018(architecture: Architecture) -> int:
    """A zonotope's support function, a sum of m absolute values, and a sawtooth of w^{L−1} pieces of its value.

        2 Σ_{j=0}^{n_0−1} C(m − 1, j) · w^{L−1},   n_1 = 2m,   n_2 = ... = n_L = w

    Arora, Basu, Mianjy and Mukherjee 2018, Theorem 2.11(i) of the preprint. Assumes ReLU, an even first width, and one
    width w ≥ 2 of all further hidden layers.

    Args:
        architecture: (n_0, 2m, w, ..., w), or a traced ReLU network.

    Raises:
        InputError: widths not of this form, a leaky network, or not an architecture.

    >>> arora2018((2, 6, 3, 3))
    54
    """
    layers = relu_layers(architecture, "Theorem 2.11 of Arora et al. 2018")
    first, further = layers.hidden[0], layers.hidden[1:]
    if first % 2 or len(set(further)) > 1 or min(further, default=2) < 2:
        raise NotCovered(
            "Theorem 2.11 of Arora et al. 2018 takes an even first hidden width and one width of 2 or more for all others; "
            f"found {layers.hidden}"
        )
    return 2 * binomial_sum(first // 2 - 1, layers.inputs - 1) * math.prod(further)
