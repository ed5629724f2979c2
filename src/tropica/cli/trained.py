"""Networks in folders that ``tropica train`` wrote, by folder or by file of weights."""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from tropica.cli.weights import load_weights
from tropica.errors import DataError
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
    folder = _folder(spec)
    try:
        about = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        model = build(about["model"], about["input_shape"], about["num_classes"], activation=about["activation"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / SUMMARY}: not the description of a training ({error}); train the network again") from error
    files = sorted(folder.glob("epoch-*.safetensors")) if Path(spec).is_dir() else [Path(spec)]
    if not files:
        raise DataError(f"{folder}: no weights (epoch-*.safetensors); train the network again")
    load_weights(model, files[-1])
    return model.eval(), tuple(about["input_shape"])


def _folder(spec: str) -> Path:
    path = Path(spec)
    return path.parent if path.suffix == ".safetensors" else path
