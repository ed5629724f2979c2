"""Models given on the command line. Nothing is unpickled: archives and weights are read as plain data."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import math
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

import tropica as tp
from tropica.cli.exit_codes import on_one_line
from tropica.cli.options import MODEL_SUFFIXES
from tropica.cli.trained import is_training, load_trained
from tropica.cli.weights import TORCH_SUFFIXES, load_weights
from tropica.data.batches import first_points
from tropica.data.file_data import FileData
from tropica.data.labelled import LabelledData
from tropica.errors import DataError, InputError, TropicaError
from tropica.network.trace import as_network
from tropica.runtime.progress import waiting
from tropica.studies.networks import build

PICKLE_SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib", ".tar")
"""Suffixes of files that are read by unpickling, which can run any code in them."""
"""Suffixes of files that hold a whole network."""
BUILT_IN = "tropica:"


def load_model(
    spec: str,
    data: LabelledData | FileData | None,
    weights: Path | None = None,
    args: Sequence[str] | None = None,
    inputs: int | None = None,
) -> tp.PiecewiseLinearNetwork:
    """The traced network of a model, checked to take the points of the data.

    Args:
        spec: the folder of a training, a file that :func:`tropica.load_network` reads, ``package.module:factory``,
            ``file.py:factory``, or ``tropica:NAME``.
        data: the points; the model is traced on the first two. None: the model says itself what it takes.
        weights: a file with the model's weights: safetensors, or a state dict of torch.save.
        args: arguments KEY=VALUE of the factory.
        inputs: without data, how many numbers a point has, for a model that does not say so.

    Raises:
        DataError: the model does not exist, or would have to be unpickled.
        InputError: weights or data do not fit the model.
        UnsupportedOperation, TraceError, NonFiniteWeights: as :func:`tropica.trace`.
    """
    refuse_pickle(spec)
    if Path(spec).suffix.lower() in MODEL_SUFFIXES or is_training(spec):
        if weights or args:
            raise InputError(f"{spec} has its own weights and layers: leave out --weights and --arg")
        with waiting(f"reading {spec}"):
            net = _trained(spec, data) if is_training(spec) else tp.load_network(spec)
    else:
        model = _module(spec, data, weights, args or ()).eval()
        example = data
        if data is None and inputs is not None:
            example = LabelledData(torch.zeros(2, inputs), None, f"--inputs {inputs}")
        with waiting("tracing the model"):
            net = _traced_alone(spec, model) if example is None else tp.trace(model, _example(model, example))
    if data is not None and net.input_shape != data.input_shape:
        raise InputError(f"the model takes points of shape {net.input_shape}, {data.name} has points of {data.input_shape}")
    if inputs is not None and inputs != math.prod(net.input_shape):
        raise InputError(f"--inputs {inputs}: the model takes {math.prod(net.input_shape)} numbers")
    return net


def _traced_alone(spec: str, model: nn.Module) -> tp.PiecewiseLinearNetwork:
    """A model traced on points of the size of its first dense layer."""
    try:
        return as_network(model)
    except InputError as error:
        raise InputError(f"{spec}: the shape of its points is not known; --data or --inputs says it") from error


def _trained(spec: str, data: LabelledData | FileData | None) -> tp.PiecewiseLinearNetwork:
    """The network of a training, traced on points of its own shape."""
    model, shape = load_trained(spec)
    if data is not None and data.input_shape != shape:
        raise InputError(f"the network in {spec} takes points of shape {shape}, {data.name} has points of {data.input_shape}")
    return tp.trace(model, torch.zeros(2, *shape, dtype=next(model.parameters()).dtype))


def refuse_pickle(file: str) -> None:
    """Raise `DataError` for a file that is read by unpickling.

    >>> refuse_pickle("model.safetensors")
    """
    if Path(file).suffix.lower() in PICKLE_SUFFIXES:
        raise DataError(
            f"{file}: such files are read by unpickling, which runs whatever code is in them, so they are refused as models; "
            "save weights with safetensors.torch.save_model(model, 'model.safetensors'), or a whole model with "
            "torch.export.save(program, 'model.pt2') or torch.onnx.export(model, (example,), 'model.onnx')"
        )


def parse_arguments(args: Sequence[str]) -> dict[str, Any]:
    """Arguments KEY=VALUE as a dict; a value that is not a Python literal is a string.

    >>> parse_arguments(["width=64", "bias=False", "name=wide"])
    {'width': 64, 'bias': False, 'name': 'wide'}
    """
    parsed: dict[str, Any] = {}
    for arg in args:
        key, sign, value = arg.partition("=")
        if not sign or not key.isidentifier():
            raise InputError(f"--arg takes KEY=VALUE, found {arg!r}")
        try:
            parsed[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parsed[key] = value
    return parsed


def _module(spec: str, data: LabelledData | FileData | None, weights: Path | None, args: Sequence[str]) -> nn.Module:
    """The module with its weights."""
    built_in = spec.startswith(BUILT_IN)
    model = _built_in(spec, data, weights, args) if built_in else _imported(spec, args)
    if weights is not None:
        if weights.suffix.lower() not in TORCH_SUFFIXES:
            refuse_pickle(str(weights))
        try:
            load_weights(model, weights)
        except InputError as error:
            if not built_in or data is None or isinstance(error, DataError):
                raise
            raise InputError(f"{error}; {spec} was built for points of shape {data.input_shape}, as in {data.name}") from None
    return model


def _built_in(spec: str, data: LabelledData | FileData | None, weights: Path | None, args: Sequence[str]) -> nn.Module:
    """A network of `tropica.studies.networks`, built for the points and the classes of the data."""
    if weights is None:
        raise InputError(f"{spec} is not trained: give its weights as --weights FILE.safetensors")
    if data is None:
        raise InputError(f"{spec} is built for the points of --data; give --data")
    arguments = {"num_classes": data.num_classes, **parse_arguments(args)}
    if arguments["num_classes"] is None:
        raise InputError(f"{data.name} does not say how many classes there are: give --arg num_classes=N")
    try:
        return build(spec.removeprefix(BUILT_IN), data.input_shape, **arguments)
    except TypeError as error:
        raise InputError(f"{spec}: {on_one_line(str(error))}") from error


def _imported(spec: str, args: Sequence[str]) -> nn.Module:
    """A module of the user's code, or the module that a factory returns, with the same random weights in every run."""
    module, _, name = spec.partition(":")
    if ":" not in spec and ("/" in spec or Path(spec).suffix == ".safetensors") and not Path(spec).exists():
        raise DataError(f"{spec}: no such file or folder")
    if not module or not name or Path(spec).suffix == ".safetensors":
        hint = "; a safetensors file holds weights only: name the model, and give this file as --weights"
        raise DataError(
            f"{spec!r} is not a model: give a folder of tropica train, a file model.pt2, .onnx or .nnet, "
            f"package.module:factory, file.py:factory, or {BUILT_IN}NAME" + (hint if spec.endswith(".safetensors") else "")
        )
    found, arguments = _attribute(module, name), parse_arguments(args)
    if isinstance(found, nn.Module):
        if arguments:
            raise InputError(f"{spec} is a module already, and takes no --arg")
        return found
    if not callable(found):
        raise DataError(f"{spec} is a {type(found).__name__}; a torch.nn.Module, or a function that returns one, is needed")
    torch.manual_seed(0)
    try:
        model = found(**arguments)
    except (Exception, SystemExit) as error:
        raise InputError(f"{spec} failed: {_describe_exception(error)}") from error
    if not isinstance(model, nn.Module):
        raise DataError(f"{spec} returned a {type(model).__name__}; a torch.nn.Module is needed")
    return model


