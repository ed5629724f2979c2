"""A point inside each cell, and no more than that: for those who build on the cells rather than on the complex."""

from __future__ import annotations

import numpy as np

from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.cells import cells_of_vertices
from tropica.regions.domain import Domain
from tropica.regions.solid import whole
from tropica.regions.state import Full
from tropica.regions.walk import Walk

VERTICES = 16
"""Vertices a cell, at the most, up to which a walk goes on."""


class TooManyCells(Exception):
    """More cells than allowed: ``cells`` behind ``nonlinearities`` nonlinearities; ``more``: far more behind the next."""

    def __init__(self, cells: int, nonlinearities: int, more: bool) -> None:
        super().__init__(cells, nonlinearities, more)
        self.cells, self.nonlinearities, self.more = cells, nonlinearities, more


def points_of_cells(net: PiecewiseLinearNetwork, domain: Domain, limit: int) -> np.ndarray:
    """Points t (C, d), one inside each activation cell of a network on a domain.

    Raises:
        TooManyCells: more than ``limit``.
    """
    nonlinearities = len(net.nonlinearities)
    cells, done = 1, 0

    def count(walk: Walk, bend: int) -> None:
        nonlocal cells, done
        cells, done = len(cells_of_vertices(walk.state)), bend + 1
        if cells > limit and done < nonlinearities:
            raise TooManyCells(cells, done, False)

    try:
        walk = Walk.through(net, domain, limit=VERTICES * limit + 1000, after=count)
    except Full:
        raise TooManyCells(cells, done, cells <= limit) from None
    centers = whole(walk).centers
    if len(centers) > limit:
        raise TooManyCells(len(centers), nonlinearities, False)
    return centers
