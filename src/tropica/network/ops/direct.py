"""Linear ops that the network runs as they are: layout, windows, averages, interpolation.

None of them multiplies by a constant, and no entry of their Jacobians is negative: 0, 1, or a share of an average. (Padding
adds a constant, too.)
"""

from __future__ import annotations

from typing import Any

from tropica.network.builder import Builder, Value
from tropica.network.table import aten, op

LAYOUT = (
    "permute.default",
    "transpose.int",
    "t.default",
    "movedim.int",
    "movedim.intlist",
    "narrow.default",
    "unsqueeze.default",
    "select.int",
    "diagonal.default",
    "flip.default",
    "roll.default",
    "rot90.default",
    "unfold.default",
    "im2col.default",
    "col2im.default",
    "repeat_interleave.self_int",
    "pixel_shuffle.default",
    "pixel_unshuffle.default",
    "channel_shuffle.default",
    "tril.default",
    "triu.default",
)
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


def _direct(name: str) -> None:
    function = aten(name)

    @op(name)
    def rule(b: Builder, x: Value, *settings: Any, **named: Any) -> Value:
        return b.affine(lambda x: function(x, *settings, **named), x)


for _name in (*LAYOUT, *PADS, *AVERAGES, *INTERPOLATIONS):
    _direct(_name)
