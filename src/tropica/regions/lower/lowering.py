"""Lowering: a traced network as stages of units in two normal forms, thresholds and windows, with affine maps between them.

A maximum of two activations is b + relu(a − b), a maximum with a constant c + relu(z − c); their constants and their linear
parts go into the affine maps of their readers. With ``simplify``, a relu before or behind a max-pool, where one is the other's
only reader, is one window max(0, z₁, …, z_m) with it, and a leaky relu goes behind its max-pool. Linear regions and maps stay
the same; cells get fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.network.graph import AffineNode, Graph, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import (
    AdaptiveMaxPool,
    Amax,
    ClampMin,
    Floored,
    LeakyRelu,
    Maximum,
    MaxPool,
    Nonlinearity,
    Relu,
)
from tropica.regions.lower.composed_affine import AffineGraph, ComposedAffine, composed_affine

NO_INPUT = -1
"""Padding of a window."""
ZERO = -2
"""The constant 0 among the inputs of a window."""
_MOST_KEPT = 1 << 22
"""Weights of a network up to which its stages are kept as long as it is."""
_LOWERED: WeakKeyDictionary[PiecewiseLinearNetwork, dict[tuple[bool, str | None], tuple[object, Lowered]]] = WeakKeyDictionary()
_LOCK = Lock()
_WINDOWS = (MaxPool, AdaptiveMaxPool, Amax, Floored)


@dataclass(frozen=True, eq=False)
class Stage:
    """One nonlinearity in normal form.

    Attributes:
        affine: the map to the rows z of the stage.
        kind: "threshold": unit i is low_i · z_i where z_i ≤ 0 and high_i · z_i where z_i > 0, and bends nowhere if both are
            equal; "window": unit i is the largest of the rows ``inputs[i]``, the first of equal ones.
        low, high: (n,) of a threshold.
        inputs: (units, k) rows of a window; −1 is no input, −2 the constant 0.
        written: names of the nonlinearities of the network as written that the stage stands for, with their units by index.
    """

    affine: ComposedAffine
    kind: str
    low: np.ndarray
    high: np.ndarray
    inputs: np.ndarray
    written: tuple[tuple[str, np.ndarray], ...]

    @property
    def size(self) -> int:
        """The number of rows n."""
        return self.affine.size

    @property
    def units(self) -> int:
        """The number of outputs."""
        return len(self.inputs) if self.kind == "window" else self.size

    @cached_property
    def slopes(self) -> RationalArray:
        """``low`` and ``high`` (2, n) exactly."""
        return rationals(np.stack([self.low, self.high]))


@dataclass(frozen=True, eq=False)
class Lowered:
    """A lowered network: its stages in topological order, and the affine map to the outputs."""

    stages: tuple[Stage, ...]
    output: ComposedAffine
    input_shape: tuple[int, ...]


def lower(net: PiecewiseLinearNetwork, *, simplify: bool = True, upto: str | None = None) -> Lowered:
    """Lower a network.

    Args:
        net: a traced network; it is read in float64.
        simplify: merge nonlinearities where linear regions stay the same. Otherwise every unit is kept as written.
        upto: the module path or node name whose output takes the place of the network's.

    Raises:
        InputError: nothing in the network is called ``upto``.

    >>> import torch, tropica as tp
    >>> layers = torch.nn.Conv1d(1, 2, 2), torch.nn.ReLU(), torch.nn.MaxPool1d(2), torch.nn.Flatten()
    >>> model = torch.nn.Sequential(*layers).eval()
    >>> net = tp.trace(model, torch.zeros(2, 1, 5))
    >>> [stage.kind for stage in lower(net).stages], [stage.kind for stage in lower(net, simplify=False).stages]
    (['window'], ['threshold', 'window'])
    """
    if not _kept(net):
        return _lowered(net, simplify, upto)
    versions = tuple((id(c), c._version) for c in net.constants.values())
    with _LOCK:
        known = _LOWERED.setdefault(net, {})
        found = known.get((simplify, upto))
    if found is None or found[0] != versions:
        found = versions, _lowered(net, simplify, upto)
        with _LOCK:
            known[simplify, upto] = found
    return found[1]


def _kept(net: PiecewiseLinearNetwork) -> bool:
    """Whether what a network is lowered to is kept for the next call: of small ones, whose constants say when they change."""
    constants = net.constants.values()
    return sum(c.numel() for c in constants) <= _MOST_KEPT and not any(c.is_inference() for c in constants)


def _lowered(net: PiecewiseLinearNetwork, simplify: bool, upto: str | None) -> Lowered:
    net = net.to(torch.float64).to("cpu")
    graph = net.graph if upto is None else Graph(net.graph.nodes, net.find(upto)).pruned()
    plan = _Plan(list(graph.nodes), graph.output, {name: (name,) for name in (n.name for n in graph.nodes)})
    plan = _without_maxima(plan)
    if simplify:
        plan = _merged(plan, net.constants, net.input_shape)
    context = _context(plan, net.constants, net.input_shape)
    names: dict[str, int] = {}
    stages: list[Stage] = []
    for node in context.graph.nonlinearities:
        stages.append(_stage(node, plan, context, names))
        names[node.name] = len(names)
    return Lowered(tuple(stages), composed_affine(context, plan.output, names), net.input_shape)


@dataclass(frozen=True)
class _Plan:
    """A graph on the way.

    Attributes:
        written: for each nonlinearity the names of those as written that it stands for.
    """

    nodes: Sequence[Node]
    output: str
    written: Mapping[str, tuple[str, ...]]

    def readers(self) -> dict[str, list[str]]:
        """The names of the nodes that read each value; "" stands for the network's own output."""
        found: dict[str, list[str]] = {self.output: [""]}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node.name)
        return found


