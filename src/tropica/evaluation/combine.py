"""The maxima that several processes found, as one."""

from __future__ import annotations

import torch
from torch import Tensor

from tropica.runtime.processes import Processes


def combined(value: Tensor, key: Tensor, processes: Processes) -> tuple[Tensor, Tensor]:
    """The lexicographic maximum over all processes: the largest value, and of equal ones the lowest key (−1 is none)."""
    if processes.world_size == 1:
        return value, key
    best, far = processes.all_reduce_max(value), torch.iinfo(torch.int64).max
    lowest = processes.all_reduce_min(torch.where((value == best) & (key >= 0), key, far))
    return best, torch.where(lowest == far, -1, lowest)
