"""From a torch module to a flat graph of ATen ops, by ``torch.export`` with a dynamic batch."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Graph, Node

from tropica.errors import TraceError
from tropica.network.builder import BatchSize
from tropica.network.graph import Origin
from tropica.network.ops.registry import HEAD_OPS, NO_VALUE_OPS, REASONS, RULES

_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)
_DEPTH = 4
"""Ops made of ops made of others: how often torch is asked to write them out."""
ONE_AT_A_TIME = threading.RLock()
"""torch.export keeps its state in the process, not in the thread."""
_CHATTY = ("torch._subclasses.fake_tensor", "torch.fx.experimental.symbolic_shapes")


def export(model: nn.Module, example: Tensor) -> ExportedProgram:
    """Export a model in eval mode; ``example`` is a batch of two points, the batch size stays free.

    Raises TraceError where the code branches on the values of activations, or works for one batch size only.
    """
    try:
        with ONE_AT_A_TIME, _quiet(), torch.no_grad():
            program = torch.export.export(model, (example,), dynamic_shapes=({0: Dim.DYNAMIC},), strict=False)
            program = _rewritten(program)
    except Exception as error:
        raise _explained(error) from error
    return program


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from printing its own graphs, warnings and tracebacks: what matters of them is in the error raised."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    were = [logger.disabled for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, disabled in zip(loggers, were, strict=True):
                logger.disabled = disabled


def _rewritten(program: ExportedProgram) -> ExportedProgram:
    """The same program without in-place ops, and with rows for its ops as far as torch can write them as others."""
    unread = _unread(program.graph)
    for _ in range(_DEPTH):
        if not unread:
            break
        _write_out_softshrink(program.graph)
        composites = [op for op in unread if _is_composite(op)]
        known = torch.export.default_decompositions() if composites else {}
        program = program.run_decompositions({op: known[op] for op in composites if op in known})
        before, unread = unread, _unread(program.graph)
        if unread == before:
            break
    return program


def _unread(graph: Graph) -> set[Any]:
    """The graph's ops that the table has no row for, and no reason to refuse."""
    known = {*(f"aten.{name}" for name in RULES), *HEAD_OPS, *NO_VALUE_OPS, "aten.sym_size.int"}
    ops = {node.target for node in graph.nodes if isinstance(node.target, torch._ops.OperatorBase)}
    return {op for op in ops if str(op) not in known and str(op).removeprefix("aten.").split(".")[0] not in REASONS}


def _is_composite(op: Any) -> bool:
    """Is the op a composition of others, as torch itself defines it?"""
    return isinstance(op, torch._ops.OpOverload) and torch._C._dispatch_has_kernel_for_dispatch_key(
        op.name(), "CompositeImplicitAutograd"
    )


def _write_out_softshrink(graph: Graph) -> None:
    """softshrink(x) = relu(x − λ) − relu(−x − λ), before torch's decomposition makes comparisons and signs of it."""
    aten = torch.ops.aten
    for node in graph.find_nodes(op="call_function", target=aten.softshrink.default):
        x, lambd = (*node.args, 0.5)[:2]

        def call(target: Any, *args: Any, at: Node = node) -> Node:
            new = graph.call_function(target, args)
            new.meta = dict(at.meta)
            return new

        with graph.inserting_before(node):
            above = call(aten.relu.default, call(aten.sub.Scalar, x, lambd))
            below = call(aten.relu.default, call(aten.sub.Scalar, call(aten.neg.default, x), lambd))
            node.replace_all_uses_with(call(aten.sub.Tensor, above, below))
        graph.erase_node(node)


def _explained(error: Exception) -> TraceError:
    """torch.export's failure in the user's words, with the line of their code that it came from."""
    text = str(error)
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith((_TORCH, _HERE, "<"))]
    where = f"\n  source:   {theirs[-1].filename}:{theirs[-1].lineno}  {theirs[-1].line}" if theirs else ""
    name = type(error).__name__
    if "data-dependent" in text.lower() or "GuardOnDataDependent" in name or ".item()" in text:
        why = (
            "the model's code branches on, or makes Python numbers of, the values of its activations (data-dependent control "
            "flow); the branch must be written with tensor operations such as relu, maximum, clamp"
        )
    elif "Constraints violated" in text or "specializ" in text.lower():
        why = (
            "the model works for one batch size only; use x.shape[0], or -1, wherever the batch size is meant (len(x) is "
            "a fixed number to torch.export), and do not reshape the batch into fixed sizes"
        )
    else:
        why = "torch.export cannot trace the model"
    return TraceError(f"{why}{where}\n  torch.export says: {name}: {first_line(error)}")


