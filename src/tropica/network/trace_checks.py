"""Checks of a traced network: the batch is the first dimension, points are independent, outputs equal the model's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from tropica.errors import TraceError, TraceMismatch
from tropica.network.builder import cast
from tropica.network.export import first_line
from tropica.network.graph import AffineNode, Graph, Node, NonlinearityNode, Origin
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.arithmetic import callers_settings

Constants = Mapping[str, Tensor]


def batch_first(graph: Graph, constants: Constants, example: Tensor) -> Graph:
    """An equivalent graph in which the batch is the first dimension of every nonlinearity.

    The batch may be another dimension in the model's code: (L, B, C), or points as the columns of a matrix. The batch is
    moved to the front before an elementwise nonlinearity, and back afterwards. Any other nonlinearity raises TraceError.
    """
    points = example.cpu()
    two, three = (_shapes(graph, constants, points[rows]) for rows in ([0, 1], [0, 1, 0]))
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        here = replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        axis = _batch_axis(two[node.name][0], three[node.name][0]) if isinstance(node, NonlinearityNode) else 0
        if axis == 0 or not isinstance(here, NonlinearityNode):
            nodes.append(here)
            continue
        single = all(constants[name].numel() == 1 for name in node.constants.values())
        if axis is None or not here.op.elementwise or not single or len(set(two[node.name])) > 1:
            raise _misplaced(node.origin, two[node.name][0], three[node.name][0])
        nodes += _moved(here, axis)
        renamed[node.name] = nodes[-1].name
    return Graph(tuple(nodes), renamed.get(graph.output, graph.output))


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


def check_points(graph: Graph, constants: Constants, example: Tensor) -> Graph:
    """Check that the batch is the first dimension of the output and of every nonlinearity, and that points are independent.

    Three points are evaluated together, then the first two in reverse order: no point's values may change.

    Returns the graph with ``unit_shape`` set at every nonlinearity.
    """
    generator = torch.Generator().manual_seed(0)
    points = example[[0, 1, 0]].cpu().double()
    points += torch.rand(points.shape, generator=generator, dtype=torch.float64) * (points.std() + 0.125)
    three, two = _nonlinearity_values(graph, constants, points), _nonlinearity_values(graph, constants, points[[1, 0]])
    units: dict[str, tuple[int, ...]] = {}
    for name, (at, value) in three.items():
        again = two[name][1]
        if _batch_axis(again.shape, value.shape) != 0:
            raise _misplaced(at, again.shape, value.shape)
        units[name] = unit_shape(again.shape, points=2)
        first, second = value.reshape(3, -1)[[1, 0]], again.reshape(2, -1)
        if not bool(first.isfinite().all()):
            raise TraceError(
                f"{_description(at)}: its values at points like the example are NaN or exceed the range of float64; scale the "
                "weights, or the points, down"
            )
        if not torch.allclose(first, second, rtol=1e-9, atol=1e-9 * float(first.abs().max() + 1e-300)):
            raise TraceError(
                f"{_description(at)}: the value of one point changes with the other points of its batch; every point must be "
                "treated by itself (is there a reduction over the batch?)"
            )
    nodes = (replace(node, unit_shape=units[node.name]) if isinstance(node, NonlinearityNode) else node for node in graph.nodes)
    return Graph(tuple(nodes), graph.output)


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


def _shapes(graph: Graph, constants: Constants, x: Tensor) -> dict[str, list[torch.Size]]:
    """Shapes at every nonlinearity: of its output, then of its inputs."""
    found: dict[str, list[torch.Size]] = {}

    def visit(nonlinearity: NonlinearityNode, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        found[nonlinearity.name] = [out.shape, *(z.shape for z in inputs)]

    with torch.no_grad():
        graph.evaluate(x, _cast_all(constants, x.dtype), visit=visit)
    return found


def _nonlinearity_values(graph: Graph, constants: Constants, x: Tensor) -> dict[str, tuple[Origin | None, Tensor]]:
    """Origin and value of each nonlinearity's output by name; the name "" stands for the graph's output."""
    with torch.no_grad():
        values = graph.evaluate(x, _cast_all(constants, x.dtype), keep=[node.name for node in graph.nonlinearities])
    found: dict[str, tuple[Origin | None, Tensor]] = {n.name: (n.origin, values[n.name]) for n in graph.nonlinearities}
    return {**found, "": (None, values[graph.output])}


def _cast_all(constants: Constants, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: cast(c, dtype) for name, c in constants.items()}


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


def check_network(net: PiecewiseLinearNetwork, model: nn.Module, example: Tensor) -> None:
    """Evaluate the model and its trace on one batch; raise TraceMismatch if their outputs differ."""
    generator = torch.Generator("cpu").manual_seed(0)
    gaussian = torch.randn(6, *example.shape[1:], generator=generator, dtype=torch.float64, device="cpu").to(example)
    batch = torch.cat([example, example.mean() + gaussian * (example.std() + 1e-3)])
    with torch.no_grad():
        found = HEADS[net.dropped](net(batch))
        try:
            with callers_settings(defaults_only=True):
                wanted = model(batch.clone())
        except Exception as error:
            failure = f"{type(error).__name__}: {first_line(error)}"
            raise TraceMismatch(
                f"the model fails on a batch of {len(batch)} points, and its trace does not: {failure}"
            ) from error
    if not isinstance(wanted, Tensor) or wanted.shape not in (found.shape, found.shape[:1]):
        shape = tuple(wanted.shape) if isinstance(wanted, Tensor) else type(wanted).__name__
        raise TraceMismatch(f"the model returns {shape} for a batch of {len(batch)}, its trace {tuple(found.shape)}; {_HINT}")
    if not bool(torch.isfinite(wanted).all()):
        raise TraceMismatch(f"the model's own outputs on {len(batch)} random points are NaN or infinite")
    tolerance = 1e-4 if example.dtype == torch.float32 else 1e-9
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
