"""A warning where floats are almost, but not exactly, degenerate."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.spatial import KDTree

CLOSE = 2.0**-40
"""Relative distance below which two different vertices are taken for one that rounding has split."""
MANTISSA = 1 << 40
"""Numbers over a larger power of two look like rounded floats."""
WAYS_OUT = (
    "floats are taken as the exact binary fractions that they are; give a Fraction or a decimal string such as '0.1' where a "
    "number is rational, and where it is not, np.round, or tolerance= of a Zonotope"
)


class NearlyDegenerateWarning(UserWarning):
    """Floats that are almost degenerate: a vertex that rounding has split into several.

    >>> import warnings
    >>> from tropica.polyhedra import NearlyDegenerateWarning, dual_subdivision
    >>> with warnings.catch_warnings():  # stop where rounding may have split a vertex
    ...     warnings.simplefilter("error", NearlyDegenerateWarning)
    ...     len(dual_subdivision([[0, 0], [1, 0], [0, 1]], [0, 0, 0]).cells)
    1
    """


def looks_rounded(denominator: int) -> bool:
    """Whether numbers over this denominator look like rounded floats: a large power of two."""
    return denominator >= MANTISSA and denominator & (denominator - 1) == 0


def warn_of_close(points: np.ndarray, what: str, stacklevel: int = 3) -> None:
    """Warn where different points (V, d), in float64, are as close as rounding makes them."""
    if len(points) < 2 or not points.shape[1] or not np.isfinite(points).all():
        return
    scale = np.maximum(np.abs(points).max(0), 1e-300)
    pairs = KDTree(points / scale).query_pairs(CLOSE)
    if pairs:
        warn(f"{len(pairs):,} pairs of {what} differ by less than 10⁻¹² of their size", stacklevel + 1)


def warn(found: str, stacklevel: int = 2) -> None:
    """Warn, and name the ways out."""
    text = f"{found}: the input is almost, but not exactly, degenerate; {WAYS_OUT}"
    warnings.warn(text, NearlyDegenerateWarning, stacklevel + 1)
