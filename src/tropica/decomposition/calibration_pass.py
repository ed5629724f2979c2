"""One pass over the data that raises K where a point requires more.

Every batch starts from the K before the pass, and the K after the pass is the maximum over the batches. So K does not depend on
the order of the batches or on their distribution over processes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from tropica.data.passes import DataPass
from tropica.decomposition.cotangents import forward, required_multiplier, target_cotangent
from tropica.decomposition.paper import bound_on_raises
from tropica.errors import CertificateError
from tropica.network.graph import NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.memory import BatchHalving
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback

MAX_EXTRA = 0.05
"""The largest relative excess of K over the required one that is accepted to save a pass over the points."""


@dataclass(frozen=True)
class PassResult:
    """The result of a pass over a batch or over all data.

    Attributes:
        multipliers: K by the name of the nonlinearity; for a batch, only the raised K.
        raised: the number of raises, in units and batches.
        smallest_cotangent: the smallest cotangent, relative to the largest one at the same nonlinearity, under the K of
            each batch.
    """

    multipliers: dict[str, Tensor]
    raised: int
    smallest_cotangent: float


def calibration_pass(
    net: PiecewiseLinearNetwork,
    multipliers: Mapping[str, Tensor],
    margins: Mapping[str, float],
    data_pass: DataPass,
    processes: Processes,
    progress: ProgressCallback | None,
) -> PassResult:
    """Raise K in a pass over all data.

    Args:
        net: the network.
        multipliers: K before the pass, by the name of the nonlinearity.
        margins: the margin added to a raised K, as a share of its largest entry.
        data_pass: the points.
        processes: the processes that share the pass.
        progress: called with (done, total, message).

    Raises CertificateError if a cotangent is not finite.
    """
    found = dict(multipliers)
    raised, smallest, done = 0, math.inf, 0
    shards, halving = processes.share(data_pass.shards), BatchHalving(data_pass.repeat)
    total = sum(shard.points for shard in shards)

    def work() -> int:
        nonlocal raised, smallest, done
        for _, batches in data_pass.iter_shards(shards):
            for x in batches:
                for result in halving(partial(_calibrate_batch, net, multipliers, margins), x):
                    raised += result.raised
                    smallest = min(smallest, result.smallest_cotangent)
                    for name, k in result.multipliers.items():
                        found[name] = torch.maximum(found[name], k)
                done += len(x)
                if progress:
                    progress(done, total, "calibrating")
        return raised

    raised = sum(processes.run_on_all(work))
    if processes.world_size > 1:
        found = {name: processes.all_reduce_max(k) for name, k in found.items()}
        smallest = float(processes.all_reduce_min(torch.tensor(smallest, dtype=torch.float64)))
    return PassResult(found, raised, smallest)


def _calibrate_batch(
    net: PiecewiseLinearNetwork, multipliers: Mapping[str, Tensor], margins: Mapping[str, float], x: Tensor
) -> PassResult:
    """Raise K where one batch requires it."""
    x = x.detach().requires_grad_()
    scores, outputs = forward(net, x)
    outputs = [(node, h) for node, h in outputs if h.requires_grad]
    if not outputs:
        return PassResult({}, 0, 0.0)
    cotangent, settings = target_cotangent(net, scores), {"allow_unused": True, "materialize_grads": True}
    local_cotangents = torch.autograd.grad(scores, [h for _, h in outputs], cotangent, retain_graph=True, **settings)
    found: dict[str, Tensor] = {}
    raised, smallest = 0, math.inf

    def add_multiplier(node: NonlinearityNode, local: Tensor, arriving: Tensor) -> Tensor:
        nonlocal raised, smallest
        minus, local = node.per_point(arriving, len(x)), node.per_point(local, len(x))
        k = multipliers[node.name]
        required = required_multiplier(minus, local)
        short = required > k
        if bool(short.any()):
            raised += int(short.sum())
            # Without a margin on the raised K, the next pass would find it slightly too small again.
            k = torch.where(short, required + margins[node.name] * torch.maximum(required.max(), k.max()), k)
            found[node.name] = k
        minus = minus + k
        least, largest = float(torch.minimum(minus, minus + local).min()), float(minus.abs().max())
        if not math.isfinite(least) or not math.isfinite(largest):
            raise CertificateError(f"a cotangent at nonlinearity {node.name} is not finite; use dtype=torch.float64")
        smallest = min(smallest, least / (largest or 1.0))
        return minus.reshape(arriving.shape)

    # The hooks run when the gradient of F⁻ arrives, at later nonlinearities first. So each hook sees the effect of the K raised
    # at later nonlinearities.
    for (node, h), local in zip(outputs, local_cotangents, strict=True):
        h.register_hook(partial(add_multiplier, node, local))
    torch.autograd.grad(scores, x, torch.zeros_like(scores), allow_unused=True)
    return PassResult(found, raised, smallest)


def raise_without_pass(
    net: PiecewiseLinearNetwork, before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], float] | None:
    """Add to K the largest raises that those of a pass can require at earlier nonlinearities, which saves the next pass.

    Each point was checked with some K between ``before`` and ``after`` that was large enough for the point. Since then K has
    grown by at most ``after`` − ``before``.

    Returns:
        K, and its largest relative growth; None if that growth exceeds MAX_EXTRA.
    """
    extra = bound_on_raises(net, {name: k.double() - before[name].double() for name, k in after.items()})
    share = 0.0
    for name, k in after.items():
        if float(largest := extra[name].max()) > 0:
            share = max(share, float(largest) / float(k.max()) if bool(k.any()) else math.inf)
    if share > MAX_EXTRA:
        return None
    # The next larger number: rounding to the network's dtype must not make K smaller.
    raised = {
        name: torch.nextafter(k + extra[name].to(k), torch.full_like(k, math.inf)) if bool(extra[name].any()) else k
        for name, k in after.items()
    }
    return raised, share
