"""Writing a store of terms, by one process or by several (docs/store.md specifies the format).

    terms/
      manifest.json              what the terms are of, the shards, checksums, the certificate
      decomposition.safetensors  the DC decomposition
      center.safetensors         the vector that all ∇F⁻ are stored relative to
      shard-00000.safetensors    the terms of consecutive points
      lock, calibration.safetensors    only while the store is being written

Every file is written under another name, flushed, and renamed, and every shard names its extraction. The folder is therefore a
correct part of the whole at any time, and the same extraction writes what is missing or damaged, to the same bytes.

The lock is an operating system's lock on the file ``lock`` (``flock``, through filelock). It ends with its process, however the
process ends, so that a killed run leaves no obstacle. On a network file system the lock of another host ends when that host
closes the file, or when the server notices that the host is gone (NFS 4: when its lease expires, after a minute or two). A file
system without locks is given a lock by existence instead: after a crash on another host, delete the file ``lock`` by hand.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import filelock
import torch
from torch import Tensor

from tropica.data.passes import Shard
from tropica.errors import StoreError
from tropica.runtime import safetensors_files
from tropica.runtime.files import TEMPORARY
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.safetensors_files import SafetensorsFile
from tropica.terms.certificate import Certificate
from tropica.terms.identity import ExtractionIdentity
from tropica.terms.store.manifest import (
    CALIBRATION,
    CENTER,
    DECOMPOSITION,
    MANIFEST,
    Manifest,
    ShardEntry,
    check_format,
    format_of,
    shard_file,
)
from tropica.terms.store.shards import KIND, FinishedShard, StoredBlocks, finished_shard, write_shard
from tropica.terms.term_block import TermBlock

LOCK = "lock"
LOCK_SECONDS = 0.5
"""Seconds to wait for the lock: another run may be releasing it."""
FILES = re.compile(r"manifest\.json|lock|(decomposition|center|calibration|shard-\d{5,})\.safetensors")
"""The names of a store's files."""


