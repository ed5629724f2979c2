"""Bounds of a network's outputs over a task's cell, by intervals through the stages that are still undecided."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csc_array

from tropica.regions.engine.tasks import Task
from tropica.regions.kernels.arrays import NetworkArrays
from tropica.regions.kernels.maps import full_map


def output_bounds(net: NetworkArrays, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds (outputs,) over the cell, in the kernels' units; outward by their rounding."""
    stages, width = len(net.size) - 1, net.bias.shape[1]
    rows = net.first
    index, factor = np.zeros(width + 64, np.int64), np.zeros((width + 64, net.d + 2))
    for s in range(task.stage):
        out = np.zeros_like(net.first)
        full_map(
            net.dims,
            net.d,
            s,
            rows,
            task.masks[s],
            net.size[s],
            net.place[s],
            net.low[s],
            net.step[s],
            out,
            net.size[s + 1],
            net.weight,
            net.offset[s + 1],
            net.sparse,
            net.bias[s + 1],
            index,
            factor,
        )
        rows = out
    n = int(net.size[task.stage])
    z = task.X @ rows[: net.d, :n] + rows[net.d, :n]
    slack = (
        rows[net.d + 1, :n]
        + np.abs(rows[: net.d, :n]).sum(0) * (float(task.disp.max()) + 1e-13)
        + 1e-13 * np.abs(rows[net.d, :n])
    )
    low, high = z.min(0) - slack, z.max(0) + slack
    for s in range(task.stage, stages):
        low, high = _output_bounds(net, s, low, high)
        m = int(net.size[s + 1])
        weight, size = _weight(net, s + 1, m, len(low))
        middle, radius = (low + high) / 2, (high - low) / 2 * (1 + 1e-12)
        center, spread = weight @ middle + net.bias[s + 1, :m], size @ radius
        rounding = (len(low) + 4) * 2.0**-52 * (size @ np.abs(middle) + np.abs(net.bias[s + 1, :m]))
        low, high = center - spread - rounding, center + spread + rounding
    return low, high


def _weight(net: NetworkArrays, s: int, rows: int, columns: int) -> tuple[Any, Any]:
    """The matrix into a stage, and that of absolute values."""
    sparse = net.sparse
    if sparse is None or not sparse.flag[s]:
        dense = net.weight[net.offset[s] : net.offset[s] + rows * columns].reshape(columns, rows).T
        return dense, np.abs(dense)
    start = sparse.start[sparse.first[s] : sparse.first[s] + columns + 1]
    entries = slice(int(start[0]), int(start[-1]))
    found = csc_array((sparse.value[entries], sparse.row[entries], start - start[0]), shape=(rows, columns))
    return found, abs(found)


def _output_bounds(net: NetworkArrays, s: int, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of a stage's outputs from those of its rows."""
    n = len(low)
    if net.windowed[s]:
        first = np.flatnonzero(np.diff(net.place[s, :n], prepend=-1))
        return np.maximum.reduceat(low, first), np.maximum.reduceat(high, first)
    below, above = net.low[s, :n], net.low[s, :n] + net.step[s, :n]
    ends = np.stack([np.where(x > 0, above, below) * x for x in (low, high)])
    through = (low < 0) & (high > 0)
    return np.where(through, np.minimum(ends.min(0), 0), ends.min(0)), np.where(
        through, np.maximum(ends.max(0), 0), ends.max(0)
    )
