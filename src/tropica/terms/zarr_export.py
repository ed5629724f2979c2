"""Terms as a Zarr group, for xarray and dask."""

from __future__ import annotations

import os
import secrets
import shutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tropica.errors import InputError, StoreError
from tropica.terms.term_block import TENSORS

if TYPE_CHECKING:
    from tropica.terms.linear_terms import LinearTerms


def to_zarr(terms: LinearTerms, path: str | os.PathLike[str]) -> None:
    """Write terms as a Zarr group (format 3): an array each for ``labels``, ``local``, ``local_bias``, ``minus``,
    ``minus_bias`` and ``center``, with named dimensions, a chunk a block.

        a_k(x) = ⟨local[k], x⟩ + local_bias[k],   a⁻_k(x) = ⟨center + minus[k], x⟩ + minus_bias[k],   a⁺_k = a_k + a⁻_k

    Coefficients that are kept in bfloat16, which NumPy does not have, become float32; nothing else changes. The group's
    attributes say what the terms are of. Memory: one block at a time.

    Args:
        terms: the terms.
        path: a folder that is not there yet; it appears when it is whole.

    Raises:
        InputError: the package zarr is not installed (``pip install 'tropica[zarr]'``), or the folder is there already.
        StoreError: it cannot be written.
    """
    try:
        zarr: Any = import_module("zarr")
    except ImportError as error:
        raise InputError("terms.to_zarr needs the package zarr, 3 or newer: pip install 'tropica[zarr]'") from error
    folder = Path(path)
    if folder.exists():
        raise InputError(f"{folder}: is there already; give a folder that is not")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder}: there is no folder {folder.parent}")
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}~")
    try:
        _write(zarr.open_group(str(temporary), mode="w-", zarr_format=3), terms)
        temporary.replace(folder)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(group: Any, terms: LinearTerms) -> None:
    """Arrays and attributes, block by block."""
    kind = torch.float32 if terms.dtype == torch.bfloat16 else terms.dtype
    size, d, rows = len(terms), terms.center.numel(), max(terms.lengths)
    coefficients = str(kind).removeprefix("torch.")
    types = {"labels": "int64", "local": coefficients, "minus": coefficients}
    for name in TENSORS:
        wide = name in ("local", "minus")
        group.create_array(
            name,
            shape=(size, d) if wide else (size,),
            chunks=(rows, d) if wide else (rows,),
            dtype=types.get(name, "float64"),
            dimension_names=("point", "coefficient") if wide else ("point",),
        )
    group.create_array("center", shape=(d,), chunks=(d,), dtype="float64", dimension_names=("coefficient",))
    group["center"][:] = terms.center.cpu().numpy()
    first = 0
    for block in terms.blocks:
        part = slice(first, first + len(block))
        for name in TENSORS:
            x = getattr(block, name).cpu()
            group[name][part] = (x.to(kind) if name in ("local", "minus") else x).numpy()
        first += len(block)
    group.attrs.update(
        {"shape": list(terms.input_shape), "num_classes": terms.num_classes, "method": terms.method, "about": dict(terms.about)}
    )
