"""The calibrated decomposition: K from the cotangents that the data's own points send to each nonlinearity, with the certificate.

    K_v = max over points k of max(0, −g⁻_kv, −g⁺_kv),   g the cotangent that arrives at nonlinearity v from behind.

Signs cancel as they do in the network, so K, and with it F⁻, stays small where the data-free bound explodes. Three steps:

1. Nonlinearity by nonlinearity from the output, as many points as the memory allows give the tight K (``layerwise``): all of them at the
   narrow nonlinearities near the output, and in small jobs everywhere.
2. Passes over all data raise K where a point needs more (``sweep``), until a pass finds nothing to raise. In small jobs that
   is the first one: it is only the check. A nonlinearity that all points took part in is not raised again but for rounding. A last few
   raises need no other pass: what they can bring about at earlier nonlinearities is bounded from the weights, and added there.
3. The last pass is the certificate: every cotangent that arrived anywhere was ≥ 0 once K was added, hence (design, §2) every
   term satisfies a_k(x) ≤ F(x) for all x with equality at x_k, which is Theorem 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tropica.data.batches import Data
from tropica.data.passes import DataPass, PointDigests
from tropica.decomposition.checkpoint import Checkpoint, State
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.layer_by_layer import Progress, spread, stages, tight_weights
from tropica.decomposition.raising import Sweep, settle
from tropica.errors import CertificateError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.processes import SINGLE_PROCESS, Processes

SLACK = 1e-3
"""Headroom where all points took part in the tight K: covers the rounding of another batch order."""
MARGIN = 0.02
"""Headroom where only a part of the points did: covers small changes that later raises bring."""


def calibrated_decomposition(
    net: PiecewiseLinearNetwork,
    data: Data | DataPass,
    *,
    batch_size: int = 1,
    memory: int = 2**30,
    max_passes: int = 40,
    processes: Processes = SINGLE_PROCESS,
    checkpoint: Path | None = None,
    digests: PointDigests | None = None,
    progress: Progress | None = None,
) -> DCDecomposition:
    """Find K for a network and a data set.

    Args:
        net: the network; cotangents are computed in its dtype.
        data: the points.
        batch_size: points at a time (a walk has its own).
        memory: bytes that the first step may take for points and their cotangents (see ``layerwise``), in all processes
            together, as K depends on it.
        max_passes: how many passes over all data to try.
        processes: those that share the work; K is the same for any number of them.
        checkpoint: a file that is written after each pass, from which a run that was stopped goes on; it is left for the
            caller to remove.
        digests: those of the points, where ``data`` is a pass that they observe already; they are kept in the checkpoint.
        progress: called with (done, total, message).

    Raises:
        CertificateError: K is not settled after ``max_passes`` passes, or a cotangent is not finite.
        StoreError: the checkpoint is of something else, or cannot be written.
    """
    data_pass = data
    if not isinstance(data_pass, DataPass):
        data_pass = DataPass(data_pass, batch_size, net.dtype, net.device, net.input_shape)
    if digests is None:
        digests = PointDigests()
        data_pass = data_pass if checkpoint is None else data_pass.observed(digests)
    saved = Checkpoint(checkpoint, net, data_pass, digests, processes)
    state = saved.load() or _tight(net, data_pass, memory, processes, progress)
    saved.save(state)
    for i in range(len(state.history) - 1, max_passes):
        sweep = Sweep(net, state.weights, state.headroom)
        raised = sweep.over(data_pass, processes, progress)
        weights, settled = sweep.weights, not raised
        line = f"pass {i + 1}: {raised} units raised" if raised else f"pass {i + 1}: the check, all cotangents ≥ 0"
        if raised and (found := settle(net, state.weights, weights)) is not None:
            weights, growth = found
            line += f", K of earlier nonlinearities by {growth:.2%} at the most for what that brings"
            settled = True
        state = State(weights, state.headroom, state.passes + 1, (*state.history, line))
        if settled:
            kept = {name: k.double().cpu() for name, k in weights.items()}
            return DCDecomposition(
                net, "calibrated", kept, passes=state.passes, smallest_cotangent=sweep.smallest, history=list(state.history)
            )
        saved.save(state)
    raise CertificateError(f"K is not settled after {max_passes} passes over the data; the last one raised {raised} units")


def _tight(
    net: PiecewiseLinearNetwork, data_pass: DataPass, memory: int, processes: Processes, progress: Progress | None
) -> State:
    """The first step: the tight K of as many points as fit the memory, each process holding its part of them."""
    first = next((stage.bytes for stage in stages(net)), 1)
    filled = [i for i, length in enumerate(data_pass.lengths) if length]
    chosen = list(spread(filled, memory / first / data_pass.num_points))
    mine = processes.share(chosen)
    own = dict(zip(mine, data_pass.iter_batches(mine), strict=True))
    tight = tight_weights(
        net,
        (own.pop(i, data_pass.lengths[i]) for i in chosen),  # one by one, so that no list here keeps what is dropped there
        slack=SLACK,
        margin=MARGIN,
        memory=memory,
        points=data_pass.num_points,
        processes=processes,
        progress=progress,
    )
    headroom = {name: SLACK if share == 1 else MARGIN for name, share in tight.shares.items()}
    line = f"tight K of {_range(tight.shares.values())} of the points: {tight.passes:.2f} passes"
    return State(tight.weights, headroom, tight.passes, (line,))


def _range(shares: Iterable[float]) -> str:
    """The largest and the smallest share: "100.0%", "100.0% (first nonlinearities: 8.5%)"."""
    least, most = min(shares := list(shares), default=1.0), max(shares, default=1.0)
    return f"{most:.1%}" if least == most else f"{most:.1%} (first nonlinearities: {least:.1%})"
