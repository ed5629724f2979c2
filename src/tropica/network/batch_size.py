"""Number of points that a network takes at a time."""

from __future__ import annotations

from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.memory import budget

_LARGEST = 1024
_ENOUGH_BYTES = 2**28
"""A batch whose activations and gradients fill this many bytes: a larger one is no faster."""


def batch_size_for(net: PiecewiseLinearNetwork, batch_size: int | None, memory: int | None = None) -> int:
    """The batch size asked for, or the default one where it is None. (Reading the data checks that it is an integer ≥ 1.)"""
    return default_batch_size(net, memory) if batch_size is None else batch_size


def default_batch_size(net: PiecewiseLinearNetwork, memory: int | None = None) -> int:
    """The largest power of two up to 1024 whose activations and gradients fit ``memory`` bytes and 256 MB.

    Args:
        net: the network.
        memory: bytes; None for a share of what is free (:func:`tropica.runtime.memory.budget`), and then at least 8 points,
            as smaller batches are slow.
    """
    room = min(_ENOUGH_BYTES, budget(memory, net.device))
    numbers = sum(net.shapes[node.name].numel() for node in net.graph.nodes)
    size = _LARGEST
    while size > 1 and 2 * size * numbers * net.dtype.itemsize > room:
        size //= 2
    return max(size, 8) if memory is None else size
