"""``onnx.reference``, with a few ops as the ONNX specification defines them, where the package does not.

The package evaluates BatchNormalization before version 14 with the statistics of its input, Softmax and LogSoftmax before
version 13 over one axis in place of all axes from ``axis`` on, and MaxPool with padding on other windows. Its AveragePool is
right, and takes 300 times as long. It does not evaluate ConvTranspose with ``output_shape`` alone, Resize 10, most forms of
Upsample, and Pad with negative numbers. Nothing here is shared with the rules that read these ops.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

_LATEST = 22


class BatchNormalization(OpRun):
    """Inference of the versions 7 and 9, with one number per channel."""

    op_domain = ""

    def _run(self, x: Any, scale: Any, bias: Any, mean: Any, var: Any, epsilon: Any = None, **unused: Any) -> tuple[np.ndarray]:
        scale, bias, mean, var = (a.reshape(-1, *(1,) * (x.ndim - 2)) for a in (scale, bias, mean, var))
        return (((x - mean) / np.sqrt(var + epsilon) * scale + bias).astype(x.dtype),)


class Softmax(OpRun):
    """The version 11 and older: the axes from ``axis`` on, by default from 1 on, are joined."""

    op_domain = ""

    def _run(self, x: Any, axis: Any = None) -> tuple[np.ndarray]:
        stated = [a.i for a in self.onnx_node.attribute if a.name == "axis"]
        axis = stated[0] % x.ndim if stated else 1
        matrix = x.reshape(math.prod(x.shape[:axis]), -1)
        shifted = matrix - matrix.max(1, keepdims=True)
        return (self.finish(shifted).reshape(x.shape).astype(x.dtype),)

    def finish(self, z: np.ndarray) -> np.ndarray:
        """The output for rows whose largest entry is 0."""
        return np.exp(z) / np.exp(z).sum(1, keepdims=True)


class LogSoftmax(Softmax):
    """The version 11 and older."""

    def finish(self, z: np.ndarray) -> np.ndarray:
        return z - np.log(np.exp(z).sum(1, keepdims=True))


class MaxPool(OpRun):
    """The largest entry of each window: windows reach into −∞ on both sides. The positions are not computed.

    For ``auto_pad`` there are ⌈size/stride⌉ windows; the odd entry of the padding is behind (SAME_UPPER) or before.
    """

    op_domain = ""

    def _run(self, x: Any, kernel_shape: Any = None, **attributes: Any) -> tuple[np.ndarray, ...]:
        starts, _ = _window_starts(x.shape[2:], kernel_shape, attributes)
        largest = np.full((*x.shape[:2], *(len(at) for at in starts)), -np.inf, x.dtype)
        for at in _positions(starts, kernel_shape, attributes):
            inside, entries = _entries(x, at)
            largest = np.maximum(largest, np.where(inside, entries, -np.inf))
        return (largest, np.zeros(largest.shape, np.int64))[: len(self.onnx_node.output)]


class AveragePool(OpRun):
    """The mean of each window, over the entries inside, or (``count_include_pad``) those in the padding too, which are 0."""

    op_domain = ""

    def _run(self, x: Any, kernel_shape: Any = None, **attributes: Any) -> tuple[np.ndarray]:
        starts, ends = _window_starts(x.shape[2:], kernel_shape, attributes)
        total = np.zeros((*x.shape[:2], *(len(at) for at in starts)))
        count = np.zeros(total.shape[2:])
        for at in _positions(starts, kernel_shape, attributes):
            inside, entries = _entries(x, at)
            total += np.where(inside, entries, 0)
            padded = np.all([p < end for p, end in zip(np.broadcast_arrays(*at), ends, strict=True)], axis=0)
            count += padded if attributes.get("count_include_pad") else inside
        return ((total / count).astype(x.dtype),)


def _window_starts(sizes: Sequence[int], kernel: Sequence[int], attributes: Any) -> tuple[list[np.ndarray], list[int]]:
    """Along each axis the first positions of all windows, and the end of the padding."""
    spatial, auto, ceil = len(kernel), attributes.get("auto_pad"), attributes.get("ceil_mode")
    strides, dilations = (attributes.get(name) or [1] * spatial for name in ("strides", "dilations"))
    pads = attributes.get("pads") or [0] * 2 * spatial
    starts, ends = [], []
    for i, (n, k, s, d) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        before, after = (0, 0) if auto == "VALID" else (pads[i], pads[spatial + i])
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            missing = max(0, (math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n)
            before = missing // 2 if auto == "SAME_UPPER" else math.ceil(missing / 2)
            after = missing - before
        last = n + after - (k - 1) * d - 1
        possible = np.arange(-before, last + (s if ceil else 1), s)
        starts.append(possible[(possible <= last) | (possible < n)])
        ends.append(n + after)
    return starts, ends


def _positions(starts: list[np.ndarray], kernel: Sequence[int], attributes: Any) -> Iterator[tuple[np.ndarray, ...]]:
    """For each place in a window its position along each axis, as an open mesh over all windows."""
    dilations = attributes.get("dilations") or [1] * len(kernel)
    for offset in itertools.product(*map(range, kernel)):
        yield np.ix_(*(start + j * d for start, j, d in zip(starts, offset, dilations, strict=True)))


def _entries(x: np.ndarray, at: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Whether positions are inside, and the entries there; those outside have the nearest one inside."""
    inside = np.all([(p >= 0) & (p < n) for p, n in zip(np.broadcast_arrays(*at), x.shape[2:], strict=True)], axis=0)
    clipped = tuple(np.clip(p, 0, n - 1) for p, n in zip(at, x.shape[2:], strict=True))
    return inside, x[(slice(None), slice(None), *clipped)]


