"""``tp.decompose``: choose the tensors K of the DC decomposition."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from tropica.data.batches import Data
from tropica.data.passes import DEFAULT_SIZES, DataPass, PointDigests, ShardSizes
from tropica.decomposition.calibrated import calibrated_decomposition
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.paper import paper_decomposition
from tropica.errors import InputError
from tropica.network.batch_size import batch_size_for
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.memory import budget
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback, progress_callback

METHODS = ("calibrated", "minimal", "paper")


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
    per: str = "network",
    margin: float | None = None,
    progress: Any = False,
    shard_sizes: ShardSizes = DEFAULT_SIZES,
) -> DCDecomposition:
    """The DC decomposition N_i = F⁺_i − F⁻ with F⁻ = c⁻ + Σ_v ⟨K_v, h_v⟩ over the nonlinearity outputs h_v.

    Args:
        net: a traced network, or a module in eval mode (traced on the data's first points).
        data: the points (tensor, array, Dataset or DataLoader of (N, *input)); needed by all but "paper".
        method: "calibrated" takes K from the data's own cotangents and certifies Theorem 3.3 on the data; "minimal" scales that
            K down to the smallest λK with which Theorem 3.3 still holds between all pairs of data points, which are held in
            memory and compared (:mod:`tropica.decomposition.minimal`); "paper" takes K from the weights alone (Algorithm 3.1,
            Table 1), and it grows with every layer.
        dtype: what to compute in; the network's by default. Deep networks need float64.
        batch_size: points at a time; by default as many as fit a few hundred MB.
        memory: bytes to work in; by default a quarter of what is free, and of that at most 1 GiB for the calibration's first
            step (see :mod:`tropica.decomposition.layer_by_layer`), as K depends on it.
        checkpoint: a file to keep the calibration's state in after each pass; the same call then goes on behind the last one.
        distributed: share the work among the processes of torch.distributed, all of which make the same call.
        per: the minimal decomposition's λ: one for the "network", or one for each "nonlinearity", which leaves less of F⁻ and takes longer.
        margin: how much larger than the smallest the minimal decomposition's λ is, as a share; by default 0.01.
        progress: True for a bar, or a function (done, total, message).
        shard_sizes: points that one process handles at a time.

    Raises:
        InputError: unknown method, data missing or unfit, options of another method.
        CertificateError: K overflows, or is not settled; rounding hides which terms are the larger ones.
        StoreError: the checkpoint is of something else, or cannot be written.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> dec = tp.decompose(model, torch.randn(100, 4))
    >>> dec.method, dec.smallest_cotangent >= 0
    ('calibrated', True)
    """
    if method not in METHODS:
        raise InputError(f"unknown decomposition {method!r}; there are {', '.join(METHODS)}")
    options = minimal_options(method, per, margin)
    net = as_network(net, data)
    net = net if dtype is None else net.to(dtype)
    if method == "paper":
        return paper_decomposition(net)
    if data is None:
        raise InputError(f"the {method} decomposition needs data: tp.decompose(net, data); only method='paper' does without")
    processes = Processes.join(distributed)
    size = processes.run_on_first(lambda: batch_size_for(net, batch_size, memory))
    data_pass = DataPass(data, size, net.dtype, net.device, net.input_shape, shard_sizes)
    path = None if checkpoint is None else Path(checkpoint)
    with progress_callback(progress if processes.is_first else False) as report:
        return decomposition_of_data(
            method, net, data_pass, memory=memory, processes=processes, checkpoint=path, progress=report, **options
        )


def minimal_options(method: str, per: str, margin: float | None) -> dict[str, Any]:
    """Those of the minimal decomposition, checked before any work. Raises InputError where another method gets them."""
    from tropica.decomposition.minimal import (
        MARGIN,
        check_options,
    )  # terms stand on decompositions, and this one decomposition on terms

    if method == "minimal":
        check_options(per, MARGIN if margin is None else margin)
        return {"per": per, "margin": MARGIN if margin is None else float(margin)}
    if per != "network" or margin is not None:
        raise InputError(f"per and margin are options of the minimal decomposition; the {method} decomposition has none")
    return {}


CALIBRATION = 2**30
"""Bytes for the calibration's first step, unless the user says more."""


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
    **options: Any,
) -> DCDecomposition:
    """The calibrated decomposition in a budget of memory, which the first process decides; or that one scaled down ("minimal")."""
    room = processes.run_on_first(
        lambda: min(CALIBRATION, budget(None, net.device, all_processes=True)) if memory is None else budget(memory)
    )
    made = calibrated_decomposition(
        net, data_pass, memory=room, processes=processes, checkpoint=checkpoint, digests=digests, progress=progress
    )
    if method == "calibrated":
        return made
    from tropica.decomposition.minimal import minimal_decomposition

    return minimal_decomposition(made, data_pass, memory=memory, processes=processes, progress=progress, **options)
