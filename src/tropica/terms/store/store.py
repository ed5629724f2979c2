"""Terms on disk, written as the extraction goes, by one process or by many (docs/store.md has the format).

    terms/
      manifest.json            what the terms are of, the plan of shards, checksums, certificate
      decomposition.safetensors        the DC decomposition: K
      center.safetensors       the vector that all ∇F⁻ are kept relative to
      shard-00000.safetensors  terms of consecutive points
      lock, calibration.safetensors    while it is being made

Every file is written under another name, flushed, and renamed; every shard says itself what it is of. So a folder is at any
time a correct part of the whole, and the same call makes what is missing or damaged: to the same bytes.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tropica.data.passes import Shard
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.job import Job
from tropica.decomposition.prepare import check_method
from tropica.decomposition.storage import load_decomposition
from tropica.errors import StoreError
from tropica.runtime import safetensors_files
from tropica.runtime.files import TEMPORARY
from tropica.runtime.interrupts import DelayedInterrupts
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback
from tropica.runtime.safetensors_files import SafetensorsFile
from tropica.terms.certificate import smaller
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.store.lock import Lock
from tropica.terms.store.manifest import MANIFEST, Manifest
from tropica.terms.store.shards import CENTER, SPLIT, Finished, StoredBlocks, file_of, finished_shard, write_shard

if TYPE_CHECKING:
    from tropica.decomposition.check import Sample

CALIBRATION = "calibration.safetensors"
OURS = re.compile(r"manifest\.json|lock|(decomposition|center|calibration|shard-\d{5,})\.safetensors")
"""The names of a store's files; a folder that holds others is not taken for one."""


