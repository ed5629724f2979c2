"""The tight K of a set of points, found nonlinearity by nonlinearity from the output: exact in one sweep, as no K changes after its turn.

K at a nonlinearity depends on K at all later nonlinearities. So the points' cotangents are carried from cut to cut: at a cut behind a nonlinearity
they are kept for all points; K of the nonlinearity is read off them, added to them, and they are pulled back to the next cut. Each
stage needs the forward pass up to the cut once more (activations are not kept), and one backward pass through one segment.

Cost for a chain of L nonlinearities: L/2 forward passes, one more forward and two backward passes; a pass being one forward and two
backward passes of equal cost, L/6 + 1 passes. Memory: the cotangents at one cut, twice (of N_i and of F⁻), for all points.
Where that is more than allowed, first at the wide cuts near the input, a stage and those after it go on with fewer points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tropica.decomposition.cotangents import need_gradients, shortfall, winner_seed
from tropica.network.graph import INPUT, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.memory import release_freed_memory
from tropica.runtime.processes import SINGLE_PROCESS, Processes

Progress = Callable[[int, int, str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Cut:
    """The values alive behind node number ``at``: all that later nodes read."""

    at: int
    alive: tuple[str, ...]


def cuts(net: PiecewiseLinearNetwork) -> list[Cut]:
    """A cut behind every nonlinearity, in forward order."""
    nodes = net.graph.nodes
    found: list[Cut] = []
    for at, node in enumerate(nodes):
        if isinstance(node, NonlinearityNode):
            later = {name for n in nodes[at + 1 :] for name in n.inputs} | {net.graph.output}
            made = {n.name for n in nodes[at + 1 :]}
            found.append(Cut(at, tuple(sorted(later - made))))
    return found


@dataclass(frozen=True)
class Stage:
    """What the stage of one cut takes a point: bytes for the point and its cotangents at the cut, and work in passes."""

    cut: Cut
    bytes: int
    passes: float


def stages(net: PiecewiseLinearNetwork) -> list[Stage]:
    """One stage a nonlinearity, the last nonlinearity's first. A pass is one forward and two backward passes, counted in flops."""
    x = torch.zeros(1, *net.input_shape, dtype=net.dtype, device=net.device)
    sizes, prefix = {name: shape.numel() for name, shape in net.shapes.items()}, [0.0]

    def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
        with FlopCounterMode(display=False) as counter:
            out = node.apply(inputs, net.constants)
        prefix.append(prefix[-1] + counter.get_total_flops())
        return out

    with torch.no_grad():
        net.graph.interpret({INPUT: x}, step)
    total = prefix[-1] or 1.0
    found: list[Stage] = []
    end = len(net.graph.nodes)
    for cut in reversed(cuts(net)):
        forward, segment = prefix[cut.at + 1], prefix[end] - prefix[cut.at + 1]
        numbers = x.numel() + 2 * sum(sizes[name] for name in cut.alive)
        found.append(Stage(cut, numbers * net.dtype.itemsize, (forward + 3 * segment) / (3 * total)))
        end = cut.at + 1
    return found


@dataclass(frozen=True)
class Tight:
    """K by nonlinearity name, in the network's dtype; the share of the points that each is tight for; the work in passes."""

    weights: dict[str, Tensor]
    shares: dict[str, float]
    passes: float


@dataclass
class _Held:
    """A batch, where it is this process's, with its cotangents of (N_i, F⁻) at the last cut (none before the first stage)."""

    points: int
    x: Tensor | None
    cotangents: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


