"""Padding, average pooling and interpolation.

The entries of the Jacobians are nonnegative: 0, 1, or the weights of an average. (Padding also adds a constant.) Bicubic
interpolation has weights of both signs; it is a product with a matrix along each of the two dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tropica.network.builder import Builder, Value
from tropica.network.ops.layout import unweighted
from tropica.network.ops.registry import aten, op

PADS = (
    "pad.default",
    "constant_pad_nd.default",
    "reflection_pad1d.default",
    "reflection_pad2d.default",
    "reflection_pad3d.default",
    "replication_pad1d.default",
    "replication_pad2d.default",
    "replication_pad3d.default",
)
AVERAGES = (
    "avg_pool1d.default",
    "avg_pool2d.default",
    "avg_pool3d.default",
    "adaptive_avg_pool1d.default",
    "adaptive_avg_pool2d.default",
    "adaptive_avg_pool3d.default",
    "_adaptive_avg_pool2d.default",
    "_adaptive_avg_pool3d.default",
)
INTERPOLATIONS = (
    "upsample_nearest1d.vec",
    "upsample_nearest2d.vec",
    "upsample_nearest3d.vec",
    "upsample_nearest1d.default",
    "upsample_nearest2d.default",
    "upsample_nearest3d.default",
    "_upsample_nearest_exact1d.vec",
    "_upsample_nearest_exact2d.vec",
    "_upsample_nearest_exact3d.vec",
    "upsample_linear1d.vec",
    "upsample_linear1d.default",
    "upsample_bilinear2d.vec",
    "upsample_bilinear2d.default",
    "upsample_trilinear3d.vec",
    "_upsample_bilinear2d_aa.vec",
)

unweighted(*PADS, *AVERAGES, *INTERPOLATIONS)


def _cubic(packet: str) -> None:
    function = aten(f"{packet}.default")

    @op(f"{packet}.default")
    def rule(
        b: Builder, x: Value, size: Sequence[int], align: bool, up: float | None = None, across: float | None = None
    ) -> Value:
        height, width = x.shape[-2:]
        # Unit vectors along one axis, constant along the other, where the weights of a window sum to 1.
        rows = torch.eye(height, dtype=torch.float64)[:, None, :, None].repeat(1, 1, 1, 2)
        columns = torch.eye(width, dtype=torch.float64)[:, None, None, :].repeat(1, 1, 2, 1)
        down = function(rows, [size[0], 2], align, up, None)[:, 0, :, 0].T.contiguous()
        right = function(columns, [2, size[1]], align, None, across)[:, 0, 0].contiguous()
        out = b.affine(lambda x, weight: weight @ x, x, weight=down)
        return b.affine(lambda x, weight: x @ weight, out, weight=right)

    @op(f"{packet}.vec")
    def with_factors(b: Builder, x: Value, size: Sequence[int] | None, align: bool, factors: Sequence[float] | None) -> Any:
        target = size or [int(n * f) for n, f in zip(x.shape[-2:], factors or (), strict=True)]
        return rule(b, x, target, align, *(factors or (None, None)))


for _name in ("upsample_bicubic2d", "_upsample_bicubic2d_aa"):
    _cubic(_name)