def _context(plan: _Plan, constants: Mapping[str, Tensor], input_shape: Sequence[int]) -> AffineGraph:
    return AffineGraph.of(Graph(tuple(plan.nodes), plan.output), constants, input_shape)


def _stage(node: NonlinearityNode, plan: _Plan, context: AffineGraph, names: Mapping[str, int]) -> Stage:
    shape = context.shapes[node.inputs[0]]
    affine = composed_affine(context, node.inputs[0], names)
    units = np.arange(context.shapes[node.name].numel())
    written = tuple((name, units) for name in plan.written[node.name])
    none = np.zeros(0)
    if isinstance(node.op, _WINDOWS):
        positions = torch.arange(shape.numel(), dtype=torch.float64).reshape(shape)
        inputs = node.op.windows(positions, NO_INPUT).flatten(1).T.long().numpy()
        inputs = np.ascontiguousarray(inputs)
        if isinstance(node.op, Floored):
            inputs[:, 0] = ZERO
        return Stage(affine, "window", none, none, inputs, written)
    low, high = (x.flatten().numpy() for x in node.op.slopes(shape, **node.roles(context.constants)))
    return Stage(affine, "threshold", low, high, np.zeros((0, 0), np.int64), written)


# ── maxima as relu ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _without_maxima(plan: _Plan) -> _Plan:
    """Every maximum with a constant or of two activations as an affine op, a relu, and an affine op of the same name."""
    nodes: list[Node] = []
    written = dict(plan.written)
    for node in plan.nodes:
        if not isinstance(node, NonlinearityNode) or not isinstance(node.op, ClampMin | Maximum):
            nodes.append(node)
            continue
        before, relu = f"{node.name}.difference", f"{node.name}.relu"
        written[relu] = (node.name,)
        bend = NonlinearityNode(relu, (before,), {}, node.origin, Relu(), node.unit_shape)
        if isinstance(node.op, ClampMin):
            role = {"bias": node.constants["level"]}
            first = AffineNode(before, node.inputs, role, node.origin, lambda x, bias: x - bias, settings="minus")
            last = AffineNode(node.name, (relu,), role, node.origin, lambda x, bias: x + bias, settings="plus")
        else:
            first = AffineNode(before, node.inputs[::-1], {}, node.origin, torch.sub, (1, -1))  # of equal inputs the first
            last = AffineNode(node.name, (relu, node.inputs[0]), {}, node.origin, torch.add)
        nodes += [first, bend, last]
    return replace(plan, nodes=nodes, written=written)


