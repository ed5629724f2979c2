"""The content of an ONNX file: checked, with its local functions written out, and cut down to what one output depends on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError

from tropica.errors import DataError, InputError, TropicaError
from tropica.network.export import first_line
from tropica.network.readers.onnx_graph import GraphParts

OPSETS = range(7, 23)
"""Versions of the ONNX ops that are read."""


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX model and one of its outputs.

    Attributes:
        model: the model, to be evaluated by ``onnx.reference``.
        parts: the nodes and constants that the output depends on.
        inputs: the inputs that the output depends on, by name.
        output: name of the output.
    """

    model: onnx.ModelProto
    parts: GraphParts
    inputs: Mapping[str, onnx.ValueInfoProto]
    output: str


def read_file(path: str, output: int | str | None) -> OnnxFile:
    """Read a file and pick an output, by name or position.

    Raises:
        DataError: the file is missing, damaged, not valid, or of an opset that is not read.
        InputError: there is no such output, or several and none is picked.
    """
    if os.path.isdir(path):
        raise DataError("a folder; an ONNX file is needed")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(path)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
    except FileNotFoundError as error:
        raise DataError(f"no such file: {error.filename}" if error.filename not in (None, path) else "no such file") from None
    except DecodeError as error:
        raise DataError(f"not an ONNX file, or a damaged one ({first_line(error)})") from None
    except Exception as error:  # the checker reports in its own types, and raises others for damaged files
        raise DataError(f"not valid ONNX, or damaged ({type(error).__name__}: {first_line(error)})") from error
    return content(model, output)


def content(model: onnx.ModelProto, output: int | str | None) -> OnnxFile:
    """A model, and what one of its outputs depends on. Raises as :func:`read_file`."""
    graph = model.graph
    name = _picked([o.name for o in graph.output], output)
    needed, nodes = {name}, []
    for node in reversed(graph.node):
        if needed.intersection(o for o in node.output if o):
            nodes.append(node)
            needed.update(i for i in node.input if i)
    if any(t.values.name in needed for t in graph.sparse_initializer):
        raise DataError("it has sparse weights, which are not read")
    constants = {t.name: t for t in graph.initializer if t.name in needed}
    inputs = {v.name: v for v in graph.input if v.name in needed and v.name not in constants}
    return OnnxFile(model, GraphParts(nodes[::-1], constants, _opset(model)), inputs, name)


def _opset(model: onnx.ModelProto) -> int:
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] not in OPSETS:
        found = " and ".join(map(str, versions)) or "none"
        raise DataError(
            f"its opset is {found}; {OPSETS[0]} to {OPSETS[-1]} are read: onnx.version_converter.convert_version(model, 22) "
            "converts a model"
        )
    return versions[0]


def _picked(names: list[str], output: int | str | None) -> str:
    if output is None and len(names) == 1:
        return names[0]
    if output in names:
        return str(output)
    if isinstance(output, int) and not isinstance(output, bool) and -len(names) <= output < len(names):
        return names[output]
    wanted = "pick one with output=" if output is None else f"{output!r} is none of them"
    raise InputError(f"the model has {len(names)} outputs ({', '.join(names)}); {wanted}")


def tensor_type(info: onnx.ValueInfoProto) -> tuple[np.dtype, list[int | None]]:
    """The dtype of an input, and its sizes, None where a size is free (in older files −1)."""
    kind = info.type.tensor_type
    if info.type.WhichOneof("value") != "tensor_type" or not kind.HasField("shape"):
        raise DataError(f"its input {info.name} is not a tensor with a stated shape")
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    except (KeyError, TropicaError):
        raise DataError(f"its input {info.name} has the unknown element type {kind.elem_type}") from None
    return np.dtype(dtype), [
        d.dim_value if d.WhichOneof("value") == "dim_value" and d.dim_value != -1 else None for d in kind.shape.dim
    ]
