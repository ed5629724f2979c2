"""Checks of a traced network: the batch is the first dimension, points are independent, outputs equal the model's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from tropica.errors import TraceError, TraceMismatch
from tropica.network.builder import EXAMPLE_POINTS, cast, shape_of_node, without_values
from tropica.network.graph import INPUT, AffineNode, Graph, Node, NonlinearityNode, Origin
from tropica.network.network import PiecewiseLinearNetwork

Constants = Mapping[str, Tensor]
Shapes = tuple[Mapping[str, torch.Size], Mapping[str, torch.Size]]
"""Shapes of all values of a graph for two points, and for three."""


def points_first(graph: Graph, constants: Constants, example: Tensor) -> Graph:
    """An equivalent graph in which every nonlinearity treats each row of its input, one point, by itself; else TraceError."""
    shapes = _both_shapes(graph, constants, example)
    moved = batch_first(graph, constants, shapes)
    return check_points(moved, constants, example, shapes if moved is graph else None)


def batch_first(graph: Graph, constants: Constants, shapes: Shapes) -> Graph:
    """An equivalent graph in which the batch is the first dimension of every nonlinearity.

    The batch may be another dimension in the model's code: (L, B, C), or points as the columns of a matrix. The batch is
    moved to the front before an elementwise nonlinearity, and back afterwards. Any other nonlinearity raises TraceError.
    """
    two, three = shapes
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        here = replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        axis = _batch_axis(two[node.name], three[node.name]) if isinstance(node, NonlinearityNode) else 0
        if axis == 0 or not isinstance(here, NonlinearityNode):
            nodes.append(here)
            continue
        single = all(constants[name].numel() == 1 for name in node.constants.values())
        same = all(two[name] == two[node.name] for name in node.inputs)
        if axis is None or not here.op.elementwise or not single or not same:
            raise _misplaced(node.origin, two[node.name], three[node.name])
        nodes += _moved(here, axis)
        renamed[node.name] = nodes[-1].name
    return Graph(tuple(nodes), renamed.get(graph.output, graph.output)) if renamed else graph


def _moved(nonlinearity: NonlinearityNode, axis: int) -> list[Node]:
    """The nonlinearity between two nodes that move dimension ``axis`` to the front and back."""
    front = [
        AffineNode(
            f"{nonlinearity.name}.front{i}",
            (name,),
            {},
            nonlinearity.origin,
            lambda z: z.movedim(axis, 0),
            settings=f"from {axis}",
        )
        for i, name in enumerate(nonlinearity.inputs)
    ]
    back = AffineNode(
        f"{nonlinearity.name}.back",
        (nonlinearity.name,),
        {},
        nonlinearity.origin,
        lambda h: h.movedim(0, axis),
        settings=f"to {axis}",
    )
    return [*front, replace(nonlinearity, inputs=tuple(node.name for node in front)), back]


def check_points(graph: Graph, constants: Constants, example: Tensor, shapes: Shapes | None = None) -> Graph:
    """Check that the batch is the first dimension of the output and of every nonlinearity, and that points are independent.

    One of two points is NaN, first the second one, then the first: the other point's values may not become NaN.

    Returns the graph with ``unit_shape`` set at every nonlinearity.
    """
    two, three = shapes or _both_shapes(graph, constants, example)
    checked = {node.name: node.origin for node in graph.nonlinearities}
    units: dict[str, tuple[int, ...]] = {}
    for name, at in ((graph.output, None), *checked.items()):
        if _batch_axis(two[name], three[name]) != 0:
            raise _misplaced(at, two[name], three[name])
        units[name] = unit_shape(two[name], points=2)
    cast_all = {name: cast(c, example.dtype) for name, c in constants.items()}
    by_row = {name for name in two if _batch_axis(two[name], three[name]) == 0}
    for point in (0, 1):
        _check_other_point(graph, cast_all, example, point, {name: two[name] for name in by_row})
    nodes = (replace(node, unit_shape=units[node.name]) if isinstance(node, NonlinearityNode) else node for node in graph.nodes)
    return Graph(tuple(nodes), graph.output)


def _check_other_point(
    graph: Graph, constants: Constants, example: Tensor, point: int, shapes: Mapping[str, torch.Size]
) -> None:
    """Raise TraceError if the values of one of two points become NaN where the other one's input is NaN.

    ``shapes`` has the shapes of the values whose rows are points.
    """
    x = torch.zeros(example.shape[1:], dtype=example.dtype).expand(2, *example.shape[1:]).clone()
    x[1 - point] = torch.nan

    def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
        is_alone = _is_by_row(node) and node.name in shapes and shapes.keys() >= set(node.inputs)
        out = _spread(inputs[0], shapes[node.name]) if is_alone else node.apply(inputs, constants)
        is_checked = isinstance(node, NonlinearityNode) or node.name == graph.output
        if is_checked and bool(out.reshape(2, -1)[point].isnan().any()):
            at = node.origin if isinstance(node, NonlinearityNode) else None
            raise TraceError(
                f"{_description(at)}: the value of one point changes with the other points of its batch; every point must be "
                "treated by itself (is there a reduction over the batch?)"
            )
        return out

    with torch.no_grad():
        graph.interpret({INPUT: x}, step)


def _is_by_row(node: Node) -> bool:
    """Whether a node is a layer that treats each row of its input by itself. Such layers take most of a forward pass."""
    packet = node.origin.op.removeprefix("aten.").split(".")[0]
    return isinstance(node, AffineNode) and len(node.inputs) == 1 and packet in ("linear", "conv1d", "conv2d", "conv3d")


def _spread(z: Tensor, shape: torch.Size) -> Tensor:
    """NaN in the rows of a layer's output that are computed from NaN."""
    out = torch.zeros(shape, dtype=z.dtype)
    out[z.flatten(1).isnan().any(1)] = torch.nan
    return out


