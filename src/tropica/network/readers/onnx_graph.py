"""An ONNX graph as a graph of affine ops and nonlinearities, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import torch

from tropica.errors import TropicaError, UnsupportedOperation
from tropica.network.builder import Builder, Refused
from tropica.network.export import first_line
from tropica.network.graph import Origin
from tropica.network.readers.onnx_constants import FOLDED, fold, to_tensor
from tropica.network.readers.onnx_ops import arithmetic  # noqa: F401 (its package registers the rules)
from tropica.network.readers.onnx_ops.registry import RULES, Call
from tropica.network.readers.per_point import Activation, Operand

_KEEPS_HEAD = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout")
"""Ops that may follow a dropped final op."""
_SHORT = 64
"""Longer constants are named by the graph, and hashed with the weights."""
_PLAIN = ("FLOAT", "INT", "STRING", "FLOATS", "INTS")
REASONS = {
    **dict.fromkeys(
        (
            "Elu",
            "Selu",
            "Celu",
            "Gelu",
            "Mish",
            "Swish",
            "Softplus",
            "Softsign",
            "Tanh",
            "Exp",
            "Log",
            "Sqrt",
            "Erf",
            "Sin",
            "Cos",
        ),
        "it is smooth, not piecewise linear",
    ),
    **dict.fromkeys(("Pow", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare"), "it is smooth, not piecewise linear"),
    **dict.fromkeys(
        ("InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "LpNormalization", "LRN"),
        "it normalizes with the statistics of its own input, which is not piecewise linear",
    ),
    **dict.fromkeys(("HardSwish", "Attention", "LSTM", "GRU", "RNN"), "it multiplies activations"),
    **dict.fromkeys(
        ("Sign", "Round", "Floor", "Ceil", "ThresholdedRelu", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"),
        "it jumps, and a piecewise-linear network must be continuous",
    ),
    **dict.fromkeys(("ArgMax", "ArgMin", "TopK", "Hardmax"), "it returns positions, or jumps; name the logits with output="),
    **dict.fromkeys(("QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"), "it rounds activations"),
    **dict.fromkeys(("If", "Loop", "Scan"), "it runs a part of the graph under a condition, or many times"),
    **dict.fromkeys(("RandomNormal", "RandomUniform", "Bernoulli", "Multinomial"), "it draws random numbers"),
}
"""Reasons why ops are refused, where there is more to say than their name."""


@dataclass(frozen=True)
class GraphParts:
    """The nodes that an output depends on, the constants by name, and the version of the ONNX ops."""

    nodes: Sequence[onnx.NodeProto]
    constants: Mapping[str, onnx.TensorProto]
    opset: int


def build(b: Builder, parts: GraphParts, given: Mapping[str, Operand], output: str) -> Operand | None:
    """Add the nodes of a graph to a builder.

    Args:
        b: the builder.
        parts: the graph.
        given: the network's input and the inputs held at given values.
        output: name of the value to compute.

    Returns:
        The value of ``output``; a tensor if it does not depend on the network's input.

    Raises:
        UnsupportedOperation: an op is not read, or not with the given attributes; the error names op and node.
    """
    env: dict[str, Operand | None] = dict(given)
    for name, proto in parts.constants.items():
        b.origin = Origin("onnx.initializer", name)
        env[name] = _guarded(b.origin, lambda proto=proto: to_tensor(onnx.numpy_helper.to_array(proto)))
    for i, node in enumerate(parts.nodes):
        name = node.name or (node.output[0] if node.output else f"node {i}")
        at = Origin(f"onnx.{node.op_type}", node.name, f"node {i} of the ONNX graph, {name!r}")
        b.origin, b.stem = at, name
        results = _guarded(at, lambda node=node: _outputs(b, node, parts.opset, env))
        env.update((key, result) for key, result in zip(node.output, results, strict=False) if key)
    return env[output]


def _guarded(at: Origin, run: Any) -> Any:
    """Run a step; a refusal, or an error about arguments that do not fit, becomes UnsupportedOperation."""
    try:
        return run()
    except Refused as refusal:
        reason = str(refusal)
    except TropicaError:
        raise
    except Exception as error:  # the file decides what the reference and the rules are called with
        reason = f"it is called in a way that is not known ({type(error).__name__}: {first_line(error)})"
    raise UnsupportedOperation(op=at.op, path=at.path, source=at.source, reason=reason, accepted=supported()) from None


def supported() -> list[str]:
    """Names of the ONNX ops that are read, in alphabetical order.

    >>> "Conv" in supported(), "Gelu" in supported()
    (True, False)
    """
    return sorted({*RULES, "Constant", "ConstantOfShape"})


def _outputs(b: Builder, node: onnx.NodeProto, opset: int, env: Mapping[str, Operand | None]) -> list[Operand | None]:
    if node.domain not in ("", "ai.onnx"):
        raise Refused(f"it is of the domain {node.domain!r}; ops of ONNX itself are read")
    inputs = [_input(env, name) for name in node.input]
    if not any(isinstance(x, Activation) for x in inputs):
        return [*fold(node, opset, [x for x in inputs if not isinstance(x, Activation)])]
    if node.op_type not in RULES:
        more = "; on constants it is evaluated" if node.op_type in FOLDED else ""
        raise Refused(REASONS.get(node.op_type, "it is not piecewise linear, or not known") + more)
    heads = [x.head for x in inputs if isinstance(x, Activation) and x.head]
    if heads and node.op_type not in _KEEPS_HEAD:
        raise Refused(f"it follows a {heads[0]}, which is smooth, and dropped only as the last op")
    call = _call(node, opset, inputs)
    b.settings = repr((call.op, call.version, call.attributes, [_text(x) for x in inputs]))
    result = RULES[node.op_type](b, call)
    if call.unread():
        raise Refused(f"its attribute {', '.join(call.unread())} is not known to have a meaning here")
    return list(result) if isinstance(result, Sequence) else [result]


def _input(env: Mapping[str, Operand | None], name: str) -> Operand | None:
    if not name:
        return None
    if name not in env:
        raise Refused(f"its input {name!r} is computed nowhere before it")
    if env[name] is None:
        raise Refused(f"its input {name!r} is an output that is not piecewise linear (positions, or a mask)")
    return env[name]


def _call(node: onnx.NodeProto, opset: int, inputs: list[Operand | None]) -> Call:
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    defaults = {
        name: onnx.helper.get_attribute_value(a.default_value) if a.default_value.type else None
        for name, a in schema.attributes.items()
    }
    stated = {}
    for a in node.attribute:
        kind = onnx.AttributeProto.AttributeType.Name(a.type)
        if kind not in _PLAIN or a.ref_attr_name:
            raise Refused(f"its attribute {a.name} is of the type {kind}, which is not read")
        stated[a.name] = onnx.helper.get_attribute_value(a)
    texts = [{key: v.decode() if isinstance(v, bytes) else v for key, v in table.items()} for table in (stated, defaults)]
    return Call(node.op_type, schema.since_version, inputs, len(node.output), texts[0], texts[1])


def _text(x: Operand | None) -> object:
    """What a node's function depends on beside its weights: shapes, and constant sizes and indices."""
    if isinstance(x, Activation):
        return x.shape, tuple(x.value.shape[1:])
    if x is None or torch.is_floating_point(x):
        return None if x is None else (tuple(x.shape), x.tolist() if x.numel() == 1 else "")
    return x.tolist() if x.numel() <= _SHORT else tuple(x.shape)
