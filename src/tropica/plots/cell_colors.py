"""Colors of cells in which neighbors differ in lightness."""

from __future__ import annotations

from collections import deque

import matplotlib as mpl
import numpy as np

COLORMAP = "cividis"
"""A colormap of increasing lightness, for color-blind readers too."""
SHARE = 0.65
"""Weight of a cell's color in its mixture with white, so that lines and points stand out."""


def cell_colors(adjacency: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Colors (C, 4) of cells, one for each group; neighbors in different groups lie in different bands of lightness.

    Args:
        adjacency: (A, 2) pairs of neighboring cells.
        group: (C,) the group of each cell, from 0: cells of one group share a color.

    >>> cell_colors(np.array([[0, 1], [1, 2]]), np.array([0, 1, 0])).shape
    (3, 4)
    """
    count = int(group.max()) + 1
    band = _bands(count, group[adjacency])
    bands = int(band.max()) + 1
    order = np.array([0, *range(2, bands), 1][:bands]).argsort()  # the first two, with most of the cells, at opposite ends
    within = np.random.default_rng(0).uniform(0.0, 0.55, count)
    shade = 0.15 + 0.85 * (order[band] + within) / (bands - 0.45)
    return (1 - SHARE * (1 - mpl.colormaps[COLORMAP](shade)))[group]


def _bands(count: int, pairs: np.ndarray) -> np.ndarray:
    """A band for each group, different from its neighbors' bands: a greedy coloring in breadth-first order.

    Two bands suffice wherever the graph is bipartite (lines through a whole plane).
    """
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    ends = np.searchsorted(both[:, 0], np.arange(count + 1)).tolist()
    other = both[:, 1].tolist()
    band, seen = [-1] * count, [False] * count
    for first in range(count):
        queue = deque([] if seen[first] else [first])
        seen[first] = True
        while queue:
            at = queue.popleft()
            near = other[ends[at] : ends[at + 1]]
            taken = {band[i] for i in near}
            band[at] = next(b for b in range(len(taken) + 1) if b not in taken)
            for i in near:
                if not seen[i]:
                    seen[i] = True
                    queue.append(i)
    return np.array(band)
