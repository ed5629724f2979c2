"""Networks and data of the benchmarks: MNIST and CIFAR-10 from TROPICA_DATA if they are there, else scikit-learn's digits."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from benchmarks.architectures import initial
from tropica.data.labelled import LabelledData
from tropica.errors import DataError
from tropica.runtime.progress import progress_callback
from tropica.studies.datasets.load import load_data
from tropica.studies.networks import build
from tropica.studies.training.loop import train

CACHE = Path(os.environ.get("TROPICA_CACHE", "results/bench-networks"))


@dataclass(frozen=True)
class Trained:
    """A trained network with its data."""

    title: str
    model: nn.Module
    train: LabelledData
    test: LabelledData


def mnist_or_digits() -> str:
    """The name of the available data set: mnist, or else the embedded digits."""
    try:
        load_data("mnist", limit=1)
    except DataError:
        return "digits"
    return "mnist"


def trained(name: str, epochs: int, data: str | None = None) -> Trained:
    """A network of the paper, trained with Adam on ``data`` (MNIST, or digits); its weights are cached."""
    data = data or mnist_or_digits()
    points, test = load_data(data, split="train"), load_data(data, split="test")
    if data == "digits":
        name = {"fcn4": "fcn-small", "conv": "conv-small"}.get(name, name)
        epochs *= 10
    model = build(name, points.input_shape, 10, seed=0)
    file = CACHE / f"{data}-{name}-{epochs}.safetensors"
    if file.exists():
        model.load_state_dict(safetensors.torch.load_file(file))
    else:
        assert points.labels is not None
        with progress_callback(True) as report:
            train(model, points.inputs, points.labels, epochs=epochs, seed=0, progress=report)
        file.parent.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(model.state_dict(), file)
    return Trained(f"{data} {name}", model.eval().requires_grad_(False), points, test)


def briefly_trained(name: str, count: int = 12_800) -> nn.Module | None:
    """A deep network after one epoch on ``count`` CIFAR-10 images, cached; None where CIFAR-10 is not available."""
    model = initial(name)
    file = CACHE / f"cifar10-{name}-{count}.safetensors"
    if file.exists():
        model.load_state_dict(safetensors.torch.load_file(file))
        return model.eval()
    try:
        data = load_data("cifar10", split="train", limit=count)
    except DataError:
        return None
    assert data.labels is not None
    with progress_callback(True) as report:
        train(model.requires_grad_(True), data.inputs, data.labels, epochs=1, seed=0, progress=report)
    file.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(model.state_dict(), file)
    return model.eval().requires_grad_(False)


def images(count: int, pixels: int = 32) -> tuple[Tensor, str]:
    """3×p×p images and their name: CIFAR-10, enlarged, or smooth random images where it is not available."""
    try:
        found = load_data("cifar10", split="train", limit=count).inputs
        return nn.functional.interpolate(found, size=pixels, mode="bilinear") if pixels != 32 else found, "CIFAR-10"
    except DataError:
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand(count, 3, 8, 8, generator=generator)
        return nn.functional.interpolate(coarse, size=pixels, mode="bilinear"), "random images"
