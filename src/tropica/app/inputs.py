"""What the command line named: a network, data and stores of terms, and the Python lines that load them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tropica.app.jobs import Report

if TYPE_CHECKING:
    import torch

    import tropica as tp

METHODS = ("calibrated", "minimal", "paper")
"""The decompositions that the page offers."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The network and the data of an explorer.

    Attributes:
        name: the model as the command line names it.
        net: the network.
        training: the points of the terms, in memory or in their file; None without data.
        test: the points that are looked at; None without data.
        stores: folders of terms; one that does not exist yet is written.
        memory: bytes to work in, None for a quarter of the free memory.
        lines: Python lines that make ``net``, ``training`` and ``test``.
        others: other networks to compare with, by their names.
        task: "classification", or "regression": every output of a point is a value, and there are no labels.
    """

    name: str
    net: tp.PiecewiseLinearNetwork
    training: Any = None
    test: tp.LabelledData | None = None
    stores: tuple[Path, ...] = ()
    memory: int | None = None
    lines: str = ""
    others: tuple[tuple[str, tp.PiecewiseLinearNetwork], ...] = ()
    task: str = "classification"

    @property
    def regression(self) -> bool:
        """Whether the outputs are values."""
        return self.task == "regression"

    def class_name(self, label: int) -> str:
        """The name of a label, or its number; in regression that of an output."""
        if self.regression:
            return f"output {label}"
        names = None if self.test is None else self.test.class_names
        return names[label] if names and 0 <= label < len(names) else str(label)

    def points(self, which: str, numbers: list[int]) -> torch.Tensor:
        """Points (n, *input) of the "test" or the "training" data by their numbers.

        Raises:
            InputError: another word, or a number that there is not.
        """
        import torch

        import tropica as tp

        if which not in ("test", "training"):
            raise tp.InputError(f"points are of the test or the training data; found {which!r}")
        data = self.test if which == "test" else self.training
        if data is None:
            raise tp.InputError("the model was opened without data (--data)")
        outside = [n for n in numbers if not 0 <= n < len(data)]
        if outside:
            raise tp.InputError(f"{which} point {outside[0]}: there are the points 0 … {len(data) - 1:,}")
        found = [data[n] for n in numbers]
        rows = [x[0] if isinstance(x, tuple) else x for x in found]
        return torch.stack(rows) if rows else torch.zeros(0, *self.net.input_shape)

    def to_json(self) -> dict[str, Any]:
        """What the page shows of network and data."""
        net, test = self.net, self.test
        return {
            "model": self.name,
            "input_shape": list(net.input_shape),
            "outputs": net.num_outputs,
            "classes": net.num_classes,
            "layers": [layer_of(node) for node in net.nonlinearities],
            "units": sum(node.units for node in net.nonlinearities),
            "task": self.task,
            "data": None if test is None else test.name,
            "test_points": 0 if test is None else len(test),
            "training_points": 0 if self.training is None else len(self.training),
            "labelled": test is not None and test.labels is not None and not self.regression,
            "class_names": [self.class_name(i) for i in range(net.num_classes)],
            "feature_names": None if test is None or test.feature_names is None else list(test.feature_names),
            "picture": picture_shape(net.input_shape),
            "range": value_range(test),
            "methods": list(METHODS),
            "others": [name for name, _ in self.others],
        }


Loader = Callable[[Report], Inputs]


def layer_of(node: Any) -> dict[str, Any]:
    """A nonlinearity for the page: its name, kind and number of units."""
    return {"name": node.path or node.name, "node": node.name, "kind": node.op.name, "units": node.units}


def picture_shape(shape: tuple[int, ...]) -> list[int] | None:
    """Height, width and channels of inputs that are pictures; None for those that are not.

    >>> picture_shape((3, 32, 32)), picture_shape((28, 28)), picture_shape((5,)), picture_shape((1, 40))
    ([32, 32, 3], [28, 28, 1], None, None)
    """
    full = shape if len(shape) == 3 else (1, *shape) if len(shape) == 2 else None
    if full is None or full[0] not in (1, 3) or min(full[1:]) < 2:
        return None
    return [full[1], full[2], full[0]]


def value_range(data: Any) -> list[float]:
    """The least and the largest number of the first points: black and white of the pictures."""
    if data is None:
        return [0.0, 1.0]
    part = np.asarray(data.inputs[:1000])
    return [float(part.min()), float(part.max())]
