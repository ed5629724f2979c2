"""A network at a point: its affine map by automatic differentiation, and its value, map and pattern in Fractions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LocalMap(NamedTuple):
    """x -> weight[b] . x + bias[b], the map of point b's region: weight (B, s, *input), bias (B, s), float64."""

    weight: Tensor
    bias: Tensor


def local_affine_map(model: nn.Module, x: Tensor) -> LocalMap:
    """The affine map of `model` around each of the points x (B, *input), one row of the Jacobian at a time, in float64.

    `model` maps (B, *input) to (B, s), each point by itself; it is copied, and neither it nor x is changed. At a point
    where the network is not differentiable this is whichever piece autograd picks.
    """
    double = deepcopy(model).double().requires_grad_(False)
    points = x.detach().double()
    # A sum over the batch has the points' own Jacobians as its Jacobian: no point enters another one's output.
    weight = torch.func.jacrev(lambda batch: double(batch).sum(0), chunk_size=1)(points)
    weight = weight.movedim(1, 0)
    return LocalMap(weight, double(points) - _apply(weight, points))


def local_values(local: LocalMap, x: Tensor) -> Tensor:
    """The value of each map at its own point (B, s)."""
    return _apply(local.weight, x.detach().double()) + local.bias


def _apply(weight: Tensor, points: Tensor) -> Tensor:
    return torch.einsum("bsd,bd->bs", weight.flatten(2), points.flatten(1))


class ExactPoint(NamedTuple):
    """A network at one point, without rounding.

    value (s); weight (s rows of d) and bias (s) of the affine map of the point's cell, value = weight x + bias;
    pattern, a tuple of booleans per (leaky) ReLU layer: preactivation > 0.
    """

    value: list[Fraction]
    weight: list[list[Fraction]]
    bias: list[Fraction]
    pattern: tuple[tuple[bool, ...], ...]


def exact_at(model: nn.Module, x: Tensor | Iterable[Fraction | float | int]) -> ExactPoint:
    """`model` at one point x (d), with the stored floating-point weights and inputs taken as exact rationals.

    `model` is an `nn.Sequential` of Linear, ReLU and LeakyReLU (Flatten, Dropout and Identity do nothing here).
    """
    point = [Fraction(float(value)) for value in x.flatten()] if isinstance(x, Tensor) else [Fraction(v) for v in x]
    one, zero = Fraction(1), Fraction(0)
    weight = [[one if i == j else zero for j in range(len(point))] for i in range(len(point))]
    bias, value, pattern = [zero] * len(point), point, []
    for layer in _leaves(model):
        if isinstance(layer, nn.Linear):
            W, b = _fractions(layer)
            weight = [[_dot(row, column) for column in zip(*weight, strict=True)] for row in W]
            bias = [_dot(row, bias) + constant for row, constant in zip(W, b, strict=True)]
            value = [_dot(row, value) + constant for row, constant in zip(W, b, strict=True)]
        else:
            active = tuple(entry > 0 for entry in value)
            slopes = [one if on else _slope(layer) for on in active]
            weight = [[slope * entry for entry in row] for slope, row in zip(slopes, weight, strict=True)]
            bias = [slope * entry for slope, entry in zip(slopes, bias, strict=True)]
            value = [slope * entry for slope, entry in zip(slopes, value, strict=True)]
            pattern.append(active)
    return ExactPoint(value, weight, bias, tuple(pattern))


def _leaves(model: nn.Module) -> Iterable[nn.Module]:
    if isinstance(model, nn.Sequential):
        for child in model:
            yield from _leaves(child)
    elif not isinstance(model, nn.Flatten | nn.Dropout | nn.Identity):
        yield model


def _slope(layer: nn.Module) -> Fraction:
    match layer:
        case nn.ReLU():
            return Fraction(0)
        case nn.LeakyReLU():
            return Fraction(layer.negative_slope)
    raise NotImplementedError(f"no exact arithmetic for {layer}")


def _fractions(layer: nn.Linear) -> tuple[list[list[Fraction]], list[Fraction]]:
    weight = [[Fraction(float(entry)) for entry in row] for row in layer.weight.detach()]
    if layer.bias is None:
        return weight, [Fraction(0)] * layer.out_features
    return weight, [Fraction(float(entry)) for entry in layer.bias.detach()]


def _dot(row: Sequence[Fraction], column: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(row, column, strict=True)), Fraction(0))
