"""Extraction into a store: missing shards are extracted and written, finished shards are kept."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tropica.data.passes import PointDigests, Shard
from tropica.decomposition.certify import Sample
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extraction import extract_batches, find_center, smallest_of
from tropica.decomposition.extraction_run import ExtractionRun, UsedDecomposition, certified
from tropica.decomposition.load import load_decomposition
from tropica.decomposition.precision import asking_for_more, require_digits
from tropica.decomposition.prepare import decomposition_for, fitted
from tropica.errors import StoreError
from tropica.runtime.interrupts import DelayedInterrupts
from tropica.runtime.memory import BatchHalving
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.store.manifest import CALIBRATION, DECOMPOSITION
from tropica.terms.store.shards import FinishedShard, margin_of_shard
from tropica.terms.store.writer import StoreWriter, gather_shards


def extract_to_store(run: ExtractionRun, decomposition: DCDecomposition | str, store: StoreWriter) -> LinearTerms:
    """Extract into an open store, and continue an earlier run of the same extraction.

    Raises:
        StoreError: the store belongs to another extraction, a file cannot be written, or the points differ from those of an
            earlier run.
    """
    found, identity = store.found, run.extraction.identity
    given = not isinstance(decomposition, str)
    if found is not None and found.extraction.decomposition:
        given = found.decomposition_given
    if isinstance(decomposition, str):
        wanted = replace(identity, method=decomposition)
    else:
        decomposition = fitted(decomposition, run.extraction.net, at=identity.at)
        wanted = UsedDecomposition(decomposition, made_here=not given).identify(identity)
    shards = run.extraction.data_pass.shards
    warning = store.begin(
        wanted,
        [shard.points for shard in shards],
        run.extraction.net.input_shape,
        run.extraction.net.num_classes,
        decomposition_given=given,
    )
    if warning and run.processes.is_first:
        warnings.warn(f"{store.folder}: {warning}", stacklevel=4)
    digests = PointDigests({number: digest for number, digest in enumerate(store.manifest.point_digests) if digest})
    observed = replace(run.extraction, data_pass=run.extraction.data_pass.observed(digests))
    run = replace(run, extraction=observed)
    used = _stored_decomposition(run, decomposition, store, digests)
    if run.may_escalate:
        require_digits(used.decomposition, run.extraction.data_pass, run.processes)
    store.start_shards(used.identify(identity), digests.gather(run.processes))
    sample = run.draw_sample()
    finished, center = _extract_missing(run, used, store, digests, sample)
    smallest = smallest_of([used.smallest_cotangent, *(shard.smallest_cotangent for shard in finished)])
    terms = certified(run, used, store.blocks(finished), center, smallest, sample)
    store.finish(finished, terms.certificate)
    return terms


# ── the decomposition ──────────────────────────────────────────────────────────────────────────────────────────────────


def _stored_decomposition(
    run: ExtractionRun, decomposition: DCDecomposition | str, store: StoreWriter, digests: PointDigests
) -> UsedDecomposition:
    """The given decomposition, else the one in the store, else a new one. The store holds it afterwards."""
    path, processes, net = store.folder / DECOMPOSITION, run.processes, run.extraction.net
    manifest = store.manifest
    if isinstance(decomposition, DCDecomposition):
        processes.run_on_first(lambda: _save(decomposition, path))
        return UsedDecomposition(decomposition, made_here=not manifest.decomposition_given)
    known = manifest.extraction.decomposition
    found = _load(path, run)
    if found is not None and (found.method != decomposition or known not in ("", found.fingerprint)):
        found = None
    if all(processes.all_gather(found is not None)) and found is not None:
        return UsedDecomposition(fitted(found, net), made_here=not manifest.decomposition_given)
    if manifest.decomposition_given:
        raise StoreError(f"{path}: missing or damaged; this decomposition was given to the extraction: give it again")
    with asking_for_more(run.may_escalate):
        made = decomposition_for(
            run.extraction,
            decomposition,
            memory=run.memory,
            processes=processes,
            checkpoint=store.folder / CALIBRATION,
            digests=digests,
            progress=run.progress,
        )
    if known not in ("", made.fingerprint):
        raise StoreError(
            f"{path}: missing or damaged, and the recomputed decomposition differs from the lost one, to which the finished "
            "terms belong: give another folder"
        )
    processes.run_on_first(lambda: _save(made, path))
    return UsedDecomposition(made, made_here=True)


def _load(path: Path, run: ExtractionRun) -> DCDecomposition | None:
    with contextlib.suppress(StoreError):
        return load_decomposition(path, run.extraction.net)
    return None


def _save(decomposition: DCDecomposition, path: Path) -> None:
    """Write a decomposition, unless the file holds it already."""
    with contextlib.suppress(StoreError):
        found = load_decomposition(path, decomposition.net)
        if (found.fingerprint, found.escalations) == (decomposition.fingerprint, tuple(decomposition.escalations)):
            return
    decomposition.save(path)


# ── the shards ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _extract_missing(
    run: ExtractionRun, used: UsedDecomposition, store: StoreWriter, digests: PointDigests, sample: Sample | None
) -> tuple[list[FinishedShard], Tensor]:
    """Extract and write the missing shards; the points of the finished shards are compared with their digests.

    Ctrl-C and SIGTERM take effect when the current shard is finished.

    Returns:
        All shards, and the center, (d,) on the CPU.
    """
    data_pass, processes = run.extraction.data_pass, run.processes
    with DelayedInterrupts() as interrupts:
        center = store.center(lambda: find_center(used.decomposition, data_pass, processes))
        before = store.finished(data_pass.shards, center)
        if used.needs_check and sample is not None:  # shards that were extracted without the check are extracted again
            before = {number: shard for number, shard in before.items() if shard.smallest_cotangent is not None}
        digests.known |= {number: shard.point_digest for number, shard in before.items()}
        mine = _shared_work(run, before)
        total, on_device = sum(shard.points for shard in mine), center.to(run.extraction.net.device)
        halving = BatchHalving(data_pass.repeat)

        def extract_mine() -> None:
            points = 0
            for shard, batches in data_pass.iter_shards(mine):
                if shard.number in before:
                    done[shard.number], margin = before[shard.number], margin_of_shard(store.folder, shard)
                else:
                    block = extract_batches(
                        used.decomposition,
                        batches,
                        on_device,
                        stored_dtype=run.extraction.stored_dtype,
                        check=used.needs_check and sample is not None,
                        halving=halving,
                    )
                    done[shard.number] = store.write(shard, block, center, digests.known[shard.number])
                    margin = block.margin
                if sample is not None and margin is not None:
                    sample.see(shard.first, torch.cat(batches), margin)
                points += shard.points
                if run.progress:
                    run.progress(points, total, "extracting")
                interrupts.check()

        done: dict[int, FinishedShard] = {}
        processes.run_on_all(extract_mine)
        every = gather_shards(processes, done)
    return [every[shard.number] for shard in data_pass.shards], center


def _shared_work(run: ExtractionRun, finished: dict[int, FinishedShard]) -> Sequence[Shard]:
    """This process's part of the missing and of the finished shards, in increasing order."""
    shards, share = run.extraction.data_pass.shards, run.processes.share
    missing = share([shard for shard in shards if shard.number not in finished])
    present = share([shard for shard in shards if shard.number in finished])
    return sorted([*missing, *present], key=lambda shard: shard.number)
