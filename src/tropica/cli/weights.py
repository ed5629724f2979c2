"""Loading of weights from a safetensors file into a model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from tropica.errors import DataError, InputError

NAMES_SHOWN = 4


def load_weights(model: nn.Module, file: Path) -> None:
    """Load weights in place; a file of float64 weights makes the model a float64 model.

    Tied weights, which several names share, need to be in the file only once.

    Raises:
        DataError: the file is missing, or not a safetensors file.
        InputError: names or shapes do not fit the model; the message lists them.
    """
    found = _read(file)
    wanted = model.state_dict()
    present = {tensor.data_ptr() for name, tensor in wanted.items() if name in found and tensor.numel()}
    missing = [name for name, tensor in wanted.items() if name not in found and tensor.data_ptr() not in present]
    unexpected = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} is {tuple(found[name].shape)} in the file and {tuple(tensor.shape)} in the model"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    if any(faults.values()):
        listed = "; ".join(f"{fault}: {_first(names)}" for fault, names in faults.items() if names)
        raise InputError(f"{file}: the weights do not fit the model; {listed}")
    floats = [tensor.dtype for tensor in found.values() if tensor.is_floating_point()]
    if floats and all(dtype == torch.float64 for dtype in floats):
        model.double()
    model.load_state_dict(found, strict=False)


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise DataError(f"{file}: {'a folder; a safetensors file is needed' if file.is_dir() else 'no such file'}")
    try:
        return safetensors.torch.load_file(file)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{file}: not a safetensors file ({error}); write one with safetensors.torch.save_model(model, 'model.safetensors')"
        ) from error


def _first(names: Iterable[str]) -> str:
    """The first few names, and the number of the others.

    >>> _first(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    listed = list(names)
    more = f" and {len(listed) - NAMES_SHOWN} more" if len(listed) > NAMES_SHOWN else ""
    return ", ".join(listed[:NAMES_SHOWN]) + more
