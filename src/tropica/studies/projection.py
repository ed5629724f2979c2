"""Projection of data to the plane, for networks with two inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.linalg import eigh

from tropica.data.labelled import LabelledData
from tropica.errors import DataError, InputError
from tropica.studies.study import StudyData

MAX_SIZE = 10_000
"""The largest number of coordinates that are projected: a square float64 matrix of this size takes 800 MB."""
GRID = 2.0**16
"""Coordinates are multiples of 1 / GRID, so that machines that round differently give the same points."""
BATCH = 4096


def project_to_plane(train: LabelledData, test: LabelledData) -> StudyData:
    """Project points to their first two principal components; points of two coordinates stay unchanged.

    The components are those of the training points. Both coordinates are in units of the first component's standard
    deviation; the sign of each makes its largest loading positive.

    Raises:
        DataError: points of one coordinate, or training points that are all equal.
        InputError: points of more than 10,000 coordinates.

    >>> from tropica.studies.datasets.load import load_data
    >>> data = project_to_plane(load_data("digits"), load_data("digits", split="test"))
    >>> data.train.input_shape, data.note
    ((2,), 'the first two principal components of the training points, 28 % of their variance')
    """
    size = train.inputs[0].numel()
    if train.input_shape == (2,):
        return StudyData(train, test)
    if size == 2:
        vectors = [replace(data, inputs=data.inputs.flatten(1)) for data in (train, test)]
        return StudyData(vectors[0], vectors[1], "plane")
    if size == 1:
        raise DataError(f"{train.name}: points of one coordinate cannot be projected to the plane; two or more are needed")
    if size > MAX_SIZE:
        raise InputError(f"{train.name}: points of {size:,} coordinates; at most {MAX_SIZE:,} can be projected to the plane")
    mean = train.inputs.flatten(1).double().mean(0)
    scatter = torch.zeros(size, size, dtype=torch.float64)
    for part in train.inputs.flatten(1).split(BATCH):
        centered = part.double() - mean
        scatter += centered.T @ centered
    variance, directions = eigh(scatter.numpy(), subset_by_index=[size - 2, size - 1])
    total = float(scatter.trace())
    if not variance[1] > 1e-20 * max(1.0, float(mean.square().sum())) * len(train):
        raise DataError(f"{train.name}: all {len(train):,} training points are equal; different points are needed")
    axes = torch.from_numpy(directions[:, ::-1].copy())
    axes = axes * axes[axes.abs().argmax(0), [0, 1]].sign()
    scale = float(np.sqrt(variance[1] / len(train)))

    def projected(data: LabelledData) -> LabelledData:
        parts = [(part.double() - mean) @ axes for part in data.inputs.flatten(1).split(BATCH)]
        coordinates = torch.cat(parts) / scale
        return replace(data, inputs=((coordinates * GRID).round() / GRID).float())

    share = f"{max(variance.sum(), 0.0) / total:.0%}".replace("%", " %")
    note = f"the first two principal components of the training points, {share} of their variance"
    return StudyData(projected(train), projected(test), "plane", note)
