"""``tp.follow``: agreement, dead units and regions over a training, epoch by epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tropica.compare.agreement import agreement
from tropica.compare.dead_units import dead_units
from tropica.compare.patterns import count_patterns
from tropica.data.batches import Data, count_points
from tropica.decomposition.prepare import check_method
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import TableRepr

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class EpochRow:
    """The measurements of one call.

    Attributes:
        epoch: the number of the epoch.
        fidelity: the share of the points x at which N^(X) gives the label of N.
        accuracy, extracted_accuracy: the shares at which N and N^(X) give the true label; None without true labels.
        dead, units: the number of dead units on the data, and of all units.
        cells: the number of different activation patterns (cells) of the data.
        seconds: the duration of the measurements.
    """

    epoch: int
    fidelity: float
    accuracy: float | None
    extracted_accuracy: float | None
    dead: int
    units: int
    cells: int
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class Follower(TableRepr):
    """Measurements of a model while it is trained: a function to call after each epoch.

    Attributes:
        rows: the measurements so far.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    >>> x, y = torch.randn(20, 2), torch.randint(3, (20,))
    >>> follower = tp.follow(x, x, y)
    >>> follower(model).fidelity, len(follower.rows)
    (1.0, 1)
    """

    data: Data
    x: Data
    y: Tensor | np.ndarray | None
    decomposition: str
    num_points: int
    rows: list[EpochRow] = field(default_factory=list)

    def __call__(self, model: torch.nn.Module, epoch: int | None = None) -> EpochRow:
        """Measure the model as it is now, and append a row; the mode of each of its modules is as before afterwards.

        Args:
            model: the model, in training mode or not. It is measured in eval mode.
            epoch: the number of the epoch; by default one more than that of the last call, from 0.

        Raises:
            InputError: ``epoch`` is not above that of the last call, or model and data do not fit each other.
        """
        last = self.rows[-1].epoch if self.rows else -1
        epoch = last + 1 if epoch is None else epoch
        if epoch <= last:
            raise InputError(f"epoch {epoch} does not follow the last call's, {last}; start anew with another tp.follow(...)")
        start = time.perf_counter()
        with _eval_mode(model):
            net = as_network(model, self.data)
            f = ExtractedFunction.streaming(net, self.data, self.decomposition)
            shares, dead = agreement(net, f, self.x, self.y), dead_units(net, self.data)
            assert shares.network_extracted is not None
            row = EpochRow(
                epoch,
                shares.network_extracted,
                shares.network_true,
                shares.extracted_true,
                dead.count,
                sum(node.units for node in net.nonlinearities),
                count_patterns(net, self.data),
                time.perf_counter() - start,
            )
        self.rows.append(row)
        return row

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each call."""
        import pandas as pd

        return pd.DataFrame([vars(row) for row in self.rows], columns=list(EpochRow.__dataclass_fields__))

    def __repr__(self) -> str:
        if not self.rows:
            return f"Follower(no epoch yet, {self.num_points:,} training points)"
        row = self.rows[-1]
        cells = f"{row.cells:,} cells of {self.num_points:,} points"
        return f"Follower(epoch {row.epoch}: fidelity {row.fidelity:.1%}, {row.dead:,} of {row.units:,} units dead, {cells})"


@own_settings()
def follow(data: Data, x: Data, y: Tensor | np.ndarray | None = None, *, decomposition: str = "calibrated") -> Follower:
    """Follow a training: make a function that measures the model after each epoch of your own loop.

    Each call extracts the terms of all points of ``data`` anew and keeps none; a few thousand of the training points suffice
    to see a trend.

    Args:
        data: training points, or some of them.
        x: test points (B, *input).
        y: the true labels (B,); by default the labels that come with x, if any.
        decomposition: the method, "calibrated", "minimal" or "paper".

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> x, y = torch.randn(100, 4), torch.randint(3, (100,))
    >>> follower, optimizer = tp.follow(x, x, y), torch.optim.SGD(model.parameters(), lr=0.1)
    >>> for epoch in range(2):
    ...     optimizer.zero_grad()
    ...     torch.nn.functional.cross_entropy(model(x), y).backward()
    ...     optimizer.step()
    ...     row = follower(model)
    >>> follower.to_dataframe()["fidelity"].tolist(), model.training
    ([1.0, 1.0], True)
    """
    if not isinstance(decomposition, str):
        raise InputError('decomposition must be the name of a method, such as "calibrated": the network changes')
    check_method(decomposition)
    return Follower(data, x, y, decomposition, count_points(data))


@contextmanager
def _eval_mode(model: torch.nn.Module) -> Iterator[None]:
    """The model in eval mode; the mode of each module is restored."""
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"a torch.nn.Module is followed, got {type(model).__name__}")
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training
