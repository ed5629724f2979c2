"""Hashes of the rows of a table, to find equal rows."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 256
"""Rows that are hashed at once."""
WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def row_hashes(rows: Tensor) -> Tensor:
    """A hash of each row of a table (n, d) of floats: (n,) int64 on its device.

        hash = Σ_j w_j · (word j of the row) mod 2⁶⁴,   w_j random

    Rows of equal bits have equal hashes; others have different hashes, except with a probability of about 2⁻³¹.

    >>> hashes = row_hashes(torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))
    >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
    (True, False)
    """
    words = rows.contiguous().view(WORDS[rows.element_size()])
    generator = torch.Generator().manual_seed(0)
    weights = (torch.randint(-(2**62), 2**62, (words.shape[1],), generator=generator) * 2 + 1).to(rows.device)
    # int64 products wrap around.
    return torch.cat([(part.to(torch.int64) * weights).sum(1) for part in words.split(ROWS)])