class StoreWriter:
    """A folder of terms that this run alone writes, while the ``with`` block lasts.

    Attributes:
        folder: the folder.
        found: the manifest that was found when the folder was opened; None for an empty folder.

    Raises StoreError, before any work, where the folder cannot be written, holds something else, or is being written by
    another run.
    """

    def __init__(self, folder: str | os.PathLike[str], processes: Processes = SINGLE_PROCESS) -> None:
        self.folder = Path(folder)
        self.processes = processes
        self.found: Manifest | None = None
        self._manifest: Manifest | None = None
        self._lock: filelock.BaseFileLock | None = None
        self._made: list[Path] = []

    # ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> StoreWriter:
        try:
            self.processes.run_on_first(self._open)
            if not self.processes.is_first:
                self.found = read_or_restore(self.folder)
            self.processes.wait()  # nothing is written before all processes have read
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _open(self) -> None:
        check_folder(self.folder)
        for place in (self.folder, *self.folder.parents):
            if place.exists():
                break
            self._made.append(place)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.folder)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{self.folder}: cannot be written to ({error.strerror})") from error
        for entry in self.folder.iterdir():
            if (unfinished := TEMPORARY.fullmatch(entry.name)) and FILES.fullmatch(unfinished["name"]):
                entry.unlink(missing_ok=True)
        self.found = read_or_restore(self.folder)

    def _close(self) -> None:
        """Release the lock; remove folders that were made and stayed empty."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                (self.folder / LOCK).unlink()  # while it is held: who opened it meanwhile notices, and starts over
            self._lock.release()
            self._lock = None
        for place in self._made:
            with contextlib.suppress(OSError):
                place.rmdir()

    # ── the manifest ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def manifest(self) -> Manifest:
        """The manifest, once :meth:`begin` has made it."""
        assert self._manifest is not None, "begin comes first"
        return self._manifest

    @property
    def _continues_complete(self) -> bool:
        return self.found is not None and self.found.is_complete

    def begin(
        self,
        extraction: ExtractionIdentity,
        shard_points: Sequence[int],
        input_shape: Sequence[int],
        num_classes: int,
        *,
        decomposition_given: bool,
    ) -> str | None:
        """Begin an extraction, or continue the one that was begun here.

        Returns:
            A warning where another version of torch, or another number of threads, may change the last bit of what is missing.

        Raises:
            StoreError: the folder holds terms of something else; says what differs.
        """
        before = self.found
        if before is not None:
            known = bool(before.extraction.decomposition and extraction.decomposition)
            there, here = (
                one if known else replace(one, decomposition="") for one in (before.extraction, extraction)
            )  # a decomposition that is not known yet will be the one of the folder, or is still to be made
            if differs := here.differences(there):
                raise StoreError(f"{self.folder}: holds terms of another extraction: {differs}; give another folder")
            extraction = replace(extraction, decomposition=before.extraction.decomposition or extraction.decomposition)
        self._manifest = Manifest(
            extraction,
            list(shard_points),
            list(input_shape),
            num_classes,
            decomposition_given=decomposition_given,
            point_digests=list(before.point_digests) if before else [],
            versions=versions(),
        )
        if before is None or before.state == "decomposing":
            self._write_manifest()
        return _version_warning(before, self._manifest)

    def start_shards(self, extraction: ExtractionIdentity, point_digests: Mapping[int, str]) -> None:
        """The decomposition is known: the shards come next.

        Args:
            extraction: what the terms are of, the decomposition included.
            point_digests: SHA-256 of the points that were seen so far, by number of shard.
        """
        digests = [point_digests.get(number, "") for number in range(len(self.manifest.shard_points))]
        self._manifest = replace(
            self.manifest, extraction=extraction, state="extracting", point_digests=digests if any(digests) else []
        )
        if not self._continues_complete:
            self._write_manifest()

    def finish(self, shards: Sequence[FinishedShard], certificate: Certificate) -> None:
        """All shards are written: complete the manifest, and remove what is no longer needed."""
        data = safetensors_files.checksum_of({"shards": [shard.point_digest for shard in shards]})
        completed = replace(self._with_shards(shards), state="complete", certificate=certificate, data=data, point_digests=[])

        def write() -> None:
            decomposition, center = (
                SafetensorsFile(path).checksum if (path := self.folder / name).exists() else ""
                for name in (DECOMPOSITION, CENTER)
            )
            replace(completed, decomposition=decomposition, center=center).write(self.folder)
            (self.folder / CALIBRATION).unlink(missing_ok=True)
            needed = set(map(shard_file, range(len(shards))))
            for entry in self.folder.glob("shard-*"):  # of an extraction with more shards
                if entry.name not in needed:
                    entry.unlink(missing_ok=True)

        self.processes.run_on_first(write)

    def blocks(self, shards: Sequence[FinishedShard]) -> StoredBlocks:
        """The finished shards, which were compared with their checksums already."""
        return StoredBlocks(self.folder, self._with_shards(shards), check=False)

    def _with_shards(self, shards: Sequence[FinishedShard]) -> Manifest:
        return replace(self.manifest, shards=[shard.entry for shard in shards])

    def _write_manifest(self) -> None:
        self.processes.run_on_first(lambda: self.manifest.write(self.folder))

    # ── center and shards ──────────────────────────────────────────────────────────────────────────────────────────────

    def center(self, make: Callable[[], Tensor]) -> Tensor:
        """The center of this extraction that is in the folder, or else a new one, which is then written; on the CPU."""
        path, extraction = self.folder / CENTER, self.manifest.extraction.to_dict()
        found: Tensor | None = None
        with contextlib.suppress(StoreError):
            file = SafetensorsFile(path).kind("center")
            if file.about.get("extraction") == extraction:
                found = file.tensor("center").clone()
        if all(self.processes.all_gather(found is not None)) and found is not None:
            return found
        center = make().cpu()
        about = {"kind": "center", "extraction": extraction}
        self.processes.run_on_first(lambda: safetensors_files.write(path, about, {"center": center}))
        return center

    def finished(self, shards: Sequence[Shard], center: Tensor) -> dict[int, FinishedShard]:
        """The shards that are in the folder, whole, and of this extraction, by number. Each process reads a part of them."""
        digest, extraction = safetensors_files.digest_of(center), self.manifest.extraction
        own = {shard.number: finished_shard(self.folder, shard, extraction, digest) for shard in self.processes.share(shards)}
        return gather_shards(self.processes, {number: found for number, found in own.items() if found is not None})

    def write(self, shard: Shard, block: TermBlock, center: Tensor, point_digest: str) -> FinishedShard:
        """Write a shard. Raises StoreError where it cannot be written."""
        digest = safetensors_files.digest_of(center)
        return write_shard(self.folder, shard, self.manifest.extraction, digest, point_digest, block)


def gather_shards(processes: Processes, own: Mapping[int, FinishedShard]) -> dict[int, FinishedShard]:
    """The finished shards of all processes."""
    plain = {number: [vars(shard.entry), shard.smallest_cotangent, shard.point_digest] for number, shard in own.items()}
    return {
        int(number): FinishedShard(ShardEntry(**entry), smallest_cotangent, digest)
        for part in processes.all_gather(plain)
        for number, (entry, smallest_cotangent, digest) in part.items()
    }


# ── folders ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_folder(folder: Path) -> None:
    """Raise StoreError, before any work, for a folder that cannot be written, or that holds something else than a store."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise StoreError(f"{folder}: cannot be made ({there} is a file, not a folder)")
    if not os.access(there, os.W_OK):
        raise StoreError(f"{folder}: cannot be written to")
    if folder.exists() and not (folder / MANIFEST).exists():
        others = sorted(p.name for p in folder.iterdir() if not FILES.fullmatch(p.name) and not TEMPORARY.fullmatch(p.name))
        if others:
            raise StoreError(f"{folder}: not empty, and not a store of terms (it holds {others[0]}); give an empty folder")


