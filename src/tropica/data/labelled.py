"""`LabelledData`: the points of one split in memory, with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from tropica.errors import InputError
from tropica.runtime.html import MOST_PICTURES, HtmlRepr, picture

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True, eq=False, repr=False)
class LabelledData(HtmlRepr, Dataset[Any]):
    """Points, with the class of each point if the classes are known.

    A ``torch.utils.data.Dataset``: an item is (input, label), or the input alone if there are no labels.

    Args:
        inputs: (N, *shape) float32; images are (channels, height, width), scaled to [0, 1].
        labels: (N,) int64 in 0 … num_classes − 1, or None if the points have no labels.
        name: the name of the data set, for titles and file names.
        num_classes: the number of classes of the whole data set (not only of these points), or None.
        split: `train` or `test`.
        class_names: the names of the classes, by number.
        feature_names: the names of the coordinates of a point of shape (d,), such as the columns of a table.

    Raises:
        InputError: a field has the wrong dtype, shape or range, or two fields do not match.

    >>> data = LabelledData(torch.zeros(5, 1, 8, 8), torch.arange(5), name="blank", num_classes=10)
    >>> data
    LabelledData('blank', train: 5 points of shape (1, 8, 8), 10 classes)
    >>> len(data), data.input_shape, data[3][1]
    (5, (1, 8, 8), tensor(3))
    """

    inputs: Tensor
    labels: Tensor | None
    name: str
    num_classes: int | None = None
    split: Split = "train"
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"{self.name}: the split must be one of {', '.join(SPLITS)}; found {self.split!r}")
        if self.inputs.dtype != torch.float32 or self.inputs.ndim < 2 or len(self.inputs) == 0:
            found = f"{tuple(self.inputs.shape)} {self.inputs.dtype}"
            raise InputError(f"{self.name}: inputs must be a float32 tensor (N, *shape) with N > 0; found {found}")
        if self.feature_names is not None and self.input_shape != (len(self.feature_names),):
            raise InputError(f"{self.name}: {len(self.feature_names)} feature names for points of shape {self.input_shape}")
        if self.class_names is not None and self.num_classes != len(self.class_names):
            raise InputError(f"{self.name}: {len(self.class_names)} class names for num_classes={self.num_classes}")
        if self.labels is None:
            return
        if self.labels.dtype != torch.int64 or self.labels.shape != self.inputs.shape[:1]:
            found = f"{tuple(self.labels.shape)} {self.labels.dtype}"
            raise InputError(f"{self.name}: labels must be an int64 tensor ({len(self.inputs)},); found {found}")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or (self.num_classes is not None and high >= self.num_classes):
            wanted = "be 0 or more" if self.num_classes is None else f"lie in 0 … {self.num_classes - 1}"
            raise InputError(f"{self.name}: labels must {wanted}; found {low} … {high}")

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor] | Tensor:
        return self.inputs[index] if self.labels is None else (self.inputs[index], self.labels[index])

    def __repr__(self) -> str:
        classes = "no labels" if self.labels is None else f"{self.num_classes} classes"
        return f"LabelledData({self.name!r}, {self.split}: {len(self)} points of shape {self.input_shape}, {classes})"

    def _repr_html_(self) -> str:
        """The line of the ``repr``, and the first points where they are images."""
        return f"<p><code>{escape(repr(self))}</code></p>" + "".join(map(picture, self.inputs[:MOST_PICTURES]))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return tuple(self.inputs.shape[1:])
