"""The calibrated decomposition: K from the cotangents at the data points, with the certificate.

    K_v = max over points k of max(0, −g⁻_kv, −g⁺_kv),   g⁻, g⁺ the cotangents of F⁻ and F⁺_i at the output of nonlinearity v

Signs cancel as in the network, so K, and with it F⁻, stays small, whereas the data-free bound grows with every layer.
Three steps:

1. As many points as fit in memory give the required K, nonlinearity by nonlinearity from the output (``layer_by_layer``).
   All points fit at the narrow layers near the output, and at every layer for small data sets.
2. Passes over all data raise K where a point requires more (``calibration_pass``), until a pass raises no K. For small
   data sets the first pass raises none, and is only the check. If a pass raises few K, no further pass is needed: the raises
   that these can require at earlier nonlinearities are bounded from the weights, and applied.
3. The last pass is the certificate: every cotangent is ≥ 0 with K added. Hence every term satisfies a_k(x) ≤ F(x) for all x
   with equality at x_k, which is Theorem 3.3 (``docs/method.md``).
"""

from __future__ import annotations

from pathlib import Path

from tropica.data.batches import Data
from tropica.data.passes import DataPass, PointDigests
from tropica.decomposition.calibration_pass import calibration_pass, raise_without_pass
from tropica.decomposition.checkpoint import CalibrationState, Checkpoint
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.history import DecompositionStep
from tropica.decomposition.layer_by_layer import DEFAULT_MARGINS, Margins, backward_steps, evenly_spaced, layer_by_layer
from tropica.decomposition.rows import rows_of
from tropica.errors import CertificateError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback


def calibrated_decomposition(
    net: PiecewiseLinearNetwork,
    data: Data | DataPass,
    *,
    batch_size: int = 1,
    memory: int = 2**30,
    max_passes: int = 40,
    margins: Margins = DEFAULT_MARGINS,
    processes: Processes = SINGLE_PROCESS,
    checkpoint: Path | None = None,
    digests: PointDigests | None = None,
    progress: ProgressCallback | None = None,
    unchecked: bool = False,
) -> DCDecomposition:
    """The calibrated decomposition of a network on a data set.

    Args:
        net: the network; cotangents are computed in its dtype.
        data: the points.
        batch_size: points in a batch; a data pass has its own.
        memory: bytes for the points and cotangents of the first step, in all processes together, as K depends on it.
        max_passes: the largest number of passes over all data.
        margins: the margins added to the required K.
        processes: the processes that share the work; K is the same for any number of processes.
        checkpoint: a file that is written after each pass, from which an interrupted run continues. The caller removes it.
        digests: the digests of the points, if they already observe the pass ``data``; the checkpoint stores them.
        progress: called with (done, total, message).
        unchecked: if all points took part in the first step, leave the pass that checks all cotangents to the caller;
            ``smallest_cotangent`` is None then.

    Raises:
        CertificateError: passes still raise K after ``max_passes``, or a cotangent is not finite.
        StoreError: the checkpoint belongs to another calibration, or cannot be written.
    """
    data_pass = data if isinstance(data, DataPass) else rows_of(net, data, batch_size)
    if digests is None:
        digests = PointDigests()
        data_pass = data_pass if checkpoint is None else data_pass.observed(digests)
    saved = Checkpoint(checkpoint, net, data_pass, digests, processes)
    state = saved.load() or _first_state(net, data_pass, margins, memory, processes, progress)
    saved.save(state)
    if unchecked and len(state.history) == 1 and state.history[0].values["least_share"] == 1:
        return _made(net, state, None)
    result = None
    for number in range(len(state.history), max_passes + 1):
        result = calibration_pass(net, state.multipliers, state.margins, data_pass, processes, progress)
        multipliers, finished = result.multipliers, not result.raised
        numbers: dict[str, float] = {"number": number, "raised": result.raised}
        if result.raised and (found := raise_without_pass(net, state.multipliers, multipliers)) is not None:
            multipliers, numbers["consequence"] = found
            finished = True
        state = CalibrationState(
            multipliers, state.margins, state.passes + 1, (*state.history, DecompositionStep("pass", numbers))
        )
        if finished:
            return _made(net, state, result.smallest_cotangent)
        saved.save(state)
    last = "" if result is None else f"; the last one raised {result.raised} units"
    raise CertificateError(f"K is not final after {max_passes} passes over the data{last}")


def _made(net: PiecewiseLinearNetwork, state: CalibrationState, smallest_cotangent: float | None) -> DCDecomposition:
    multipliers = {name: k.double().cpu() for name, k in state.multipliers.items()}
    return DCDecomposition(
        net, "calibrated", multipliers, passes=state.passes, smallest_cotangent=smallest_cotangent, history=state.history
    )


def _first_state(
    net: PiecewiseLinearNetwork,
    data_pass: DataPass,
    margins: Margins,
    memory: int,
    processes: Processes,
    progress: ProgressCallback | None,
) -> CalibrationState:
    """The first step: the K that as many points as fit in memory require. Each process holds its share of these points."""
    bytes_per_point = next((step.bytes for step in backward_steps(net)), 1)
    nonempty = [i for i, length in enumerate(data_pass.lengths) if length]
    chosen = list(evenly_spaced(nonempty, memory / bytes_per_point / data_pass.num_points))
    mine = processes.share(chosen)
    own = dict(zip(mine, data_pass.iter_batches(mine), strict=True))
    required = layer_by_layer(
        net,
        (own.pop(i, data_pass.lengths[i]) for i in chosen),  # a generator: a list would keep dropped batches in memory
        margins=margins,
        memory=memory,
        num_points=data_pass.num_points,
        processes=processes,
        progress=progress,
    )
    by_name = {name: margins.all_points if share == 1 else margins.some_points for name, share in required.shares.items()}
    shares = list(required.shares.values()) or [1.0]
    numbers = {"least_share": min(shares), "largest_share": max(shares), "passes": required.passes}
    return CalibrationState(required.multipliers, by_name, required.passes, (DecompositionStep("first step", numbers),))
