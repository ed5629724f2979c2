"""Sums of products in exact rational numbers, as NumPy arrays of :class:`fractions.Fraction`."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from torch import Tensor


def exact(numbers: Tensor) -> np.ndarray:
    """The finite numbers that floats stand for."""
    flat = np.array([Fraction(number) for number in numbers.double().flatten().tolist()], dtype=object)
    return flat.reshape(tuple(numbers.shape)) if numbers.dim() else flat[0]


def exact_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All ⟨a_i, b_j⟩."""
    return a @ b.T


def exact_square(rows: np.ndarray) -> np.ndarray:
    """‖row‖²."""
    return (rows * rows).sum(1)
