"""``tp.compare_models``: two networks and their extracted functions on the same data (Figure 5 and Appendix E.6 of TropEx)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tropica.compare.agreement import network_and_true_labels
from tropica.compare.similarity import angles, correlation, distances
from tropica.data.batches import Data
from tropica.decomposition.extract import extract
from tropica.decomposition.prepare import check_method
from tropica.errors import InputError
from tropica.evaluation.function import ExtractedFunction
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr
from tropica.runtime.progress import ProgressCallback
from tropica.terms.linear_terms import AffineTerms

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison(HtmlRepr):
    """Two networks A and B compared.

    Attributes:
        labels: the labels of x, (B,) each, by "network a", "network b", "extracted a", "extracted b" and, if known, "true".
        active: (2, B), the numbers of the training points that decide in the extracted functions of A and B.
        correlation: (d,), Pearson's correlation of the coefficients of A and B in each input dimension, over the training
            points; NaN where one side never varies. Figure 5 shows its mean.
        angle, distance: (D,), between the coefficients of A and B at each training point (Appendix E.6); an angle is NaN where
            all coefficients are 0.
        same_label: (D,) bool, whether A and B give the training point the same label.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> x = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    >>> found = tp.compare_models(net, net, x, x)
    >>> found.share("network a", "network b"), found.distance.tolist()
    (1.0, [0.0, 0.0])
    """

    labels: dict[str, Tensor]
    active: Tensor
    correlation: Tensor
    angle: Tensor
    distance: Tensor
    same_label: Tensor

    def share(self, one: str, other: str) -> float | None:
        """The share of points at which two of the labels are equal; None if one is not known."""
        if "true" in (one, other) and "true" not in self.labels:
            return None
        return float((self.labels[one] == self.labels[other]).double().mean())

    @property
    def numbers(self) -> dict[str, float | None]:
        """The numbers of the comparison by name."""
        pairs = (
            ("network a", "network b"),
            ("extracted a", "extracted b"),
            ("network a", "extracted a"),
            ("network b", "extracted b"),
            *((name, "true") for name in ("network a", "network b", "extracted a", "extracted b")),
        )
        found: dict[str, float | None] = {f"{one} = {other}": self.share(one, other) for one, other in pairs}
        direction = self.angle[~self.angle.isnan()]
        return found | {
            "same deciding training point": float((self.active[0] == self.active[1]).double().mean()),
            "same label, training points": float(self.same_label.double().mean()),
            "mean correlation of coefficients": _known(self.correlation.nanmean()),
            "median angle of coefficients": _known(direction.median()) if len(direction) else None,
            "median distance of coefficients": float(self.distance.median()),
        }

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each number that is known."""
        import pandas as pd

        known = {name: value for name, value in self.numbers.items() if value is not None}
        return pd.DataFrame({"value": pd.Series(known)})

    def __repr__(self) -> str:
        numbers = self.numbers
        same, cor = numbers["network a = network b"], numbers["mean correlation of coefficients"]
        correlated = "" if cor is None else f", coefficients correlate with {cor:.3f}"
        return f"ModelComparison(the networks agree at {same:.1%}{correlated})"

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html()


@own_settings()
def compare_models(
    net_a: PiecewiseLinearNetwork | torch.nn.Module,
    net_b: PiecewiseLinearNetwork | torch.nn.Module,
    data: Data,
    x: Data,
    y: Tensor | np.ndarray | None = None,
    *,
    decomposition: str = "calibrated",
    memory: int | None = None,
    progress: bool | ProgressCallback = False,
) -> ModelComparison:
    """Compare two networks of the same inputs and labels: their labels, their extracted functions and their coefficients.

    Coefficients are those of each network's own affine function at each training point, for its own label.

    Args:
        net_a, net_b: the networks, traced or not; the architectures may differ.
        data: the training points.
        x: the points (B, *input).
        y: the true labels (B,); by default the labels that come with x, if any.
        decomposition: the method, "calibrated", "minimal" or "paper"; each network has its own decomposition.
        memory: bytes to work in, beside the coefficients of both networks (D × d numbers each).
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: networks, points and labels do not fit each other.

    >>> import torch, tropica as tp
    >>> def make(): return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(100, 4)
    >>> model = make()
    >>> tp.compare_models(model, model, x, x)
    ModelComparison(the networks agree at 100.0%, coefficients correlate with 1.000)
    """
    if not isinstance(decomposition, str):
        raise InputError('decomposition must be the name of a method: each network has its own, as "calibrated"')
    check_method(decomposition)
    nets = [as_network(net, data) for net in (net_a, net_b)]
    if nets[0].input_shape != nets[1].input_shape or nets[0].num_classes != nets[1].num_classes:
        maps = " and ".join(f"{net.input_shape} to {net.num_classes} labels" for net in nets)
        raise InputError(f"networks of the same inputs and labels are compared; these map {maps}")
    labels: dict[str, Tensor] = {}
    active, coefficients, of_data = [], [], []
    for name, net in zip("ab", nets, strict=True):
        labels[f"network {name}"], true = network_and_true_labels(net, x, y)
        if true is not None:
            labels["true"] = true
        terms = extract(net, data, decomposition, memory=memory, progress=progress)
        extracted, index = ExtractedFunction(terms, memory=memory).labels_and_terms(x, progress=progress)
        labels[f"extracted {name}"] = extracted
        active.append(index)
        of_data.append(terms.labels.cpu())
        local = terms.local
        coefficients.append(AffineTerms(local.weight.cpu(), local.bias.cpu(), local.input_shape))
    a, b = coefficients
    same = of_data[0] == of_data[1]
    return ModelComparison(labels, torch.stack(active), correlation(a, b), angles(a, b), distances(a, b), same)


def _known(value: Tensor) -> float | None:
    return None if bool(value.isnan()) else float(value)
