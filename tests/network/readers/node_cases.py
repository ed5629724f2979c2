"""The backend node tests of the package onnx as networks: some inputs of a node are the network's, the others constants."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch

from tropica.errors import UnsupportedOperation
from tropica.network.builder import Builder
from tropica.network.readers.onnx_file import OPSETS, content
from tropica.network.readers.onnx_graph import build
from tropica.network.readers.onnx_ops.registry import RULES
from tropica.network.readers.onnx_reference import reference
from tropica.network.readers.per_point import Activation, view
from tropica.network.trace_checks import HEADS


@dataclass(frozen=True)
class NodeCase:
    """A model, values of its inputs, one of its outputs, and the inputs that are the network's."""

    name: str
    model: onnx.ModelProto
    values: Mapping[str, np.ndarray]
    output: str
    active: tuple[str, ...]

    @property
    def ops(self) -> set[str]:
        return {node.op_type for node in self.model.graph.node}


def node_cases() -> Iterator[tuple[str, onnx.ModelProto, dict[str, np.ndarray]]]:
    """Name, model and inputs of every backend node test whose nodes are all among the ops with a rule, or of constants."""
    from onnx.backend.test.case.node import collect_testcases

    with np.errstate(all="ignore"):
        cases = collect_testcases(None)
    for case in cases:
        if case.model is None or [node.op_type in RULES for node in case.model.graph.node] != [True]:
            continue
        inputs: Any = next(iter(case.data_sets or []))[0]
        if all(isinstance(x, np.ndarray) for x in inputs):
            names = [v.name for v in case.model.graph.input]
            yield case.name, case.model, dict(zip(names, inputs, strict=True))


def variants(name: str, model: onnx.ModelProto, values: dict[str, np.ndarray]) -> Iterator[NodeCase]:
    """The model in every version of its op in which it is valid, with each floating-point input, and all, as the network's."""
    op, seen = model.graph.node[0].op_type, set()
    floats = [key for key, x in values.items() if x.dtype in (np.float32, np.float64) and x.size]
    for opset in OPSETS:
        version = onnx.defs.get_schema(op, opset, "").since_version if onnx.defs.has(op, opset, "") else 0
        if not version or version in seen:
            continue
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        del changed.opset_import[:]
        changed.opset_import.append(onnx.helper.make_opsetid("", opset))
        changed.ir_version = 7
        try:
            onnx.checker.check_model(changed)
        except onnx.checker.ValidationError:
            continue
        seen.add(version)
        for active in dict.fromkeys([*((key,) for key in floats), tuple(floats)]):
            if active and len({values[key].dtype for key in active}) == 1:
                for output in changed.graph.output:
                    yield NodeCase(f"{name} opset {opset} of {active}", changed, values, output.name, active)


def evaluate(case: NodeCase) -> tuple[np.ndarray, np.ndarray]:
    """The values of the graph that is read, and those of onnx.reference, on the case's own and a further point.

    Raises UnsupportedOperation for a case that is refused.
    """
    sizes = [case.values[key].size for key in case.active]
    own = np.concatenate([case.values[key].ravel() for key in case.active])
    rng = np.random.default_rng(0)
    points = np.stack([own, (own[rng.permutation(len(own))] * 1.5 - 0.25).astype(own.dtype)])
    b = Builder(torch.from_numpy(points))
    ends = list(itertools.accumulate(sizes))
    given: dict[str, Any] = {
        key: Activation(b.affine(lambda x, i=end - n, j=end: x[:, i:j], b.input), case.values[key].shape)
        for key, n, end in zip(case.active, sizes, ends, strict=True)
    }
    given |= {key: torch.from_numpy(np.array(x)) for key, x in case.values.items() if key not in case.active}
    out = build(b, content(case.model, case.output).parts, given, case.output)
    if out is None:
        raise UnsupportedOperation(op="", reason="the output is not piecewise linear")
    with np.errstate(all="ignore"):
        wanted = [_reference(case, point, ends) for point in points]
    if not isinstance(out, Activation):
        return np.stack([out.numpy()] * 2), np.stack(wanted)
    graph = b.graph(out_value := view(b, out, out.shape))
    constants = {name: t.to(b.example.dtype) if t.is_floating_point() else t for name, t in b.constants.items()}
    found = graph.evaluate(b.example, constants) if graph.nodes else out_value.example
    flat = found.reshape(2, -1)
    return HEADS[out.head](flat).reshape(found.shape).numpy(), np.stack(wanted)


def _reference(case: NodeCase, point: np.ndarray, ends: list[int]) -> np.ndarray:
    parts = dict(zip(case.active, np.split(point, ends[:-1]), strict=True))
    inputs = {key: parts[key].reshape(x.shape) if key in parts else x for key, x in case.values.items()}
    found: Any = reference(case.model).run([case.output], inputs)
    return np.asarray(found[0])


def outcome(case: NodeCase) -> str:
    """ "equal", "refused: …" with the reason, or what differs."""
    try:
        found, wanted = evaluate(case)
    except UnsupportedOperation as error:
        return f"refused: {error.reason}"
    if found.shape != wanted.shape:
        return f"shape {found.shape} instead of {wanted.shape}"
    worst = float(np.abs(found.astype(np.float64) - wanted).max(initial=0))
    return "equal" if worst <= 1e-4 * (1 + float(np.abs(wanted).max(initial=0))) else f"differs by {worst}"
