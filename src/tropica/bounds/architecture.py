"""What a bound is asked about: widths as numbers, or a traced network."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from torch import nn

from tropica.bounds.chain import read_chain
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork

Architecture: TypeAlias = Sequence[int] | PiecewiseLinearNetwork
"""(n_0, n_1, ..., n_L): the input dimension and the hidden widths, without the output layer; or a traced network."""


class NotCovered(InputError):
    """A bound that this architecture has not: its theorem assumes something else, or its sum is too large to be computed."""


class Layers(NamedTuple):
    """The input dimension n_0, the hidden widths (n_1, ..., n_L), and whether some units are leaky."""

    inputs: int
    hidden: tuple[int, ...]
    leaky: bool = False

    def dimensions(self) -> list[int]:
        """min(n_0, ..., n_{l−1}) for each layer l: the most dimensions that what it sees can have."""
        least, found = self.inputs, []
        for width in self.hidden:
            found.append(least)
            least = min(least, width)
        return found


def read_layers(architecture: Architecture) -> Layers:
    """The layers of an architecture, checked.

    Raises:
        InputError: not whole numbers of 1 or more, no hidden layer, or a network that is no chain of dense layers and ReLUs.

    >>> read_layers((2, 16, 8))
    Layers(inputs=2, hidden=(16, 8), leaky=False)
    """
    accepted = "(inputs, hidden width, ..., hidden width), or a network from tp.trace"
    if isinstance(architecture, PiecewiseLinearNetwork):
        return Layers(*read_chain(architecture))
    if isinstance(architecture, nn.Module):
        raise InputError(f"a torch module has no input shape; trace it first: tp.trace(model, example). Accepted: {accepted}")
    try:
        sizes = tuple(architecture)
    except TypeError:
        found = type(architecture).__name__
        raise InputError(f"an architecture is {accepted}; found a value of type {found}") from None
    widths = [whole(size, f"entry {i} of the architecture") for i, size in enumerate(sizes)]
    if len(widths) < 2:
        raise InputError(f"an architecture has at least one hidden layer: {accepted}; found {sizes}")
    return Layers(widths[0], tuple(widths[1:]))


def relu_layers(architecture: Architecture, theorem: str) -> Layers:
    """The layers of an architecture for a theorem on ReLU alone: leaky units are refused."""
    layers = read_layers(architecture)
    if layers.leaky:
        raise NotCovered(
            f"{theorem} is about ReLU: it uses that an inactive unit is constant, which a leaky one is not; "
            "for leaky ReLU there are montufar2017, zhang2018, raghu2017 and zaslavsky"
        )
    return layers


def whole(value: object, what: str, least: int = 1) -> int:
    """A whole number of at least ``least``, as an int; InputError for anything else."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise InputError(f"{what} must be a whole number, {least} or more; found {value!r}")
    return number
