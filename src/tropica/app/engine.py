"""The region engine, made ready before it is needed."""

from __future__ import annotations

import numpy as np

import tropica as tp


def warm(net: tp.PiecewiseLinearNetwork) -> None:
    """Load the compiled kernels, or compile them, before somebody waits for the cells of a plane."""
    d = int(np.prod(net.input_shape))
    if d < 2:
        return
    basis = np.random.default_rng(0).standard_normal((2, d))
    small = tp.Slice(np.full(d, 0.5), basis, tp.Box([-1e-3, -1e-3], [1e-3, 1e-3]))
    for _ in tp.iter_cells(net, small, arrays=["vertices", "maps"], max_cells=100):
        pass
