"""Groups of consecutive batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def merged(batches: Iterable[Tensor], points: int, numbers: int) -> Iterator[Tensor]:
    """Concatenate consecutive batches to at least ``points`` points or ``numbers`` numbers, as small batches are inefficient.

    >>> [len(x) for x in merged(torch.zeros(7, 3).split(2), 3, 100)]
    [4, 3]
    """
    group: list[Tensor] = []
    for x in batches:
        group.append(x)
        if sum(map(len, group)) >= points or sum(map(Tensor.numel, group)) >= numbers:
            yield group[0] if len(group) == 1 else torch.cat(group)
            group = []
    if group:
        yield group[0] if len(group) == 1 else torch.cat(group)
