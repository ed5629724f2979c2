"""The nonlinearities as rows of numbers: a threshold at each unit, or the maximum over a window of the inputs.

* :class:`Threshold`: h = hi·z where z is above its level, else lo·z + offset (relu, leaky relu, prelu, abs, a floor);
* :class:`Window`: h = the largest of the inputs that the unit looks at (max-pooling, amax, maximum), the first at a tie.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.network.nonlinearities import (
    Abs,
    AdaptiveMaxPool,
    Amax,
    ClampMin,
    LeakyRelu,
    Maximum,
    MaxPool,
    Nonlinearity,
    PRelu,
    Relu,
)


@dataclass(frozen=True)
class Threshold:
    """One input a unit: hi·z above the level, lo·z + offset below; all (units,).

    ``above_at_tie`` says which of the two the activation pattern names where z is at its level.
    """

    level: Tensor
    lo: Tensor
    hi: Tensor
    offset: Tensor
    above_at_tie: bool

    @property
    def is_relu(self) -> bool:
        """Is it max(z, 0), with 0 below at a tie?"""
        return not self.above_at_tie and bool(((self.lo == 0) & (self.hi == 1) & (self.level == 0)).all())

    @property
    def options(self) -> int:
        """2."""
        return 2


@dataclass(frozen=True)
class Window:
    """The positions in the nonlinearity's inputs, one after the other, that each unit takes the maximum of: (units, options).

    A position of −1 stands for none (padding).
    """

    positions: Tensor
    options: int


NonlinearityForm = Threshold | Window
Shape = Sequence[int]


def nonlinearity_form(
    kind: Nonlinearity, inputs: Sequence[Shape], output: Shape, constants: Mapping[str, Tensor]
) -> NonlinearityForm:
    """The form of a nonlinearity whose tensors have these shapes for one point."""
    if isinstance(kind, (Relu, LeakyRelu, PRelu, Abs, ClampMin)):
        return _threshold(kind, inputs[0], constants)
    if isinstance(kind, Maximum):
        positions, start = [], 0
        for shape in inputs:
            count = math.prod(shape)
            positions.append(torch.arange(start, start + count).reshape(tuple(shape)).expand(tuple(output)).reshape(-1))
            start += count
        table = torch.stack(positions, 1)
    elif isinstance(kind, Amax):
        ndim = len(inputs[0])
        dims = sorted(d % ndim for d in kind.dims)
        kept = [d for d in range(ndim) if d not in dims]
        table = _numbered(inputs[0]).permute(*kept, *dims).flatten(len(kept)).reshape(math.prod(output), -1)
    elif isinstance(kind, MaxPool):
        spatial = len(kind.kernel)
        axes = [
            torch.arange(out).unsqueeze(1) * stride - padding + torch.arange(kernel) * dilation
            for out, kernel, stride, padding, dilation in zip(
                output[-spatial:], kind.kernel, kind.stride, kind.padding, kind.dilation, strict=True
            )
        ]
        table = _pooled(inputs[0], axes)
    elif isinstance(kind, AdaptiveMaxPool):
        axes = []
        for full, out in zip(inputs[0][-len(kind.size) :], output[-len(kind.size) :], strict=True):
            ends = [(i * full // out, -(-(i + 1) * full // out)) for i in range(out)]
            longest = max(stop - start for start, stop in ends)
            axes.append(torch.tensor([[*range(a, z), *itertools.repeat(-1, longest - (z - a))] for a, z in ends]))
        table = _pooled(inputs[0], axes)
    else:
        raise NotImplementedError(f"no form for a nonlinearity of kind {kind.name!r}")
    return Window(table, table.shape[1])


def _threshold(kind: Nonlinearity, shape: Shape, constants: Mapping[str, Tensor]) -> Threshold:
    shape = tuple(shape)
    zeros = torch.zeros(math.prod(shape), dtype=torch.float64)
    ones = torch.ones_like(zeros)
    if isinstance(kind, ClampMin):
        level = constants["level"].double().expand(shape).reshape(-1)
        return Threshold(level, zeros, ones, level, kind.tie != 0)
    below = -kind(-ones.reshape(shape), **constants).reshape(-1)
    return Threshold(zeros, below, ones, zeros, False)


def _numbered(shape: Shape) -> Tensor:
    return torch.arange(math.prod(shape)).reshape(tuple(shape))


def _pooled(shape: Shape, axes: Sequence[Tensor]) -> Tensor:
    """Windows from the positions (outputs, kernel) along each spatial axis; positions outside are none."""
    spatial = len(axes)
    full = shape[-spatial:]
    place = torch.zeros((1,) * (2 * spatial), dtype=torch.long)
    valid = torch.ones((1,) * (2 * spatial), dtype=torch.bool)
    for d, (axis, n) in enumerate(zip(axes, full, strict=True)):
        view = [1] * (2 * spatial)
        view[d], view[spatial + d] = axis.shape
        at = axis.reshape(view)
        place = place * n + at.clamp(0, n - 1)
        valid = valid & (at >= 0) & (at < n)
    table = torch.where(valid, place, -1).reshape(math.prod(a.shape[0] for a in axes), -1)
    lead = math.prod(shape[:-spatial])
    starts = torch.arange(lead).reshape(-1, 1, 1) * math.prod(full)
    return torch.where(table >= 0, table + starts, -1).reshape(-1, table.shape[1])
