"""Evaluation of the parts of an ONNX graph that do not depend on its input, by the package's own reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from tropica.network.builder import Refused

MOST_ENTRIES = 2**26
"""Largest number of entries of a computed constant."""
_ELEMENTWISE = (
    *("Add", "Sub", "Mul", "Div", "Mod", "Pow", "Max", "Min", "Sum", "Mean", "Where", "And", "Or", "Xor", "Not"),
    *("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Abs", "Neg", "Sqrt", "Reciprocal", "Exp", "Log"),
    *("Floor", "Ceil", "Round", "Sign", "Clip", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Cast", "CastLike"),
    *("Identity", "Dropout", "DequantizeLinear", "PRelu"),
)
_NO_LARGER = (
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Split", "Slice", "Shape", "Size", "Constant"),
    *("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "NonZero", "CumSum", "Trilu", "ScatterND"),
    *("DepthToSpace", "SpaceToDepth"),
)
_SIZED = ("ConstantOfShape", "Expand", "Tile", "Range", "Gather", "Pad", "MatMul", "Gemm")
FOLDED = tuple(sorted({*_ELEMENTWISE, *_NO_LARGER, *_SIZED}))
"""Ops that are evaluated where all of their inputs are constants."""


def fold(node: onnx.NodeProto, opset: int, inputs: Sequence[Tensor | None]) -> list[Tensor]:
    """The outputs of one node on constants, in the types that the file states."""
    if node.op_type not in FOLDED:
        raise Refused("all of its inputs are constants, and it is not among the ops that are evaluated on constants")
    arrays = [None if x is None else x.numpy() for x in inputs]
    _check_size(node.op_type, arrays)
    names = [f"x{i}" if name else "" for i, name in enumerate(node.input)]
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    del alone.input[:]
    alone.input.extend(names)
    graph = onnx.helper.make_graph(
        [alone],
        "constants",
        [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays, strict=True)
            if array is not None
        ],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    with np.errstate(all="ignore"):
        found: Any = ReferenceEvaluator(model).run(None, {n: a for n, a in zip(names, arrays, strict=True) if a is not None})
    outputs = iter(found)
    return [to_tensor(np.asarray(next(outputs))) if name else torch.empty(0) for name in node.output]


def to_tensor(array: np.ndarray) -> Tensor:
    """A NumPy array as a tensor of its own memory; refuse types that torch does not have."""
    try:
        return torch.from_numpy(np.array(array))
    except TypeError:
        raise Refused(f"it is a constant of type {array.dtype}, which is not read") from None


def _check_size(op: str, arrays: Sequence[np.ndarray | None]) -> None:
    """Refuse a constant of more than `MOST_ENTRIES` entries before it is computed."""
    size = _size(op, arrays)
    if size > MOST_ENTRIES:
        raise Refused(f"its output has up to {size:,.0f} entries; constants of up to {MOST_ENTRIES:,} are computed")


def _size(op: str, arrays: Sequence[np.ndarray | None]) -> float:
    """An upper bound of the number of entries of the output."""
    given = [a for a in arrays if a is not None]
    total = sum(a.size for a in given)
    if op in _ELEMENTWISE:
        return math.prod(np.broadcast_shapes(*(a.shape for a in given)))
    match op, given:
        case "ConstantOfShape", [shape]:
            return _product(shape)
        case "Expand" | "Tile", [x, counts]:
            return _product(counts) * max(x.size, 1)
        case "Range", [start, limit, step]:
            return abs((float(limit) - float(start)) / float(step)) + 1 if float(step) else math.inf
        case "Gather", [x, index]:
            return x.size * max(index.size, 1)
        case "Pad", [x, pads, *_]:
            return math.prod(n + float(np.abs(pads).sum()) for n in x.shape)
        case "MatMul" | "Gemm", [x, y, *_]:
            return x.size // max(1, min(x.shape[-2:], default=1)) * y.size
    return total if op not in _SIZED else math.inf


def _product(numbers: np.ndarray) -> float:
    return math.prod(float(abs(n)) for n in numbers.flatten())
