"""Loading of weights into a model, from safetensors files and from state dicts that torch.save wrote."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from tropica.errors import DataError, InputError
from tropica.network.readers.load import is_torchscript

NAMES_SHOWN = 4
TORCH_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin")
"""Suffixes of files that torch.save writes. They are read with ``weights_only=True``, which makes tensors and plain containers
alone: anything else in the file, such as a class or a function to call, is an error."""
_KEYS = ("state_dict", "model_state_dict", "model", "module", "net")
"""Keys under which checkpoints have the state dict."""
_PREFIXES = ("module.", "_orig_mod.", "model.")
"""Prefixes of names: of data parallelism and averaging, of torch.compile, and of training frameworks."""
_UNUSED = "num_batches_tracked"
"""The counter of batch norm, which old and converted files lack, and which eval mode does not use."""
_COUNTER = "n_averaged"
"""The counter in the state of ``torch.optim.swa_utils.AveragedModel``."""


def load_weights(model: nn.Module, file: Path) -> None:
    """Load weights in place; a file of float64 weights makes the model a float64 model.

    Tied weights, which several names share, need to be in the file only once. Prefixes of wrappers are stripped where that
    makes all names fit, with a warning.

    Raises:
        DataError: the file is missing, damaged, or holds more than weights.
        InputError: names or shapes do not fit the model; the message lists them.
    """
    found, wanted = _read(file), model.state_dict()
    renamed = _renamed(found, wanted)
    if renamed is None:
        raise InputError(f"{file}: the weights do not fit the model; {_faults(found, wanted)}")
    old, new = next(((o, n) for o, n in zip((o for o in found if o != _COUNTER), renamed, strict=False) if o != n), ("", ""))
    if old != new:
        warnings.warn(f"{file}: names fit the model without the prefixes of wrappers ({old} is {new})", stacklevel=2)
    misshapen = [
        f"{name} is {tuple(tensor.shape)} in the file and {tuple(wanted[name].shape)} in the model"
        for name, tensor in renamed.items()
        if tensor.shape != wanted[name].shape
    ]
    if misshapen:
        raise InputError(f"{file}: the weights do not fit the model; of another shape: {_first(misshapen)}")
    unlike = [
        f"{name} is {kind}" for name, t in renamed.items() if wanted[name].is_floating_point() and (kind := _no_floats(t))
    ]
    if unlike:
        raise InputError(f"{file}: the weights do not fit the model; not numbers of a float dtype: {_first(unlike)}")
    floats = [tensor.dtype for tensor in renamed.values() if tensor.is_floating_point()]
    if floats and all(dtype == torch.float64 for dtype in floats):
        model.double()
    try:
        model.load_state_dict(renamed, strict=False)
    except RuntimeError as error:  # sparse or quantized tensors, say
        raise InputError(f"{file}: the weights do not fit the model; {str(error).splitlines()[-1].strip()}") from error


def _no_floats(tensor: Tensor) -> str:
    """What a tensor is that holds no real floating-point numbers one by one, or nothing."""
    if tensor.is_meta:
        return "on the meta device"
    if tensor.layout != torch.strided:
        return f"sparse ({tensor.layout})"
    return "" if tensor.is_floating_point() else str(tensor.dtype)


def _renamed(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The weights under the model's names: as they are, or without the prefixes of wrappers; None if they do not fit."""
    for file_names in _candidates([name for name in found if name != _COUNTER or name in wanted]):
        for model_names in _candidates(list(wanted)):
            back = dict(zip(model_names.values(), model_names, strict=True))
            named = {back.get(new, ""): found[old] for old, new in file_names.items()}
            if len(named) == len(file_names) and "" not in named and not _missing(named, wanted):
                return named
    return None


def _candidates(names: list[str]) -> Iterator[dict[str, str]]:
    """New names by old names: unchanged, then with more and more shared prefixes stripped; all new names differ."""
    for inner in ("", "_orig_mod."):  # of submodules that were compiled by themselves
        new = {name: name.replace(inner, "") if inner else name for name in names}
        while True:
            if len(set(new.values())) == len(new):
                yield dict(new)
            prefix = next((p for p in _PREFIXES if new and all(name.startswith(p) for name in new.values())), None)
            if prefix is None:
                break
            new = {old: name.removeprefix(prefix) for old, name in new.items()}


def _missing(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Names of the model that are not in the file and share their tensor with none that is, but for counters of batches."""
    present = {tensor.data_ptr() for name, tensor in wanted.items() if name in found and tensor.numel()}
    others = [name for name, tensor in wanted.items() if name not in found and tensor.data_ptr() not in present]
    return [name for name in others if name.rpartition(".")[2] != _UNUSED]


def _faults(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    unexpected = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} is {tuple(found[name].shape)} in the file and {tuple(tensor.shape)} in the model"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    faults = {"missing": _missing(found, wanted), "unexpected": unexpected, "of another shape": misshapen}
    return "; ".join(f"{fault}: {_first(names)}" for fault, names in faults.items() if names)


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise DataError(f"{file}: {'a folder; a safetensors file is needed' if file.is_dir() else 'no such file'}")
    if file.suffix.lower() in TORCH_SUFFIXES:
        return _state_dict(file)
    try:
        return safetensors.torch.load_file(file)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{file}: not a safetensors file ({error}); write one with safetensors.torch.save_model(model, 'model.safetensors')"
        ) from error


def _state_dict(file: Path) -> dict[str, Tensor]:
    """The state dict in a file of torch.save: the whole of it, or under one of the usual keys."""
    advice = "save the weights alone: torch.save(model.state_dict(), 'model.pt')"
    if is_torchscript(str(file)):
        raise DataError(f"{file}: a TorchScript archive, which has code in it; {advice}, with torch.jit.load(...) as the model")
    try:
        with warnings.catch_warnings():  # about pickle protocols; the error says what matters
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises errors of many kinds
        kind = type(error).__name__
        if kind == "UnpicklingError":
            reason = "damaged, or it holds more than weights, such as a whole model, and nothing of it is run"
        else:
            reason = f"not a file of torch.save, or a damaged one ({kind})"
        raise DataError(f"{file}: {reason}; {advice}") from None
    if not _is_state(content) and isinstance(content, Mapping):
        keys = [key for key in _KEYS if _is_state(content.get(key))]
        if len(keys) > 1:
            raise DataError(f"{file}: there are weights under several keys, {_first(keys)}; {advice}")
        if not keys:
            raise DataError(f"{file}: no state dict, but the keys {_first(map(str, content)) or '(none)'}; {advice}")
        warnings.warn(f"{file}: the weights under its key {keys[0]!r} are used", stacklevel=4)
        content = content[keys[0]]
    if not _is_state(content):
        raise DataError(f"{file}: it holds a {type(content).__name__}, not weights by name; {advice}")
    return {name: tensor.detach() for name, tensor in content.items()}


def _is_state(content: Any) -> bool:
    """Whether an object is a nonempty mapping from names to tensors."""
    if not isinstance(content, Mapping) or not content:
        return False
    return all(isinstance(name, str) and isinstance(t, Tensor) for name, t in content.items())


def _first(names: Iterable[str]) -> str:
    """The first few names, and the number of the others.

    >>> _first(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    listed = list(names)
    more = f" and {len(listed) - NAMES_SHOWN} more" if len(listed) > NAMES_SHOWN else ""
    return ", ".join(listed[:NAMES_SHOWN]) + more
