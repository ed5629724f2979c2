"""Blocks of terms as a Zarr group, for xarray and dask."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tropica.errors import InputError, StoreError
from tropica.terms.term_block import TENSORS, TermBlock


def write_zarr(
    path: str | os.PathLike[str],
    blocks: Iterable[TermBlock],
    lengths: Sequence[int],
    dtype: torch.dtype,
    center: Tensor,
    attributes: Mapping[str, Any],
) -> None:
    """Write blocks as a Zarr group; see ``LinearTerms.to_zarr``.

    Args:
        path: a folder that does not exist.
        blocks: the terms.
        lengths: the number of terms in each block.
        dtype: the dtype of the coefficients.
        center: (d,) float64.
        attributes: the attributes of the group.
    """
    try:
        zarr: Any = import_module("zarr")
    except ImportError as error:
        raise InputError("terms.to_zarr needs the package zarr, 3 or newer: pip install 'tropica[zarr]'") from error
    folder = Path(path)
    if folder.exists():
        raise InputError(f"{folder}: exists already; name a folder that does not exist")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder}: there is no folder {folder.parent}")
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}~")
    try:
        group = zarr.open_group(str(temporary), mode="w-", zarr_format=3)
        dtype = torch.float32 if dtype == torch.bfloat16 else dtype
        _make_arrays(group, lengths, str(dtype).removeprefix("torch."), center.numel())
        group["center"][:] = center.cpu().numpy()
        _fill_arrays(group, blocks, dtype)
        group.attrs.update(dict(attributes))
        temporary.replace(folder)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _make_arrays(group: Any, lengths: Sequence[int], dtype: str, dimension: int) -> None:
    """Create the empty arrays of the group."""
    points, rows = sum(lengths), max(lengths)
    dtypes = {"labels": "int64", "local": dtype, "minus": dtype}
    for name in TENSORS:
        wide = name in ("local", "minus")
        group.create_array(
            name,
            shape=(points, dimension) if wide else (points,),
            chunks=(rows, dimension) if wide else (rows,),
            dtype=dtypes.get(name, "float64"),
            dimension_names=("point", "coefficient") if wide else ("point",),
        )
    group.create_array("center", shape=(dimension,), chunks=(dimension,), dtype="float64", dimension_names=("coefficient",))


def _fill_arrays(group: Any, blocks: Iterable[TermBlock], dtype: torch.dtype) -> None:
    first = 0
    for block in blocks:
        rows = slice(first, first + len(block))
        for name in TENSORS:
            x = getattr(block, name).cpu()
            group[name][rows] = (x.to(dtype) if name in ("local", "minus") else x).numpy()
        first += len(block)
