"""Opening and verifying a store of terms."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from tropica.errors import InputError, StoreError
from tropica.runtime.safetensors_files import SafetensorsFile
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.store.manifest import Manifest
from tropica.terms.store.shards import ANEW, CENTER, SPLIT, StoredBlocks, file_of


def load_terms(folder: str | os.PathLike[str], *, verify: bool | Literal["use"] = "use") -> LinearTerms:
    """Open a folder of terms that ``tp.extract(..., out=folder)`` wrote; coefficients are memory-mapped.

    Opening reads the manifest, and looks whether each shard is there and as large as it must be. It takes milliseconds.

    Args:
        folder: the store.
        verify: "use" compares every tensor with its checksum when it is first used; True all of them now; False none.

    Raises:
        StoreError: not a store, not complete, or damaged; names the file. With "use" damage within a shard is found, and
            raised, when the shard is used.

    >>> import tempfile, torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     terms = tp.extract(model, torch.randn(100, 4), out=f"{folder}/terms")
    ...     again = tp.load_terms(f"{folder}/terms")
    ...     bool((again.labels == terms.labels).all())
    True
    """
    if verify not in (True, False, "use"):
        raise InputError(f"verify must be True, False or 'use', got {verify!r}")
    path = Path(folder)
    manifest = Manifest.read(path)
    if manifest.state != "complete" or manifest.certificate is None:
        raise StoreError(f"{path}: the extraction was not finished; run it again with the same folder to go on")
    blocks = StoredBlocks(path, manifest, check=bool(verify))
    for number in range(len(blocks)):
        (blocks.verify if verify is True else blocks.present)(number)
    center = _center_of(path, manifest)
    if verify is True:
        check_decomposition(path, manifest)
    shape = tuple(manifest.shape)
    return LinearTerms(blocks, center, shape, manifest.num_classes, manifest.run["method"], manifest.certificate, manifest.run)


def check_decomposition(folder: Path, manifest: Manifest) -> None:
    """Raise StoreError where the file of the decomposition is not the one that belongs here."""
    try:
        file = SafetensorsFile(folder / SPLIT)
        file.check()
        if file.checksum != manifest.decomposition:
            raise StoreError(f"{file.path}: damaged, or of another store (its checksum differs)")
    except StoreError as error:
        raise StoreError(f"{error}; {ANEW}") from error


def _center_of(folder: Path, manifest: Manifest) -> Tensor:
    try:
        file = SafetensorsFile(folder / CENTER).kind("center")
        center = file.tensor("center")
        if file.checksum != manifest.center or center.shape != (math.prod(manifest.shape),) or center.dtype != torch.float64:
            raise StoreError(f"{file.path}: damaged, or of another store (its checksum differs)")
        return center.clone()
    except StoreError as error:
        raise StoreError(f"{error}; {ANEW}") from error


def check_terms(folder: str | os.PathLike[str]) -> tuple[Manifest, list[str]]:
    """Read all of a store and compare it with its checksums.

    Returns:
        Its manifest, and a line for each file that is missing, damaged or foreign. The same extraction makes them anew.

    Raises:
        StoreError: there is no store, or its manifest is damaged.
    """
    path = Path(folder)
    manifest = Manifest.read(path)
    faults: list[str] = []
    if manifest.state != "complete":
        first = 0
        for number, points in enumerate(manifest.plan):
            file = path / file_of(number)
            with _noted(faults):
                if file.exists():
                    found = SafetensorsFile(file).kind("terms")
                    found.check()
                    if (found.about["run"], found.about["first"]) != (manifest.run, first):
                        raise StoreError(f"{file}: of another store")
            first += points
        return manifest, faults
    blocks = StoredBlocks(path, manifest)
    for number in range(len(blocks)):
        with _noted(faults):
            blocks.present(number)
            blocks.verify(number)
    with _noted(faults):
        _center_of(path, manifest)
    with _noted(faults):
        check_decomposition(path, manifest)
    return manifest, faults


@contextlib.contextmanager
def _noted(faults: list[str]) -> Iterator[None]:
    """Go on where a file is faulty, and note it."""
    try:
        yield
    except (StoreError, KeyError) as error:
        faults.append(str(error).removesuffix(f"; {ANEW}"))
