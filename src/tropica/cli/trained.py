"""Networks in folders that ``tropica train`` wrote, by folder or by file of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from tropica.cli.weights import load_weights
from tropica.errors import DataError, InputError
from tropica.studies.networks import build
from tropica.studies.training.runs import SUMMARY


def is_training(spec: str) -> bool:
    """Whether a model is given as the folder of a training, or as a file of weights in it.

    >>> is_training("model.onnx")
    False
    """
    return (_folder(spec) / SUMMARY).is_file()


def load_trained(spec: str) -> tuple[nn.Sequential, tuple[int, ...]]:
    """The network of a training, after its last epoch or with the weights of a file in it, and the shape of a point.

    Raises:
        DataError: the folder has no weights, or is damaged.
    """
    about, file = _description(spec), _weights(spec)
    try:
        model = build(about["model"], about["input_shape"], about["num_classes"], activation=about["activation"])
    except (KeyError, TypeError, InputError) as error:
        raise _damaged(spec, error) from error
    load_weights(model, file)
    return model.eval(), tuple(about["input_shape"])


def as_built_in(spec: str) -> tuple[str, Path, list[str]]:
    """A training as the model ``tropica:NAME``, its weights, and the arguments of the network."""
    about = _description(spec)
    named = {key: about[key] for key in ("num_classes", "activation") if key in about}
    return f"tropica:{about.get('model')}", _weights(spec), [f"{key}={value}" for key, value in named.items()]


def _description(spec: str) -> dict[str, Any]:
    """What the folder says of its training."""
    try:
        about = json.loads((_folder(spec) / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(spec, error) from error
    if not isinstance(about, dict):
        raise _damaged(spec, "no names")
    return about


def _damaged(spec: str, error: object) -> DataError:
    where = _folder(spec) / SUMMARY
    return DataError(f"{where}: not the description of a training ({error}); train the network again")


def _weights(spec: str) -> Path:
    """The file of the weights: the one that was given, or that of the last epoch."""
    if not Path(spec).is_dir():
        return Path(spec)
    files = sorted(Path(spec).glob("epoch-*.safetensors"))
    if not files:
        raise DataError(f"{spec}: no weights (epoch-*.safetensors); train the network again")
    return files[-1]


def _folder(spec: str) -> Path:
    path = Path(spec)
    return path.parent if path.suffix == ".safetensors" else path
