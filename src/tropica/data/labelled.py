"""`LabelledData`: the points of one split with their labels, as every loader returns them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tropica.errors import InputError

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True, eq=False, repr=False)
class LabelledData:
    """Points, and the class of each where it is known.

    Args:
        inputs: (N, *shape) float32; images are (channels, height, width), scaled to [0, 1].
        labels: (N,) int64 in 0 … classes − 1, or None where the points have no labels.
        name: the name of the set, for titles and file names.
        num_classes: the number of classes of the whole set (not only of these points), or None.
        split: `train` or `test`.

    Raises:
        InputError: the fields do not fit each other.

    >>> data = LabelledData(torch.zeros(5, 1, 8, 8), torch.arange(5), name="blank", num_classes=10)
    >>> data
    LabelledData('blank', train: 5 points of shape (1, 8, 8), 10 classes)
    >>> len(data), data.input_shape
    (5, (1, 8, 8))
    """

    inputs: Tensor
    labels: Tensor | None
    name: str
    num_classes: int | None = None
    split: Split = "train"

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"{self.name}: the split must be one of {', '.join(SPLITS)}; found {self.split!r}")
        if self.inputs.dtype != torch.float32 or self.inputs.ndim < 2 or len(self.inputs) == 0:
            found = f"{tuple(self.inputs.shape)} {self.inputs.dtype}"
            raise InputError(f"{self.name}: inputs must be a float32 tensor (N, *shape) with N > 0; found {found}")
        if self.labels is None:
            return
        if self.labels.dtype != torch.int64 or self.labels.shape != self.inputs.shape[:1]:
            found = f"{tuple(self.labels.shape)} {self.labels.dtype}"
            raise InputError(f"{self.name}: labels must be an int64 tensor ({len(self.inputs)},); found {found}")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or (self.num_classes is not None and high >= self.num_classes):
            raise InputError(f"{self.name}: labels must lie in 0 … classes − 1; found {low} … {high}, {self.num_classes=}")

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        classes = "no labels" if self.labels is None else f"{self.num_classes} classes"
        return f"LabelledData({self.name!r}, {self.split}: {len(self)} points of shape {self.input_shape}, {classes})"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return tuple(self.inputs.shape[1:])
