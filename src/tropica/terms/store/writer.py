"""Writing a store of terms, by one process or by several (docs/store.md specifies the format).

    terms/
      manifest.json              the identity of the extraction, the shards, checksums, the certificate
      decomposition.safetensors  the DC decomposition
      center.safetensors         the vector that all ∇F⁻ are stored relative to
      shard-00000.safetensors    the terms of consecutive points
      lock, calibration.safetensors    only while the store is being written

Every file is written under another name, flushed, and renamed, and every shard names its extraction. The folder is therefore a
correct part of the store at any time, and the same extraction rewrites missing or damaged files with the same bytes.

The lock is an operating system's lock on the file ``lock`` (``flock``, through filelock). The system releases the lock when
the process ends, so that a killed run leaves no lock. On a network file system the lock of another host ends when that host
closes the file, or when the server detects that the host is gone (NFS 4: when its lease expires, after a minute or two). On a
file system without locks the existence of the file is the lock: after a crash on another host, delete ``lock`` by hand.
"""

from __future__ import annotations

import contextlib
import itertools
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
"""Seconds to wait for the lock, which another run may be releasing."""
OPENINGS = 100
"""Attempts to create and lock a folder that other runs, which end, remove meanwhile."""
FILES = re.compile(r"manifest\.json|lock|(decomposition|center|calibration|shard-\d{5,})\.safetensors")
"""The names of a store's files."""


class StoreWriter:
    """A folder of terms, locked for this run while the ``with`` block lasts.

    Attributes:
        folder: the folder.
        found: the manifest in the folder when it was opened; None for an empty folder.

    Raises StoreError, before any work, if the folder cannot be written, holds other files, or is being written by another run.
    """

    def __init__(self, folder: str | os.PathLike[str], processes: Processes = SINGLE_PROCESS) -> None:
        self.folder = Path(folder).absolute()  # terms are read later, perhaps from another current folder
        self.processes = processes
        self.found: Manifest | None = None
        self._manifest: Manifest | None = None
        self._lock: filelock.BaseFileLock | None = None
        self._created: list[Path] = []

    # ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> StoreWriter:
        try:
            self.processes.run_on_first(self._open)
            if not self.processes.is_first:
                self.found = read_or_restore(self.folder)
            self.processes.wait()  # no process writes before all processes have read
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _open(self) -> None:
        for attempt in itertools.count(1):
            check_folder(self.folder)
            self._created = list(itertools.takewhile(lambda folder: not folder.exists(), (self.folder, *self.folder.parents)))
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = _locked(self.folder)
                break
            except StoreError:
                raise
            except OSError as error:
                # A run that ends removes empty folders that it created, perhaps just before this one locks them.
                removed = isinstance(error, FileNotFoundError | FileExistsError)
                if not removed or attempt == OPENINGS:
                    raise StoreError(f"{self.folder}: cannot be written to ({error.strerror})") from error
        for entry in self.folder.iterdir():
            if (unfinished := TEMPORARY.fullmatch(entry.name)) and FILES.fullmatch(unfinished["name"]):
                entry.unlink(missing_ok=True)
        self.found = read_or_restore(self.folder)

    def _close(self) -> None:
        """Release the lock, and remove created folders that are still empty."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                (self.folder / LOCK).unlink()  # while locked: a run that has opened the file meanwhile detects this and retries
            self._lock.release()
            self._lock = None
        for folder in self._created:
            with contextlib.suppress(OSError):
                folder.rmdir()

    # ── the manifest ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def manifest(self) -> Manifest:
        """The manifest, available after :meth:`begin`."""
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
        """Begin an extraction, or continue the one in the folder.

        Returns:
            A warning if another version of torch, or another number of threads, may change the last bit of the missing terms.

        Raises:
            StoreError: the folder holds terms of another extraction; the message names the differences.
        """
        before = self.found
        if before is not None:
            known = bool(before.extraction.decomposition and extraction.decomposition)
            there, here = (
                one if known else replace(one, decomposition="", precision="") for one in (before.extraction, extraction)
            )  # decompositions, and their precisions, are compared only if both are known
            if differs := here.differences(there):
                raise StoreError(f"{self.folder}: holds terms of another extraction: {differs}; name another folder")
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

    def begin_anew(self) -> None:
        """Forget what was found in the folder, before the same extraction begins again in another precision."""
        self.found = None

    def start_shards(self, extraction: ExtractionIdentity, point_digests: Mapping[int, str]) -> None:
        """Record the decomposition, before shards are written.

        Args:
            extraction: the identity of the extraction, the decomposition included.
            point_digests: SHA-256 of the points seen so far, by number of the shard.
        """
        digests = [point_digests.get(number, "") for number in range(len(self.manifest.shard_points))]
        self._manifest = replace(
            self.manifest, extraction=extraction, state="extracting", point_digests=digests if any(digests) else []
        )
        if not self._continues_complete:
            self._write_manifest()

    def finish(self, shards: Sequence[FinishedShard], certificate: Certificate) -> None:
        """Complete the manifest after the last shard, and remove files that are no longer needed."""
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
            for entry in self.folder.glob("shard-*"):  # left by an extraction with more shards
                if entry.name not in needed:
                    entry.unlink(missing_ok=True)

        self.processes.run_on_first(write)

    def blocks(self, shards: Sequence[FinishedShard]) -> StoredBlocks:
        """The blocks of finished shards, which were compared with their checksums already."""
        return StoredBlocks(self.folder, self._with_shards(shards), check=False)

    def _with_shards(self, shards: Sequence[FinishedShard]) -> Manifest:
        return replace(self.manifest, shards=[shard.entry for shard in shards])

    def _write_manifest(self) -> None:
        self.processes.run_on_first(lambda: self.manifest.write(self.folder))

    # ── center and shards ──────────────────────────────────────────────────────────────────────────────────────────────

    def center(self, make: Callable[[], Tensor]) -> Tensor:
        """The center of this extraction from the folder, or a new one, which is then written; on the CPU."""
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
        """The undamaged shards of this extraction in the folder, by number. Each process reads a part of them."""
        digest, extraction = safetensors_files.digest_of(center), self.manifest.extraction
        own = {shard.number: finished_shard(self.folder, shard, extraction, digest) for shard in self.processes.share(shards)}
        return gather_shards(self.processes, {number: found for number, found in own.items() if found is not None})

    def write(self, shard: Shard, block: TermBlock, center: Tensor, point_digest: str) -> FinishedShard:
        """Write a shard. Raises StoreError if it cannot be written."""
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
    """Raise StoreError, before any work, for a folder that cannot be written, or that holds other files than a store."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() and nearest.exists():  # a run that ends may remove it meanwhile
        raise StoreError(f"{folder}: cannot be created ({nearest} is a file, not a folder)")
    if not os.access(nearest, os.W_OK) and nearest.exists():
        raise StoreError(f"{folder}: cannot be written to")
    if folder.exists() and not (folder / MANIFEST).exists():
        others: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            others = sorted(p.name for p in folder.iterdir() if not FILES.fullmatch(p.name) and not TEMPORARY.fullmatch(p.name))
        if others:
            raise StoreError(f"{folder}: not empty, and not a store of terms (it holds {others[0]}); give an empty folder")