class ConvTranspose(OpRun):
    """``output_shape`` as numbers: what the whole output has too much is cut, the odd one before, or behind (SAME_UPPER)."""

    op_domain = ""

    def _run(self, x: Any, w: Any, b: Any = None, **attributes: Any) -> tuple[np.ndarray, ...]:
        shape = attributes.pop("output_shape", None)
        if shape is not None:
            spatial, upper = x.ndim - 2, attributes.pop("auto_pad", None) == "SAME_UPPER"
            strides, dilations = (attributes.get(name) or [1] * spatial for name in ("strides", "dilations"))
            extra = attributes.get("output_padding") or [0] * spatial
            sizes = zip(x.shape[2:], w.shape[2:], strides, dilations, extra, list(shape)[-spatial:], strict=True)
            cut = [s * (n - 1) + (k - 1) * d + 1 + e - m for n, k, s, d, e, m in sizes]
            less, more = [c // 2 for c in cut], [c - c // 2 for c in cut]
            attributes["pads"] = [*less, *more] if upper else [*more, *less]
        return _alone("ConvTranspose", [x, w] if b is None else [x, w, b], 1, **attributes)


class Resize(OpRun):
    """The version 10: positions x/scale, rounded down for nearest."""

    op_domain = ""

    def _run(self, x: Any, scales: Any = None, mode: Any = None, **attributes: Any) -> tuple[np.ndarray, ...]:
        stated = attributes.get("scales") if scales is None else scales
        inputs = [x, np.zeros(0, np.float32), np.asarray(stated, np.float32)]
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return _alone("Resize", inputs, 1, mode=mode, **how)


class Upsample(Resize):
    """The versions 7 and 9, as Resize 10."""


class Pad(OpRun):
    """Entries are cut where a number is negative, then the others are added."""

    op_domain = ""

    def _run(
        self, x: Any, pads: Any = None, value: Any = None, axes: Any = None, mode: Any = None, **unused: Any
    ) -> tuple[np.ndarray, ...]:
        dims = range(x.ndim) if axes is None else [int(a) % x.ndim for a in axes]
        ends = np.zeros((2, x.ndim), np.int64)
        ends[:, list(dims)] = np.reshape(pads, (2, -1))
        cut = tuple(slice(max(0, -p), n - max(0, -q)) for n, p, q in zip(x.shape, *ends, strict=True))
        more = np.maximum(ends, 0).reshape(-1)
        number = np.asarray(0 if value is None else value, x.dtype).reshape(())
        return _alone("Pad", [np.ascontiguousarray(x[cut]), more, number], 1, mode=mode)


def _alone(op: str, inputs: Sequence[np.ndarray], outputs: int, **attributes: Any) -> tuple[np.ndarray, ...]:
    """The outputs of one op by the package's own evaluator."""
    names, results = [f"x{i}" for i in range(len(inputs))], [f"y{i}" for i in range(outputs)]
    node = onnx.helper.make_node(op, names, results, **{key: v for key, v in attributes.items() if v is not None})
    dtypes = (onnx.helper.np_dtype_to_tensor_dtype(x.dtype) for x in inputs)
    typed = [onnx.helper.make_tensor_value_info(n, t, x.shape) for n, t, x in zip(names, dtypes, inputs, strict=True)]
    graph = onnx.helper.make_graph([node], op, typed, [onnx.helper.make_empty_tensor_value_info(n) for n in results])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", _LATEST)])
    found: Any = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    return tuple(found)


def reference(model: onnx.ModelProto) -> ReferenceEvaluator:
    """The reference evaluator of a model."""
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    replaced: list[type[OpRun]] = [AveragePool, ConvTranspose, MaxPool, Pad, Upsample]
    replaced += [BatchNormalization] if opset < 14 else []
    replaced += [Softmax, LogSoftmax] if opset < 13 else []
    replaced += [Resize] if opset < 11 else []
    return ReferenceEvaluator(model, new_ops=replaced)
