"""``tp.decompose``: the DC decomposition of a network by one of three methods."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from tropica.data.batches import Data
from tropica.data.passes import DEFAULT_SIZES, DataPass, PointDigests, ShardSizes
from tropica.decomposition import minimal
from tropica.decomposition.calibrated import calibrated_decomposition
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.paper import paper_decomposition
from tropica.decomposition.rows import for_task, rows_of
from tropica.errors import InputError
from tropica.network.batch_size import batch_size_for
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.memory import budget
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback, progress_callback

METHODS = ("calibrated", "minimal", "paper")
CALIBRATION_MEMORY = 2**30
"""The default limit in bytes for the calibration's first step."""


@own_settings()
def decompose(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    data: Data | None = None,
    *,
    method: str = "calibrated",
    dtype: torch.dtype | None = None,
    batch_size: int | None = None,
    memory: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    distributed: bool = False,
    per: str | None = None,
    margin: float | None = None,
    task: str | None = None,
    progress: bool | ProgressCallback = False,
    shard_sizes: ShardSizes = DEFAULT_SIZES,
) -> DCDecomposition:
    """The DC decomposition N_i = F⁺_i − F⁻ with F⁻ = c⁻ + Σ_v ⟨K_v, h_v⟩ over the outputs h_v of the nonlinearities.

    Args:
        net: a traced network, or a module in eval mode, which is traced on the first points of the data.
        data: the points (tensor, array, Dataset or DataLoader of (N, *input)). The method "paper" needs none, except to trace
            a module.
        method: "calibrated" computes K from the cotangents at the data points and certifies Theorem 3.3 on the data. "minimal"
            scales this K down to the smallest λK for which Theorem 3.3 still holds between all pairs of data points, which
            are held in memory and compared (:mod:`tropica.decomposition.minimal`). "paper" computes K from the weights alone
            (Algorithm 3.1, Table 1); this K grows with every layer.
        dtype: the dtype of the computation; the network's by default. Deep networks need float64.
        batch_size: the number of points in a batch; by default as many as fit in a few hundred MB.
        memory: bytes to work in; by default a quarter of the free memory, and of that at most 1 GiB for the calibration's
            first step (see :mod:`tropica.decomposition.layer_by_layer`), as K depends on it.
        checkpoint: a file for the state of the calibration after each pass. The same call then continues after the last
            finished pass. Not with "paper".
        distributed: share the work among the processes of torch.distributed, all of which make the same call.
        per: only with "minimal": one λ for the "network" (default), or one for each "nonlinearity", which makes F⁻ smaller
            and takes longer.
        margin: only with "minimal": the relative excess of λ over the smallest one; 0.01 by default.
        task: "classification" (default): Theorem 3.3 for the label of each point. "regression": for every output.
        progress: True for a progress bar, or a function (done, total, message).
        shard_sizes: the size of a full shard, the unit of work of one process.

    Raises:
        InputError: the method is unknown, the data are missing or unsuitable, or an option belongs to another method.
        CertificateError: K overflows, K is not final after 40 passes, or rounding hides which terms are larger.
        StoreError: the checkpoint belongs to another calibration, or cannot be written.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> dec = tp.decompose(model, torch.randn(100, 4))
    >>> dec.method, dec.smallest_cotangent >= 0
    ('calibrated', True)
    """
    options = _minimal_options(method, per, margin)
    if method == "paper" and checkpoint is not None:
        raise InputError("checkpoint is an option of the calibrated and the minimal decomposition; the paper's needs no passes")
    net = as_network(net, data)
    net = for_task(net if dtype is None else net.to(dtype), task)
    if method == "paper":
        return paper_decomposition(net)
    if data is None:
        raise InputError(f"the {method} decomposition needs data: tp.decompose(net, data); only method='paper' does without")
    processes = Processes.join(distributed)
    size = processes.run_on_first(lambda: batch_size_for(net, batch_size, memory))
    with progress_callback(progress if processes.is_first else False) as report:
        return decomposition_of_data(
            method,
            net,
            rows_of(net, data, size, shard_sizes),
            memory=memory,
            processes=processes,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            progress=report,
            **options,
        )


@own_settings()
def minimize(
    calibrated: DCDecomposition, data: Data, *, memory: int | None = None, progress: bool | ProgressCallback = False
) -> DCDecomposition:
    """Scale a calibrated decomposition down to the minimal one, as ``decompose(net, data, method="minimal")`` does.

    Args:
        calibrated: the calibrated decomposition on these points.
        data: the points.
        memory: bytes to work in; by default a quarter of the free memory.
        progress: True for a progress bar, or a function (done, total, message).

    Raises:
        CertificateError: rounding hides which terms are larger.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(100, 4)
    >>> smaller = minimize(tp.decompose(model, x), x)
    >>> smaller.method, smaller.certificate.holds
    ('minimal', True)
    """
    net = calibrated.net
    data_pass = rows_of(net, data, batch_size_for(net, None, memory))
    with progress_callback(progress) as report:
        return minimal.minimal_decomposition(calibrated, data_pass, memory=memory, progress=report)


def _minimal_options(method: str, per: str | None, margin: float | None) -> dict[str, Any]:
    """The options of the minimal decomposition. Raises InputError before any work if they are invalid or do not apply."""
    if method not in METHODS:
        raise InputError(f"unknown decomposition {method!r}; there are {', '.join(METHODS)}")
    if method != "minimal":
        if per is not None or margin is not None:
            raise InputError(f"per and margin are options of the minimal decomposition; the {method} decomposition has none")
        return {}
    options = {"per": "network" if per is None else per, "margin": minimal.MARGIN if margin is None else margin}
    minimal.check_options(**options)
    return options


def decomposition_of_data(
    method: str,
    net: PiecewiseLinearNetwork,
    data_pass: DataPass,
    *,
    memory: int | None,
    processes: Processes,
    checkpoint: Path | None,
    digests: PointDigests | None = None,
    progress: ProgressCallback | None,
    unchecked: bool = False,
    **options: Any,
) -> DCDecomposition:
    """The decomposition of a network on a data pass by one of METHODS. Process 0 determines the memory of the calibration.

    With ``unchecked`` the last pass of the calibrated decomposition may be left to the caller, who checks all cotangents.
    """
    if method == "paper":
        return paper_decomposition(net)
    calibration_memory = processes.run_on_first(
        lambda: min(CALIBRATION_MEMORY, budget(None, net.device, all_processes=True)) if memory is None else budget(memory)
    )
    calibrated = calibrated_decomposition(
        net,
        data_pass,
        memory=calibration_memory,
        processes=processes,
        checkpoint=checkpoint,
        digests=digests,
        progress=progress,
        unchecked=unchecked and method == "calibrated",
    )
    if method == "calibrated":
        return calibrated
    return minimal.minimal_decomposition(
        calibrated, data_pass, memory=memory, processes=processes, progress=progress, **options
    )
