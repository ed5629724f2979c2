"""Data as points of the plane, for networks with two inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.linalg import eigh

from tropica.data.labelled import LabelledData
from tropica.errors import DataError, InputError
from tropica.studies.study import View

LARGEST = 10_000
"""Numbers a point has at most to be projected: a square matrix of so many rows is held, here of 800 MB."""
GRID = 2.0**16
"""Coordinates are multiples of its inverse: another machine's rounding does not give other points, and others to train."""
ROWS = 4096


def in_the_plane(train: LabelledData, test: LabelledData) -> View:
    """Points of two numbers as they are; others by their first two principal components.

    The components are those of the training points; both coordinates are in units of the first one's standard deviation, and
    the sign of each is such that its largest loading is positive.

    Raises:
        DataError: points of one number, or training points that are all equal.
        InputError: points of more than 10,000 numbers.

    >>> from tropica.studies.datasets.load import load_data
    >>> view = in_the_plane(load_data("digits"), load_data("digits", split="test"))
    >>> view.train.input_shape, view.note
    ((2,), 'the first two principal components of the training points, 28 % of their variance')
    """
    size = train.inputs[0].numel()
    if train.input_shape == (2,):
        return View(train, test)
    if size == 2:
        flat = [replace(data, inputs=data.inputs.flatten(1)) for data in (train, test)]
        return View(flat[0], flat[1], "plane")
    if size == 1:
        raise DataError(f"{train.name}: points of one number cannot be seen in the plane; two or more are needed")
    if size > LARGEST:
        raise InputError(f"{train.name}: points of {size:,} numbers; at most {LARGEST:,} can be projected to the plane")
    mean = train.inputs.flatten(1).double().mean(0)
    scatter = torch.zeros(size, size, dtype=torch.float64)
    for part in train.inputs.flatten(1).split(ROWS):
        moved = part.double() - mean
        scatter += moved.T @ moved
    variance, directions = eigh(scatter.numpy(), subset_by_index=[size - 2, size - 1])
    total = float(scatter.trace())
    if not variance[1] > 1e-20 * max(1.0, float(mean.square().sum())) * len(train):
        raise DataError(f"{train.name}: all {len(train):,} training points are equal; there is nothing to see")
    axes = torch.from_numpy(directions[:, ::-1].copy())
    axes = axes * axes[axes.abs().argmax(0), [0, 1]].sign()
    scale = float(np.sqrt(variance[1] / len(train)))

    def seen(data: LabelledData) -> LabelledData:
        at = torch.cat([(part.double() - mean) @ axes for part in data.inputs.flatten(1).split(ROWS)]) / scale
        return replace(data, inputs=((at * GRID).round() / GRID).float())

    share = f"{max(variance.sum(), 0.0) / total:.0%}".replace("%", " %")
    note = f"the first two principal components of the training points, {share} of their variance"
    return View(seen(train), seen(test), "plane", note)
