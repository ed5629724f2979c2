"""The required multipliers K of a set of points, found nonlinearity by nonlinearity from the output.

K of a nonlinearity depends on K of the later ones only, so one backward pass over the graph gives the smallest K exactly.
The cotangents of all points are kept behind one nonlinearity; its K is computed from them and added to them; a
vector-Jacobian product then gives the cotangents behind the preceding nonlinearity. Each such step makes one backward pass
through one segment of the graph. It needs the values behind its nonlinearity. They are kept from one forward pass as far as
they fit in memory, those near the output first; else the step repeats the forward pass up to its nonlinearity.

Cost for a chain of L nonlinearities, if all values fit: two forward and two backward passes, without their parts before the
first nonlinearity. If none fit: L/2 forward passes, plus one forward and two backward passes. Memory: the cotangents of N_i and
of F⁻ of all points behind one nonlinearity, and the values that are kept. If the cotangents exceed the memory, which happens
first at the wide layers near the input, the step and all later ones continue with fewer points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tropica.decomposition.cotangents import required_multiplier, target_cotangent
from tropica.network.graph import INPUT, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.memory import release_freed_memory
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback

T = TypeVar("T")


@dataclass(frozen=True)
class BackwardStep:
    """One step of the backward pass, from the next nonlinearity (or the output) to the outputs of one nonlinearity.

    Attributes:
        node: the nonlinearity.
        live: the names of the values behind ``node`` that later nodes read, with ``node`` itself.
        bytes: the bytes of one point and of its two cotangents at the live values.
        passes: the work in passes; a pass is one forward and two backward passes through the network, counted in flops.
    """

    node: NonlinearityNode
    live: tuple[str, ...]
    bytes: int
    passes: float


def backward_steps(net: PiecewiseLinearNetwork) -> list[BackwardStep]:
    """One step for each nonlinearity, from the last one to the first."""
    nodes = net.graph.nodes
    flops = _cumulative_flops(net)
    total = flops[-1] or 1.0
    steps: list[BackwardStep] = []
    end = len(nodes)
    for at in range(len(nodes) - 1, -1, -1):
        node = nodes[at]
        if isinstance(node, NonlinearityNode):
            later = nodes[at + 1 :]
            read = {name for n in later for name in n.inputs} | {net.graph.output}
            live = tuple(sorted(read - {n.name for n in later}))
            numbers = math.prod(net.input_shape) + 2 * sum(net.shapes[name].numel() for name in live)
            work = flops[at + 1] + 3 * (flops[end] - flops[at + 1])
            steps.append(BackwardStep(node, live, numbers * net.dtype.itemsize, work / (3 * total)))
            end = at + 1
    return steps


_operations: WeakKeyDictionary[PiecewiseLinearNetwork, list[float]] = WeakKeyDictionary()


def operations_per_point(net: PiecewiseLinearNetwork) -> float:
    """The floating-point operations of the products in a forward pass of one point."""
    return _cumulative_flops(net)[-1]


def _cumulative_flops(net: PiecewiseLinearNetwork) -> list[float]:
    """The flops of the first 0, 1, 2, … nodes for one point, counted once for each network."""
    if net in _operations:
        return _operations[net]
    flops = [0.0]

    def count(node: Node, inputs: Sequence[Tensor]) -> Tensor:
        with FlopCounterMode(display=False) as counter:
            out = node.apply(inputs, net.constants)
        flops.append(flops[-1] + counter.get_total_flops())
        return out

    with torch.no_grad():
        net.graph.interpret({INPUT: torch.zeros(1, *net.input_shape, dtype=net.dtype, device=net.device)}, count)
    _operations[net] = flops
    return flops


@dataclass(frozen=True)
class Margins:
    """The margins added to the required K of a nonlinearity, as a share of its largest entry.

    Attributes:
        all_points: the margin if all points took part: covers the rounding under another order of batches.
        some_points: the margin if only some of the points took part: covers small changes by later raises.
    """

    all_points: float = 1e-3
    some_points: float = 0.02


NO_MARGINS = Margins(0.0, 0.0)
DEFAULT_MARGINS = Margins()


@dataclass(frozen=True)
class RequiredMultipliers:
    """K in the network's dtype and the share of the points that took part, by nonlinearity; the work in passes."""

    multipliers: Mapping[str, Tensor]
    shares: Mapping[str, float]
    passes: float


@dataclass
class _Batch:
    """A batch, without ``x`` if another process has it, and its cotangents of (N_i, F⁻) at the live values."""

    points: int
    x: Tensor | None
    cotangents: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)