def _attribute(module: str, name: str) -> Any:
    """An attribute of a module or of a file ``module.py``; modules beside it and in the current folder come first."""
    is_file = module.endswith(".py")
    if is_file and not Path(module).is_file():
        raise DataError(f"{module}: no such file")
    for folder in (Path.cwd(), *([Path(module).resolve().parent] if is_file else [])):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    try:
        found: Any = _executed(Path(module)) if is_file else importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise DataError(f"there is no module {module!r}, in this folder or installed") from None
        raise DataError(f"module {module!r} needs {error.name!r}, which is not installed") from error
    except (Exception, SystemExit) as error:
        raise DataError(f"module {module!r} cannot be imported: {_describe_exception(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise DataError(f"module {module!r} has no {name!r}")
        found = getattr(found, part)
    return found


def _executed(file: Path) -> ModuleType:
    """The module of a file, whatever other module has its name."""
    name = f"tropica_file_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _describe_exception(error: BaseException) -> str:
    """An exception of the user's own code: its type, its message, and the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if frame.filename == __file__ else f" ({frame.filename}:{frame.lineno})"
    return f"{type(error).__name__}: {on_one_line(str(error))}{where}"


def _example(model: nn.Module, data: LabelledData | FileData) -> torch.Tensor:
    """Two points of the data in the model's dtype, after a trial run of the model.

    Raises:
        InputError: the model cannot take the points; the message says what its first layer takes, if known.
    """
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(0))
    x = first_points(data, 2, dtype=weight.dtype)
    try:
        with torch.no_grad():
            model(x)
    except TropicaError:
        raise
    except Exception as error:
        raise InputError(
            f"the model cannot take the data: {data.name} has points of shape {data.input_shape}{_first_layer(model)}; it "
            f"raised {type(error).__name__}: {on_one_line(str(error))}"
        ) from error
    return x


def _first_layer(model: nn.Module) -> str:
    for name, layer in model.named_modules():
        for size, word in (("in_features", "numbers"), ("in_channels", "channels")):
            if hasattr(layer, size):
                return f", the model takes {getattr(layer, size)} {word} (its layer {name!r})"
    return ""
