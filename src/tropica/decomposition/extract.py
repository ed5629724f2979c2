"""``tp.extract``: the linear terms of every point of a data set."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import Any

import torch

from tropica.data.batches import Data
from tropica.data.passes import DEFAULT_SIZES, ShardSizes
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extract_to_store import extract_to_store
from tropica.decomposition.extraction_run import ExtractionRun, extract_in_memory
from tropica.decomposition.precision import MorePrecision, escalate
from tropica.decomposition.prepare import check_method, dtype_name, prepare_extraction
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.interrupts import sigterm_as_interrupt
from tropica.runtime.processes import Processes
from tropica.runtime.progress import progress_callback
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.store.writer import StoreWriter

CHECKS = ("none", "sample", "full")
ON_FAILURE = ("raise", "warn")


@own_settings()
def extract(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    data: Data,
    decomposition: DCDecomposition | str = "calibrated",
    *,
    at: str | None = None,
    task: str | None = None,
    dtype: torch.dtype | None = None,
    stored_dtype: torch.dtype | None = None,
    out: str | os.PathLike[str] | None = None,
    check: str = "sample",
    on_failure: str = "raise",
    batch_size: int | None = None,
    memory: int | None = None,
    distributed: bool = False,
    progress: Any = False,
    shard_sizes: ShardSizes = DEFAULT_SIZES,
) -> LinearTerms:
    """Extract the linear terms a_k, a⁺_k and a⁻_k at every data point x_k (Algorithm 3.1, by automatic differentiation).

        a⁻_k = ∇F⁻(x_k),  a⁺_k = ∇F⁺_i(x_k) = a_k + a⁻_k,  constant part = value − ⟨gradient, x_k⟩

    with i the label that N gives x_k. On the boundary of linear regions the gradients are those of PyTorch (relu: 0 at 0).

    Args:
        net: a traced network, or a module in eval mode.
        data: the points: a tensor, array, Dataset or DataLoader of (N, *input_shape); labels are ignored.
        decomposition: a DC decomposition, or the method that computes one on this data: "calibrated", "minimal" or "paper".
        at: the name of an inner tensor (a module's output, or a nonlinearity); terms are then functions of that tensor.
        task: "classification" (default): each point has the term of the label i that N gives it. "regression": it has a term
            for each of the s outputs, term k·s + i that of point k and output i, and all of them are certified.
        dtype: the dtype of the extraction, float32 or float64; the network's by default. Constant parts are always computed
            and stored in float64. Where this leaves too few digits of f(x) (``certificate.digits``), the terms are computed in
            float64, then in double-double, then with a decomposition that grows less; the certificate's ``steps`` say so. With
            an explicit float32 they are not.
        stored_dtype: the dtype that coefficients are stored in: that of the extraction, or a coarser one (float32, bfloat16),
            for which bounds on the rounding errors are stored as well. Every term stays exact at its own point.
        out: a folder that the terms are written to as they are computed. The same call continues an interrupted one, with the
            decomposition and the batch size recorded in the folder.
        check: certify Theorem 3.3 on a "sample" of the points, whose pairs take about 4 % of the work (small data sets are
            checked whole), on all pairs of points ("full"), or not at all ("none"). The cotangents, which prove the theorem for
            the calibrated decomposition, are checked at all points.
        on_failure: the action if the certificate fails: "raise" an error, or "warn".
        batch_size: the number of points in a batch; by default as many as fit in a few hundred MB.
        memory: bytes to work in; by default a quarter of the free memory. A batch that does not fit is halved.
        distributed: share the work among the processes of torch.distributed, all of which make the same call, with ``out`` on
            a file system that all of them see. The files are the same for any number of processes.
        progress: True for a progress bar, or a function (done, total, message).
        shard_sizes: the size of a full shard. One process extracts one shard at a time, and each shard is a file of the store.

    Raises:
        InputError: the data or the arguments are invalid, or do not fit each other.
        CertificateError: the certificate fails (deep networks: extract in float64).
        StoreError: ``out`` holds terms of another extraction, is being written by another run, or cannot be written.
        KeyboardInterrupt: on Ctrl-C or SIGTERM; with ``out`` once the current shard is finished.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(100, 4)
    >>> terms = tp.extract(model, x)
    >>> terms.local.weight.shape, terms.certificate.holds
    (torch.Size([100, 4]), True)
    """
    _check_arguments(check, on_failure)
    check_method(decomposition)
    processes = Processes.join(distributed)
    if processes.world_size > 1 and out is None:
        raise InputError("several processes need a folder for the terms: pass out=")
    store = None if out is None else StoreWriter(out, processes)
    may_escalate = dtype in (None, torch.float64)
    net = as_network(net, data)
    asked = "" if isinstance(decomposition, DCDecomposition) else f"{decomposition}, {dtype_name(dtype or net.dtype)}"
    with (
        progress_callback(progress if processes.is_first else False) as report,
        sigterm_as_interrupt(),
        store or contextlib.nullcontext(),
    ):
        identity_asked = ""
        if store and store.found and store.found.extraction.asked == asked != "":  # it was not enough in an earlier run
            dtype, decomposition = getattr(torch, store.found.extraction.dtype), store.found.extraction.method
            may_escalate, identity_asked = False, asked
        settings = {
            "at": at,
            "task": task,
            "decomposition": decomposition,
            "stored_dtype": stored_dtype,
            "batch_size": _batch_size_of(store) if batch_size is None else batch_size,
            "memory": memory,
            "processes": processes,
            "shard_sizes": shard_sizes,
        }
        extraction = prepare_extraction(net, data, dtype=dtype, **settings).asked(identity_asked)
        run = ExtractionRun(extraction, check, on_failure, processes, memory, report, may_escalate)
        try:
            return extract_in_memory(run, decomposition) if store is None else extract_to_store(run, decomposition, store)
        except MorePrecision as needed:
            more = needed
        extraction = prepare_extraction(net, data, dtype=torch.float64, **settings).asked(asked)
        run = replace(run, extraction=extraction, may_escalate=False)
        made = escalate(extraction, decomposition, more, memory=memory, processes=processes, progress=report)
        if store is None:
            return extract_in_memory(run, made)
        store.begin_anew()
        return extract_to_store(run, made, store)


def _batch_size_of(store: StoreWriter | None) -> int | None:
    """The batch size of the extraction in a store; None if there is none."""
    found = store.found if store else None
    return int(found.extraction.batch_size) if found and found.extraction.batch_size else None


def _check_arguments(check: str, on_failure: str) -> None:
    """Raise InputError for an unknown value, and for an argument that would be ignored."""
    if check not in CHECKS:
        raise InputError(f"check must be one of {', '.join(map(repr, CHECKS))}; got {check!r}")
    if on_failure not in ON_FAILURE:
        raise InputError(f"on_failure must be one of {', '.join(map(repr, ON_FAILURE))}; got {on_failure!r}")
    if check == "none" and on_failure != "raise":
        raise InputError("on_failure has no effect with check='none'; leave out one of the two")