def unit_shape(shape: torch.Size, points: int) -> tuple[int, ...]:
    """Shape of one point's values in a tensor whose first dimension is the batch size or a multiple of it (patches)."""
    times = shape[0] // points
    return tuple(shape[1:]) if times == 1 else (times, *shape[1:])


def _batch_axis(two: torch.Size, three: torch.Size) -> int | None:
    """The only dimension in which the shapes for two and for three points differ; None if there is no such dimension."""
    axes = [d for d, (n, m) in enumerate(zip(two, three, strict=False)) if n != m]
    if len(axes) != 1 or len(two) != len(three) or 3 * two[axes[0]] != 2 * three[axes[0]]:
        return None
    return axes[0]


def _both_shapes(graph: Graph, constants: Constants, example: Tensor) -> Shapes:
    return _shapes(graph, constants, example, 2), _shapes(graph, constants, example, 3)


def _shapes(graph: Graph, constants: Constants, example: Tensor, points: int) -> dict[str, torch.Size]:
    """Shape of every value for a number of points."""
    bare = {name: without_values(cast(c, example.dtype)) for name, c in constants.items()}
    found: dict[str, torch.Size] = {}

    def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
        try:
            out = shape_of_node(node, inputs, constants, bare)
        except RuntimeError as error:
            why = f"it takes {EXAMPLE_POINTS} points, and fails on {points} ({error})"
            raise TraceError(f"{_description(node.origin)}: {why}; every point must be treated by itself") from error
        found[node.name] = out.shape
        return out

    graph.interpret({INPUT: torch.empty(points, *example.shape[1:], dtype=example.dtype, device="meta")}, step)
    return {INPUT: torch.Size((points, *example.shape[1:])), **found}


def _misplaced(at: Origin | None, two: torch.Size, three: torch.Size) -> TraceError:
    why = "the batch is not the first dimension there" if two != three else "the points of a batch are joined there"
    return TraceError(f"{_description(at)}: {why} (shape {tuple(two)} for two points, {tuple(three)} for three)")


def _description(at: Origin | None) -> str:
    if at is None:
        return "the model's output"
    return f"{at.op} in module {at.path or '(the model itself)'!r} ({at.source or 'source line unknown'})"


HEADS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda z: z,
    "softmax": lambda z: z.softmax(1),
    "log_softmax": lambda z: z.log_softmax(1),
    "sigmoid": torch.sigmoid,
    "log_sigmoid": nn.functional.logsigmoid,
}
"""Dropped final ops, as functions of the logits."""


def probe(example: Tensor, points: int) -> Tensor:
    """A batch to compare a model with its trace on: the first example point, then Gaussian points around the examples."""
    generator = torch.Generator("cpu").manual_seed(points)
    gaussian = torch.randn(points - 1, *example.shape[1:], generator=generator, dtype=torch.float64, device="cpu").to(example)
    return torch.cat([example[:1], example.mean() + gaussian * (example.std() + 1e-3)])


def check_outputs(net: PiecewiseLinearNetwork, model: nn.Module, batch: Tensor, wanted: Tensor) -> None:
    """Raise TraceMismatch if the model's outputs on a batch are not those of its trace."""
    with torch.no_grad():
        found = HEADS[net.dropped](net(batch))
    if wanted.shape not in (found.shape, found.shape[:1]):
        raise TraceMismatch(
            f"the model returns {tuple(wanted.shape)} for a batch of {len(batch)}, its trace {tuple(found.shape)}; {_HINT}"
        )
    if not bool(torch.isfinite(wanted).all()):
        held = str(net.dtype).removeprefix("torch.")
        raise TraceMismatch(
            f"the model's own outputs on {len(batch)} random points are NaN or infinite; do they exceed the range of {held}?"
        )
    tolerance = 1e-4 if net.dtype == torch.float32 else 1e-9
    wanted, found = wanted.detach().reshape(found.shape), found.detach()
    scale, worst = float(wanted.abs().max()), float((wanted - found).abs().max())
    if not worst <= tolerance * scale + 1e-30 and not _equal_in_float64(net, model, batch):
        raise TraceMismatch(
            f"the traced network does not compute what the model computes: the largest difference on {len(batch)} points is "
            f"{worst:.3g}, for outputs of size {scale:.3g}; {_HINT}"
        )


def _equal_in_float64(net: PiecewiseLinearNetwork, model: nn.Module, batch: Tensor) -> bool:
    """Do a float32 model and its trace agree in float64? Deep networks amplify the rounding of float32."""
    if batch.dtype != torch.float32:
        return False
    try:
        with torch.no_grad():
            wanted, found = (
                copy.deepcopy(model).double()(batch.double()),
                HEADS[net.dropped](net.to(torch.float64)(batch.double())),
            )
    except Exception:  # a model that does not run in float64 tells nothing
        return False
    scale = float(wanted.abs().max())
    return bool((wanted.reshape(found.shape) - found).abs().max() <= 1e-7 * scale)


_HINT = "is the model random, stateful, or different while it is exported?"
