"""``tp.nearest_neighbors``: the training point nearest to each point, in the space of inputs or of an inner layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, count_points
from tropica.data.labels import LabelSource
from tropica.data.point_order import PointOrder
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import TableRepr
from tropica.runtime.progress import ProgressCallback, progress_callback
from tropica.terms.affine_functions import AffineFunctions
from tropica.terms.maxima import RunningMaxima

if TYPE_CHECKING:
    from pandas import DataFrame

BATCH = 2048
"""Training points in a batch."""


@dataclass(frozen=True, eq=False, repr=False)
class NearestNeighbors(TableRepr):
    """The nearest of D training points for each of B points.

    Attributes:
        index: (B,) int64, the number of the training point; the lowest at a tie.
        distance: (B,) float64, the Euclidean distance.
        label: (B,) int64, the label that comes with the training point; None for data without labels.

    >>> import torch, tropica as tp
    >>> found = tp.nearest_neighbors(torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [5.0]]))
    >>> found.index.tolist(), found.distance.tolist()
    ([0, 1], [1.0, 1.0])
    """

    index: Tensor
    distance: Tensor
    label: Tensor | None

    def accuracy(self, y: Tensor) -> float:
        """The share of points whose neighbor has the label y (B,): the 1-nearest-neighbor baseline.

        Raises InputError if the training data came without labels.
        """
        if self.label is None:
            raise InputError("the training data came without labels: their neighbors predict nothing")
        return float((self.label == y).double().mean())

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each point: neighbor, distance and, if known, label."""
        import pandas as pd

        columns = {"neighbor": self.index, "distance": self.distance}
        columns |= {} if self.label is None else {"label": self.label}
        return pd.DataFrame({name: column.numpy() for name, column in columns.items()})

    def __repr__(self) -> str:
        return f"NearestNeighbors({len(self.index):,} points, median distance {float(self.distance.median()):.3g})"


@own_settings()
def nearest_neighbors(
    data: Data,
    x: Data,
    *,
    features: PiecewiseLinearNetwork | None = None,
    progress: bool | ProgressCallback = False,
) -> NearestNeighbors:
    """Find the nearest training point of each point, by the Euclidean distance ‖φ(x) − φ(x_k)‖.

    The training points are read once, batch by batch; the points and their features are in memory.

    Args:
        data: the training points (D, *input), with labels or without.
        x: the points (B, *input).
        features: φ, a network whose output is compared, such as ``net.cut(at)[0]``; by default the identity (pixels).
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: points and training points have different shapes.

    >>> import torch, tropica as tp
    >>> data = torch.utils.data.TensorDataset(torch.tensor([[0.0], [4.0]]), torch.tensor([7, 9]))
    >>> found = tp.nearest_neighbors(data, torch.tensor([[1.0], [5.0], [3.0]]))
    >>> found.index, found.distance, found.label
    (tensor([0, 1, 1]), tensor([1., 1., 1.], dtype=torch.float64), tensor([7, 9, 9]))
    """
    settings = {} if features is None else {"dtype": features.dtype, "device": features.device, "shape": features.input_shape}
    points = [_embedded(part, features) for part in as_batches(x, BATCH, **settings, where="points")]
    shape = points[0].shape[1:]
    search = NearestSearch(torch.cat(points).flatten(1))
    order, source = PointOrder(), LabelSource(data)
    total, first = count_points(data, order=order), 0
    # Points of another shape are refused by as_batches, before their features are computed.
    settings = settings or {"shape": tuple(shape), "dtype": points[0].dtype}
    with progress_callback(progress) as report:
        for batch in as_batches(data, BATCH, **settings, order=order, observer=source.observer):
            search.update(_embedded(batch, features).flatten(1), first)
            first += len(batch)
            if report:
                report(first, total, "nearest neighbors")
    label = source.labels()
    near = None if label is None else torch.as_tensor(label).cpu()[search.index]
    return NearestNeighbors(search.index, search.distance, near)


class NearestSearch:
    """The nearest neighbors of points (B, d) among batches of other points that come one after another.

    The nearest point maximizes ⟨y, x⟩ − ‖y‖²/2, a maximum of affine functions: a product in the working dtype with its error
    bound leaves few candidates, which are compared in float64.

    Attributes:
        points: the nearest points so far, (B, d).
    """

    def __init__(self, x: Tensor) -> None:
        self._maxima = RunningMaxima(x)
        self._distance = torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
        self.points = torch.zeros_like(x)

    @property
    def index(self) -> Tensor:
        """The index of the nearest point, (B,)."""
        return self._maxima.argmax[:, 0].cpu()

    @property
    def distance(self) -> Tensor:
        """Its distance, (B,) float64."""
        return self._distance.cpu()

    def update(self, points: Tensor, first: int) -> None:
        """Take points (n, d), whose numbers start at ``first``, into account."""
        bias = -points.double().square().sum(1) / 2
        self._maxima.update(AffineFunctions((points,), bias, first=first))
        (new,) = (self._maxima.argmax[:, 0] >= first).nonzero(as_tuple=True)
        near = self.points[new] = points[self._maxima.argmax[new, 0] - first]
        self._distance[new] = torch.linalg.vector_norm(self._maxima.x[new].double() - near.double(), dim=1)


def _embedded(x: Tensor, features: PiecewiseLinearNetwork | None) -> Tensor:
    if features is None:
        return x
    with torch.no_grad():
        return features(x)