def _locked(folder: Path) -> filelock.BaseFileLock:
    """Lock a folder. Raises StoreError if another run has the lock."""
    lock = filelock.FileLock(folder / LOCK, timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise StoreError(
            f"{folder}: another run is writing to this folder; wait until it ends, or give another folder"
        ) from None
    return lock


def read_or_restore(folder: Path) -> Manifest | None:
    """Read the manifest of a folder, or restore it from the shards if it is missing or damaged; None for an empty folder.

    Raises StoreError for a store of another format, and for a store whose manifest and shards are all damaged.
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
            raise StoreError(f"{error}, and no shard names its extraction; give another folder, or empty this one") from error
        return None


def _restored(folder: Path) -> Manifest | None:
    """A manifest with the identity that the shards name."""
    for path in sorted(folder.glob("shard-*.safetensors")):
        with contextlib.suppress(StoreError, TypeError, ValueError, KeyError):
            about = SafetensorsFile(path).kind(KIND).about
            extraction = ExtractionIdentity.from_dict(about["extraction"])
            # Shards hold cotangents only for a given decomposition; the calibration checks those of a computed one.
            given = about["smallest_cotangent"] is not None
            return Manifest(extraction, [], [], 0, state="extracting", decomposition_given=given)
    return None


def count_finished_points(folder: Path) -> int:
    """The number of points whose terms are in a folder, from the headers of its shards (without checks)."""
    done = 0
    for path in folder.glob("shard-*.safetensors"):
        with contextlib.suppress(StoreError, KeyError, TypeError, ValueError):
            done += int(SafetensorsFile(path).about["points"])
    return done


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def versions() -> dict[str, str]:
    """The versions and the number of threads, on which the last bit of terms may depend."""
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