def _locked(folder: Path) -> filelock.BaseFileLock:
    """Lock a folder. Raises StoreError where another run has the lock."""
    lock = filelock.FileLock(folder / LOCK, timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise StoreError(
            f"{folder}: another run is writing to this folder; wait until it ends, or give another folder"
        ) from None
    return lock


def read_or_restore(folder: Path) -> Manifest | None:
    """The manifest of a folder, restored from its shards where it is missing or damaged; None for an empty folder.

    Raises StoreError for a store of another format, and for one whose manifest and shards are all damaged.
    """
    try:
        return Manifest.read(folder)
    except StoreError as error:
        restored = _restored(folder)
        if restored is not None:
            return restored
        if format_of(folder) in (1, 2):
            check_format(folder / MANIFEST, format_of(folder))
        if (folder / MANIFEST).exists() or any(folder.glob("shard-*.safetensors")):
            raise StoreError(f"{error}, and no shard tells what it was of; give another folder, or empty this one") from error
        return None


def _restored(folder: Path) -> Manifest | None:
    """What the shards say about their extraction."""
    for path in sorted(folder.glob("shard-*.safetensors")):
        with contextlib.suppress(StoreError, TypeError, ValueError, KeyError):
            about = SafetensorsFile(path).kind(KIND).about
            extraction = ExtractionIdentity.from_dict(about["extraction"])
            # Cotangents are checked of a decomposition that was given; the other kind was made with a check.
            given = about["smallest_cotangent"] is not None
            return Manifest(extraction, [], [], 0, state="extracting", decomposition_given=given)
    return None


def count_finished_points(folder: Path) -> int:
    """The number of points whose terms are in a folder, by what its shards say (nothing is compared)."""
    done = 0
    for path in folder.glob("shard-*.safetensors"):
        with contextlib.suppress(StoreError, KeyError, TypeError, ValueError):
            done += int(SafetensorsFile(path).about["points"])
    return done


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def versions() -> dict[str, str]:
    """What terms are computed with: the last bit may depend on it."""
    return {
        "tropica": version("tropica"),
        "torch": torch.__version__,
        "safetensors": version("safetensors"),
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
    }


def _version_warning(before: Manifest | None, now: Manifest) -> str | None:
    if before is None or before.is_complete:
        return None
    pairs = ((name, before.versions.get(name), now.versions[name]) for name in ("torch", "threads"))
    changed = [f"{name} {last} before, {current} now" for name, last, current in pairs if last not in (None, current)]
    if not changed:
        return None
    return f"{'; '.join(changed)}: what is computed now may differ in the last bit from what it would have been"
