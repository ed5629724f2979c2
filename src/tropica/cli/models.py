"""Models as they are named on the command line. Nothing is unpickled: archives and weights are read as plain data."""

from __future__ import annotations

import ast
import importlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tropica.cli.failures import one_line
from tropica.cli.weights import load_weights
from tropica.data.batches import first_points
from tropica.data.file_data import FileData
from tropica.data.labelled import LabelledData
from tropica.errors import DataError, InputError, TropicaError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.readers.pt2 import load_network
from tropica.network.trace import trace
from tropica.studies.networks import build

PICKLED = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib", ".tar")
"""Endings of files that could only be read by unpickling, which can run any code that is in them."""
BUILT_IN = "tropica:"


@dataclass(frozen=True)
class ModelChoice:
    """A model as the user named it."""

    spec: str
    weights: Path | None = None
    args: Sequence[str] = ()

    def network(self, data: LabelledData | FileData) -> PiecewiseLinearNetwork:
        """The traced network, which takes the data's points.

        Raises:
            DataError: no such model, or one that would have to be unpickled.
            InputError: weights or data that do not fit it.
            UnsupportedOperation, TraceError, NonFiniteWeights: as :func:`tropica.trace`.
        """
        refuse_pickle(self.spec)
        if Path(self.spec).suffix == ".pt2":
            if self.weights or self.args:
                raise InputError(f"{self.spec} has its own weights and layers: leave out --weights and --arg")
            net = load_network(self.spec)
        else:
            model = self._module(data).eval()
            if self.weights is not None:
                self._load(model, data)
            net = trace(model, _example(model, data))
        if net.input_shape != data.input_shape:
            raise InputError(f"the model takes points of shape {net.input_shape}, {data.name} has points of {data.input_shape}")
        return net

    def _load(self, model: nn.Module, data: LabelledData | FileData) -> None:
        assert self.weights is not None
        refuse_pickle(str(self.weights))
        try:
            load_weights(model, self.weights)
        except InputError as error:
            if not self.spec.startswith(BUILT_IN) or isinstance(error, DataError):
                raise
            raise InputError(
                f"{error}; {self.spec} was built for points of shape {data.input_shape}, as in {data.name}"
            ) from None

    def _module(self, data: LabelledData | FileData) -> nn.Module:
        if self.spec.startswith(BUILT_IN):
            return self._built_in(data)
        module, _, name = self.spec.partition(":")
        if not module or not name or Path(self.spec).suffix == ".safetensors":
            hint = "; a safetensors file holds weights only: name the model, and give this as --weights"
            raise DataError(
                f"{self.spec!r} is not a model: give a file model.pt2, package.module:factory, or {BUILT_IN}NAME"
                + (hint if self.spec.endswith(".safetensors") else "")
            )
        return _made(_found(module, name), self.spec, parsed(self.args))

    def _built_in(self, data: LabelledData | FileData) -> nn.Module:
        """A network of `tropica.studies.networks`, for the data's points and classes."""
        if self.weights is None:
            raise InputError(f"{self.spec} is not trained: give its weights as --weights FILE.safetensors")
        settings = {"classes": data.num_classes, **parsed(self.args)}
        if settings["classes"] is None:
            raise InputError(f"{data.name} does not say how many classes there are: give --arg classes=N")
        try:
            return build(self.spec.removeprefix(BUILT_IN), data.input_shape, **settings)
        except TypeError as error:
            raise InputError(f"{self.spec}: {one_line(str(error))}") from error


def refuse_pickle(file: str) -> None:
    """Raise `DataError` for the kinds of file that can only be unpickled.

    >>> refuse_pickle("model.safetensors")
    """
    if Path(file).suffix.lower() in PICKLED:
        raise DataError(
            f"{file}: such files are read by unpickling, which runs whatever code is in them, so they are refused; save "
            "weights with safetensors.torch.save_model(model, 'model.safetensors'), or a whole model with "
            "torch.export.save(program, 'model.pt2')"
        )


def parsed(args: Sequence[str]) -> dict[str, Any]:
    """Arguments KEY=VALUE, values as Python literals where they are ones, else as text.

    >>> parsed(["width=64", "bias=False", "name=wide"])
    {'width': 64, 'bias': False, 'name': 'wide'}
    """
    found: dict[str, Any] = {}
    for arg in args:
        key, sign, value = arg.partition("=")
        if not sign or not key.isidentifier():
            raise InputError(f"--arg takes KEY=VALUE, found {arg!r}")
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[key] = value
    return found


def _found(module: str, name: str) -> Any:
    """What a module of the user's calls ``name``; the current folder is looked into first."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise DataError(f"there is no module {module!r}, in this folder or installed") from None
        raise DataError(f"module {module!r} needs {error.name!r}, which is not installed") from error
    except (Exception, SystemExit) as error:
        raise DataError(f"module {module!r} cannot be imported: {_raised(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise DataError(f"module {module!r} has no {name!r}")
        found = getattr(found, part)
    return found


def _made(found: Any, spec: str, args: dict[str, Any]) -> nn.Module:
    """The module itself, or what its factory gives; random weights are the same in every run."""
    if isinstance(found, nn.Module):
        if args:
            raise InputError(f"{spec} is a module already, and takes no --arg")
        return found
    if not callable(found):
        raise DataError(f"{spec} is a {type(found).__name__}; a torch.nn.Module, or a function that gives one, is needed")
    torch.manual_seed(0)
    try:
        model = found(**args)
    except (Exception, SystemExit) as error:
        raise InputError(f"{spec} failed: {_raised(error)}") from error
    if not isinstance(model, nn.Module):
        raise DataError(f"{spec} gave a {type(model).__name__}; a torch.nn.Module is needed")
    return model


def _raised(error: BaseException) -> str:
    """An exception of the user's own code: type, text, and the line it came from."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {one_line(str(error))} ({at.filename}:{at.lineno})"


def _example(model: nn.Module, data: LabelledData | FileData) -> torch.Tensor:
    """Two points of the data in the model's dtype, once the model has taken them.

    Raises:
        InputError: it does not; says what its first layer takes, if that can be seen.
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
            f"the model cannot take the data: {data.name} has points of shape {data.input_shape}{_first_layer(model)}; it raised "
            f"{type(error).__name__}: {one_line(str(error))}"
        ) from error
    return x


def _first_layer(model: nn.Module) -> str:
    for name, layer in model.named_modules():
        for size, word in (("in_features", "numbers"), ("in_channels", "channels")):
            if hasattr(layer, size):
                return f", the model takes {getattr(layer, size)} {word} (its layer {name!r})"
    return ""
