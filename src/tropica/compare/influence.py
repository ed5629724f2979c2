"""``tp.influence``: how often each training point decides, rightly and wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tropica.compare.agreement import as_true_labels
from tropica.data.batches import Data, count_points
from tropica.data.labels import LabelSource
from tropica.data.point_order import PointOrder
from tropica.evaluation.function import ExtractedFunction
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import TableRepr
from tropica.runtime.progress import ProgressCallback, progress_callback

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class Influence(TableRepr):
    """The number of points that each of D training points decides: those at which its term is active.

    Attributes:
        decides: (D,) int64; the sum is the number of points.
        right: (D,) int64, the points among them whose true label it gives; None if true labels are not known.
        label: (D,) int64, the label of each term that decides a point, that is the label that it gives; −1 for the others.
        points: the number of points.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> found = tp.influence(tp.ExtractedFunction(tp.extract(net, x)), torch.tensor([[3.0, 1.0], [5.0, 2.0]]).double())
    >>> found.decides.tolist(), found.never
    ([2, 0], 1)
    """

    decides: Tensor
    right: Tensor | None
    label: Tensor
    points: int

    @property
    def wrong(self) -> Tensor | None:
        """The number of points that each training point decides wrongly: (D,) int64; None if true labels are not known."""
        return None if self.right is None else self.decides - self.right

    @property
    def never(self) -> int:
        """The number of training points that decide no point."""
        return int((self.decides == 0).sum())

    @property
    def order(self) -> Tensor:
        """The training points that decide, the most influential first; the lowest number first among equals."""
        (deciding,) = self.decides.nonzero(as_tuple=True)
        return deciding[self.decides[deciding].argsort(descending=True, stable=True)]

    @property
    def deciding_half(self) -> int:
        """The smallest number of training points that together decide half of the points."""
        total = self.decides[self.order].cumsum(0)
        return int((2 * total < self.points).sum()) + 1

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each training point that decides, by its number, the most influential first."""
        import pandas as pd

        order = self.order
        columns = {"label": self.label[order], "decides": self.decides[order]}
        if self.right is not None:
            columns |= {"right": self.right[order], "wrong": self.decides[order] - self.right[order]}
        frame = pd.DataFrame({name: column.numpy() for name, column in columns.items()}, index=order.numpy())
        return frame.rename_axis("training_point")

    def __repr__(self) -> str:
        deciding = len(self.decides) - self.never
        text = f"{deciding:,} of {len(self.decides):,} training points decide {self.points:,} points"
        wrong = self.wrong
        half = f"{self.deciding_half:,} of them half of these"
        return f"Influence({text}, {half}{'' if wrong is None else f', {int(wrong.sum()):,} wrongly'})"


@own_settings()
def influence(
    f: ExtractedFunction, x: Data, y: Tensor | np.ndarray | None = None, *, progress: bool | ProgressCallback = False
) -> Influence:
    """Count the points that each training point decides: at which its term is the active one.

    Args:
        f: the extracted function.
        x: the points (B, *input).
        y: the true labels (B,); by default the labels that come with x, if any.
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: points or labels do not fit the function.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(200, 4)
    >>> tp.influence(tp.ExtractedFunction(tp.extract(model, x)), x, model(x).argmax(1)).right.sum()
    tensor(200)
    """
    order = PointOrder()
    total = count_points(x, where="points", order=order)
    true = LabelSource(x, y)
    as_true_labels(true.known, total, f.num_classes)  # labels that do not fit are an error before the pass
    labels, indices, done = [], [], 0
    with progress_callback(progress) as report:
        for group in f.groups(x, order, total, observer=true.observer):
            label, index = f.labels_and_terms(group)
            labels.append(label)
            indices.append(index)
            done += len(group)
            if report:
                report(done, total, "active terms")
    label, index = torch.cat(labels), torch.cat(indices)
    found = as_true_labels(true.labels(), total, f.num_classes)
    size = f.source.num_terms
    right = None if found is None else torch.bincount(index[label == found], minlength=size)
    given = torch.full((size,), -1).index_put((index,), label)
    return Influence(torch.bincount(index, minlength=size), right, given, total)
