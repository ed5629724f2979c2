"""Export of a torch module to a graph of ATen ops, by ``torch.export`` with a dynamic batch size."""

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

from tropica.errors import TraceError, TropicaError
from tropica.network.builder import BatchSize
from tropica.network.graph import Origin
from tropica.network.in_place_graph import make_out_of_place
from tropica.network.one_input import INNER
from tropica.network.ops.registry import HEAD_OPS, NO_VALUE_OPS, REASONS, RULES

_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)
_MAX_PASSES = 4
"""Largest number of decomposition passes: a composite op may decompose into composite ops."""
ONE_AT_A_TIME = threading.RLock()
"""Lock around torch.export, which keeps global state of the process."""
_LOGGERS = ("torch._subclasses.fake_tensor", "torch.fx.experimental.symbolic_shapes")
"""Loggers that torch.export writes graphs and tracebacks to."""


def export(model: nn.Module, example: Tensor) -> ExportedProgram:
    """Export a model in eval mode with a dynamic batch size; ``example`` is a batch of two points.

    Raises TraceError if the code branches on the values of activations, or works for one batch size only.
    """
    try:
        with ONE_AT_A_TIME, _quiet(), torch.no_grad():
            program = torch.export.export(model, (example,), dynamic_shapes=({0: Dim.DYNAMIC},), strict=False)
            program = _decomposed(program)
    except TropicaError:
        raise
    except Exception as error:
        raise _explained(error) from error
    return program


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the graphs, warnings and tracebacks that torch prints; the TraceError states the relevant part."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled


def _decomposed(program: ExportedProgram) -> ExportedProgram:
    """Make in-place ops functional, and decompose composite ops without a rule as torch defines them."""
    _decompose_softshrink(program.graph)
    make_out_of_place(program.graph, _is_known)
    program.graph_module.recompile()
    unknown = _unknown_ops(program.graph)
    for _ in range(_MAX_PASSES):
        if not unknown:
            break
        composites = [op for op in unknown if _is_composite(op)]
        table = torch.export.default_decompositions() if composites else {}
        program = program.run_decompositions({op: table[op] for op in composites if op in table})
        before, unknown = unknown, _unknown_ops(program.graph)
        if unknown == before:
            break
    return program


def _unknown_ops(graph: Graph) -> set[Any]:
    """Functions of the graph that have neither a rule nor a stated reason for refusal: ATen ops and torch's transforms."""
    return {node.target for node in graph.nodes if node.op == "call_function" and not _is_known(node.target)}


def _is_known(target: Any) -> bool:
    """Whether a function has a rule or a reason for refusal, or computes a size."""
    if not isinstance(target, torch._ops.OperatorBase):
        return is_size_function(target) or target in STATELESS
    name = str(target)
    packet = name.removeprefix("aten.").split(".")[0]
    return name.removeprefix("aten.") in RULES or name in (*HEAD_OPS, *NO_VALUE_OPS, "aten.sym_size.int") or packet in REASONS


def is_size_function(target: Any) -> bool:
    """Whether a function of an exported graph computes with sizes, or takes an item of a list."""
    return getattr(target, "__module__", "") in ("_operator", "math", "builtins") or getattr(target, "__name__", "").startswith(
        "sym_"
    )


def _is_composite(op: Any) -> bool:
    """Whether torch defines the op as a composition of other ops."""
    return isinstance(op, torch._ops.OpOverload) and torch._C._dispatch_has_kernel_for_dispatch_key(
        op.name(), "CompositeImplicitAutograd"
    )


def _decompose_softshrink(graph: Graph) -> None:
    """Replace softshrink(x) by relu(x − λ) − relu(−x − λ); torch's decomposition has comparisons and signs."""
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


STATELESS = (torch._C._set_grad_enabled,)
"""Functions of exported graphs that change no value."""