# ── merging ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _merged(plan: _Plan, constants: Mapping[str, Tensor], input_shape: Sequence[int]) -> _Plan:
    """Relus that become a part of a window, leaky relus that go behind one."""
    context = _context(plan, constants, input_shape)
    for name in [node.name for node in context.graph.nonlinearities if isinstance(node.op, _WINDOWS)]:
        before = _before(name, plan, context)
        if before is not None and isinstance(before.op, LeakyRelu):
            plan = _moved_behind(_bypassed(plan, before), name, before)
            continue
        if before is not None:
            plan = _floored(_bypassed(plan, before), name, before.name)
        behind = _behind(name, plan, context)
        if behind is not None:
            plan = _floored(_bypassed(plan, behind), name, behind.name)
    return plan


def _before(window: str, plan: _Plan, context: AffineGraph) -> NonlinearityNode | None:
    """The relu or leaky relu whose output only this window reads, through ops that keep signs."""
    by_name, readers = {node.name: node for node in plan.nodes}, plan.readers()
    name = by_name[window].inputs[0]
    while name in by_name and len(readers[name]) == 1:
        node = by_name[name]
        if isinstance(node, NonlinearityNode):
            return node if isinstance(node.op, Relu | LeakyRelu) else None
        if len(node.inputs) != 1 or not context.exact(node).keeps_signs:
            return None
        name = node.inputs[0]
    return None


def _behind(window: str, plan: _Plan, context: AffineGraph) -> NonlinearityNode | None:
    """The relu that alone reads this window, through ops that keep signs."""
    by_name, readers = {node.name: node for node in plan.nodes}, plan.readers()
    name = window
    while len(readers.get(name, ())) == 1 and readers[name][0]:
        node = by_name[readers[name][0]]
        if isinstance(node, NonlinearityNode):
            return node if isinstance(node.op, Relu) else None
        if len(node.inputs) != 1 or not context.exact(node).keeps_signs:
            return None
        name = node.name
    return None


def _bypassed(plan: _Plan, removed: NonlinearityNode) -> _Plan:
    """The plan without a node of one input: its readers read its input."""
    source = removed.inputs[0]

    def renamed(name: str) -> str:
        return source if name == removed.name else name

    nodes = [replace(n, inputs=tuple(map(renamed, n.inputs))) for n in plan.nodes if n.name != removed.name]
    return replace(plan, nodes=nodes, output=renamed(plan.output))


def _floored(plan: _Plan, window: str, relu: str) -> _Plan:
    """The plan with a constant 0 in a window."""
    written = {**plan.written, window: (*plan.written[window], *plan.written[relu])}
    nodes = [replace(n, op=_with_zero(n.op)) if n.name == window and isinstance(n, NonlinearityNode) else n for n in plan.nodes]
    return replace(plan, nodes=nodes, written=written)


def _with_zero(op: Nonlinearity) -> Floored:
    return op if isinstance(op, Floored) else Floored(op)


def _moved_behind(plan: _Plan, window: str, leaky: NonlinearityNode) -> _Plan:
    """The plan with a leaky relu behind a window, which gets another name."""
    inner = f"{window}.window"
    nodes: list[Node] = []
    for node in plan.nodes:
        if node.name == window:
            nodes += [replace(node, name=inner), replace(leaky, name=window, inputs=(inner,))]
        else:
            nodes.append(node)
    written = {**plan.written, inner: plan.written[window], window: plan.written[leaky.name]}
    return replace(plan, nodes=nodes, written=written)
