"""``FileData``: points that stay in their file and are read batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from tropica.data.labelled import LabelledData, Split
from tropica.runtime.html import HtmlRepr


class FileRows(ABC):
    """Points (N, *shape) in a file. ``rows[a:b]`` reads consecutive points as a float32 tensor."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self, part: slice) -> Tensor:
        """Consecutive points."""


@dataclass(frozen=True, eq=False, repr=False)
class FileData(HtmlRepr, Dataset[Any]):
    """The points of a file, with the class of each point if the classes are known.

    A counterpart of :class:`LabelledData` that holds no points in memory, made by ``load_data(spec, lazy=True)``. It is a
    ``torch.utils.data.Dataset``: an item is (input, label), or the input alone if there are no labels.
    """

    rows: FileRows
    labels: Tensor | None
    name: str
    num_classes: int | None = None
    split: Split = "train"
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor] | Tensor:
        index = range(len(self))[index]  # a negative index counts from the end; IndexError beyond it
        x = self.rows[index : index + 1][0]
        return x if self.labels is None else (x, self.labels[index])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one point."""
        return self.rows.shape[1:]

    def in_memory(self) -> LabelledData:
        """The same data with all points read."""
        names = (self.class_names, self.feature_names)
        return LabelledData(self.rows[0 : len(self)], self.labels, self.name, self.num_classes, self.split, *names)

    def __repr__(self) -> str:
        return f"FileData({self.name!r}, {self.split}: {len(self)} points of shape {self.input_shape})"
