"""Settings of a training: those of the paper where the paper gives them, and defaults of this library elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from tropica.data.arrays import MAX_CLASSES
from tropica.data.labelled import LabelledData
from tropica.errors import DataError, InputError
from tropica.studies.networks import ACTIVATIONS
from tropica.studies.training.loop import learning_rate
from tropica.studies.training.presets import EPOCHS, find_preset

SMALL = 10_000
"""Data sets with fewer training points are trained in smaller batches."""


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training.

    Attributes:
        epochs, batch_size, lr, optimizer: arguments of :func:`tropica.studies.training.loop.train`.
        activation: `relu` or `leaky`, an argument of :func:`tropica.studies.networks.build`.
        preset: the name of a preset in :mod:`tropica.studies.training.presets` (schedule, weight decay, initialization); ""
            for none.
        every: weights are saved after epochs 0 (untrained), every, 2·every, …, and after the last epoch.

    Raises:
        InputError: a setting is out of range.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: Literal["adam", "sgd"] = "adam"
    activation: Literal["relu", "leaky"] = "relu"
    every: int = 1
    preset: str = ""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} must be a whole number, 1 or more; found {value!r}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"the learning rate must be a number above 0; found {self.lr!r}")
        if self.optimizer not in ("adam", "sgd"):
            raise InputError(f"the optimizer must be 'adam' or 'sgd'; found {self.optimizer!r}")
        if self.activation not in ACTIVATIONS:
            raise InputError(f"the activation must be one of {', '.join(ACTIVATIONS)}; found {self.activation!r}")
        preset = find_preset(self.preset)
        if preset and self.epochs < preset.least_epochs:
            raise InputError(
                f"preset {self.preset} drops the rate after {preset.drops[0]} of {EPOCHS} epochs, which is within the first of "
                f"{self.epochs}: the network would hardly be trained; give {preset.least_epochs} epochs or more"
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings by name, for files; without ``preset`` where there is none, as in files of earlier runs.

        >>> TrainSettings(epochs=1, batch_size=2, lr=0.1).to_dict()["activation"]
        'relu'
        """
        return {key: value for key, value in vars(self).items() if key != "preset" or value}

    def saves(self, epoch: int) -> bool:
        """Whether the weights after this epoch are saved."""
        return epoch % self.every == 0 or epoch == self.epochs

    @property
    def milestones(self) -> list[int]:
        """The epochs after which the learning rate decreases.

        >>> TrainSettings(epochs=50, batch_size=128, lr=0.01, optimizer="sgd").milestones
        [25, 37]
        """
        rates = [learning_rate(epoch, self.epochs, self.lr, self.optimizer, self.preset) for epoch in range(1, self.epochs + 1)]
        return [epoch for epoch in range(1, self.epochs) if rates[epoch] < rates[epoch - 1]]


def paper_settings(data: LabelledData) -> TrainSettings:
    """The paper's settings for a data set.

    Color images are trained like CIFAR-10 in the paper: 50 epochs of SGD with momentum 0.9, whose learning rate decreases
    tenfold twice. All other data is trained like MNIST: 20 epochs of Adam. The paper's main text names neither learning rates
    nor batch sizes; this library takes 0.01 (SGD) and 0.001 (Adam), and batches of 128 points (of 32 where there are fewer than
    10,000).

    >>> from tropica.studies.datasets.load import load_data
    >>> paper_settings(load_data("digits"))
    TrainSettings(epochs=20, batch_size=32, lr=0.001, optimizer='adam', activation='relu', every=1, preset='')
    """
    batch_size = 32 if len(data) < SMALL else 128
    if len(data.input_shape) == 3 and data.input_shape[0] == 3:
        return TrainSettings(50, batch_size, 0.01, "sgd")
    return TrainSettings(20, batch_size, 0.001, "adam")


def paper_preset(data: LabelledData, epochs: int | None = None) -> TrainSettings:
    """The training of the authors' scripts (:mod:`tropica.studies.training.presets`), as on CIFAR for color images, else MNIST.

    Args:
        data: the training points.
        epochs: fewer than the scripts' 200 compress the schedule on color images, and are the first epochs of it elsewhere;
            neither is the paper's training.

    Raises:
        InputError: so few epochs that the rate drops within the first one.

    >>> from tropica.studies.datasets.load import load_data
    >>> paper_preset(load_data("digits"), epochs=25).milestones
    [10, 20]
    """
    color = len(data.input_shape) == 3 and data.input_shape[0] == 3
    chosen = (64, 0.01, "sgd", "paper-cifar") if color else (64, 1e-4, "adam", "paper-mnist")
    size, lr, optimizer, preset = chosen
    return TrainSettings(epochs or EPOCHS, size, lr, optimizer, preset=preset)  # type: ignore[arg-type]


def check_training_data(data: LabelledData) -> int:
    """The number of classes of data that a classifier can be trained on.

    Raises:
        DataError: the data has no labels, one class only, or labels that are no class numbers.
    """
    if data.labels is None:
        raise DataError(f"{data.name}: these points have no labels; training and studies need them")
    found = data.labels.unique()
    if len(found) < 2:
        raise DataError(f"{data.name}: all {len(data):,} points are of class {int(found[0])}; two classes or more are needed")
    classes = max(data.num_classes or 0, int(found.max()) + 1)
    if classes > MAX_CLASSES:
        raise DataError(
            f"{data.name}: {classes:,} classes for {len(found)} different labels; number the classes from 0 "
            f"(at most {MAX_CLASSES:,})"
        )
    return classes
