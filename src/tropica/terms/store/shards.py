"""The shards of a store: the terms of consecutive points, each shard a checksummed file that names its extraction."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from tropica.data.passes import Shard
from tropica.errors import StoreError
from tropica.runtime import safetensors_files
from tropica.runtime.safetensors_files import SafetensorsFile
from tropica.terms.identity import ExtractionIdentity
from tropica.terms.store.manifest import FORMAT, Manifest, ShardEntry, from_json, shard_file, to_json
from tropica.terms.term_block import TENSORS, LazyBlocks, TermBlock

KIND = "terms"
REMEDY = "run the extraction again to rewrite it"


@dataclass(frozen=True)
class FinishedShard:
    """A shard on disk: its entry in the manifest, its smallest cotangent, and the digest of its points."""

    entry: ShardEntry
    smallest_cotangent: float | None
    point_digest: str


def write_shard(
    folder: Path, shard: Shard, extraction: ExtractionIdentity, center_digest: str, point_digest: str, block: TermBlock
) -> FinishedShard:
    """Write a shard atomically. Raises StoreError if it cannot be written.

    Args:
        folder: the store.
        shard: the points of the shard.
        extraction: the identity of the extraction.
        center_digest: SHA-256 of the center.
        point_digest: SHA-256 of the points; "" if unknown, in which case no extraction continues from this shard.
        block: the terms. An unknown margin is written as NaN.
    """
    about = {
        "kind": KIND,
        "format": FORMAT,
        "extraction": extraction.to_dict(),
        "center": center_digest,
        "number": shard.number,
        "first": shard.first,
        "points": shard.points,
        "point_digest": point_digest,
        "smallest_cotangent": to_json(block.smallest_cotangent),
    }
    unknown = torch.full((len(block),), math.nan, dtype=torch.float64)
    raw, checksum = safetensors_files.pack(about, {"margin": unknown} | block.tensors)
    safetensors_files.write_bytes(folder / shard_file(shard.number), raw)
    return FinishedShard(ShardEntry(shard.points, len(raw), checksum), block.smallest_cotangent, point_digest)


def finished_shard(folder: Path, shard: Shard, extraction: ExtractionIdentity, center_digest: str) -> FinishedShard | None:
    """Read and check a shard on disk; None if the shard is missing, damaged, or part of another extraction."""
    path = folder / shard_file(shard.number)
    expected = {
        "format": FORMAT,
        "extraction": extraction.to_dict(),
        "center": center_digest,
        "number": shard.number,
        "first": shard.first,
        "points": shard.points,
    }
    try:
        file = SafetensorsFile(path).kind(KIND)
        about = file.about
        if any(about.get(name) != value for name, value in expected.items()) or not about["point_digest"]:
            return None
        file.check()
        entry = ShardEntry(shard.points, path.stat().st_size, file.checksum)
        return FinishedShard(entry, _float(about["smallest_cotangent"]), str(about["point_digest"]))
    except (StoreError, OSError, KeyError, TypeError, ValueError):
        return None


def margin_of_shard(folder: Path, shard: Shard) -> Tensor:
    """The difference of the two largest scores of N at each point of a finished shard, (B,)."""
    return SafetensorsFile(folder / shard_file(shard.number)).tensor("margin", check=False)


def _float(value: Any) -> float | None:
    return None if value is None else float(from_json(value))


class StoredBlocks(LazyBlocks):
    """The shards of a store, memory-mapped on use; each tensor is compared with its checksum on first use.

    Args:
        folder: the store.
        manifest: the manifest of the store.
        check: compare tensors with their checksums?
    """

    def __init__(self, folder: Path, manifest: Manifest, check: bool = True) -> None:
        self.folder = folder
        self.lengths = [entry.points for entry in manifest.shards]
        self.dtype = getattr(torch, manifest.extraction.stored_dtype)
        self.device = torch.device("cpu")
        self._manifest = manifest
        self._check = check
        self._checked: set[tuple[int, str]] = set()
        rounded = manifest.extraction.stored_dtype != manifest.extraction.dtype
        double_double = ("minus_low", "minus_bias_low") if manifest.extraction.precision else ()
        self.names = (*TENSORS, "margin", *(("rounding",) if rounded else ()), *double_double)

    @overload
    def __getitem__(self, index: int) -> TermBlock: ...
    @overload
    def __getitem__(self, index: slice) -> list[TermBlock]: ...
    def __getitem__(self, index: int | slice) -> TermBlock | list[TermBlock]:
        """Blocks by number, all tensors compared with their checksums.

        Raises StoreError if a shard is missing, damaged, or part of another store; the message names the file.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        with _with_remedy():
            file = self._open(number)
            tensors: dict[str, Any] = {name: self._tensor(file, number, name) for name in self.names}
            return TermBlock(**tensors, smallest_cotangent=_float(file.about.get("smallest_cotangent")))

    def tensor(self, number: int, name: str) -> Tensor:
        """One tensor of one shard; the others are not read."""
        with _with_remedy():
            return self._tensor(self._open(number), number, name)

    def point_digest(self, number: int) -> str:
        """The SHA-256 of the points that a shard was computed from."""
        with _with_remedy():
            return str(self._open(number).about["point_digest"])

    def check(self, number: int) -> None:
        """Compare all tensors of a shard with their checksums. Raises StoreError if one differs."""
        with _with_remedy():
            file = self._open(number)
            file.check()
            for name in self.names:
                self._tensor(file, number, name)

    def check_size(self, number: int) -> None:
        """Raise StoreError if a shard is missing or has the wrong size in bytes."""
        path, size = self.folder / shard_file(number), self._manifest.shards[number].bytes
        with _with_remedy():
            try:
                found = path.stat().st_size
            except OSError:
                raise StoreError(f"{path}: missing") from None
            if found != size:
                raise StoreError(f"{path}: damaged (it has {found:,} bytes of {size:,})")

    def _open(self, number: int) -> SafetensorsFile:
        path = self.folder / shard_file(number)
        file = SafetensorsFile(path).kind(KIND)
        if file.checksum != self._manifest.shards[number].checksum:
            raise StoreError(f"{path}: damaged, or part of another store (its checksum differs)")
        return file

    def _tensor(self, file: SafetensorsFile, number: int, name: str) -> Tensor:
        new = (number, name) not in self._checked
        x = file.tensor(name, self._check and new)
        if new:
            self._validate(file.path, number, name, x)
            self._checked.add((number, name))
        return x

    def _validate(self, path: Path, number: int, name: str, x: Tensor) -> None:
        """Raise StoreError if a tensor has the wrong shape, dtype or range."""
        points, dimension = self.lengths[number], math.prod(self._manifest.input_shape)
        expected = {
            "labels": ((points,), torch.int64),
            "local": ((points, dimension), self.dtype),
            "minus": ((points, dimension), self.dtype),
            "minus_low": ((points, dimension), torch.float64),
            "rounding": ((points, 4), torch.float64),
        }.get(name, ((points,), torch.float64))
        if (tuple(x.shape), x.dtype) != expected:
            raise StoreError(f"{path}: damaged ({name} has shape {tuple(x.shape)} and type {x.dtype})")
        if name == "labels" and not (int(x.min()) >= 0 and int(x.max()) < self._manifest.num_classes):
            raise StoreError(f"{path}: damaged (labels beyond 0 … {self._manifest.num_classes - 1})")


@contextlib.contextmanager
def _with_remedy() -> Iterator[None]:
    """Add the remedy to the message of a StoreError."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{error}; {REMEDY}") from error