def tight_weights(
    net: PiecewiseLinearNetwork,
    batches: Iterable[Tensor | int],
    *,
    slack: float = 0.0,
    margin: float = 0.0,
    memory: float = math.inf,
    points: int | None = None,
    processes: Processes = SINGLE_PROCESS,
    progress: Progress | None = None,
) -> Tight:
    """K of every nonlinearity: the smallest that the points need, plus a headroom of ``slack`` or ``margin`` of the nonlinearity's largest.

    Args:
        net: the network.
        batches: the points, (B, *input) each; they and their cotangents at one cut are held in memory. In place of a batch
            that another process has stands its number of points.
        slack: headroom of a nonlinearity that all points took part in, against the rounding of another batch order.
        margin: headroom of the others.
        memory: bytes; a stage that needs more for the points still there goes on with some of their batches only.
        points: how many points there are in all, where ``batches`` are not all of them.
        processes: those that share the batches.
        progress: called with (done, total, message).
    """
    need_gradients()
    nodes, plan = net.graph.nodes, stages(net)
    found = Tight({}, {}, 0.0)
    held: list[_Held] = [_Held(x, None) if isinstance(x, int) else _Held(len(x), x) for x in batches]
    points = points or sum(batch.points for batch in held)
    end, work = len(nodes), 0.0
    for number, stage in enumerate(plan):
        before = len(held)
        held = list(spread(held, memory / stage.bytes / sum(batch.points for batch in held)))
        if len(held) < before:
            release_freed_memory()
        nonlinearity = nodes[stage.cut.at]
        assert isinstance(nonlinearity, NonlinearityNode)
        needed = torch.zeros(nonlinearity.unit_shape, dtype=net.dtype, device=net.device)
        for batch in held:
            if batch.x is not None:
                batch.cotangents = _pull_back(net, batch.x, stage.cut, end, batch.cotangents)
                local, minus = (nonlinearity.per_point(g, batch.points) for g in batch.cotangents[nonlinearity.name])
                needed = torch.maximum(needed, shortfall(minus, local))
        needed = processes.all_reduce_max(needed)
        share = sum(batch.points for batch in held) / points
        k = needed + (slack if share == 1 else margin) * needed.max()
        for batch in held:
            if batch.x is not None:
                local, minus = batch.cotangents[nonlinearity.name]
                batch.cotangents[nonlinearity.name] = (
                    local,
                    (nonlinearity.per_point(minus, batch.points) + k).reshape(minus.shape),
                )
        found.weights[nonlinearity.name], found.shares[nonlinearity.name] = k, share
        work += share * stage.passes
        end = stage.cut.at + 1
        if progress:
            progress(number + 1, len(plan), "calibrating, nonlinearity by nonlinearity")
    del held
    release_freed_memory()
    return replace(found, passes=work)


def spread(items: Iterable[T], share: float) -> Iterator[T]:
    """Every so many, evenly over all (at least the first), so that sorted data is met in all its parts."""
    taken = 0
    for i, item in enumerate(items):
        if (i + 1) * min(share, 1.0) >= taken + 1 - 1e-9 or taken == 0:
            taken += 1
            yield item


def _pull_back(
    net: PiecewiseLinearNetwork, x: Tensor, cut: Cut, end: int, later: dict[str, tuple[Tensor, Tensor]]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Cotangents at a cut from those at the next one (``later``, behind node ``end − 1``; empty: from the output)."""
    nodes = net.graph.nodes
    with torch.no_grad():
        alive = net.graph.evaluate(x, net.constants, stop=nodes[cut.at].name, keep=cut.alive)
    leaves = {name: alive[name].detach().requires_grad_() for name in cut.alive}
    with torch.enable_grad():
        values = net.graph.evaluate(leaves, net.constants, stop=nodes[end - 1].name, keep=later)
        if not later:
            scores = net.as_scores(values[net.graph.output])
            outputs, seeds = [scores], [(winner_seed(scores), torch.zeros_like(scores))]
        else:
            outputs, seeds = [values[name] for name in later], list(later.values())
    pulled: list[Sequence[Tensor]] = []
    for which in (0, 1):
        live = [(out, seed[which]) for out, seed in zip(outputs, seeds, strict=True) if out.requires_grad]
        outs, grads = zip(*live, strict=True)
        pulled.append(
            torch.autograd.grad(
                outs, list(leaves.values()), grads, retain_graph=which == 0, allow_unused=True, materialize_grads=True
            )
        )
    return dict(zip(leaves, zip(*pulled, strict=True), strict=True))
