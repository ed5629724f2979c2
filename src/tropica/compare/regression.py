"""``tp.regression_agreement``: errors between the network, the extracted function and the true values of a regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tropica.compare.batched import batched
from tropica.data.arrays import refuse_masked
from tropica.data.batches import Data, count_points
from tropica.data.point_order import PointOrder
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.progress import ProgressCallback, progress_callback

if TYPE_CHECKING:
    from pandas import DataFrame

COMPARISONS = {
    "network_extracted": "extracted N^(X) against network N",
    "network_true": "network N against true",
    "extracted_true": "extracted N^(X) against true",
}


@dataclass(frozen=True)
class Errors:
    """Errors of predicted values against reference values, one number for each of s outputs.

    Attributes:
        mean_absolute, root_mean_square, largest: of the differences.
        r2: R² = 1 − Σ (difference)² / Σ (reference − its mean)²; for a constant reference 1 where all differences are 0,
            else 0; NaN for a single point.
    """

    mean_absolute: tuple[float, ...]
    root_mean_square: tuple[float, ...]
    largest: tuple[float, ...]
    r2: tuple[float, ...]

    @classmethod
    def of(cls, predicted: Tensor, reference: Tensor) -> Errors:
        """The errors of values (B, s) against reference values (B, s).

        >>> Errors.of(torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [2.0]])).r2
        (-1.0,)
        """
        reference = reference.double()
        difference = predicted.double() - reference
        square, spread = difference.square().sum(0), (reference - reference.mean(0)).square().sum(0)
        r2 = torch.where(spread > 0, 1 - square / spread, (square == 0).double())
        r2 = torch.full_like(r2, torch.nan) if len(reference) < 2 else r2
        columns = (difference.abs().mean(0), difference.square().mean(0).sqrt(), difference.abs().amax(0), r2)
        return cls(*(tuple(column.tolist()) for column in columns))


@dataclass(frozen=True)
class RegressionAgreement:
    """The errors between N, N^(X) and the true values; None where the true values are not known.

    Attributes:
        network_extracted: the errors of N^(X) against N.
        network_true: the errors of N against the true values.
        extracted_true: the errors of N^(X) against the true values.
        points: the number of points.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> x = torch.tensor([[-2.0], [3.0]], dtype=torch.float64)
    >>> f = tp.ExtractedFunction(tp.extract(net, x, task="regression"))
    >>> tp.regression_agreement(net, f, x).network_extracted.largest
    (0.0,)
    """

    network_extracted: Errors | None
    network_true: Errors | None
    extracted_true: Errors | None
    points: int

    @property
    def errors(self) -> dict[str, Errors]:
        """The known errors by name."""
        return {name: found for name in COMPARISONS if (found := getattr(self, name)) is not None}

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each known comparison and output.

        >>> errors = Errors.of(torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [2.0]]))
        >>> RegressionAgreement(errors, None, None, points=2).to_dataframe()["largest"].tolist()
        [1.0]
        """
        import pandas as pd

        rows = [
            {
                "comparison": COMPARISONS[name],
                "output": i,
                "points": self.points,
                "mean absolute": found.mean_absolute[i],
                "root mean square": found.root_mean_square[i],
                "largest": found.largest[i],
                "R²": found.r2[i],
            }
            for name, found in self.errors.items()
            for i in range(len(found.r2))
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        found = [
            f"{COMPARISONS[name].replace('extracted ', '').replace('network ', '')} R² {min(errors.r2):.4f}, "
            f"largest {max(errors.largest):.3g}"
            for name, errors in self.errors.items()
        ]
        return f"RegressionAgreement({self.points:,} points: {'; '.join(found)})"

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(index=False)


@own_settings()
def regression_agreement(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    f: ExtractedFunction,
    x: Data,
    y: Tensor | np.ndarray | None = None,
    *,
    progress: bool | ProgressCallback = False,
) -> RegressionAgreement:
    """Compare the values of N, the values of N^(X) and the true values of a regression: errors and R² for each output.

    Args:
        net: the network, traced or not.
        f: the extracted function of a regression (``task="regression"``).
        x: the points (B, *input).
        y: the true values, (B, s), or (B,) for one output.
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: points, values, network and function do not fit each other, or f distinguishes labels.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    >>> x = torch.randn(200, 4)
    >>> f = tp.ExtractedFunction(tp.extract(model, x, task="regression"))
    >>> max(tp.regression_agreement(model, f, x).network_extracted.largest) < 1e-5       # Theorem 3.3, for every output
    True
    """
    if f.task != "regression":
        raise InputError('the extracted function distinguishes labels: use tp.agreement, or tp.extract(..., task="regression")')
    net = as_network(net, x).for_task("regression")
    if net.num_outputs != f.num_classes:
        raise InputError(
            f"the extracted function has {f.num_classes} outputs, the network {net.num_outputs}: is it of another network?"
        )
    order = PointOrder()
    total = count_points(x, where="points", order=order)
    true = None if y is None else as_values(y, total, net.num_outputs)
    # Both values of a point come from one pass, so that data which change between passes cannot mix them up.
    network, extracted, done = [], [], 0
    with progress_callback(progress) as report:
        for group in f.groups(x, order, total):
            network.append(network_values(net, group))
            extracted.append(f(group))
            done += len(group)
            if report:
                report(done, total, "comparing values")
    return compare_values(torch.cat(network), torch.cat(extracted), true)


def network_values(net: PiecewiseLinearNetwork, data: Data) -> Tensor:
    """The outputs of the network at all points, (B, s), on the CPU."""

    def outputs(x: Tensor) -> Tensor:
        with torch.no_grad():
            return net(x).cpu()

    return torch.cat(list(batched(outputs, net, data, message="values of the network", where="points")))


def compare_values(network: Tensor | None, extracted: Tensor, true: Tensor | None) -> RegressionAgreement:
    """The errors between the values (B, s) of N, those of N^(X) and the true values; None for unknown values."""

    def errors(predicted: Tensor | None, reference: Tensor | None) -> Errors | None:
        return None if predicted is None or reference is None else Errors.of(predicted, reference)

    return RegressionAgreement(errors(extracted, network), errors(network, true), errors(extracted, true), len(extracted))


def as_values(y: Tensor | np.ndarray, points: int, outputs: int) -> Tensor:
    """True values as a float64 tensor (B, s) on the CPU."""
    if not isinstance(y, (Tensor, np.ndarray)):
        raise InputError(f"true values must be a tensor or an array, got {type(y).__name__}")
    if isinstance(y, np.ndarray):
        refuse_masked(y, "true values")
        if y.dtype.kind not in "iuf":
            raise InputError(f"true values must be real numbers; got {y.dtype}")
        y = torch.from_numpy(y.astype(np.float64))
    if y.is_complex() or y.dtype == torch.bool:
        raise InputError(f"true values must be real numbers; got {y.dtype}")
    values = y.detach().cpu().double()
    values = values.unsqueeze(1) if outputs == 1 and values.ndim == 1 else values
    if values.shape != (points, outputs):
        raise InputError(f"true values must have shape ({points}, {outputs}), one row for each point; got {tuple(y.shape)}")
    if not bool(values.isfinite().all()):
        raise InputError("true values must be finite; there is a NaN or an infinity")
    return values
