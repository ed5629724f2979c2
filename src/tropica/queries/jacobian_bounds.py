"""Bounds of the Jacobian over boxes, rounded outwards: matrices of intervals, layer by layer."""

from __future__ import annotations

import numpy as np

from tropica.exact.roundoff import EPSILON
from tropica.queries.proof_check import Checker
from tropica.queries.threshold_program import Layer, Program
from tropica.regions.lower.composed_affine import SOURCE_INPUT

TINY = 1e-300


class JacobianBounds:
    """Bounds of all Jacobians of the cells in boxes.

    Args:
        program: the network.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        ones = np.zeros((1, program.output.size))
        self.checker = Checker(program, ones, np.zeros(1))
        self.gamma = (program.units + program.inputs + 32) * EPSILON * 2

    def __call__(self, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bounds (B, s, D) below and above over boxes (B, D), and how many units may bend (B,).

        A unit's slope is one of its two slopes; where its sign is open, anything between them.
        """
        eye = np.broadcast_to(np.eye(self.program.inputs), (len(lo), *[self.program.inputs] * 2))
        values = {SOURCE_INPUT: (eye, eye)}
        bent = np.zeros(len(lo), np.int64)
        with np.errstate(all="ignore"):
            rows = self.checker.root_rows(lo, hi)
            for k, (layer, row) in enumerate(zip(self.program.layers, rows, strict=True)):
                low, high = self._rows(layer, values)
                up, down = row.low >= 0, row.high <= 0
                bent += (~up & ~down & layer.bends).sum(1)
                least = np.where(up, layer.high, np.where(down, layer.low, np.minimum(layer.low, layer.high)))
                most = np.where(up, layer.high, np.where(down, layer.low, np.maximum(layer.low, layer.high)))
                ends = [a * s[:, :, None] for a in (low, high) for s in (least, most)]
                below, above = np.minimum.reduce(ends), np.maximum.reduce(ends)
                values[k] = below - EPSILON * np.abs(below) - TINY, above + EPSILON * np.abs(above) + TINY
            return *self._rows(self.program.output, values), bent

    def _rows(self, layer: Layer, values: dict[int, tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """W J for a matrix J of intervals."""
        count, d = len(next(iter(values.values()))[0]), self.program.inputs
        middle, radius, size = (np.zeros((count, layer.size, d)) for _ in range(3))
        for k, w in layer.weights.items():
            low, high = values[k]
            center = low / 2 + high / 2
            middle = middle + _product(w, center)
            radius = radius + _product(layer.absolute[k], np.maximum(high - center, center - low))
            size = size + _product(layer.absolute[k], np.maximum(np.abs(low), np.abs(high)))
        error = self.gamma * size + TINY
        return middle - radius - error, middle + radius + error


def _product(w: object, z: np.ndarray) -> np.ndarray:
    """w z along the second axis of z (B, n, D)."""
    flat = z.transpose(1, 0, 2).reshape(z.shape[1], -1)
    return np.asarray(w @ flat).reshape(-1, z.shape[0], z.shape[2]).transpose(1, 0, 2)  # type: ignore[operator]
