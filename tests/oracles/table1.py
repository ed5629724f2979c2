"""Table 1 of TropEx (ICLR 2021), a class a row: the forward pass of a layer, and its merge into the terms.

Everything is NumPy float64. A layer's `merge` receives the terms as functions of the layer's *output* and returns them
as functions of its *input*. A+ and A- undergo the same operations, so they are stacked in one array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tests.oracles.windows import Array, Windows

Shape = tuple[int, ...]
Record = NDArray[Any] | None


@dataclass(frozen=True)
class Quotient:
    """N^(X) and A_max for B data points, with respect to the output, of shape `shape`, of some layer.

    A (2, B, *shape): A[0, k] is data point k's row of A+ (of its own label only), A[1, k] its row of A-.
    a (2, B): the constant parts, likewise.
    A_max (*shape): a bound, the same for all data points, on every coefficient of A.
    """

    A: Array
    a: Array
    A_max: Array


class Layer(Protocol):
    """One row of Table 1. `record` is what `forward` stores for B points and `merge` reads."""

    def forward(self, x: Array) -> tuple[Array, Record]:
        """x (B, *input) -> (y (B, *output), record (B, *output) or None)."""
        ...

    def merge(self, q: Quotient, record: Record, shape: Shape) -> Quotient:
        """q with respect to the layer's output -> q with respect to its input, of shape `shape`."""
        ...


@dataclass(frozen=True)
class Dense:
    """y = W x + b."""

    W: Array
    b: Array

    def forward(self, x: Array) -> tuple[Array, Record]:
        return x @ self.W.T + self.b, None

    def merge(self, q: Quotient, record: Record, shape: Shape) -> Quotient:
        K = q.A_max @ np.maximum(-self.W, 0.0)
        A_max = K + q.A_max @ np.maximum(self.W, 0.0)
        a = q.a + q.A @ self.b
        A = K + q.A @ self.W
        return Quotient(A, a, A_max)


@dataclass(frozen=True)
class Conv:
    """y = x * F + b. F (C_out, C_in / groups, kH, kW)."""

    F: Array
    b: Array
    windows: Windows
    groups: int

    def forward(self, x: Array) -> tuple[Array, Record]:
        n, size = x.shape[0], (x.shape[-2], x.shape[-1])
        columns = self.windows.unfold(x, fill=0.0).reshape(n, self.groups, self._matrix(self.F).shape[1], -1)
        y = self._matrix(self.F).transpose(0, 2, 1) @ columns
        return y.reshape(n, -1, *self.windows.output_size(size)) + self.b[:, None, None], None

    def merge(self, q: Quotient, record: Record, shape: Shape) -> Quotient:
        K = self._transpose(q.A_max, np.maximum(-self.F, 0.0), shape)
        A_max = K + self._transpose(q.A_max, np.maximum(self.F, 0.0), shape)
        a = q.a + q.A.sum(axis=(-2, -1)) @ self.b
        A = K + self._transpose(q.A, self.F, shape)
        return Quotient(A, a, A_max)

    def _matrix(self, F: Array) -> Array:
        """(C_out, C_in / groups, kH, kW) -> (groups, C_in / groups * kH * kW, C_out / groups)."""
        return F.reshape(self.groups, F.shape[0] // self.groups, -1).transpose(0, 2, 1)

    def _transpose(self, A: Array, F: Array, shape: Shape) -> Array:
        """ConvTrans(A, F): (..., C_out, H', W') -> (..., C_in, H, W), a matrix product and a col2im."""
        lead, (rows, columns) = A.shape[:-3], A.shape[-2:]
        grouped = A.reshape(*lead, self.groups, A.shape[-3] // self.groups, rows * columns)
        cols = (self._matrix(F) @ grouped).reshape(*lead, shape[0], self.windows.count, rows, columns)
        return self.windows.fold((cols[..., j, :, :] for j in range(self.windows.count)), (shape[1], shape[2]))


@dataclass(frozen=True)
class BNorm:
    """y = s x + t with s = gamma / sqrt(var + eps), t = -mean s + beta; s and t broadcast over a data point.

    The table prints `A <- s A` above `a <- a + A t`; the composition of affine maps asks for A before that update.
    """

    s: Array
    t: Array

    def forward(self, x: Array) -> tuple[Array, Record]:
        return self.s * x + self.t, None

    def merge(self, q: Quotient, record: Record, shape: Shape) -> Quotient:
        a = q.a + (q.A * self.t).reshape(*q.a.shape, -1).sum(axis=-1)
        return Quotient(self.s * q.A, a, np.abs(self.s) * q.A_max)


@dataclass(frozen=True)
class MaxPool:
    """Maximum over windows. The record is the chosen position in each window, the first one on ties as in PyTorch."""

    windows: Windows

    def forward(self, x: Array) -> tuple[Array, Record]:
        columns = self.windows.unfold(x, fill=-np.inf)
        return columns.max(axis=-3), columns.argmax(axis=-3).astype(np.uint8 if self.windows.count < 256 else np.int64)

    def merge(self, q: Quotient, record: Record, shape: Shape) -> Quotient:
        """A and A_max repeated to the input shape (overlapping windows add up), then A_k kept where x_k was chosen."""
        size, positions = (shape[1], shape[2]), range(self.windows.count)
        A = self.windows.fold((q.A * (record == j) for j in positions), size)
        return Quotient(A, q.a, self.windows.fold((q.A_max for _ in positions), size))


@dataclass(frozen=True)
class ReLU:
    """y = x where x > 0 and alpha x elsewhere (alpha = 0: ReLU; else leaky ReLU). The record is x > 0."""

    alpha: float

    def forward(self, x: Array) -> tuple[Array, Record]:
        active = x > 0.0
        return np.where(active, x, self.alpha * x), active

    def merge(self, q: Quotient, record: Record, shape: Shape) -> Quotient:
        assert record is not None
        return Quotient(q.A * np.where(record, 1.0, self.alpha), q.a, q.A_max)


@dataclass(frozen=True)
class Flatten:
    """(B, *input) -> (B, d)."""

    def forward(self, x: Array) -> tuple[Array, Record]:
        return x.reshape(x.shape[0], -1), None

    def merge(self, q: Quotient, record: Record, shape: Shape) -> Quotient:
        return Quotient(q.A.reshape(*q.a.shape, *shape), q.a, q.A_max.reshape(shape))
