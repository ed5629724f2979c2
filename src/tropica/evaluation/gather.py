"""Batches of any size put together, so that a loader's small ones cost no more than a tensor's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

NUMBERS = 2**26
"""Numbers that are held together at most, one batch aside (256 MB in float32)."""


def gathered(batches: Iterable[Tensor], points: int, numbers: int | None = None) -> Iterator[list[Tensor]]:
    """Consecutive batches in lists of ``points`` points or a few more, or of so many numbers (:data:`NUMBERS`); the last may be
    smaller.

    >>> import torch
    >>> [[len(x) for x in group] for group in gathered(torch.zeros(7, 3).split(2), 3)]
    [[2, 2], [2, 1]]
    """
    group: list[Tensor] = []
    for x in batches:
        group.append(x)
        if sum(map(len, group)) >= points or sum(map(Tensor.numel, group)) >= (NUMBERS if numbers is None else numbers):
            yield group
            group = []
    if group:
        yield group