def layer_by_layer(
    net: PiecewiseLinearNetwork,
    batches: Iterable[Tensor | int],
    *,
    margins: Margins = NO_MARGINS,
    memory: float = math.inf,
    num_points: int | None = None,
    processes: Processes = SINGLE_PROCESS,
    progress: ProgressCallback | None = None,
) -> RequiredMultipliers:
    """The multipliers K that the points require, with margins.

    Args:
        net: the network.
        batches: the points, (B, *input) each, held in memory with their cotangents. A batch of another process is given by its
            number of points.
        margins: the margins added to the required K.
        memory: bytes; a step that needs more for the remaining points continues with some of their batches.
        num_points: the number of all points, if ``batches`` are not all of them.
        processes: the processes that share the batches.
        progress: called with (done, total, message).
    """
    steps = backward_steps(net)
    multipliers: dict[str, Tensor] = {}
    shares: dict[str, float] = {}
    remaining = [_Batch(x, None) if isinstance(x, int) else _Batch(len(x), x) for x in batches]
    num_points = num_points or sum(batch.points for batch in remaining)
    end, passes = net.graph.output, 0.0
    kept = _kept_values(net, steps, memory / sum(batch.points for batch in remaining))
    for batch in remaining:
        if batch.x is not None and kept:
            with torch.no_grad():
                batch.values = net.graph.evaluate(batch.x, net.constants, keep=kept)
    for number, step in enumerate(steps):
        before, name = len(remaining), step.node.name
        remaining = list(evenly_spaced(remaining, memory / step.bytes / sum(batch.points for batch in remaining)))
        if len(remaining) < before:
            release_freed_memory()
        required = torch.zeros(step.node.unit_shape, dtype=net.dtype, device=net.device)
        for batch in remaining:
            if batch.x is not None:
                batch.cotangents = _cotangents(net, batch.x, step, end, batch.cotangents, batch.values)
                later = {name for each in steps[number + 1 :] for name in each.live}
                batch.values = {name: value for name, value in batch.values.items() if name in later}
                local, minus = (step.node.per_point(g, batch.points) for g in batch.cotangents[name])
                required = torch.maximum(required, required_multiplier(minus, local))
        required = processes.all_reduce_max(required)
        share = sum(batch.points for batch in remaining) / num_points
        k = required + (margins.all_points if share == 1 else margins.some_points) * required.max()
        for batch in remaining:
            if batch.x is not None:
                local, minus = batch.cotangents[name]
                batch.cotangents[name] = (local, (step.node.per_point(minus, batch.points) + k).reshape(minus.shape))
        multipliers[name], shares[name] = k, share
        passes += share * step.passes
        end = name
        if progress:
            progress(number + 1, len(steps), "calibrating, nonlinearity by nonlinearity")
    del remaining
    release_freed_memory()
    return RequiredMultipliers(multipliers, shares, passes)


def _kept_values(net: PiecewiseLinearNetwork, steps: Sequence[BackwardStep], room: float) -> list[str]:
    """The names of the values to keep from one forward pass: those of the last steps that fit, beside the cotangents of any
    step, in ``room`` bytes per point."""
    kept: dict[str, None] = {}
    room -= max((step.bytes for step in steps), default=0)
    for step in steps:
        more = [name for name in step.live if name not in kept and name != INPUT]
        room -= sum(net.shapes[name].numel() for name in more) * net.dtype.itemsize
        if room < 0:
            break
        kept.update(dict.fromkeys(more))
    return list(kept)


def evenly_spaced(items: Iterable[T], share: float) -> Iterator[T]:
    """A share of the items, evenly spaced over all of them, so that every part of sorted data is represented; at least one."""
    taken = 0
    for i, item in enumerate(items):
        if (i + 1) * min(share, 1.0) >= taken + 1 - 1e-9 or taken == 0:
            taken += 1
            yield item


def _cotangents(
    net: PiecewiseLinearNetwork,
    x: Tensor,
    step: BackwardStep,
    end: str,
    later: Mapping[str, tuple[Tensor, Tensor]],
    known: Mapping[str, Tensor],
) -> dict[str, tuple[Tensor, Tensor]]:
    """The cotangents at the live values of a step from those behind node ``end`` (``later``; empty: from the output).

    The live values are ``known``, or computed from x.
    """
    values = {INPUT: x, **known}
    if not values.keys() >= set(step.live):
        with torch.no_grad():
            values = net.graph.evaluate(x, net.constants, stop=step.node.name, keep=step.live)
    leaves = {name: values[name].detach().requires_grad_() for name in step.live}
    with torch.enable_grad():
        values = net.graph.evaluate(leaves, net.constants, stop=end, keep=later)
        if later:
            outputs, cotangents = [values[name] for name in later], list(later.values())
        else:
            scores = net.as_scores(values[end])
            outputs, cotangents = [scores], [(target_cotangent(net, scores), torch.zeros_like(scores))]
    products: list[Sequence[Tensor]] = []
    for which in (0, 1):
        pairs = [(out, pair[which]) for out, pair in zip(outputs, cotangents, strict=True) if out.requires_grad]
        outs, given = zip(*pairs, strict=True)
        products.append(
            torch.autograd.grad(
                outs, list(leaves.values()), given, retain_graph=which == 0, allow_unused=True, materialize_grads=True
            )
        )
    return dict(zip(leaves, zip(*products, strict=True), strict=True))