def _explained(error: Exception) -> TraceError:
    """TraceError for a failure of torch.export: its cause, and the line of the user's code that caused it."""
    text = str(error)
    frames = traceback.extract_tb(error.__traceback__)
    user_frames = [f for f in frames if not f.filename.startswith((_TORCH, _HERE, "<"))]
    where = f"\n  source:   {user_frames[-1].filename}:{user_frames[-1].lineno}  {user_frames[-1].line}" if user_frames else ""
    name = type(error).__name__
    if "data-dependent" in text.lower() or "GuardOnDataDependent" in name or ".item()" in text:
        why = (
            "the model's code branches on the values of its activations, or converts them to Python numbers (data-dependent "
            "control flow); write the branch with tensor operations such as relu, maximum, clamp"
        )
    elif "Constraints violated" in text or "specializ" in text.lower():
        why = (
            "the model works for one batch size only; use x.shape[0], or -1, wherever the batch size is meant (len(x) is "
            "a fixed number to torch.export, and so is the batch size to torch.kron and torch.linalg.matrix_norm), and do not "
            "reshape the batch into fixed sizes"
        )
    else:
        why = "torch.export cannot trace the model"
    return TraceError(f"{why}{where}\n  torch.export says: {first_line(error, with_name=True)}")


def first_line(error: Exception, with_name: bool = False) -> str:
    """The first nonempty line of an error's message, cut to 300 characters; with the name of its class if asked for."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:300]
    return f"{type(error).__name__}: {line}" if with_name else line


def inner_path(path: str) -> str:
    """The path of a module or tensor in the user's model, from its path in :class:`~tropica.network.one_input.OneInput`."""
    return "" if path == INNER else path.removeprefix(f"{INNER}.")


def check_signature(program: ExportedProgram) -> None:
    """Raise TraceError if the model changes its buffers."""
    signature = program.graph_signature
    if signature.buffers_to_mutate:
        names = ", ".join(map(inner_path, signature.buffers_to_mutate.values()))
        raise TraceError(f"the model changes its own buffers in its forward pass ({names}); it must be a pure function")


def output_node(program: ExportedProgram) -> Any:
    """The graph's node of the logits, or a constant; further outputs are inputs changed in place."""
    kinds = [spec.kind for spec in program.graph_signature.output_specs]
    (node,) = program.graph.find_nodes(op="output")
    return node.args[0][kinds.index(OutputKind.USER_OUTPUT)]


def leaf_constants(program: ExportedProgram) -> dict[str, tuple[str, Tensor]]:
    """Parameters, buffers and literal tensors by placeholder name: their paths ("" for a literal), and tensors on the CPU."""
    leaves: dict[str, tuple[str, Tensor]] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            continue
        name, target = getattr(spec.arg, "name", ""), spec.target
        tensor = program.state_dict.get(target, program.constants.get(target)) if target else None
        if not isinstance(tensor, Tensor):
            raise TraceError(f"the model has a constant that is not a tensor: {target or name}")
        is_literal = spec.kind == InputKind.CONSTANT_TENSOR
        leaves[name] = "" if is_literal else inner_path(target or name), tensor.detach().cpu()
    return leaves


def origin(node: Node) -> Origin:
    """Op, module path and source line of a node."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values() if isinstance(entry, tuple) and isinstance(entry[0], str)]
    path = paths[-1].partition("@")[0] if paths else ""  # "@1" marks the second call of a module
    return Origin(str(node.target), inner_path(path), source_line(node.meta.get("stack_trace") or ""))


def source_line(stack_trace: str) -> str:
    """The last line of a stack trace in the user's code, else its last line, as ``file:line  code``.

    >>> source_line('File "/home/me/net.py", line 7, in forward\\n    return gelu(x)')
    '/home/me/net.py:7  return gelu(x)'
    """
    lines = [line.strip() for line in stack_trace.splitlines()]
    found: dict[bool, str] = {}
    for line, code in zip(lines, [*lines[1:], ""], strict=False):
        if line.startswith('File "') and '", line ' in line:
            file, rest = line[6:].split('", line ', 1)
            users_own = "/torch/nn/" not in file and not file.startswith((_TORCH, _HERE, "torch/", "<"))
            if not file.startswith((_HERE, "<eval_with_key>")):  # code that torch.export wrote
                found[users_own] = f"{file}:{rest.split(',')[0]}  {code}"
    return found.get(True, found.get(False, ""))


def size_of(node: Node, batch: Any) -> int | BatchSize | None:
    """The size that a node computes: a number, or a multiple of the ``batch`` symbol; None if the node computes no size.

    Raises ValueError if the size is any other function of the batch size.
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
    """The symbol of the dynamic batch size."""
    (name,) = program.graph_signature.user_inputs
    (node,) = (n for n in program.graph.find_nodes(op="placeholder") if n.name == name)
    return node.meta["val"].shape[0].node.expr
