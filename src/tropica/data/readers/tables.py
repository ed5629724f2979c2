"""What tables of any file format share."""

from __future__ import annotations

import numpy as np

from tropica.data.readers.request import FileRequest
from tropica.errors import DataError

LARGEST_EXACT = 2**24
"""Whole numbers up to here are float32."""


def refuse_large_integers(values: np.ndarray, name: str, request: FileRequest, first: int = 0) -> None:
    """Raise `DataError` for whole numbers that float32 does not hold: they are identifiers or times, and would be rounded."""
    large = np.abs(values) > LARGEST_EXACT
    if large.any():
        row = int(large.argmax())
        raise DataError(
            f"{request.path}: row {first + row}, column {name}: points are float32, which holds whole numbers up to "
            f"{LARGEST_EXACT:,}; found {int(values[row]):,}; scale the column to floats, or leave it out by columns=['NAME', …]"
        )
