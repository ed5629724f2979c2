"""Bounds of Xiong et al. 2020 for convolutional ReLU networks, in any number of spatial dimensions."""

from __future__ import annotations

import math

from tropica.bounds.architecture import NotCovered
from tropica.bounds.convolution import ConvNet
from tropica.bounds.windows import WindowAxis, attained_number, is_sharp, xiong_number
from tropica.errors import InputError
from tropica.exact.binomials import binomial_sum


def xiong2020_one_layer(net: ConvNet) -> int:
    """The number of regions of one convolutional layer.

        Σ_{t ∈ K} ∏_p C(d_1, t_p),   K = {t ≥ 0 : Σ_{p ∈ J} t_p ≤ |∪_{p ∈ J} S_p| for every set J of positions p}

    where p runs over the positions of the d_1 filters, and S_p is the set of input entries that the filters read at p.

    Xiong, Huang, Yu, Liu, Zhu and Shao 2020, Theorem 2. Assumes one layer of ReLU, no padding. If windows overlap along
    at most one axis, this is the maximal number, which almost all weights attain, and costs O(positions · (kernel · d_0)²). If
    windows overlap along several axes, the sum is only an upper bound, as a filter has the same weights at all positions (two
    filters of 2 × 2 on 3 × 3 make 255 regions, not 256). The cost then grows exponentially with the windows that overlap later
    ones.

    Args:
        net: a ConvNet of one layer.

    Raises:
        InputError: ``net`` is not a ConvNet, several layers, or a layer too large for the sum.

    >>> from tropica.bounds import Conv, ConvNet
    >>> xiong2020_one_layer(ConvNet((1, 3), [Conv(2, kernel=2)]))
    15
    """
    _check(net)
    if len(net.layers) != 1:
        raise NotCovered(
            f"Theorem 2 of Xiong et al. 2020 is about one layer; found {len(net.layers)}: for several use "
            "xiong2020_upper or xiong2020_lower"
        )
    return xiong_number(*_layer(net, 0))


def is_exact(net: ConvNet) -> bool:
    """Whether :func:`xiong2020_one_layer` is known to be the maximal number itself."""
    return is_sharp(*_layer(net, 0))


def xiong2020_upper(net: ConvNet) -> int:
    """The upper bound that treats the first layer as convolutional and all others as dense.

        R″ · ∏_{l=2}^{L} Σ_{j=0}^{n_0} C(n_l, j)

    R″ is :func:`xiong2020_one_layer` of the first layer, and n_l the number of units of layer l.

    Xiong et al. 2020, Theorem 5(ii). Assumes ReLU, no padding, no pooling.

    Args:
        net: a ConvNet of any number of layers.

    Raises:
        InputError: ``net`` is not a ConvNet, or a first layer too large for Theorem 2.

    >>> from tropica.bounds import Conv, ConvNet
    >>> xiong2020_upper(ConvNet((1, 3), [Conv(2, kernel=2), Conv(2, kernel=2)]))
    60
    """
    _check(net)
    inputs, _, *further = net.widths
    return xiong_number(*_layer(net, 0)) * math.prod(binomial_sum(n, inputs) for n in further)


def xiong2020_lower(net: ConvNet) -> int:
    """The number of regions of layers that fold the unit cube ⌊d_l/d_0⌋ times along each axis, and of a generic last layer.

        R′ · ∏_{l=1}^{L−1} ⌊d_l/d_0⌋^{p_l d_0}

    d_l is the number of channels of layer l, and p_l the number of its positions. R′ is :func:`xiong2020_one_layer` of the last
    layer on an input of d_0 channels, if that number is known to be attained. Otherwise R′ is the number for kernels that are
    zero beyond the stride along all axes but one.

    Xiong et al. 2020, Theorem 5(i). Assumes ReLU, no padding, no pooling, and d_l ≥ d_0 for l < L.

    Args:
        net: a ConvNet of any number of layers.

    Raises:
        InputError: ``net`` is not a ConvNet, or a layer before the last with fewer channels than the input.

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
    folds = math.prod((d // d0) ** (math.prod(positions) * d0) for d, *positions in net.shapes[1:-1])
    return attained_number(axes, d0, last) * folds


def _layer(net: ConvNet, i: int) -> tuple[list[WindowAxis], int, int]:
    """The windows of a layer, the number of its input channels, and the number of its filters."""
    channels, *spatial = net.shapes[i]
    return net.layers[i].axes(spatial), channels, net.layers[i].filters


def _check(net: object) -> None:
    if not isinstance(net, ConvNet):
        raise InputError(
            "the bounds of Xiong et al. 2020 take a ConvNet, such as ConvNet((1, 28, 28), [Conv(8, kernel=3)]); "
            f"found a value of type {type(net).__name__}"
        )
