"""Sums of products in exact rational numbers, as NumPy arrays of :class:`fractions.Fraction`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

Exact = Any
"""An array of fractions: what arithmetic on those gives, NumPy's types do not say."""


def exact(numbers: Tensor) -> Exact:
    """Finite floats as exact rationals."""
    flat = np.array([Fraction(number) for number in numbers.double().flatten().tolist()], dtype=object)
    return flat.reshape(tuple(numbers.shape)) if numbers.dim() else flat[0]


def exact_products(a: Exact, b: Exact) -> Exact:
    """The matrix of ⟨a_i, b_j⟩."""
    return a @ b.T


def exact_square(rows: Exact) -> Exact:
    """‖row‖² of each row."""
    return (rows * rows).sum(1)
