"""The training points behind terms: those that decide, and those that are nearest, from one pass over the data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.compare.nearest import BATCH, NearestNeighbors, NearestSearch
from tropica.data.batches import Data, as_batches, count_points
from tropica.data.labels import LabelSource
from tropica.data.point_order import PointOrder
from tropica.errors import InputError
from tropica.runtime.progress import ProgressCallback


@dataclass(frozen=True, eq=False)
class TrainingPoints:
    """Some of the D points of the terms, and the points nearest to B given ones.

    Attributes:
        points: (B, k, *input_shape), the points that were asked for by their numbers.
        labels: (D,) the labels that come with the data; None if there are none.
        nearest: the nearest of all points.
        nearest_points: (B, *input_shape).
    """

    points: Tensor
    labels: Tensor | None
    nearest: NearestNeighbors
    nearest_points: Tensor

    def without_labels(self) -> TrainingPoints:
        """The same points, for a regression, whose whole numbers are no labels."""
        return replace(self, labels=None, nearest=replace(self.nearest, label=None))


def read_training_points(
    data: Data, index: Tensor, x: Tensor, num_terms: int, report: ProgressCallback | None = None
) -> TrainingPoints:
    """Read the training points with numbers ``index`` (B, k), and find those nearest to x (B, *input_shape).

    Raises:
        InputError: the data does not have ``num_terms`` points of this shape.
    """
    order, source = PointOrder(), LabelSource(data)
    total = count_points(data, order=order)
    if total != num_terms:
        raise InputError(f"data: the terms are those of {num_terms:,} points; this data has {total:,}")
    wanted, place = index.unique(return_inverse=True)
    found = torch.zeros(len(wanted), *x.shape[1:], dtype=x.dtype)
    search, first = NearestSearch(x.flatten(1)), 0
    settings = {"dtype": x.dtype, "device": x.device, "shape": tuple(x.shape[1:])}
    for batch in as_batches(data, BATCH, **settings, order=order, observer=source.observer):
        (here,) = ((wanted >= first) & (wanted < first + len(batch))).nonzero(as_tuple=True)
        found[here] = batch[wanted[here] - first].cpu()
        search.update(batch.flatten(1), first)
        first += len(batch)
        if report:
            report(first, total, "training points")
    labels = source.labels()
    labels = None if labels is None else torch.as_tensor(labels).cpu()
    labels = None if labels is None or labels.is_floating_point() or labels.ndim != 1 else labels.long()
    near = None if labels is None else labels[search.index]
    nearest = NearestNeighbors(search.index, search.distance, near)
    return TrainingPoints(found[place], labels, nearest, search.points.cpu().view_as(x))
