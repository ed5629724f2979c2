"""A point inside each cell of all of space, for those who build on the cells rather than on the complex."""

from __future__ import annotations

import numpy as np

from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.cell_blocks import SIGNS, VERTICES
from tropica.regions.engine.cell_stream import problem_on, stream
from tropica.regions.lower.lowering import lower


class TooManyCells(Exception):
    """More cells than allowed: at least ``cells``."""

    def __init__(self, cells: int) -> None:
        super().__init__(cells)
        self.cells = cells


def points_of_cells(net: PiecewiseLinearNetwork, domain: Domain, limit: int) -> np.ndarray:
    """Points t (C, d), one inside each activation cell of a network on a domain.

    Raises:
        TooManyCells: more than ``limit``.
    """
    found: list[np.ndarray] = []
    count = 0
    for block in stream(problem_on(lower(net, simplify=False), domain), frozenset((SIGNS, VERTICES))):
        count += len(block)
        if count > limit:
            raise TooManyCells(count)
        found.append(block.centers())
    return np.concatenate(found)
