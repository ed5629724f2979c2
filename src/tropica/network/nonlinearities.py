"""Nonlinearities, one class each: every output is a maximum of affine functions of the inputs (its *pieces*).

A class defines

* ``__call__``, the value, computed by PyTorch's own op, so that gradients at ties are PyTorch's (relu has slope 0 at 0);
* ``active_piece``, the index of the piece that attains the maximum at each output, and ``num_pieces``: the activation pattern;
* ``jacobian_bound``, a linear op whose nonnegative Jacobian dominates every Jacobian of the nonlinearity: the paper's data-free
  decomposition propagates its bounds through it (Table 1: the identity for relu and leaky relu, window sums for max-pooling);
* ``both_signs``, whether the Jacobian may have negative entries (abs);
* ``slopes``, of a unit that bends where its input changes sign, or ``windows``, the positions that a unit takes the largest of;
* ``elementwise``, whether each output depends on one position alone, the same in all inputs. An elementwise nonlinearity whose
  constants have one entry each commutes with permutations of the dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Nonlinearity:
    """Base class of the nonlinearities."""

    name = "nonlinearity"
    both_signs = False
    elementwise = False

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        raise NotImplementedError

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        """Index of the active piece at each output (at a tie: the piece with PyTorch's slope, else the first)."""
        raise NotImplementedError

    def num_pieces(self, *shapes: torch.Size) -> int:
        """Number of pieces of each output, for inputs of these shapes."""
        return 2

    def slopes(self, units: torch.Size, **constants: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes of the units (of this shape, for one point) below 0 and above 0, where units bend at 0."""
        raise NotImplementedError

    def windows(self, z: Tensor, fill: float) -> Tensor:
        """The inputs (pieces, *output) among which each output is the largest, in the order of the pieces; ``fill`` where a
        window reaches past the end. For nonlinearities that are not elementwise."""
        raise NotImplementedError

    def jacobian_bound(self, *inputs: Tensor) -> Tensor:
        """Value of a linear op whose Jacobian bounds the absolute value of every Jacobian of the nonlinearity, entrywise."""
        return inputs[0].clone()


@dataclass(frozen=True)
class Relu(Nonlinearity):
    """max(z, 0), slope 0 at 0."""

    name = "relu"
    elementwise = True

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return torch.relu(inputs[0])

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return inputs[0] > 0

    def slopes(self, units: torch.Size, **constants: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(units, dtype=torch.float64), torch.ones(units, dtype=torch.float64)


@dataclass(frozen=True)
class LeakyRelu(Nonlinearity):
    """max(z, αz) with one slope α in [0, 1]."""

    name = "leaky_relu"
    elementwise = True
    slope: float = 0.01

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return F.leaky_relu(inputs[0], self.slope)

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return (inputs[0] > 0) & (self.slope != 1)  # pieces that are equal: the lower one

    def slopes(self, units: torch.Size, **constants: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full(units, self.slope, dtype=torch.float64), torch.ones(units, dtype=torch.float64)


@dataclass(frozen=True)
class PRelu(Nonlinearity):
    """max(z, αz) with constant slopes α in [0, 1]: one for all channels, or one per channel."""

    name = "prelu"
    elementwise = True

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return F.prelu(inputs[0], constants["slope"])

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        bends = self(torch.full_like(inputs[0], -1.0), **constants) != -1  # pieces that are equal: the lower one
        return (inputs[0] > 0) & bends

    def slopes(self, units: torch.Size, **constants: Tensor) -> tuple[Tensor, Tensor]:
        return -self(torch.full(units, -1.0, dtype=torch.float64), slope=constants["slope"].double()), torch.ones(
            units, dtype=torch.float64
        )


@dataclass(frozen=True)
class ClampMin(Nonlinearity):
    """max(z, c) for a constant c. The slope at the tie is 1 (as clamp's), 1/2 (maximum's) or 0 (threshold's, hardtanh's)."""

    name = "maximum"
    elementwise = True
    tie: float = 1

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        z, level = inputs[0], constants["level"]
        if self.tie == 0:
            return torch.where(z <= level, level, z)  # NaN stays NaN
        return torch.clamp_min(z, level) if self.tie == 1 else torch.maximum(z, level)

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        z, level = inputs[0], constants["level"]
        return z > level if self.tie == 0 else z >= level


@dataclass(frozen=True)
class Abs(Nonlinearity):
    """max(z, −z), slope 0 at 0."""

    name = "abs"
    elementwise = True
    both_signs = True

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return inputs[0].abs()

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return inputs[0] > 0

    def slopes(self, units: torch.Size, **constants: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full(units, -1.0, dtype=torch.float64), torch.ones(units, dtype=torch.float64)


@dataclass(frozen=True)
class Maximum(Nonlinearity):
    """max(a, b) of two activations, with broadcasting; both slopes are 1/2 at a tie."""

    name = "maximum"
    elementwise = True

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return torch.maximum(*inputs)

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return inputs[0] < inputs[1]

    def jacobian_bound(self, *inputs: Tensor) -> Tensor:
        return inputs[0] + inputs[1]


@dataclass(frozen=True)
class Amax(Nonlinearity):
    """Maximum over dimensions. Tied entries share the slope, as in ``torch.amax``; with ``first``, the first entry takes it."""

    name = "amax"
    dims: tuple[int, ...] = (-1,)
    keepdim: bool = False
    first: bool = False

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        if self.first:
            return inputs[0].max(self.dims[0], self.keepdim).values
        return inputs[0].amax(self.dims, self.keepdim)

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        z = inputs[0]
        dims = sorted(d % z.ndim for d in self.dims)
        kept = [d for d in range(z.ndim) if d not in dims]
        first = _first_argmax(z.permute(*kept, *dims).flatten(len(kept)))
        return first.reshape([1 if d in dims else n for d, n in enumerate(z.shape)]) if self.keepdim else first

    def windows(self, z: Tensor, fill: float) -> Tensor:
        dims = sorted(d % z.ndim for d in self.dims)
        kept = [d for d in range(z.ndim) if d not in dims]
        inputs = z.permute(*dims, *kept).flatten(0, len(dims) - 1)
        return inputs.reshape(-1, *(1 if d in dims else n for d, n in enumerate(z.shape))) if self.keepdim else inputs

    def num_pieces(self, *shapes: torch.Size) -> int:
        return math.prod(shapes[0][d] for d in self.dims)

    def jacobian_bound(self, *inputs: Tensor) -> Tensor:
        return inputs[0].sum(self.dims, self.keepdim)


_MAX_POOLS: tuple[Callable[..., Any], ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_ADAPTIVE_MAX_POOLS: tuple[Callable[..., Any], ...] = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)
_ADAPTIVE_AVG_POOLS: tuple[Callable[..., Tensor], ...] = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
_CONVOLUTIONS: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)


@dataclass(frozen=True)
class MaxPool(Nonlinearity):
    """Max-pooling over 1 to 3 spatial dimensions: overlap, padding, dilation and ceil_mode as in ``torch.nn``."""

    name = "max_pool"
    kernel: tuple[int, ...] = (2, 2)
    stride: tuple[int, ...] = (2, 2)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    ceil_mode: bool = False

    def _pool(self, z: Tensor, return_indices: bool = False) -> Any:
        pool = _MAX_POOLS[len(self.kernel) - 1]
        return pool(z, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode, return_indices)

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return self._pool(inputs[0])

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        z, spatial = inputs[0], len(self.kernel)
        argmax: Tensor = self._pool(z, return_indices=True)[1]
        piece = torch.zeros_like(argmax)
        for axis, position in enumerate(_unravel(argmax, z.shape[-spatial:])):
            start = _window_axis(argmax, axis - spatial) * self.stride[axis] - self.padding[axis]
            piece = piece * self.kernel[axis] + (position - start) // self.dilation[axis]
        return piece

    def windows(self, z: Tensor, fill: float) -> Tensor:
        out = self._pool(torch.zeros(1, 1, *z.shape[-len(self.kernel) :])).shape[-len(self.kernel) :]
        axes = zip(out, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        tables = [
            torch.arange(n).unsqueeze(1) * stride - padding + torch.arange(kernel) * dilation
            for n, kernel, stride, padding, dilation in axes
        ]
        return _window_inputs(z, tables, fill)

    def num_pieces(self, *shapes: torch.Size) -> int:
        return math.prod(self.kernel)

    def jacobian_bound(self, *inputs: Tensor) -> Tensor:
        """Window sums: a depthwise convolution with ones, with zero padding for windows that reach past the end."""
        z, spatial = inputs[0], len(self.kernel)
        out = self(z.detach()).shape[-spatial:]
        pads: list[int] = []
        for axis in reversed(range(spatial)):
            reach = (out[axis] - 1) * self.stride[axis] + self.dilation[axis] * (self.kernel[axis] - 1) + 1
            pads += [self.padding[axis], max(0, reach - self.padding[axis] - z.shape[axis - spatial])]
        lead = z.shape[:-spatial]
        padded = F.pad(z, pads)
        single_channel = padded.reshape(-1, 1, *padded.shape[-spatial:])
        ones = z.new_ones(1, 1, *self.kernel)
        sums = _CONVOLUTIONS[spatial - 1](single_channel, ones, stride=self.stride, dilation=self.dilation)
        return sums[(..., *(slice(n) for n in out))].reshape(*lead, *out)


@dataclass(frozen=True)
class AdaptiveMaxPool(Nonlinearity):
    """Adaptive max-pooling over 1 to 3 spatial dimensions to a fixed output size.

    Window i of ``out`` windows over ``full`` positions is [⌊i·full/out⌋, ⌈(i + 1)·full/out⌉), as in PyTorch.
    """

    name = "adaptive_max_pool"
    size: tuple[int, ...] = (1, 1)

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return _ADAPTIVE_MAX_POOLS[len(self.size) - 1](inputs[0], self.size)

    def active_piece(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        z, spatial = inputs[0], len(self.size)
        argmax: Tensor = _ADAPTIVE_MAX_POOLS[spatial - 1](z, self.size, return_indices=True)[1]
        piece = torch.zeros_like(argmax)
        for axis, position in enumerate(_unravel(argmax, z.shape[-spatial:])):
            full, out = z.shape[axis - spatial], self.size[axis]
            start = _window_axis(argmax, axis - spatial) * full // out
            piece = piece * max(_adaptive_windows(full, out)) + (position - start)
        return piece

    def windows(self, z: Tensor, fill: float) -> Tensor:
        tables: list[Tensor] = []
        for full, out in zip(z.shape[-len(self.size) :], self.size, strict=True):
            lengths = torch.tensor(_adaptive_windows(full, out)).unsqueeze(1)
            at = torch.arange(int(lengths.max()))
            tables.append(torch.where(at < lengths, torch.arange(out).unsqueeze(1) * full // out + at, -1))
        return _window_inputs(z, tables, fill)

    def num_pieces(self, *shapes: torch.Size) -> int:
        spatial = len(self.size)
        return math.prod(max(_adaptive_windows(n, out)) for n, out in zip(shapes[0][-spatial:], self.size, strict=True))

    def jacobian_bound(self, *inputs: Tensor) -> Tensor:
        """Window sums: averages times the sizes of the windows."""
        z, spatial = inputs[0], len(self.size)
        area = z.new_ones(())
        for full, out in zip(z.shape[-spatial:], self.size, strict=True):
            area = area.unsqueeze(-1) * z.new_tensor(_adaptive_windows(full, out))
        return _ADAPTIVE_AVG_POOLS[spatial - 1](z, self.size) * area


@dataclass(frozen=True)
class Floored(Nonlinearity):
    """max(0, h) for the largest h of each window of another nonlinearity; piece 0 is the constant 0."""

    name = "floored window"
    window: Nonlinearity = field(default_factory=Nonlinearity)

    def __call__(self, *inputs: Tensor, **constants: Tensor) -> Tensor:
        return torch.relu(self.window(*inputs))

    def windows(self, z: Tensor, fill: float) -> Tensor:
        inputs = self.window.windows(z, fill)
        return torch.cat([torch.zeros_like(inputs[:1]), inputs])

    def num_pieces(self, *shapes: torch.Size) -> int:
        return self.window.num_pieces(*shapes) + 1


def _adaptive_windows(full: int, out: int) -> list[int]:
    """Length of each window along one axis of an adaptive pool."""
    return [-(-(i + 1) * full // out) - i * full // out for i in range(out)]


def _window_inputs(z: Tensor, tables: Sequence[Tensor], fill: float) -> Tensor:
    """The inputs (pieces, …, *out) of windows given by one table (windows, positions) an axis; ``fill`` outside of z."""
    spatial = len(tables)
    padded = F.pad(z, (0, 1) * spatial, value=fill)
    for axis, table in enumerate(tables):
        dim = z.ndim - spatial + 2 * axis
        n = z.shape[axis - spatial]
        index = torch.where((table < 0) | (table >= n), n, table).to(z.device)
        padded = padded.index_select(dim, index.flatten()).unflatten(dim, tuple(table.shape))
    lead = z.ndim - spatial
    order = [*(lead + 2 * a + 1 for a in range(spatial)), *range(lead), *(lead + 2 * a for a in range(spatial))]
    return padded.permute(order).flatten(0, spatial - 1)


def _first_argmax(z: Tensor) -> Tensor:
    """Index of the first maximum along the last dimension (``torch.argmax`` guarantees no order among ties)."""
    positions = torch.arange(z.shape[-1], device=z.device)
    return torch.where(z == z.amax(-1, keepdim=True), positions, z.shape[-1]).amin(-1)


def _unravel(flat: Tensor, shape: Sequence[int]) -> list[Tensor]:
    """Positions along each axis, one tensor per axis, from row-major flat indices."""
    axes: list[Tensor] = []
    for n in reversed(shape):
        axes.append(flat % n)
        flat = flat // n
    return axes[::-1]


def _window_axis(indices: Tensor, dim: int) -> Tensor:
    """Window indices 0, 1, 2, ... along dimension ``dim`` (negative), in a shape that broadcasts against ``indices``."""
    return torch.arange(indices.shape[dim], device=indices.device).reshape(-1, *(1,) * (-dim - 1))
