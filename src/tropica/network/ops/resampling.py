"""Padding, average pooling and interpolation.

The entries of the Jacobians are nonnegative: 0, 1, or the weights of an average. (Padding also adds a constant.)
"""

from __future__ import annotations

from tropica.network.ops.layout import unweighted

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
