"""Padding with a constant, or with entries of the input."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from tropica.network.builder import Builder, Refused
from tropica.network.readers.onnx_ops.registry import Call, op
from tropica.network.readers.per_point import MOST_INDEX, Activation, axis_of, bounded, stripped, take, view

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


@op("Pad")
def pad(b: Builder, call: Call) -> Activation:
    """Entries added at both ends of axes, or cut where a number is negative."""
    x, mode = call.activation(), call.attribute("mode")
    pads = call.integers(1, "list of pads", "pads")
    axes = call.integers(3, "list of axes")
    number = _number(call)
    dims = [axis_of(a, x.ndim) for a in axes] if axes is not None else list(range(x.ndim))
    if mode not in _MODES or pads is None or len(pads) != 2 * len(dims) or len(set(dims)) != len(dims):
        raise Refused(f"its mode is {mode!r}, its pads are {pads} and its axes {dims}, for an input {x.shape}")
    ends = {d: (pads[i], pads[i + len(dims)]) for i, d in enumerate(dims) if pads[i] or pads[i + len(dims)]}
    if any(x.shape[d] + min(p, 0) + min(q, 0) < 1 for d, (p, q) in ends.items()):
        raise Refused(f"its pads {pads} leave nothing of its input {x.shape}")
    out = tuple(n + sum(ends.get(d, (0, 0))) for d, n in enumerate(x.shape))
    if not ends:
        return x
    bounded(out)
    value, k = stripped(b, x, list(ends))
    if mode == "constant":
        flat = [n for d in reversed(range(k, x.ndim)) for n in ends.get(d, (0, 0))]
        return Activation(b.affine(lambda x: F.pad(x, flat, value=number), value), out)
    for d, (before, after) in ends.items():
        value = take(b, value, d - k + 1, _index(x.shape[d], before, after, mode))
    return Activation(view(b, Activation(value, out), out[k:]), out)


def _number(call: Call) -> float:
    """The number of constant padding: an input, in older versions an attribute; 0 by default."""
    if "value" in call.defaults:
        return call.attribute("value")
    number = call.constant(2, "padding value")
    found = 0.0 if number is None else float(number)
    if not math.isfinite(found):
        raise Refused(f"it pads with {found}")
    return found


def _index(size: int, before: int, after: int, mode: str) -> torch.Tensor:
    """The entries of an axis after padding by one of the modes that repeat entries."""
    if before + size + after > MOST_INDEX:
        raise Refused(f"it pads an axis of {size} to {before + size + after:,} entries")
    kept = np.arange(size)[max(-before, 0) : size - max(-after, 0)]
    return torch.from_numpy(np.pad(kept, (max(before, 0), max(after, 0)), mode=mode))  # pyright: ignore[reportCallIssue, reportArgumentType]
