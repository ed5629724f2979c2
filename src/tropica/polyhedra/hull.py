"""``essential`` and ``upper_hull``: which points of a lifted configuration are on top, and on which faces."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropica.polyhedra.configuration import configuration
from tropica.polyhedra.upper import upper_vertices


def essential(points: Any, heights: Any) -> np.ndarray:
    """The points that matter to x ↦ max_i ⟨x, p_i⟩ + h_i: those that are its only maximum somewhere.

    Args:
        points: (n, d) ints, Fractions or floats (taken as the rationals they are); flat and repeated points are ordinary.
        heights: (n,) likewise.

    Returns:
        Sorted indices; of repeated points the first of largest height.

    Raises:
        InputError: shapes that do not fit, no point, numbers that are not finite.

    >>> essential([[0], [1], [2], [1]], [0, 0, 0, -1]).tolist()  # the middle only ties
    [0, 2]
    """
    found = configuration(points, heights)
    return found.index[upper_vertices(found.lifted)]
