"""The bounds of Xiong et al. 2020 for convolutional ReLU networks, in any number of spatial dimensions."""

from __future__ import annotations

import math

from tropica.bounds.architecture import NotCovered
from tropica.bounds.convolution import ConvNet
from tropica.bounds.windows import Axis, count_attained, count_regions, is_attained
from tropica.errors import InputError
from tropica.exact.binomials import binomial_sum


def xiong2020_one_layer(net: ConvNet) -> int:
    """The number of regions of one convolutional layer.

        Σ_{t ∈ K} ∏_p C(d_1, t_p),   K = {t ≥ 0 : Σ_{p ∈ J} t_p ≤ |∪_{p ∈ J} S_p| for every set J of places p}

    where p runs over the places of the d_1 filters, and S_p is the set of input entries that they see there.

    Xiong, Huang, Yu, Liu, Zhu and Shao 2020, Theorem 2. Assumes one layer of ReLU, no padding. Where windows overlap along one
    axis at most it is the maximal number, which almost all weights attain, and costs O(places · (kernel · d_0)²). Where they
    overlap along several it is an upper bound only, because a filter has the same weights at all places (two filters of 2 × 2
    on 3 × 3 make 255 regions, not 256), and the cost grows exponentially with the windows that overlap later ones.

    Args:
        net: of one layer.

    Raises:
        InputError: not a ConvNet, several layers, or a layer too large for the sum.

    >>> from tropica.bounds import Conv, ConvNet
    >>> xiong2020_one_layer(ConvNet((1, 3), [Conv(2, kernel=2)]))
    15
    """
    _check(net)
    if len(net.layers) != 1:
        raise NotCovered(
            f"Theorem 2 of Xiong et al. 2020 is about one layer; found {len(net.layers)}: for several there are "
            "xiong2020_upper and xiong2020_lower"
        )
    return count_regions(*_layer(net, 0))


def is_exact(net: ConvNet) -> bool:
    """Is :func:`xiong2020_one_layer` the maximal number itself?"""
    return is_attained(*_layer(net, 0))


def xiong2020_upper(net: ConvNet) -> int:
    """The first layer as it is, and all others as dense ones.

        R″ · ∏_{l=2}^{L} Σ_{j=0}^{n_0} C(n_l, j)

    R″ is :func:`xiong2020_one_layer` of the first layer, n_l the number of all units of layer l.

    Xiong et al. 2020, Theorem 5(ii). Assumes ReLU, no padding, no pooling.

    Args:
        net: of any number of layers.

    Raises:
        InputError: not a ConvNet, or a first layer too large for Theorem 2.

    >>> from tropica.bounds import Conv, ConvNet
    >>> xiong2020_upper(ConvNet((1, 3), [Conv(2, kernel=2), Conv(2, kernel=2)]))
    60
    """
    _check(net)
    inputs, _, *further = net.widths
    return count_regions(*_layer(net, 0)) * math.prod(binomial_sum(n, inputs) for n in further)


def xiong2020_lower(net: ConvNet) -> int:
    """Layers that fold the unit cube onto itself ⌊d_l/d_0⌋ times along each axis, and a last one with generic weights.

        R′ · ∏_{l=1}^{L−1} ⌊d_l/d_0⌋^{p_l d_0}

    d_l is the number of channels of layer l, p_l that of its places. R′ is :func:`xiong2020_one_layer` of the last layer on an
    input of d_0 channels, where that is the maximal number. Where it may not be, it cannot stand in a lower bound; there R′ is
    that of kernels which are zero beyond the stride along all axes but one.

    Xiong et al. 2020, Theorem 5(i). Assumes ReLU, no padding, no pooling, and d_l ≥ d_0 for l < L.

    Args:
        net: of any number of layers.

    Raises:
        InputError: not a ConvNet, or a layer before the last with fewer channels than the input.

    >>> from tropica.bounds import Conv, ConvNet
    >>> xiong2020_lower(ConvNet((1, 3), [Conv(2, kernel=2), Conv(2, kernel=2)]))
    16
    """
    _check(net)
    d0, *filters = (shape[0] for shape in net.shapes)
    if min(filters[:-1], default=d0) < d0:
        raise NotCovered(
            f"Theorem 5 of Xiong et al. 2020 takes as many filters as the input has channels, {d0}, or more in every layer "
            f"before the last; found {tuple(filters)}"
        )
    axes, _, last = _layer(net, len(net.layers) - 1)
    folds = math.prod((d // d0) ** (math.prod(places) * d0) for d, *places in net.shapes[1:-1])
    return count_attained(axes, d0, last) * folds


def _layer(net: ConvNet, i: int) -> tuple[list[Axis], int, int]:
    """The windows of a layer, the channels that it sees, and its filters."""
    channels, *spatial = net.shapes[i]
    return net.layers[i].axes(spatial), channels, net.layers[i].filters


def _check(net: object) -> None:
    if not isinstance(net, ConvNet):
        raise InputError(
            "the bounds of Xiong et al. 2020 take a ConvNet, such as ConvNet((1, 28, 28), [Conv(8, kernel=3)]); "
            f"found a value of type {type(net).__name__}"
        )
