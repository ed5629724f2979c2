"""Hypothesis strategies: lifted points that are often degenerate."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

whole = st.integers(-3, 3)
rational = st.fractions(min_value=-2, max_value=2, max_denominator=3)


@st.composite
def lifted(draw, most: int = 9, dimensions=(1, 2, 3), numbers=None):
    """Points (n, d) and heights (n,): small numbers, so that ties, repeated points and affine dependencies are common."""
    d = draw(st.sampled_from(dimensions))
    n = draw(st.integers(1, most))
    entries = draw(st.sampled_from([whole, st.integers(0, 1), rational])) if numbers is None else numbers
    points = [[draw(entries) for _ in range(d)] for _ in range(n)]
    if d > 1 and draw(st.integers(0, 3)) == 0:
        for p in points:
            p[-1] = p[0] - 2 * p[-2] if d > 2 else 2 * p[0]
    kind = draw(st.sampled_from(["free", "affine", "round"]))
    if kind == "free":
        heights = [draw(entries) for _ in range(n)]
    elif kind == "affine":
        heights = [1 + 2 * p[0] for p in points]
    else:
        heights = [-sum(e * e for e in p) for p in points]
    return array(points), array(heights)


def array(rows) -> np.ndarray:
    """An object array of ints and Fractions."""
    out = np.array(rows, dtype=object)
    return out.reshape(len(rows), -1) if rows and isinstance(rows[0], list) else out


def fractions(array_: np.ndarray) -> list:
    """An array as nested lists of Fractions."""
    if array_.ndim == 1:
        return [Fraction(e) for e in array_.tolist()]
    return [[Fraction(e) for e in row] for row in array_.tolist()]


def value(points: np.ndarray, heights: np.ndarray, x) -> Fraction:
    """max_i ⟨x, p_i⟩ + h_i."""
    return max(
        sum((Fraction(a) * Fraction(b) for a, b in zip(p, x, strict=True)), Fraction(h))
        for p, h in zip(points.tolist(), heights.tolist(), strict=True)
    )
