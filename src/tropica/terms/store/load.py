"""Opening and checking a store of terms."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tropica.errors import InputError, StoreError
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.runtime.safetensors_files import SafetensorsFile
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.store.manifest import CENTER, DECOMPOSITION, Manifest, shard_file
from tropica.terms.store.shards import KIND, REMEDY, StoredBlocks

CHECKS = ("use", "all", "none")


@own_settings()
def load_terms(folder: str | os.PathLike[str], *, check: str = "use") -> LinearTerms:
    """Open a store of terms that ``tp.extract(..., out=folder)`` or ``terms.save(folder)`` wrote.

    Opening takes milliseconds: it reads the manifest and compares the sizes of the shards. Coefficients are memory-mapped.

    Args:
        folder: the store.
        check: "use" compares each tensor with its checksum when it is first used, "all" compares all of them now, "none"
            compares none.

    Raises:
        InputError: ``check`` has another value.
        StoreError: the folder is not a store, or is incomplete or damaged; the message names the file. With "use", damage
            inside a shard is found when the shard is used.

    >>> import tempfile, torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     terms = tp.extract(model, torch.randn(100, 4), out=f"{folder}/terms")
    ...     again = tp.load_terms(f"{folder}/terms")
    ...     bool((again.labels == terms.labels).all())
    True
    """
    if check not in CHECKS:
        raise InputError(f"check must be one of {', '.join(map(repr, CHECKS))}; got {check!r}")
    path = Path(folder).absolute()  # terms are read later, perhaps from another current folder
    manifest = Manifest.read(path)
    if not manifest.is_complete or manifest.certificate is None:
        raise StoreError(f"{path}: the extraction was not finished; run it again with the same folder to continue it")
    blocks = StoredBlocks(path, manifest, check=check != "none")
    for number in range(len(blocks)):
        (blocks.check if check == "all" else blocks.check_size)(number)
    center = _read_center(path, manifest)
    if check == "all":
        _check_decomposition(path, manifest)
    extraction = manifest.extraction
    return LinearTerms(
        blocks,
        center,
        tuple(manifest.input_shape),
        manifest.num_classes,
        extraction.method,
        manifest.certificate,
        extraction.to_dict(),
    )


@own_settings()
def check_terms(folder: str | os.PathLike[str], *, progress: bool | ProgressCallback = False) -> tuple[Manifest, list[str]]:
    """Compare all files of a store with their checksums.

    Args:
        folder: the folder of the store.
        progress: True for a bar, or a function (done, total, message).

    Returns:
        The manifest, and a line for each file that is missing, damaged, or part of another store. Running the same extraction
        again rewrites these files.

    Raises:
        StoreError: there is no store, or its manifest is damaged.

    >>> import tempfile, torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = tp.extract(net, x, out=f"{folder}/terms")
    ...     manifest, faults = tp.check_terms(f"{folder}/terms")
    >>> faults
    []
    """
    path = Path(folder)
    manifest = Manifest.read(path)
    faults: list[str] = []
    if not manifest.is_complete:
        for number, first in enumerate(manifest.first_points):
            with _collect_fault(faults):
                _check_unfinished(path / shard_file(number), manifest, first)
        return manifest, faults
    blocks = StoredBlocks(path, manifest)
    with progress_callback(progress) as report:
        for number in range(len(blocks)):
            with _collect_fault(faults):
                blocks.check_size(number)
                blocks.check(number)
            if report is not None:
                report(number + 1, len(blocks), "comparing checksums")
    with _collect_fault(faults):
        _read_center(path, manifest)
    with _collect_fault(faults):
        _check_decomposition(path, manifest)
    return manifest, faults


def _check_unfinished(path: Path, manifest: Manifest, first: int) -> None:
    """Raise StoreError if an existing shard of an unfinished store is damaged, or belongs to another store."""
    if path.exists():
        file = SafetensorsFile(path).kind(KIND)
        file.check()
        if (file.about["extraction"], file.about["first"]) != (manifest.extraction.to_dict(), first):
            raise StoreError(f"{path}: part of another store")


def _check_decomposition(folder: Path, manifest: Manifest) -> None:
    """Raise StoreError if the file of the decomposition is damaged, or belongs to another store."""
    if manifest.decomposition:
        _checked_file(folder / DECOMPOSITION, manifest.decomposition)


def _read_center(folder: Path, manifest: Manifest) -> Tensor:
    file = _checked_file(folder / CENTER, manifest.center).kind("center")
    center = file.tensor("center")
    if center.shape != (math.prod(manifest.input_shape),) or center.dtype != torch.float64:
        raise StoreError(f"{file.path}: damaged (center has shape {tuple(center.shape)}, {center.dtype}); {REMEDY}")
    return center.clone()


def _checked_file(path: Path, checksum: str) -> SafetensorsFile:
    """Open and check a file of the store. Raises StoreError if the file is damaged or has another checksum."""
    try:
        file = SafetensorsFile(path)
        file.check()
        if file.checksum != checksum:
            raise StoreError(f"{path}: damaged, or part of another store (its checksum differs)")
        return file
    except StoreError as error:
        raise StoreError(f"{error}; {REMEDY}") from error


@contextlib.contextmanager
def _collect_fault(faults: list[str]) -> Iterator[None]:
    """Append the error about a faulty file to a list, and continue."""
    try:
        yield
    except (StoreError, KeyError) as error:
        faults.append(str(error).removesuffix(f"; {REMEDY}"))
