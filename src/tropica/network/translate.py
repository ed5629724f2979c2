"""Translation of an exported graph of ATen ops into a graph of affine ops and nonlinearities, by the rules of the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from tropica.errors import TraceError, TropicaError, UnsupportedOperation
from tropica.network.builder import EXAMPLE_POINTS, BatchSize, Builder, Refused, Value, cast
from tropica.network.export import (
    STATELESS,
    batch_symbol,
    first_line,
    is_size_function,
    leaf_constants,
    origin,
    output_node,
    size_of,
)
from tropica.network.graph import Graph, Origin
from tropica.network.ops.fourier import Complex, complex_rule
from tropica.network.ops.registry import HEAD_OPS, NO_VALUE_OPS, RANDOM, RULES, reason_for, supported

_SAME_ENTRIES = (
    "aten.clone.default",
    "aten.alias.default",
    "aten.contiguous.default",
    "aten.view.default",
    "aten.reshape.default",
    "aten.flatten.using_ints",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.squeeze.default",
    "aten.unsqueeze.default",
    "aten.select.int",
)
_SLICE = "aten.slice.Tensor"
_CPU = torch.device("cpu")

Relocate = Callable[[Origin], Origin]
"""Map from an op's origin in the exported graph to its origin in the user's code. They differ for the replay of an archive."""


def translate(
    program: ExportedProgram, example: Tensor, relocate: Relocate = lambda at: at
) -> tuple[Graph, dict[str, Tensor], str | None]:
    """Translate ATen nodes into graph nodes; ops on constants alone are evaluated here, in float64.

    Returns the graph, its constants (copies, on the CPU), and the name of the dropped final op, or None.
    """
    return _Translation(program, example.cpu(), relocate).run()


class _Translation:
    """State of one pass over the exported graph: the value of each node so far (a Value, a constant, or a size)."""

    def __init__(self, program: ExportedProgram, example: Tensor, relocate: Relocate) -> None:
        self.program, self.relocate, self.batch = program, relocate, batch_symbol(program)
        self.builder = Builder(example)
        self.leaves = leaf_constants(program)
        self.env: dict[fx.Node, Any] = {}

    def run(self) -> tuple[Graph, dict[str, Tensor], str | None]:
        head, dropped = _find_head(output_node(self.program))
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.env[node] = self.leaves[node.name][1] if node.name in self.leaves else self.builder.input
            elif node is head:
                self.env[node] = self.env[node.args[0]]
            elif node.op == "call_function":
                self.env[node] = self._call(node)
            elif node.op != "output":
                raise TraceError(f"the exported graph holds a {node.op} node ({node.target}): is there a torch.cond or a loop?")
        graph = self.builder.graph(self._logits(), self._bad_leaf)
        used = {name for node in graph.nodes for name in node.constants.values()}
        # The leaves are the model's own parameters. Copies keep later changes of the model out of the network.
        constants = {name: tensor.clone() for name, tensor in self.builder.constants.items() if name in used}
        return graph, constants, dropped

    def _bad_leaf(self, name: str) -> tuple[str, Tensor] | None:
        """A weight with values that are NaN or infinite from which the node of that name is computed, with its path."""
        waiting, seen = [node for node in self.program.graph.nodes if node.name == name], set[fx.Node]()
        while waiting:
            node = waiting.pop()
            seen.add(node)
            path, leaf = self.leaves.get(node.name, ("", None))
            if path and leaf is not None and leaf.is_floating_point() and not bool(torch.isfinite(leaf).all()):
                return self.relocate(Origin("", path, "")).path, leaf
            # An activation's weights belong to its own nodes.
            constants = (n for n in node.all_input_nodes if not isinstance(self.env[n], Value | Complex))
            waiting += [n for n in constants if n not in seen]
        return None

    def _logits(self) -> Value:
        result = self.env.get(output_node(self.program))
        if isinstance(result, Complex):
            raise TraceError("the model returns complex numbers; return their parts, as torch.view_as_real or .real give them")
        if not isinstance(result, Value):
            raise TraceError("the model's output does not depend on its input, or depends on positions (argmax) alone")
        if result.ndim == 1:
            return self.builder.affine(lambda x: x.unsqueeze(1), result)
        if result.ndim == 0:
            raise TraceError("the model returns one number for a whole batch; logits (B, s) are needed, a row for each point")
        if result.ndim != 2:
            shape = ", ".join(map(str, ("B", *result.shape[1:])))
            raise TraceError(
                f"the model returns a tensor of shape ({shape}); logits (B, s) are needed "
                "(flatten_output=True flattens each point's)"
            )
        return result

    def _call(self, node: fx.Node) -> Any:
        """Translate one ATen call to a size, a constant or a Value; raise UnsupportedOperation for an op without a rule."""
        target, at = str(node.target), self.relocate(origin(node))
        try:
            size = size_of(node, self.batch)
        except ValueError as error:
            raise _unsupported(at, f"{error}; only multiples of B can be used") from None
        if size is not None:
            return size
        if target in NO_VALUE_OPS or node.target in STATELESS or isinstance(node.meta.get("val"), torch.SymBool):
            return None
        given: Any = fx.map_arg((node.args, node.kwargs), self.env.__getitem__)
        args, kwargs = given
        if isinstance(node.meta.get("val"), torch.SymInt):  # a size that depends on a constant mask
            return args[0].shape[args[1]] if target == "aten.sym_size.int" else self._apply_rule(node.target, at, args, kwargs)
        if target == "<built-in function getitem>":
            return args[0][args[1]]
        self.builder.origin, self.builder.stem, self.builder.settings = at, node.name, _settings(node)
        if any(self.env[n] is None for n in node.all_input_nodes):
            raise _unsupported(at, "it uses the position of a maximum, which is not a piecewise-linear function of the input")
        return self._apply_rule(node.target, at, args, kwargs)

    def _apply_rule(self, target: Any, at: Origin, args: Any, kwargs: Any) -> Any:
        """Evaluate an op on constants, or apply the rule of an op on activations."""
        name = str(target).removeprefix("aten.")
        try:
            if any(isinstance(leaf, Value | BatchSize | Complex) for leaf in _leaves((args, kwargs))):
                if any(isinstance(leaf, Complex) for leaf in _leaves((args, kwargs))):
                    return complex_rule(name, args)(self.builder, *args, **kwargs)
                if name not in RULES:
                    raise Refused(reason_for(name.split(".")[0]))
                return RULES[name](self.builder, *args, **kwargs)
            if not _is_foldable(target):
                raise Refused(reason_for(name.split(".")[0]))
            if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()) and name not in RULES:
                raise Refused(RANDOM)
            return _fold(target, args, kwargs)
        except Refused as refusal:
            raise _unsupported(at, str(refusal)) from None
        except TropicaError:
            raise
        except (TypeError, AttributeError, ValueError, RuntimeError) as error:
            why = f"it is called in a way that is not known ({type(error).__name__}: {first_line(error)})"
            raise _unsupported(at, why) from error


def _is_foldable(target: Any) -> bool:
    """Whether a function may be evaluated here: an ATen op that writes to none of its arguments, or arithmetic of sizes."""
    if isinstance(target, torch._ops.OpOverload):
        return target.namespace == "aten" and not target._schema.is_mutable
    return is_size_function(target)


def _leaves(tree: Any) -> Iterator[Any]:
    """Leaves of nested lists, tuples and dictionaries."""
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from _leaves(item)
    else:
        yield tree


def _fold(target: Any, args: Any, kwargs: Any) -> Any:
    """Evaluate an op on constants, on the CPU and in float64: weight norm is then as precise as in a float64 model."""

    def exact(item: Any) -> Any:
        if isinstance(item, torch.device):
            return _CPU
        return cast(item, torch.float64) if isinstance(item, Tensor) else item

    args, kwargs = pytree.tree_map(exact, (tuple(args), dict(kwargs)))
    with torch.no_grad():
        return target(*args, **kwargs)


def _settings(node: fx.Node) -> str:
    """An op's arguments as text; ops that differ in a stride or a dimension have different texts.

    Activations have their names, and weights are numbered: their names are those of the model's attributes, which differ in a
    wrapped copy of the model.
    """
    kept = {key: value for key, value in node.kwargs.items() if key not in ("device", "layout", "pin_memory")}
    weights: dict[fx.Node, str] = {}

    def text(argument: fx.Node) -> str:
        if argument.op != "placeholder":
            return argument.name
        return weights.setdefault(argument, f"weight {len(weights)}")

    return repr(fx.map_arg((node.args, kept), text))


def _unsupported(at: Origin, reason: str) -> UnsupportedOperation:
    return UnsupportedOperation(op=at.op, path=at.path, source=at.source, reason=reason, accepted=supported())


def _find_head(output: Any) -> tuple[fx.Node | None, str | None]:
    """Node and name of a final softmax, log_softmax, sigmoid or log_sigmoid (behind it at most reshapes), or None twice.

    A softmax must be over the outputs of a point: those of one pixel, say, not of one channel.
    """
    node: Any = output
    behind: list[fx.Node] = []
    while isinstance(node, fx.Node) and str(node.target) in (*_SAME_ENTRIES, _SLICE):
        behind.append(node)
        node = node.args[0]
    if not isinstance(node, fx.Node) or str(node.target) not in HEAD_OPS:
        return None, None
    head, is_cut = HEAD_OPS[str(node.target)], any(str(n.target) == _SLICE for n in behind)
    keeps_order = not is_cut if "sigmoid" in head else _is_over_outputs(node, behind[::-1])
    return (node, head) if keeps_order else (None, None)


def _is_over_outputs(softmax: fx.Node, behind: list[fx.Node]) -> bool:
    """Whether the entries that one softmax normalizes, and no others, are the outputs of a point, in their order."""
    sizes = [n if isinstance(n, int) else EXAMPLE_POINTS for n in softmax.meta["val"].shape]
    axis: Any = softmax.args[1]
    if axis % len(sizes) == 0:  # over the points
        return False
    shape = [1] * len(sizes)
    shape[axis] = sizes[axis]
    tags = torch.arange(sizes[axis], dtype=torch.float64).view(shape).expand(sizes)  # the place of each entry in its softmax
    for node in behind:
        given: Any = fx.map_arg((node.args[1:], node.kwargs), lambda _: EXAMPLE_POINTS)
        function: Any = node.target
        args, kwargs = given
        kwargs = {} if "clone" in str(node.target) or "contiguous" in str(node.target) else kwargs
        try:
            tags = function(tags, *args, **kwargs)
        except (RuntimeError, IndexError, TypeError):
            return False
    return tags.shape == (EXAMPLE_POINTS, sizes[axis]) and bool((tags == torch.arange(sizes[axis])).all())
