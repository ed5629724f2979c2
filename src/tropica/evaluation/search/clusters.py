"""An order in which alike rows are neighbors."""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 4
"""Power iterations for a direction: it need not be the principal one."""


def alike(rows: Tensor, size: int) -> Tensor:
    """An order of rows (n, c) in which each run of ``size`` holds rows that are alike: halves of halves, each cut across the
    direction in which it is longest. Places are multiples of ``size``; the last run may be shorter.

    >>> alike(torch.tensor([[0.0], [9.0], [1.0], [8.0]]), 2).view(2, 2).sort().values.sort(0).values.tolist()
    [[0, 2], [1, 3]]
    """
    ready: list[Tensor] = []
    open_ = [torch.arange(len(rows), device=rows.device)]
    while open_:
        part = open_.pop()
        if len(part) <= size:
            ready.append(part)
            continue
        here = rows[part]
        here = here - here.mean(0)
        direction = here[here.square().sum(1).argmax()]
        for _ in range(STEPS):
            direction = torch.nn.functional.normalize(here.mT @ (here @ direction), dim=0)
        order = (here @ direction).argsort(stable=True)
        half = (-(-len(part) // size) + 1) // 2 * size
        open_ += [part[order[half:]], part[order[:half]]]
    # Only the last run may be short, and all halves but the last are whole runs.
    return torch.cat(ready)
