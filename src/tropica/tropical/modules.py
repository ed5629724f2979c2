"""Torch modules from given numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def linear_layer(weight: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    """An ``nn.Linear`` in float64 with these weights (out, in) and biases (out,); no random number is drawn for it.

    >>> linear_layer(np.array([[2.0, 3.0]]))
    Linear(in_features=2, out_features=1, bias=False)
    """
    out, inputs = weight.shape
    layer = nn.Linear(inputs, out, bias=bias is not None, device="meta", dtype=torch.float64)
    layer.weight = nn.Parameter(torch.from_numpy(np.array(weight, dtype=np.float64)))
    if bias is not None:
        layer.bias = nn.Parameter(torch.from_numpy(np.array(bias, dtype=np.float64)))
    return layer
