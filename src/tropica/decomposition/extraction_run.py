"""One extraction: its settings, its certificate, and its terms in memory."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from tropica.decomposition.certify import Sample, certify_terms
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extraction import empty_block_for, extract_batches, find_center, smallest_of
from tropica.decomposition.history import DecompositionStep
from tropica.decomposition.layer_by_layer import operations_per_point
from tropica.decomposition.precision import MorePrecision, asking_for_more, describe, first_own_terms, require_digits
from tropica.decomposition.prepare import Extraction, decomposition_for
from tropica.errors import CertificateError
from tropica.runtime.memory import BatchHalving
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.certificate import Certificate
from tropica.terms.identity import ExtractionIdentity
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.term_block import TermBlock

STORAGE_ADVICE = (
    "; store them in the dtype they are computed in, or accept the values with on_failure='warn' (--on-failure warn): "
    "f.label_is_certified(x) says which labels are proven, and tp.ExtractedFunction(terms, net=model, data=data) gives the "
    "labels of the terms as computed"
)


@dataclass(frozen=True)
class ExtractionRun:
    """An extraction with its settings.

    Attributes:
        extraction: the prepared extraction.
        check: the points that the certificate is computed on: "none", "sample" or "full".
        on_failure: the action if the certificate fails: "raise" or "warn".
        processes: the processes that share the work.
        memory: bytes to work in; None for a share of the free memory.
        progress: called with (done, total, message).
        may_escalate: may the precision be raised where too few digits of f(x) are left? Raises MorePrecision then.
    """

    extraction: Extraction
    check: str
    on_failure: str
    processes: Processes
    memory: int | None
    progress: ProgressCallback | None
    may_escalate: bool = False

    def draw_sample(self) -> Sample | None:
        """The points that the certificate is computed on; None if no certificate is wanted."""
        net, rows = self.extraction.net, self.extraction.data_pass.repeat
        points, numbers = self.extraction.data_pass.num_points, torch.Size(net.input_shape).numel()
        if self.check == "full":
            return Sample(torch.arange(points), points)
        if self.check == "none":
            return None
        work = 3 * operations_per_point(net) * points  # a forward and two backward passes
        return Sample.draw(points, numbers, work, rows=rows)


@dataclass(frozen=True)
class UsedDecomposition:
    """The decomposition of an extraction.

    Attributes:
        decomposition: the decomposition.
        made_here: was the decomposition computed on these same points? Then its smallest cotangent is valid at them.
    """

    decomposition: DCDecomposition
    made_here: bool

    @property
    def smallest_cotangent(self) -> float | None:
        """The smallest cotangent at these points, if the decomposition provides it."""
        return self.decomposition.smallest_cotangent if self.made_here else None

    @property
    def needs_check(self) -> bool:
        """Is it unknown whether all cotangents are ≥ 0? (Cotangents of a minimal decomposition may be negative.)"""
        return self.decomposition.certificate is None and self.smallest_cotangent is None

    def identify(self, identity: ExtractionIdentity) -> ExtractionIdentity:
        """The identity of the extraction under this decomposition."""
        precision = "double-double" if self.decomposition.double_double else ""
        about = {"method": self.decomposition.method, "decomposition": self.decomposition.fingerprint, "precision": precision}
        return replace(identity, **about)


def extract_in_memory(run: ExtractionRun, decomposition: DCDecomposition | str) -> LinearTerms:
    """Extract all terms into one block, which is filled batch by batch."""
    extraction, data_pass = run.extraction, run.extraction.data_pass
    settings = {"memory": run.memory, "processes": run.processes, "progress": run.progress}
    with asking_for_more(run.may_escalate and isinstance(decomposition, str)):
        made = decomposition_for(extraction, decomposition, unchecked=True, **settings)
    if run.may_escalate:
        require_digits(made, data_pass, run.processes)
    used = UsedDecomposition(made, made_here=isinstance(decomposition, str))
    found = _extract_all(run, used)
    if decomposition == "calibrated" and used.needs_check and not (found.smallest or 0) >= 0:
        # Some K is too small, which the margins make rare: all terms are void.
        with asking_for_more(run.may_escalate):
            checked = decomposition_for(extraction, decomposition, **settings)
        again = DecompositionStep("repeated extraction", {"times": 1})
        steps = (*checked.escalations, "terms were extracted twice, as the first K was too small at some point")
        repeated = replace(checked, history=(*checked.history, again), escalations=steps)
        used = UsedDecomposition(repeated, made_here=True)
        found = _extract_all(run, used)
    return certified(run, used, [found.block], found.center, found.smallest, found.sample)


@dataclass(frozen=True)
class _Extracted:
    """All terms, their center, the smallest cotangent if it is known, and the sample to check."""

    block: TermBlock
    center: Tensor
    smallest: float | None
    sample: Sample | None


def _extract_all(run: ExtractionRun, used: UsedDecomposition) -> _Extracted:
    """Extract the terms of all points, and check the cotangents unless the decomposition has done so."""
    made, extraction, data_pass = used.decomposition, run.extraction, run.extraction.data_pass
    sample = run.draw_sample()
    center = find_center(made, data_pass, run.processes)
    whole = empty_block_for(made, data_pass.num_points, extraction.stored_dtype)
    check, halving = used.needs_check and (sample is not None or used.made_here), BatchHalving(made.rows)
    done, cotangents = 0, [used.smallest_cotangent]
    for _, batches in data_pass.iter_shards():
        for x in batches:
            block = extract_batches(made, [x], center, check=check, out=whole.rows(done, len(x)), halving=halving)
            cotangents.append(block.smallest_cotangent)
            if sample is not None and block.margin is not None:
                sample.see(done, x, block.margin)
            done += len(x)
            if run.progress:
                run.progress(done, data_pass.num_points, "extracting")
    return _Extracted(whole, center, smallest_of(cotangents), sample)


def certified(
    run: ExtractionRun,
    used: UsedDecomposition,
    blocks: Sequence[TermBlock],
    center: Tensor,
    smallest_cotangent: float | None,
    sample: Sample | None,
) -> LinearTerms:
    """The extracted blocks as one object with its certificate, which process 0 computes.

    Raises CertificateError, or warns, if the certificate fails.
    """
    extraction = run.extraction
    unchecked = Certificate.unchecked(extraction.identity.dtype, smallest_cotangent)
    if sample is None:
        unchecked = _unchecked(run, used.decomposition, smallest_cotangent)
    terms = LinearTerms(
        blocks,
        center,
        extraction.net.input_shape,
        extraction.net.num_classes,
        used.decomposition.method,
        unchecked,
        used.identify(extraction.identity).to_dict(),
    )
    if sample is None:
        return terms
    sample.join(run.processes)
    known = used.decomposition.certificate if used.made_here else None
    computed = run.processes.run_on_first(lambda: asdict(certify_terms(terms, sample, smallest_cotangent, known)))
    certificate = replace(Certificate(**computed), steps=tuple(used.decomposition.escalations))
    if not certificate.holds:
        if run.may_escalate and certificate.is_rounding:
            step = f"{describe(used.decomposition)} fails: {'; '.join(certificate.failures())}"
            raise MorePrecision(step, after=certificate.precision)
        _report_failure(certificate, run.on_failure)
    return replace(terms, certificate=certificate)


def _unchecked(run: ExtractionRun, decomposition: DCDecomposition, smallest_cotangent: float | None) -> Certificate:
    """The certificate of terms whose pairs are not checked, with the digits that some of the points predict."""

    def sizes() -> list[float]:
        own = first_own_terms(decomposition, run.extraction.data_pass)
        return [own.tolerance(decomposition.precision), own.scale(decomposition.net.num_targets)]

    tolerance, scale = run.processes.run_on_first(sizes)
    targets = decomposition.net.num_targets
    known = {"precision": decomposition.precision, "steps": decomposition.escalations, "num_targets": targets}
    return Certificate.unchecked(run.extraction.identity.dtype, smallest_cotangent, tolerance=tolerance, scale=scale, **known)


def _report_failure(certificate: Certificate, on_failure: str) -> None:
    """Raise CertificateError, or warn, as ``on_failure`` says."""
    advice = "; extract with dtype=torch.float64" if certificate.dtype == "float32" else ""
    if certificate.dtype != "float32" and certificate.steps and not certificate.is_rounding:
        advice = "; compute the decomposition with dtype=torch.float64, if it was computed in float32"
    if certificate.storage_alone_fails:
        advice = STORAGE_ADVICE
    text = f"the terms' certificate fails: {'; '.join(certificate.failures())}{advice}"
    if on_failure == "raise":
        raise CertificateError(text)
    warnings.warn(text, stacklevel=6)
