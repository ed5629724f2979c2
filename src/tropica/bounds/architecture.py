"""Layer widths of a dense network, given as numbers or read from a traced network."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from tropica.bounds.dense_chain import dense_chain
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network

Architecture: TypeAlias = Sequence[int] | PiecewiseLinearNetwork | nn.Module
"""The input dimension and the hidden widths (n_0, n_1, ..., n_L), without the output layer; or a network.

>>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], None), ([[1.0, 1.0, -1.0]], None)])
>>> tp.bounds.serra2018((2, 3)) == tp.bounds.serra2018(net)
True
"""


class NotCovered(InputError):
    """The theorem behind a bound does not cover the architecture, or the bound is too large to be computed.

    >>> import tropica as tp
    >>> tp.bounds.montufar2014((4, 3))
    Traceback (most recent call last):
        ...
    tropica.bounds.architecture.NotCovered: the lower bound of Montúfar et al. 2014 takes hidden ...
    """


@dataclass(frozen=True)
class LayerWidths:
    """The widths of a dense network.

    Attributes:
        inputs: the input dimension n_0.
        hidden: the hidden widths (n_1, ..., n_L).
        leaky: whether some units are leaky ReLUs.
    """

    inputs: int
    hidden: tuple[int, ...]
    leaky: bool = False

    def dimensions(self) -> list[int]:
        """min(n_0, ..., n_{l−1}) for each layer l: the largest dimension of the set of the layer's inputs."""
        least, found = self.inputs, []
        for width in self.hidden:
            found.append(least)
            least = min(least, width)
        return found


def layer_widths(architecture: Architecture) -> LayerWidths:
    """Check an architecture and return its layer widths.

    Raises:
        InputError: an entry that is not a whole number of 1 or more, no hidden layer, or a network that is not a chain of
            dense layers and (leaky) ReLUs.

    >>> layer_widths((2, 16, 8))
    LayerWidths(inputs=2, hidden=(16, 8), leaky=False)
    """
    accepted = "(inputs, hidden width, ..., hidden width), or a network"
    if isinstance(architecture, (PiecewiseLinearNetwork, nn.Module)):
        return LayerWidths(*dense_chain(as_network(architecture)))
    try:
        sizes = tuple(architecture)
    except TypeError:
        found = type(architecture).__name__
        raise InputError(f"an architecture is {accepted}; found a value of type {found}") from None
    widths = [integer(size, f"entry {i} of the architecture") for i, size in enumerate(sizes)]
    if len(widths) < 2:
        raise InputError(f"an architecture has at least one hidden layer: {accepted}; found {sizes}")
    return LayerWidths(widths[0], tuple(widths[1:]))


def relu_widths(architecture: Architecture, theorem: str) -> LayerWidths:
    """Check an architecture for a theorem on ReLU alone and return its layer widths.

    Raises:
        NotCovered: some units are leaky ReLUs.
        InputError: as :func:`layer_widths`.
    """
    widths = layer_widths(architecture)
    if widths.leaky:
        raise NotCovered(
            f"{theorem} is about ReLU: its proof needs inactive units to be constant, and leaky units are not; "
            "for leaky ReLU use montufar2017, zhang2018, raghu2017 or zaslavsky"
        )
    return widths


def integer(value: object, name: str, least: int = 1) -> int:
    """Check that a value is a whole number of at least ``least``, and return it as an int.

    Raises:
        InputError: any other value.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise InputError(f"{name} must be a whole number, {least} or more; found {value!r}")
    return number
