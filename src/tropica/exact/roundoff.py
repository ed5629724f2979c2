"""Rounding of float64: one operation is right up to a factor 1 + δ with |δ| ≤ u (underflow left aside)."""

UNIT_ROUNDOFF = 2.0**-53
"""u of float64, to the nearest."""
EPSILON = 2.0**-52
"""2 u, the distance from 1 to the next number: ``np.finfo(float).eps``."""
