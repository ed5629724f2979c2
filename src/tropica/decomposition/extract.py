"""``tp.extract``: the linear terms of every point of a data set."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, replace
from typing import Any, Literal

import torch

from tropica.data.batches import Data
from tropica.data.passes import DEFAULT_SIZES, PointDigests, ShardSizes
from tropica.decomposition.blocks import empty_block
from tropica.decomposition.check import Sample, check_terms
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extraction import smallest_of
from tropica.decomposition.job import Job
from tropica.decomposition.prepare import prepare_extraction
from tropica.errors import CertificateError, InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.terms.certificate import Certificate
from tropica.terms.linear_terms import LinearTerms, TermBlock
from tropica.terms.store.store import Store

Check = bool | Literal["warn"]


def extract(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    data: Data,
    decomposition: DCDecomposition | None = None,
    *,
    at: str | None = None,
    method: str = "calibrated",
    dtype: torch.dtype | None = None,
    out: str | os.PathLike[str] | None = None,
    stored_dtype: torch.dtype | None = None,
    check: Check = True,
    batch_size: int | None = None,
    memory: int | None = None,
    distributed: bool = False,
    progress: Any = False,
    shard_sizes: ShardSizes = DEFAULT_SIZES,
) -> LinearTerms:
    """Extract a_k = ∇N_i and a⁻_k = ∇F⁻ at every data point x_k (Algorithm 3.1, by automatic differentiation).

        a⁻_k = ∇F⁻(x_k),  a⁺_k = ∇F⁺_i(x_k) = a_k + a⁻_k,  constant part = value − ⟨gradient, x_k⟩

    with i the label that N gives x_k. On the border of linear regions the slopes are PyTorch's subgradients (0 at 0).

    Args:
        net: a traced network, or a module in eval mode.
        data: the points: tensor, array, Dataset or DataLoader of (N, *input); labels are ignored.
        decomposition: the DC decomposition; by default one is calibrated on this data.
        at: the name of an inner tensor (a module's output, or a nonlinearity); terms are then functions of it.
        method: the decomposition to make where none is given.
        dtype: float32 or float64 to extract in; the network's by default. Constant parts are computed from what the passes
            give, and kept, in float64 always.
        out: a folder to write the terms to as they come; the same call goes on where an interrupted one stopped, with the
            decomposition and the batch size that are there.
        stored_dtype: what coefficients are kept in: the dtype of the extraction, or a coarser one (float32, bfloat16), with
            bounds on the rounding; constant parts stay float64, so each term is exact at its own point.
        check: certify Theorem 3.3 on the data; a certificate that fails is an error, with "warn" a warning.
        batch_size: points at a time; by default as many as fit a few hundred MB.
        memory: bytes to work in; by default a quarter of what is free. A batch that does not fit is halved.
        distributed: share the work among the processes of torch.distributed, all of which make the same call, with ``out`` on
            a file system that all of them see. The bytes written are those of one process.
        progress: True for a bar, or a function (done, total, message).
        shard_sizes: points a shard: what one process extracts at a time, and a file of the store.

    Raises:
        InputError: data or arguments that will not do.
        CertificateError: the certificate fails (deep networks: extract in float64).
        StoreError: ``out`` holds terms of something else, is another run's, or cannot be written.
        KeyboardInterrupt: Ctrl-C, or SIGTERM: with ``out`` once the shard at hand is finished.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(100, 4)
    >>> terms = tp.extract(model, x)
    >>> terms.local.weight.shape, terms.certificate.holds
    (torch.Size([100, 4]), True)
    """
    if check not in (True, False, "warn"):
        raise InputError(f"check must be True, False or 'warn', got {check!r}")
    processes = Processes.join(distributed)
    if processes.world_size > 1 and out is None:
        raise InputError("several processes write their terms to a folder: give out=")
    settings: dict[str, Any] = {
        "at": at,
        "dtype": dtype,
        "stored_dtype": stored_dtype,
        "memory": memory,
        "processes": processes,
        "shard_sizes": shard_sizes,
    }
    with progress_callback(progress if processes.is_first else False) as report:
        if out is None:
            job = Job.of(prepare_extraction(net, data, batch_size=batch_size, **settings), processes, memory, PointDigests())
            if decomposition is None:
                job.make_decomposition(method, report)
            else:
                job.use(decomposition, fresh=False)
            sample = _sample(job, check)
            whole = _in_memory(job, sample, report)
            return _certified(job, job.terms([whole]), sample, check)
        with Store(out, processes) as store:
            prepared = prepare_extraction(net, data, batch_size=batch_size or store.batch_size, **settings)
            job = Job.of(prepared, processes, memory, PointDigests())
            store.begin(job, decomposition, method, report)
            if store.note and processes.is_first:
                warnings.warn(f"{out}: {store.note}", stacklevel=2)
            sample = _sample(job, check)
            terms = _certified(job, job.terms(store.collect(job, sample, report)), sample, check)
            store.finish(terms)
            return terms


def _sample(job: Job, check: Check) -> Sample | None:
    return Sample.draw(job.points, torch.Size(job.net.input_shape).numel()) if check else None


def _certified(job: Job, terms: LinearTerms, sample: Sample | None, check: Check) -> LinearTerms:
    """The terms with their certificate, which the first process works out."""
    if sample is None:
        return replace(terms, certificate=replace(terms.certificate, smallest_cotangent=job.smallest))
    sample.join(job.processes)
    said = job.processes.run_on_first(lambda: asdict(check_terms(terms, sample, job.smallest, job.pairs)))
    certificate = Certificate(**said)
    judge(certificate, check)
    return replace(terms, certificate=certificate)


def judge(certificate: Certificate, check: Check) -> None:
    """Raise, or warn, where a certificate fails."""
    if certificate.holds:
        return
    advice = "; extract with dtype=torch.float64" if certificate.dtype == "float32" else ""
    text = f"the terms' certificate fails: {'; '.join(certificate.failures())}{advice}"
    if check != "warn":
        raise CertificateError(text)
    warnings.warn(text, stacklevel=3)


def _in_memory(job: Job, sample: Sample | None, report: ProgressCallback | None) -> TermBlock:
    """All terms in one block, filled batch by batch."""
    whole = empty_block(job.net, job.points, job.extraction.stored_dtype)
    done, smallest = 0, [job.smallest]
    job.find_center()
    for _, group in job.walk.iter_shards():
        for x in group:
            block = job.block([x], sample is not None, whole.rows(done, len(x)))
            smallest.append(block.smallest_cotangent)
            if sample is not None:
                assert block.margin is not None
                sample.see(done, x, block.margin)
            done += len(x)
            if report:
                report(done, job.points, "extracting")
    job.smallest = smallest_of(smallest)
    return whole
