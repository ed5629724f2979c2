"""Convolutions and transposed convolutions in 1, 2 and 3 dimensions."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tropica.network.builder import Builder, Refused, Value
from tropica.network.table import aten, op

CONVOLUTIONS = (
    "conv1d.default",
    "conv1d.padding",
    "conv2d.default",
    "conv2d.padding",
    "conv3d.default",
    "conv3d.padding",
    "conv_transpose1d.default",
    "conv_transpose2d.input",
    "conv_transpose3d.input",
    "convolution.default",
)


def _convolution(name: str) -> None:
    function = aten(name)

    @op(name)
    def rule(b: Builder, x: Value | Tensor, weight: Tensor | Value, bias: Tensor | None = None, *settings: Any) -> Value:
        if not isinstance(x, Value) or not isinstance(weight, Tensor) or isinstance(bias, Value):
            raise Refused("its filter depends on the input; a constant filter is needed")

        def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            return function(x, weight, bias, *settings)

        return b.affine(convolve, x, weight=weight, bias=bias)


for _name in CONVOLUTIONS:
    _convolution(_name)
