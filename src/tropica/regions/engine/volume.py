"""The volume of a convex hull, in floating point."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError


def hull_volume(points: np.ndarray, dimension: int) -> float:
    """The volume of the convex hull of points (V, n) that span a flat of this dimension, in that flat (by Qhull).

    Qhull sees the points along their principal axes with equal spread, so that a thin hull is as good as any other. Where
    their floats lie on a lower flat, or do to rounding, the volume is 0.
    """
    centered = points - points.mean(0)
    _, spread, axes = np.linalg.svd(centered, full_matrices=False)
    if not spread[dimension - 1 :].any():
        return 0.0
    even = centered @ (axes[:dimension] / spread[:dimension, None]).T
    try:
        size = np.ptp(even) if dimension == 1 else ConvexHull(even).volume
    except QhullError:
        return 0.0
    return float(size * spread[:dimension].prod())
