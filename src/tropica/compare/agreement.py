"""``tp.agreement``: how often network, extracted function and truth agree (the paper's Table 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tropica.data.batches import Data, as_batches, count_points
from tropica.data.labelled import LabelledData
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.network.batch_size import default_batch_size
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network


@dataclass(frozen=True)
class Agreement:
    """Shares of points, in [0, 1], and the counts behind them; what needs true labels is None without them.

    Attributes:
        network_extracted: N and N^(X) give the same label.
        network_true: N is right.
        extracted_true: N^(X) is right.
        points: number of points.
    """

    network_extracted: float
    network_true: float | None
    extracted_true: float | None
    points: int

    @property
    def counts(self) -> dict[str, int | None]:
        """The shares as numbers of points."""
        shares = (self.network_extracted, self.network_true, self.extracted_true)
        names = ("network_extracted", "network_true", "extracted_true")
        return {n: None if s is None else round(s * self.points) for n, s in zip(names, shares, strict=True)}


def agreement(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    f: ExtractedFunction,
    x: Data,
    y: Tensor | np.ndarray | None = None,
    *,
    progress: Any = False,
) -> Agreement:
    """Compare N, N^(X) and true labels on points (Table 2: N vs N^(X), N vs true, N^(X) vs true).

    Args:
        net: the network, traced or not.
        f: the extracted function.
        x: points (B, *input); LabelledData brings its labels along.
        y: true labels (B,), whole numbers.

    Raises:
        InputError: points, labels, network and function do not fit each other.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(200, 4)
    >>> tp.agreement(model, tp.ExtractedFunction(tp.extract(model, x)), x).network_extracted
    1.0
    """
    if y is None and isinstance(x, LabelledData):
        y = x.labels
    net = as_network(net, x)
    if net.num_classes != f.num_classes:
        raise InputError(
            f"the extracted function has {f.num_classes} labels, the network {net.num_classes}: is it of another network?"
        )
    truth = None if y is None else _checked(y, count_points(x, where="points"))
    found = f.predict(x, progress=progress)
    size = default_batch_size(net)
    batches = as_batches(x, size, dtype=net.dtype, device=net.device, shape=net.input_shape, where="points")
    given = torch.cat([net.predict(batch).cpu() for batch in batches])

    def share(a: Tensor, b: Tensor) -> float:
        return float((a == b).double().mean())

    return Agreement(
        share(given, found),
        None if truth is None else share(given, truth),
        None if truth is None else share(found, truth),
        len(found),
    )


def _checked(y: Tensor | np.ndarray, points: int) -> Tensor:
    """Labels as a tensor, one a point."""
    if not isinstance(y, (Tensor, np.ndarray)):
        raise InputError(f"labels must be a tensor or an array, got {type(y).__name__}")
    labels = torch.as_tensor(y).cpu()
    if labels.shape != (points,) or labels.is_floating_point():
        raise InputError(f"labels must be integers of shape ({points},), one a point; got {tuple(y.shape)} {y.dtype}")
    return labels
