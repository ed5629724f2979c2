"""The shards of a store: terms of consecutive points, each a file with a checksum that says what it is of."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from tropica.data.passes import Shard
from tropica.errors import StoreError
from tropica.runtime import safetensors_files
from tropica.runtime.safetensors_files import SafetensorsFile
from tropica.terms.store.manifest import Entry, Manifest
from tropica.terms.term_block import TENSORS, LazyBlocks, TermBlock

KIND = "terms"
SPLIT, CENTER = "decomposition.safetensors", "center.safetensors"
ANEW = "run the extraction again to make it anew"
MARGIN, ROUNDING = "margin", "rounding"


def file_of(number: int) -> str:
    """The name of a shard's file.

    >>> file_of(3)
    'shard-00003.safetensors'
    """
    return f"shard-{number:05d}.safetensors"


@dataclass(frozen=True)
class Finished:
    """A shard that is there: what the manifest says of it, its smallest cotangent, and the digest of its points."""

    entry: Entry
    smallest: float | None
    inputs: str

    def plain(self) -> list[Any]:
        """As JSON has it, for other processes."""
        return [self.entry.points, self.entry.bytes, self.entry.checksum, number_text(self.smallest), self.inputs]

    @classmethod
    def of(cls, plain: list[Any]) -> Finished:
        """From what :meth:`plain` gave."""
        points, size, checksum, smallest, inputs = plain
        return cls(Entry(points, size, checksum), number(smallest), inputs)


def number_text(value: float | None) -> float | str | None:
    """A number as JSON has it."""
    return str(value) if value is not None and not math.isfinite(value) else value


def number(value: Any) -> float | None:
    """From what :func:`number_text` gave."""
    return None if value is None else float(value)


def write_shard(
    folder: Path,
    shard: Shard,
    run: Mapping[str, str],
    center: str,
    inputs: str,
    block: TermBlock,
    margin: Tensor,
    smallest: float | None,
) -> Finished:
    """Write a shard, whole or not at all. Raises StoreError where it cannot be written."""
    about = {
        "kind": KIND,
        "run": dict(run),
        "center": center,
        "number": shard.number,
        "first": shard.first,
        "points": shard.points,
        "inputs": inputs,
        "smallest": number_text(smallest),
    }
    tensors = {name: getattr(block, name) for name in TENSORS} | {MARGIN: margin}
    if block.rounding is not None:
        tensors[ROUNDING] = block.rounding
    raw, checksum = safetensors_files.pack(about, tensors)
    safetensors_files.write_bytes(folder / file_of(shard.number), raw)
    return Finished(Entry(shard.points, len(raw), checksum), smallest, inputs)


def finished_shard(folder: Path, shard: Shard, run: Mapping[str, str], center: str) -> Finished | None:
    """A shard that is there, whole, and of this very run; None where it is not, and must be made."""
    path = folder / file_of(shard.number)
    try:
        file = SafetensorsFile(path).kind(KIND)
        about = file.about
        mine = {"run": dict(run), "center": center, "number": shard.number, "first": shard.first, "points": shard.points}
        if any(about.get(name) != value for name, value in mine.items()):
            return None
        file.check()
        entry = Entry(shard.points, path.stat().st_size, file.checksum)
        return Finished(entry, number(about["smallest"]), str(about["inputs"]))
    except (StoreError, OSError, KeyError, TypeError, ValueError):
        return None


class StoredBlocks(LazyBlocks):
    """The shards of a store, memory-mapped when they are used, and compared with their checksums the first time.

    Args:
        folder: the store.
        manifest: what it holds.
        check: compare with checksums?
        good: numbers of the shards that were compared already.
    """

    def __init__(self, folder: Path, manifest: Manifest, check: bool = True, good: bool = False) -> None:
        self.folder = folder
        self.lengths = [entry.points for entry in manifest.shards]
        self.dtype = getattr(torch, manifest.run["stored_dtype"])
        self.device = torch.device("cpu")
        self._manifest = manifest
        self._check = check and not good
        self._checked: set[tuple[int, str]] = set()
        self._d = math.prod(manifest.shape)
        self._lossy = manifest.run["stored_dtype"] != manifest.run["dtype"]

    @overload
    def __getitem__(self, index: int) -> TermBlock: ...
    @overload
    def __getitem__(self, index: slice) -> list[TermBlock]: ...
    def __getitem__(self, index: int | slice) -> TermBlock | list[TermBlock]:
        """Blocks by number, all of their tensors compared.

        Raises StoreError where a shard is missing, damaged or foreign; names it.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        with self._named(at):
            file = self._opened(at)
            names = (*TENSORS, ROUNDING) if self._lossy else TENSORS
            tensors: dict[str, Any] = {name: self._tensor(file, at, name) for name in names}
            return TermBlock(**tensors)

    def tensor(self, number: int, name: str) -> Tensor:
        """One tensor of one shard; the others are not read."""
        with self._named(number):
            return self._tensor(self._opened(number), number, name)

    def inputs(self, number: int) -> str:
        """SHA-256 of the points that a shard was made from."""
        with self._named(number):
            return str(self._opened(number).about["inputs"])

    def verify(self, number: int) -> None:
        """Read all of a shard and compare it. Raises StoreError where something is wrong."""
        with self._named(number):
            file = self._opened(number)
            file.check()
            for name in TENSORS:
                self._tensor(file, number, name)

    def present(self, number: int) -> None:
        """Look whether a shard is there and as large as it must be. Raises StoreError where it is not."""
        path, size = self.folder / file_of(number), self._manifest.shards[number].bytes
        with self._named(number):
            try:
                found = path.stat().st_size
            except OSError:
                raise StoreError(f"{path}: missing") from None
            if found != size:
                raise StoreError(f"{path}: damaged (it has {found:,} bytes of {size:,})")

    @contextlib.contextmanager
    def _named(self, number: int) -> Any:
        """Errors that say what to do."""
        try:
            yield
        except StoreError as error:
            raise StoreError(f"{error}; {ANEW}") from error

    def _opened(self, number: int) -> SafetensorsFile:
        path = self.folder / file_of(number)
        file = SafetensorsFile(path).kind(KIND)
        if file.checksum != self._manifest.shards[number].checksum:
            raise StoreError(f"{path}: damaged, or of another store (its checksum differs)")
        return file

    def _tensor(self, file: SafetensorsFile, number: int, name: str) -> Tensor:
        new = (number, name) not in self._checked
        x = file.tensor(name, self._check and new)
        if new:
            points = self.lengths[number]
            kinds = {"labels": ((points,), torch.int64), ROUNDING: ((points, 4), torch.float64)}
            kinds |= dict.fromkeys(("local", "minus"), ((points, self._d), self.dtype))
            if (tuple(x.shape), x.dtype) != kinds.get(name, ((points,), torch.float64)):
                raise StoreError(f"{file.path}: damaged ({name} has shape {tuple(x.shape)} and type {x.dtype})")
            if name == "labels" and not (int(x.min()) >= 0 and int(x.max()) < self._manifest.num_classes):
                raise StoreError(f"{file.path}: damaged (labels beyond 0 … {self._manifest.num_classes - 1})")
            self._checked.add((number, name))
        return x
