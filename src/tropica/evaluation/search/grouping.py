"""An order of rows in which similar rows are neighbors."""

from __future__ import annotations

import torch
from torch import Tensor


def neighbor_order(rows: Tensor, size: int, turns: int = 4) -> Tensor:
    """Order rows (n, c) so that each run of ``size`` holds similar rows.

    The rows are bisected recursively, each part along its approximate principal direction. Cuts are at multiples of
    ``size``; only the last run may be shorter. Few power iterations (``turns``) suffice, as a cut need not be along the
    principal direction exactly.

    >>> neighbor_order(torch.tensor([[0.0], [9.0], [1.0], [8.0]]), 2).view(2, 2).sort().values.sort(0).values.tolist()
    [[0, 2], [1, 3]]
    """
    runs: list[Tensor] = []
    pending = [torch.arange(len(rows), device=rows.device)]
    while pending:
        part = pending.pop()
        if len(part) <= size:
            runs.append(part)
            continue
        centered = rows[part] - rows[part].mean(0)
        direction = centered[centered.square().sum(1).argmax()]
        for _ in range(turns):
            direction = torch.nn.functional.normalize(centered.mT @ (centered @ direction), dim=0)
        order = (centered @ direction).argsort(stable=True)
        half = (-(-len(part) // size) + 1) // 2 * size
        pending += [part[order[half:]], part[order[:half]]]
    return torch.cat(runs)