class Store:
    """A folder of terms that is being written, by this run alone."""

    def __init__(self, folder: str | os.PathLike[str], processes: Processes = SINGLE_PROCESS) -> None:
        self.folder = Path(folder)
        self.processes = processes
        self.manifest: Manifest | None = None
        self.note: str | None = None
        """What the user may want to know of how the folder was found."""
        self._lock: Lock | None = None
        self._made: list[Path] = []

    # ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Store:
        """Lock the folder, and read what is there.

        Raises StoreError, before any work, where it cannot be written to, holds something else, or is another run's.
        """
        try:
            self.processes.run_on_first(self._open)
            if not self.processes.is_first and (self.folder / MANIFEST).exists():
                with contextlib.suppress(StoreError):
                    self.manifest = Manifest.read(self.folder)
            if not self.processes.is_first and self.manifest is None:
                self.manifest = _salvaged(self.folder)
            self.processes.wait()  # nothing is written before all have read
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
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be made ({error.strerror})") from error
        lock = Lock(self.folder)
        lock.__enter__()
        self._lock = lock
        if lock.stale:
            self.note = f"a lock was left behind by {lock.stale}, which is gone"
        for entry in self.folder.iterdir():
            if (found := TEMPORARY.fullmatch(entry.name)) and OURS.fullmatch(found["name"]):
                entry.unlink(missing_ok=True)
        self.manifest = _opened(self.folder)

    def _close(self) -> None:
        """Unlock; folders that were made and hold nothing go again."""
        if self._lock is not None:
            self._lock.__exit__()
            self._lock = None
        for place in self._made:
            with contextlib.suppress(OSError):
                place.rmdir()

    @property
    def batch_size(self) -> int | None:
        """That of the run that began here; None where there was none."""
        with contextlib.suppress(KeyError, ValueError):
            return int(self.manifest.run["batch_size"]) if self.manifest else None
        return None

    # ── what goes in ───────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, job: Job, decomposition: DCDecomposition | None, method: str, report: ProgressCallback | None) -> None:
        """Refuse a folder that holds the beginning of another extraction; give the job its decomposition: the user's, else the one
        that is here, else a new one.

        Raises:
            StoreError: what is here is of another network, of other data, …; says what differs.
        """
        check_method(method)
        before = self.manifest
        about = {**job.about, "method": decomposition.method if decomposition else method}
        given = decomposition is not None if before is None or "decomposition" not in before.run else before.given
        if decomposition is not None:
            job.use(decomposition, fresh=not given)
            about["decomposition"] = job.decomposition.fingerprint
        self._refuse_others(about, before)
        self.manifest = Manifest(
            {**about, **({"decomposition": before.run["decomposition"]} if before and "decomposition" in before.run else {})},
            [shard.points for shard in job.walk.shards],
            list(job.net.input_shape),
            job.net.num_classes,
            inputs=list(before.inputs) if before else [],
            given=given,
            versions=versions(),
        )
        if before is not None:
            job.digests.known |= {number: digest for number, digest in enumerate(before.inputs) if digest}
            self._compare_versions(before)
        if before is None or before.state == "calibrating":
            self._save()
        if decomposition is None:
            self._find_split(job, method, report)
        else:
            self.processes.run_on_first(
                lambda: None if self._has(job.decomposition) else job.decomposition.save(self.folder / SPLIT)
            )
        self.manifest.run = job.identity()
        self.manifest.state = "extracting"
        if before is None or before.state != "complete":
            self._note_inputs(job)
            self._save()

    def _refuse_others(self, about: dict[str, str], before: Manifest | None) -> None:
        """Raise StoreError where what is here is of something else."""
        if before is None:
            return
        there, here = dict(before.run), dict(about)
        if not (
            "decomposition" in there and "decomposition" in here
        ):  # it will be the one that is here, or is still to be made
            there.pop("decomposition", None)
            here.pop("decomposition", None)
        if differs := _differences(there, here):
            raise StoreError(f"{self.folder}: holds terms of another extraction: {differs}; give another folder")

    def _compare_versions(self, before: Manifest) -> None:
        """Note libraries or threads that may change the last bit of what is still to be made."""
        now, last = versions(), before.versions
        changed = [
            f"{name} {last[name]} before, {now[name]} now"
            for name in ("torch", "threads")
            if last.get(name, now[name]) != now[name]
        ]
        if changed and before.state != "complete":
            self.note = f"{'; '.join(changed)}: what is made now may differ in the last bit from what it would have been"

    def _find_split(self, job: Job, method: str, report: ProgressCallback | None) -> None:
        """The decomposition that is here, or else a new one, which is then here too."""
        assert self.manifest is not None
        wanted = self.manifest.run.get("decomposition")
        found: DCDecomposition | None = None
        with contextlib.suppress(StoreError):
            found = load_decomposition(self.folder / SPLIT, job.net)
            if found.method != method or (wanted and found.fingerprint != wanted):
                found = None
        if all(self.processes.all_gather(found is not None)):
            assert found is not None
            job.use(found, fresh=not self.manifest.given)
            return
        if self.manifest.given:
            raise StoreError(f"{self.folder / SPLIT}: missing or damaged; the decomposition was given at first: give it again")
        made = job.make_decomposition(method, report, self.folder / CALIBRATION)
        if wanted and made.fingerprint != wanted:
            raise StoreError(
                f"{self.folder / SPLIT}: damaged, and the decomposition that was made again is another one; the finished terms are of "
                "the one that is lost: give another folder"
            )
        self.processes.run_on_first(lambda: made.save(self.folder / SPLIT))

    def _has(self, decomposition: DCDecomposition) -> bool:
        with contextlib.suppress(StoreError):
            return load_decomposition(self.folder / SPLIT, decomposition.net).fingerprint == decomposition.fingerprint
        return False

    # ── the terms ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def collect(self, job: Job, sample: Sample | None, report: ProgressCallback | None) -> StoredBlocks:
        """Extract what is missing, shard by shard, and return all shards, memory-mapped.

        Ctrl-C and SIGTERM let the shard at hand be finished.

        Raises:
            StoreError: a file cannot be written, or the points are not those of the finished shards.
        """
        assert self.manifest is not None
        shards, run = job.walk.shards, self.manifest.run
        mine: dict[int, Finished] = {}
        with DelayedInterrupts() as stop:
            center = self._center(job)
            there = self._there(run, center)
            if job.look and sample is not None:  # shards that were made without a look at the cotangents are made again
                there = {number: found for number, found in there.items() if found.smallest is not None}
            missing = [shard for shard in shards if shard.number not in there]
            done = [shard for shard in shards if shard.number in there]
            work = sorted([*self.processes.share(missing), *self.processes.share(done)], key=lambda shard: shard.number)
            job.digests.known |= {number: found.inputs for number, found in there.items()}

            def all_of_mine() -> dict[int, list[object]]:
                points = 0
                for shard, group in job.walk.iter_shards(work):
                    known = there.get(shard.number)
                    if known is None:
                        known, margin = self._extracted(job, shard, group, center, sample is not None)
                    else:
                        margin = SafetensorsFile(self.folder / file_of(shard.number)).tensor("margin", check=False)
                    mine[shard.number] = known
                    if known.smallest is not None:
                        job.smallest = smaller(known.smallest, math.inf if job.smallest is None else job.smallest)
                    if sample is not None:
                        sample.see(shard.first, torch.cat(group), margin)
                    points += shard.points
                    if report:
                        report(points, sum(s.points for s in work), "extracting")
                    stop.check()
                return {number: found.plain() for number, found in mine.items()}

            every = self.processes.run_on_all(all_of_mine)
        finished = {int(number): Finished.of(plain) for part in every for number, plain in part.items()}
        self.manifest.shards = [finished[shard.number].entry for shard in shards]
        self.manifest.inputs = [finished[shard.number].inputs for shard in shards]
        for found in finished.values():
            if found.smallest is not None:
                job.smallest = smaller(found.smallest, math.inf if job.smallest is None else job.smallest)
        return StoredBlocks(self.folder, self.manifest, good=True)

    def finish(self, terms: LinearTerms) -> None:
        """Write what is known only at the end."""
        assert self.manifest is not None
        self.manifest.state = "complete"
        self.manifest.certificate = terms.certificate
        self.manifest.data = safetensors_files.checksum_of({"shards": self.manifest.inputs})
        self.manifest.inputs = []

        def write() -> None:
            assert self.manifest is not None
            self.manifest.decomposition = SafetensorsFile(self.folder / SPLIT).checksum
            self.manifest.center = SafetensorsFile(self.folder / CENTER).checksum
            self.manifest.write(self.folder)
            (self.folder / CALIBRATION).unlink(missing_ok=True)
            for entry in self.folder.iterdir():  # of a plan with more shards, should there have been one
                if entry.name.startswith("shard-") and entry.name not in map(file_of, range(len(terms.lengths))):
                    entry.unlink(missing_ok=True)

        self.processes.run_on_first(write)

    def _extracted(self, job: Job, shard: Shard, group: list[Tensor], center: str, check: bool) -> tuple[Finished, Tensor]:
        """Extract and write one shard."""
        assert self.manifest is not None
        block = job.block(group, check)
        inputs = job.digests.known[shard.number]
        assert block.margin is not None
        made = write_shard(self.folder, shard, self.manifest.run, center, inputs, block, block.margin, block.smallest_cotangent)
        return made, block.margin

    def _center(self, job: Job) -> str:
        """The job's center, the one that is here or a new one, which is then here too; its digest."""
        assert self.manifest is not None
        path, run = self.folder / CENTER, self.manifest.run
        found: Tensor | None = None
        with contextlib.suppress(StoreError):
            file = SafetensorsFile(path).kind("center")
            if file.about.get("run") == run:
                found = file.tensor("center").clone()
        if all(self.processes.all_gather(found is not None)):
            assert found is not None
            job.center = found.to(job.net.device)
        else:
            center = job.find_center().cpu()
            self.processes.run_on_first(
                lambda: safetensors_files.write(path, {"kind": "center", "run": run}, {"center": center})
            )
        assert job.center is not None
        return safetensors_files.digest_of(job.center.cpu())

    def _there(self, run: dict[str, str], center: str) -> dict[int, Finished]:
        """The shards that are there, whole, and of this run; the processes look at a part of them each."""
        assert self.manifest is not None
        first, plan = 0, []
        for number, points in enumerate(self.manifest.plan):
            plan.append(Shard(number, range(0), first, points))
            first += points
        looked = {shard.number: finished_shard(self.folder, shard, run, center) for shard in self.processes.share(plan)}
        own = {number: found.plain() for number, found in looked.items() if found is not None}
        return {int(n): Finished.of(plain) for part in self.processes.all_gather(own) for n, plain in part.items()}

    def _note_inputs(self, job: Job) -> None:
        """Keep what is known of the points before their terms are there."""
        assert self.manifest is not None
        known = job.digests.gather(self.processes)
        if known:
            self.manifest.inputs = [known.get(shard.number, "") for shard in job.walk.shards]

    def _save(self) -> None:
        self.processes.run_on_first(lambda: self.manifest.write(self.folder) if self.manifest else None)


