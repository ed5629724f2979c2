"""Windows of convolutions and pools: sizes, strides, padding and the number of windows, as ONNX defines them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.network.builder import Refused
from tropica.network.readers.onnx_ops.registry import Call


@dataclass(frozen=True)
class SpatialWindows:
    """Windows over spatial axes; window o of an axis starts at o · stride − before.

    Attributes:
        sizes, kernel, stride, dilation: of each axis.
        before, after: padding at both ends of each axis.
        count: number of windows along each axis.
    """

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    count: tuple[int, ...]

    @classmethod
    def of(cls, call: Call, sizes: tuple[int, ...], kernel: tuple[int, ...], ceil: bool) -> SpatialWindows:
        """The windows that a node's ``strides``, ``dilations``, ``pads`` and ``auto_pad`` describe."""
        spatial = len(sizes)
        stride, dilation = strides_of(call, "strides", spatial), strides_of(call, "dilations", spatial)
        reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        auto, pads = call.attribute("auto_pad"), call.attribute("pads")
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            count = [-(-n // s) for n, s in zip(sizes, stride, strict=True)]
            total = [max(0, (c - 1) * s + r - n) for c, s, r, n in zip(count, stride, reach, sizes, strict=True)]
            small, large = [t // 2 for t in total], [t - t // 2 for t in total]
            before, after = (small, large) if auto == "SAME_UPPER" else (large, small)
        else:
            if auto not in ("NOTSET", "VALID", None):
                raise Refused(f"its auto_pad is {auto!r}")
            found = [0] * 2 * spatial if pads is None or auto == "VALID" else list(pads)
            if len(found) != 2 * spatial or min(found) < 0:
                raise Refused(f"its pads are {found}; {2 * spatial} nonnegative numbers are needed")
            before, after = found[:spatial], found[spatial:]
            room = [n + p + q - r for n, p, q, r in zip(sizes, before, after, reach, strict=True)]
            if min(room) < 0:
                raise Refused(f"its kernel {kernel} is larger than its padded input {sizes}")
            count = [(-(-m // s) if ceil else m // s) + 1 for m, s in zip(room, stride, strict=True)]
            if ceil:  # a window that starts in the padding behind the input is left out
                count = [c - ((c - 1) * s >= n + p) for c, s, n, p in zip(count, stride, sizes, before, strict=True)]
        # A stride past the padded input has no second window, and a kernel of 1 no second position; torch's are 32-bit.
        stride = tuple(min(s, n + p + q) for s, n, p, q in zip(stride, sizes, before, after, strict=True))
        dilation = tuple(1 if k == 1 else d for d, k in zip(dilation, kernel, strict=True))
        return cls(sizes, kernel, stride, dilation, tuple(before), tuple(after), tuple(count))

    @property
    def padded(self) -> tuple[int, ...]:
        """Sizes of the axes with their padding."""
        return tuple(n + p + q for n, p, q in zip(self.sizes, self.before, self.after, strict=True))

    @property
    def torch_pads(self) -> list[int]:
        """The padding in the order of ``torch.nn.functional.pad``."""
        return [n for pair in reversed(list(zip(self.before, self.after, strict=True))) for n in pair]

    def positions(self, axis: int) -> np.ndarray:
        """Positions (count, kernel) of each window along an axis; those outside of [0, size) are in the padding."""
        starts = np.arange(self.count[axis]) * self.stride[axis] - self.before[axis]
        return starts[:, None] + np.arange(self.kernel[axis]) * self.dilation[axis]


def strides_of(call: Call, name: str, spatial: int) -> tuple[int, ...]:
    """Strides or dilations, positive, one for each axis; 1 by default."""
    found = call.attribute(name)
    values = (1,) * spatial if found is None else tuple(found)
    if len(values) != spatial or min(values) < 1:
        raise Refused(f"its {name} are {list(values)}; {spatial} positive numbers are needed")
    return values
