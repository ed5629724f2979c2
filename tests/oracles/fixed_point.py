"""The tight K of a data set by plain fixed-point iteration on derivatives of F.

    K_v ← max_k max(0, −g⁻_kv, −g⁺_kv),   g the derivative of F⁻ (of F⁺_i) by h_v at x_k, without K_v itself

K of a nonlinearity depends on K of later nonlinearities only: one pass per nonlinearity and a final check are enough.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

import tropica as tp
from tests.cached import cotangents


def tight(net: tp.PiecewiseLinearNetwork, x: Tensor) -> tuple[tp.DCDecomposition, int]:
    """The decomposition with the smallest K for these points, and the number of passes."""
    zero = {nonlinearity.name: torch.zeros(nonlinearity.unit_shape, dtype=net.dtype) for nonlinearity in net.nonlinearities}
    decomposition = tp.DCDecomposition(net, "fixed point", zero)
    for passes in range(1, len(net.nonlinearities) + 3):
        wanted = dict(decomposition.multipliers)
        for nonlinearity, minus, plus in cotangents(decomposition, x):
            own = decomposition.multipliers[nonlinearity.name]
            wanted[nonlinearity.name] = (own - torch.minimum(minus, plus)).amax(0).clamp(min=0)
        largest = max((float(k.max()) for k in wanted.values()), default=0.0)
        if all(
            torch.allclose(k, decomposition.multipliers[name], rtol=1e-12, atol=1e-14 * largest) for name, k in wanted.items()
        ):
            return decomposition, passes
        decomposition = replace(decomposition, multipliers=wanted)
    raise AssertionError("not settled")
