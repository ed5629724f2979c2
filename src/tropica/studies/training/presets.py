"""The training of the TropEx paper's networks, as the authors' published scripts have it; the main text is silent.

Inputs in [0, 1], cross-entropy, 64 points a step, up to 200 epochs, no augmentation. CIFAR: SGD with momentum 0.9, rate 0.01, a
tenth of it after epochs 50, 100 and 150, and Keras' ``l2(0.001)`` on every kernel: the loss gains 0.001 ‖W‖², which is
``weight_decay=0.002`` in torch, on weights and not on biases. MNIST: Adam, rate 1e-4, a tenth after epochs 10, 20, 30, 40, 60;
the same decay for convolutional networks, none for fully connected ones. Weights: Glorot uniform for dense layers, He uniform
for convolutions, and for the last layer on CIFAR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tropica.errors import InputError

EPOCHS = 200
"""The scripts' number of epochs."""


@dataclass(frozen=True)
class Preset:
    """The settings of a training beside optimizer, rate and points a step.

    Attributes:
        drops: the rate is divided by 10 after these of the 200 epochs.
        cut: a training of fewer epochs is the first epochs of the 200; else its drops come at the same shares of the training.
            Cut is what hardly moves the weights: on MNIST the rate is 1e-7 or less after epoch 30.
        decay_fcn, decay_cnn: weight decay of fully connected and of convolutional networks.
        he_last: the last layer's weights are He uniform; else Glorot uniform, as those of all other dense layers.
    """

    drops: tuple[int, ...]
    cut: bool
    decay_fcn: float
    decay_cnn: float
    he_last: bool

    @property
    def least_epochs(self) -> int:
        """The fewest epochs of which one comes before the first drop of the rate.

        >>> {name: preset.least_epochs for name, preset in PRESETS.items()}
        {'paper-cifar': 4, 'paper-mnist': 1}
        """
        return next(epochs for epochs in range(1, EPOCHS) if self.drops_of(epochs)[0] >= 1)

    def drops_of(self, epochs: int) -> tuple[int, ...]:
        """The epochs after which the rate is divided by 10 in a training of so many epochs.

        >>> PRESETS["paper-cifar"].drops_of(20), PRESETS["paper-mnist"].drops_of(20)
        ((5, 10, 15), (10, 20, 30, 40, 60))
        """
        return self.drops if self.cut else tuple(drop * epochs // EPOCHS for drop in self.drops)

    def shortened(self, epochs: int) -> str:
        """How a training of so many epochs differs from the scripts', in words; "" for all 200.

        >>> PRESETS["paper-mnist"].shortened(20)
        "the first 20 of the paper's 200 epochs: not the whole training"
        """
        if epochs >= EPOCHS:
            return ""
        if self.cut:
            return f"the first {epochs} of the paper's {EPOCHS} epochs: not the whole training"
        return f"the paper's schedule compressed to {epochs} epochs: not the paper's training"

    def decay(self, family: str) -> float:
        """The weight decay of a family of networks, "FCN" or "CNN"."""
        return self.decay_fcn if family == "FCN" else self.decay_cnn


PRESETS: Mapping[str, Preset] = {
    "paper-cifar": Preset((50, 100, 150), False, 0.002, 0.002, he_last=True),
    "paper-mnist": Preset((10, 20, 30, 40, 60), True, 0.0, 0.002, he_last=False),
}


def find_preset(name: str) -> Preset | None:
    """The preset of a name; None for "", no preset. Raises InputError for another name.

    >>> find_preset("paper-mnist").decay("CNN"), find_preset("")
    (0.002, None)
    """
    if name and name not in PRESETS:
        raise InputError(f"the preset must be one of {', '.join(PRESETS)}; found {name!r}")
    return PRESETS.get(name)
