"""Networks from ``torch.export`` archives (.pt2), without unpickling.

``torch.export.load`` unpickles parts of an archive, so it is not used. The archive is a zip file. Its graph is read from JSON
and its weights from raw bytes. Every op must be on a fixed list of ATen ops, and the result is traced like any other model.
"""

from __future__ import annotations

import json
import math
import zipfile
from typing import Any

import torch
from torch import Tensor

from tropica.errors import DataError, InputError, TropicaError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.readers.aten_graph import Name, Replay, argument, dtype_of, read_call
from tropica.network.trace import trace_checked

_SCHEMA = 8
"""Supported version of the archive's graph format (torch 2.8 and newer)."""
_MAX_EXPANSION = 2**20
"""Largest number of entries that an expanded weight (stride 0) may have beyond the stored ones."""
_UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, EOFError, RuntimeError, OverflowError)
"""Exceptions that a damaged file can cause, in zipfile, in json or on access to their results."""


def load_pt2(path: str) -> PiecewiseLinearNetwork:
    """The network of an archive; see :func:`tropica.load_network`."""
    model, example = _open(path)
    try:
        return trace_checked(model, example, model.relocate)
    except InputError as error:  # the example has the shape that the archive states
        raise DataError(f"damaged: {error}") from error


def _open(path: str) -> tuple[Replay, Tensor]:
    """The archived model and an example batch."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except FileNotFoundError:
        raise DataError("no such file") from None
    except IsADirectoryError:
        raise DataError("a folder; a .pt2 file is needed") from None
    except TropicaError:
        raise
    except zipfile.BadZipFile as error:
        raise DataError(
            f"not a torch.export archive (.pt2), or a damaged one ({error}); torch.export.save writes one"
        ) from error
    except _UNREADABLE as error:
        raise DataError(f"damaged, or of an unknown version ({type(error).__name__}: {error})") from error


def _read(archive: zipfile.ZipFile) -> tuple[Replay, Tensor]:
    models = [name for name in archive.namelist() if "/models/" in name and name.endswith(".json")]
    if len(models) != 1:
        raise DataError(f"it holds {len(models)} models in the archive format of torch 2.8 or newer; one is needed")
    root, _, file = models[0].partition("/models/")
    name = file.removesuffix(".json")
    program = json.loads(_bytes(archive, models[0]))
    version = program["schema_version"]["major"]
    if version != _SCHEMA:
        raise DataError(f"it is written in version {version} of the archive format; version {_SCHEMA} can be read")
    module = program["graph_module"]
    tensors = {
        **_tensors(archive, f"{root}/data/constants/", f"{name}_constants_config.json"),
        **_tensors(archive, f"{root}/data/weights/", f"{name}_weights_config.json"),
    }
    placeholder, leaves = _inputs(module["signature"]["input_specs"], tensors)
    output = _output(module["signature"]["output_specs"])
    calls = [read_call(node) for node in module["graph"]["nodes"]]
    paths = {id(tensor): path for path, tensor in tensors.items()}
    return Replay(calls, leaves, placeholder, output, paths), _example(module["graph"]["tensor_values"][placeholder])


def _inputs(specs: list[dict[str, Any]], tensors: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """The name of the model's input, and the weights by their names in the graph."""
    batches: list[Any] = []
    leaves: dict[str, Tensor] = {}
    for spec in specs:
        ((kind, what),) = spec.items()
        if kind == "user_input":
            batches.append(argument(what["arg"]))
        elif kind in ("parameter", "buffer", "tensor_constant"):
            leaves[what["arg"]["name"]] = tensors[what[f"{kind}_name"]]
        else:
            raise DataError(f"the model has an input of kind {kind!r}, which is neither data nor a tensor")
    if len(batches) != 1 or not isinstance(batches[0], Name):
        raise DataError(f"the model must take exactly one tensor, a batch of points; it takes {len(batches)} inputs")
    return batches[0].name, leaves


def _output(specs: list[dict[str, Any]]) -> str:
    """The name of the logits."""
    outputs = [argument(spec["user_output"]["arg"]) for spec in specs if "user_output" in spec]
    if len(outputs) != 1 or not isinstance(outputs[0], Name):
        raise DataError(f"the model must return exactly one tensor, the logits; it returns {len(outputs)} outputs")
    return outputs[0].name


def _example(meta: dict[str, Any]) -> Tensor:
    """Two points in the shape and dtype that the archived model takes."""
    batch, *sizes = meta["sizes"]
    if "as_int" in batch:
        raise DataError(
            f"the model was exported for {batch['as_int']} points at a time; export it with a dynamic batch size: "
            "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)"
        )
    if not all("as_int" in size for size in sizes):
        raise DataError("the model was exported with free sizes other than the batch; a network takes points of one shape")
    dtype = dtype_of(meta["dtype"])
    if dtype not in (torch.float32, torch.float64):
        raise DataError(f"the model takes {dtype}; float32 or float64 is needed")
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, *(size["as_int"] for size in sizes), generator=generator, dtype=torch.float64).to(dtype)


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    """Bytes of an uncompressed entry. torch compresses no entry, so a compressed one is refused as a possible zip bomb."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise DataError(f"{name} is compressed, which torch.export.save does not do")
    return archive.read(name)


def _tensors(archive: zipfile.ZipFile, folder: str, config: str) -> dict[str, Tensor]:
    """Tensors by name, from raw bytes; pickled entries are refused."""
    found: dict[str, Tensor] = {}
    for name, entry in json.loads(_bytes(archive, folder + config))["config"].items():
        if entry["use_pickle"] or entry["tensor_meta"] is None:
            raise DataError(f"{name} is stored as a pickled object, and nothing is ever unpickled here")
        found[name] = _tensor(name, entry["tensor_meta"], _bytes(archive, folder + entry["path_name"]))
    return found


def _tensor(name: str, meta: dict[str, Any], raw: bytes) -> Tensor:
    """A tensor from the bytes of its storage."""
    dtype, offset = dtype_of(meta["dtype"]), meta["storage_offset"]["as_int"]
    sizes, strides = ([n["as_int"] for n in meta[key]] for key in ("sizes", "strides"))
    if min([*sizes, *strides, offset], default=0) < 0:
        raise DataError(f"{name} has a negative size or stride")
    stored = len(raw) // dtype.itemsize
    needed = offset + 1 + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True)) if math.prod(sizes) else 0
    if needed > stored:
        raise DataError(f"{name} needs {needed} numbers, and {stored} are stored")
    if math.prod(sizes) > stored + _MAX_EXPANSION:
        raise DataError(f"{name} has {math.prod(sizes)} entries, and {stored} are stored")
    if not math.prod(sizes):
        return torch.empty(sizes, dtype=dtype)
    return torch.frombuffer(bytearray(raw), dtype=dtype, count=stored).as_strided(sizes, strides, offset).clone()
