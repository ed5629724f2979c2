"""A pass over the data that raises K where a point needs more.

Every batch starts from K as it stood before the pass, and the pass's K is the largest that any batch came to. So it does not
depend on the order of the batches, nor on which process has which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from tropica.data.passes import DataPass
from tropica.decomposition.cotangents import forward, shortfall, winner_seed
from tropica.decomposition.layer_by_layer import Progress
from tropica.decomposition.paper import allowance
from tropica.errors import CertificateError
from tropica.network.graph import NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.memory import BatchHalving
from tropica.runtime.processes import Processes

ROOM = 0.05
"""How much larger K may be than the points need, to spare a pass over them."""


class Sweep:
    """One pass.

    Attributes:
        weights: K after it, by nonlinearity name.
        smallest: the smallest cotangent that it met, relative to the largest at the same nonlinearity, each batch's own K added.
    """

    def __init__(self, net: PiecewiseLinearNetwork, weights: Mapping[str, Tensor], headroom: Mapping[str, float]) -> None:
        self.net = net
        self.weights = dict(weights)
        self.smallest = math.inf
        self._before = dict(weights)
        self._headroom = headroom
        self._raised = 0
        self._fitting = BatchHalving()

    def over(self, data_pass: DataPass, processes: Processes, progress: Progress | None) -> int:
        """Make the pass; the number of raises, in units and batches."""
        mine, done = processes.share(data_pass.shards), 0
        points = sum(shard.points for shard in mine)

        def work() -> list[int]:
            nonlocal done
            for _, group in data_pass.iter_shards(mine):
                for x in group:
                    self._fitting(self._batch, x)
                    done += len(x)
                    if progress:
                        progress(done, points, "calibrating")
            return [self._raised]

        raised = sum(said[0] for said in processes.run_on_all(work))
        if processes.world_size > 1:
            for name in self.weights:
                self.weights[name] = processes.all_reduce_max(self.weights[name])
            self.smallest = float(processes.all_reduce_min(torch.tensor(self.smallest, dtype=torch.float64)))
        return raised

    def _batch(self, x: Tensor) -> None:
        x = x.detach().requires_grad_()
        scores, every = forward(self.net, x)
        nonlinearities = [(nonlinearity, h) for nonlinearity, h in every if h.requires_grad]
        if not nonlinearities:
            self.smallest = min(self.smallest, 0.0)
            return
        locals_ = torch.autograd.grad(
            scores,
            [h for _, h in nonlinearities],
            winner_seed(scores),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        # Hooks fire where the gradient of F⁻ arrives, later nonlinearities first: each sees what the raised ones send it.
        for (nonlinearity, h), local in zip(nonlinearities, locals_, strict=True):
            h.register_hook(partial(self._visit, nonlinearity, local, len(x)))
        torch.autograd.grad(scores, x, torch.zeros_like(scores), allow_unused=True)

    def _visit(self, nonlinearity: NonlinearityNode, local: Tensor, points: int, arriving: Tensor) -> Tensor:
        minus, local = nonlinearity.per_point(arriving, points), nonlinearity.per_point(local, points)
        k = self._before[nonlinearity.name]
        needed = shortfall(minus, local)
        short = needed > k
        if bool(short.any()):
            self._raised += int(short.sum())
            # Where K must grow it grows by the headroom too, or the next pass would find it short by a little again.
            k = torch.where(short, needed + self._headroom[nonlinearity.name] * torch.maximum(needed.max(), k.max()), k)
            self.weights[nonlinearity.name] = torch.maximum(self.weights[nonlinearity.name], k)
        held = minus + k
        least, scale = float(torch.minimum(held, held + local).min()), float(held.abs().max())
        if not math.isfinite(least) or not math.isfinite(scale):
            raise CertificateError(f"a cotangent at nonlinearity {nonlinearity.name} is not finite; use dtype=torch.float64")
        self.smallest = min(self.smallest, least / (scale or 1.0))
        return held.reshape(arriving.shape)


def settle(
    net: PiecewiseLinearNetwork, before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], float] | None:
    """Spare the next pass: raise K by what a pass's raises can bring about at any point (``allowance``).

    Each point was met with some K between those before and after the pass, which was enough for it there and has grown since
    by no more than over the whole pass.

    Returns:
        K, and the largest share by which one grows; None where that is more than ROOM.
    """
    more = allowance(net, {name: k.double() - before[name].double() for name, k in after.items()})
    growth = 0.0
    for name, k in after.items():
        if float(largest := more[name].max()) > 0:
            growth = max(growth, float(largest) / float(k.max()) if bool(k.any()) else math.inf)
    if growth > ROOM:
        return None
    # The next number up: K in the network's dtype must not be rounded to less.
    raised = {
        name: torch.nextafter(k + more[name].to(k), torch.full_like(k, math.inf)) if bool(more[name].any()) else k
        for name, k in after.items()
    }
    return raised, growth