def first_line(error: Exception) -> str:
    """The first line of an error's message that says something, cut to a readable length."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:300]


def check_signature(program: ExportedProgram) -> None:
    """Raise TraceError unless the model returns one tensor and changes nothing else."""
    signature = program.graph_signature
    if signature.buffers_to_mutate:
        names = ", ".join(signature.buffers_to_mutate.values())
        raise TraceError(f"the model changes its own buffers in its forward pass ({names}); it must be a pure function")
    outputs = [s for s in signature.output_specs if s.kind == OutputKind.USER_OUTPUT]
    structure = program.call_spec.out_spec
    if len(outputs) != 1 or not (structure is None or structure.is_leaf()):
        returned = "no single tensor" if structure is None else f"a {getattr(structure.type, '__name__', structure.type)}"
        raise TraceError(
            f"the model returns {returned}; it must return one tensor of logits (B, s): wrap it in a module that does"
        )


def output_node(program: ExportedProgram) -> Any:
    """The graph's node of the logits (other outputs are inputs that in-place code has changed), or a constant."""
    kinds = [spec.kind for spec in program.graph_signature.output_specs]
    (node,) = program.graph.find_nodes(op="output")
    return node.args[0][kinds.index(OutputKind.USER_OUTPUT)]


def leaf_constants(program: ExportedProgram) -> dict[str, Tensor]:
    """Placeholder name -> parameter, buffer or literal tensor of the exported program, on the CPU."""
    leaves: dict[str, Tensor] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            continue
        name, target = getattr(spec.arg, "name", ""), spec.target
        tensor = program.state_dict.get(target, program.constants.get(target)) if target else None
        if not isinstance(tensor, Tensor):
            raise TraceError(f"the model holds a constant that is not a tensor: {target or name}")
        leaves[name] = tensor.detach().cpu()
    return leaves


def origin(node: Node) -> Origin:
    """Op, module path and source line of a node."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values() if isinstance(entry, tuple) and isinstance(entry[0], str)]
    path = paths[-1].partition("@")[0] if paths else ""  # "@1" marks the second call of a module
    return Origin(str(node.target), path, source_line(node.meta.get("stack_trace") or ""))


def source_line(stack_trace: str) -> str:
    """The last line of a stack trace that is the user's, else the last one, as ``file:line  code``.

    >>> source_line('File "/home/me/net.py", line 7, in forward\\n    return gelu(x)')
    '/home/me/net.py:7  return gelu(x)'
    """
    lines = [line.strip() for line in stack_trace.splitlines()]
    found: dict[bool, str] = {}
    for line, code in zip(lines, [*lines[1:], ""], strict=False):
        if line.startswith('File "') and '", line ' in line:
            file, rest = line[6:].split('", line ', 1)
            theirs = "/torch/nn/" not in file and not file.startswith((_TORCH, "torch/", "<"))
            found[theirs] = f"{file}:{rest.split(',')[0]}  {code}"
    return found.get(True, found.get(False, ""))


def size_of(node: Node, batch: Any) -> int | BatchSize | None:
    """The size that a node computes: a number, or a multiple of the ``batch`` symbol; None where it computes no size.

    Raises ValueError where it is some other function of the batch size.
    """
    value = node.meta.get("val")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, torch.SymInt):
        return None
    expression = value.node.expr
    if batch not in expression.free_symbols:
        return int(expression) if expression.is_Integer else None
    times = expression / batch
    if not times.is_Integer:
        raise ValueError(f"it computes the size {str(expression).replace(str(batch), 'B')} from the batch size B")
    return BatchSize(int(times))


def batch_symbol(program: ExportedProgram) -> Any:
    """The symbol of the free batch size."""
    (name,) = program.graph_signature.user_inputs
    (node,) = (n for n in program.graph.find_nodes(op="placeholder") if n.name == name)
    return node.meta["val"].shape[0].node.expr
