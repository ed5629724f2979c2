"""Default batch sizes."""

from __future__ import annotations

from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.memory import budget

_LARGEST = 1024
_LARGEST_BYTES = 2**28
"""Bytes of activations and gradients beyond which a larger batch is no faster."""


def batch_size_for(net: PiecewiseLinearNetwork, batch_size: int | None, memory: int | None = None) -> int:
    """The given batch size, or the default if None is given. (The reader of the data checks that it is an integer ≥ 1.)"""
    return default_batch_size(net, memory) if batch_size is None else batch_size


def default_batch_size(net: PiecewiseLinearNetwork, memory: int | None = None) -> int:
    """The largest power of two up to 1024 whose activations and gradients fit ``memory`` bytes and 256 MB.

    Args:
        net: the network.
        memory: bytes; None for a share of the free memory (:func:`tropica.runtime.memory.budget`), with at least 8 points, as
            smaller batches are slow.
    """
    room = min(_LARGEST_BYTES, budget(memory, net.device))
    numbers = sum(net.shapes[node.name].numel() for node in net.graph.nodes)
    size = _LARGEST
    while size > 1 and 2 * size * numbers * net.dtype.itemsize > room:
        size //= 2
    return max(size, 8) if memory is None else size