def _differences(known: dict[str, str], wanted: dict[str, str]) -> str:
    names = [name for name in (*wanted, *known) if known.get(name, "") != wanted.get(name, "")]

    def short(value: str) -> str:
        return (f"{value[:8]}…" if len(value) > 40 else value) or "none"

    return "; ".join(
        f"{name} is {short(known.get(name, ''))} there, {short(wanted.get(name, ''))} here" for name in dict.fromkeys(names)
    )


def done_points(folder: Path) -> int:
    """How many points have their terms in a folder, by the sizes of its shards (nothing is compared)."""
    done = 0
    for path in folder.glob("shard-*.safetensors"):
        with contextlib.suppress(StoreError, KeyError, TypeError, ValueError):
            done += int(SafetensorsFile(path).about["points"])
    return done


def check_folder(folder: Path) -> None:
    """Refuse, before any work, a folder that cannot be written to, or that holds something else.

    Raises StoreError.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise StoreError(f"{folder}: cannot be made ({there} is a file, not a folder)")
    if not os.access(there, os.W_OK):
        raise StoreError(f"{folder}: cannot be written to")
    if folder.exists():
        others = sorted(p.name for p in folder.iterdir() if not OURS.fullmatch(p.name) and not TEMPORARY.fullmatch(p.name))
        if others and not (folder / MANIFEST).exists():
            raise StoreError(f"{folder}: not empty, and not a store of terms (it holds {others[0]}); give an empty folder")


def _opened(folder: Path) -> Manifest | None:
    """The manifest of a folder, put together from its shards where it is missing or damaged; None for an empty folder.

    Raises StoreError where the folder holds a store that no file tells about any more, or of another format.
    """
    try:
        return Manifest.read(folder)
    except StoreError as error:
        found = _salvaged(folder)
        if found is None and ((folder / MANIFEST).exists() or any(folder.glob("shard-*.safetensors"))):
            raise StoreError(f"{error}, and no shard tells what it was of; give another folder, or empty this one") from error
        return found


def _salvaged(folder: Path) -> Manifest | None:
    """What the shards say that the store is of."""
    for path in sorted(folder.glob("shard-*.safetensors")):
        with contextlib.suppress(StoreError, TypeError, ValueError, KeyError):
            about = SafetensorsFile(path).kind("terms").about
            run = {str(name): str(value) for name, value in about["run"].items()}
            return Manifest(run, [], [], 0, state="extracting", given=about["smallest"] is not None)
    return None


def versions() -> dict[str, str]:
    """What the terms are made with: they may differ in the last bit with another."""
    return {
        "tropica": version("tropica"),
        "torch": torch.__version__,
        "safetensors": version("safetensors"),
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
    }
