"""The conventions of stored arrays."""

from __future__ import annotations

import numpy as np
import torch

from tropica.data.arrays import as_inputs, as_labels


def test_array_conventions():
    assert as_inputs(np.zeros((2, 3, 5, 5), np.uint8), "x").shape == (2, 3, 5, 5)
    assert as_inputs(np.full((2, 9), 255, np.uint8), "x").max() == 1
    assert as_inputs(np.full((2, 4, 4), 7.0), "x").shape == (2, 4, 4)
    assert as_labels(np.array([2, 0], np.uint16), "y").numbers.dtype == torch.int64
