"""``tp.agreement``: agreement of the network, the extracted function and the true labels (Table 2 of TropEx)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tropica.compare.batched import predicted_labels
from tropica.data.arrays import refuse_masked
from tropica.data.batches import Data, count_points
from tropica.data.labels import LabelSource
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
    "network_extracted": "network N = extracted N^(X)",
    "network_true": "network N = true",
    "extracted_true": "extracted N^(X) = true",
}
ANOTHER_NETWORK = "another network than the one the terms were extracted from"


@dataclass(frozen=True)
class Agreement:
    """Shares of points with equal labels, in [0, 1]; None where one of the two labels is not known.

    Attributes:
        network_extracted: N and N^(X) give the same label.
        network_true: N gives the true label.
        extracted_true: N^(X) gives the true label.
        points: the number of points.
        same_network: whether the terms were extracted from this network; None if it is not known.

    >>> Agreement(1.0, 0.75, 0.75, points=4)
    Agreement(4 points: N = N^(X) 100.00%, N = true 75.00%, N^(X) = true 75.00%)
    """

    network_extracted: float | None
    network_true: float | None
    extracted_true: float | None
    points: int
    same_network: bool | None = field(default=None, compare=False)

    @property
    def shares(self) -> dict[str, float | None]:
        """The three shares by name."""
        return {name: getattr(self, name) for name in COMPARISONS}

    @property
    def counts(self) -> dict[str, int | None]:
        """The shares as numbers of points."""
        return {name: None if share is None else round(share * self.points) for name, share in self.shares.items()}

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each known comparison: points with equal labels, all points, share.

        >>> Agreement(1.0, None, None, points=4).to_dataframe()["equal"].tolist()
        [4]
        """
        import pandas as pd

        counts = self.counts
        rows = {COMPARISONS[key]: (counts[key], self.points, share) for key, share in self.shares.items() if share is not None}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["equal", "points", "share"])

    def __repr__(self) -> str:
        shares = [
            f"{COMPARISONS[key].replace('network ', '').replace('extracted ', '')} {share:.2%}"
            for key, share in self.shares.items()
            if share is not None
        ]
        return f"Agreement({self.points:,} points: {', '.join([*shares, *self.notes])})"

    @property
    def notes(self) -> list[str]:
        """What a reader of the shares must know."""
        return [ANOTHER_NETWORK] if self.same_network is False else []

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{note}</p>" for note in self.notes)
        return self.to_dataframe().to_html(formatters={"share": "{:.2%}".format}) + notes


@own_settings()
def agreement(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    f: ExtractedFunction,
    x: Data,
    y: Tensor | np.ndarray | None = None,
    *,
    progress: bool | ProgressCallback = False,
) -> Agreement:
    """Compare the labels of N, the labels of N^(X) and the true labels (Table 2 of TropEx).

    Args:
        net: the network, traced or not.
        f: the extracted function.
        x: the points (B, *input).
        y: the true labels (B,), integers; by default the labels that come with x: those of LabelledData, the second entry of
            the items (x, y) of a Dataset or of the batches of a DataLoader, or a dict's "label", "labels", "target" or "y".
        progress: True for a bar, or a function (done, total, message).

    Raises:
        InputError: points, labels, network and function do not fit each other.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(200, 4)
    >>> tp.agreement(model, tp.ExtractedFunction(tp.extract(model, x)), x).network_extracted
    1.0
    """
    if f.task == "regression":
        raise InputError("the extracted function is that of a regression, which has no labels: use tp.regression_agreement")
    net = as_network(net, x)
    if net.num_classes != f.num_classes:
        raise InputError(
            f"the extracted function has {f.num_classes} labels, the network {net.num_classes}: is it of another network?"
        )
    order = PointOrder()
    total = count_points(x, where="points", order=order)
    true = LabelSource(x, y)
    as_true_labels(true.known, total, net.num_classes)  # labels that do not fit are an error before the pass
    # Both labels of a point come from one pass, so that data which change between passes cannot mix them up.
    network, extracted, done = [], [], 0
    with progress_callback(progress) as report:
        for group in f.groups(x, order, total, observer=true.observer):
            network.append(predicted_labels(net, group))
            extracted.append(f.predict(group))
            done += len(group)
            if report:
                report(done, total, "comparing labels")
    found = as_true_labels(true.labels(), total, net.num_classes)
    return compare_labels(torch.cat(network), torch.cat(extracted), found, is_network_of(net, f))


def network_and_true_labels(
    net: PiecewiseLinearNetwork, x: Data, y: Tensor | np.ndarray | None, *, where: str = "points"
) -> tuple[Tensor, Tensor | None]:
    """The network's labels of all points, and the true ones: y, or the labels that come with x; None if there are none."""
    true = LabelSource(x, y)
    labels = predicted_labels(net, x, where=where, observer=true.observer)
    found = as_true_labels(true.labels(), len(labels), net.num_classes)
    warn_of_labels_from_one(labels, found)
    return labels, found


def is_network_of(net: PiecewiseLinearNetwork, f: ExtractedFunction) -> bool | None:
    """Whether the terms of f were extracted from this network; None for terms that do not say of which they are."""
    fingerprint = f.source.network
    return net.fingerprint == fingerprint if fingerprint else None


def compare_labels(
    network: Tensor | None, extracted: Tensor, true: Tensor | None, same_network: bool | None = None
) -> Agreement:
    """The agreement of the labels (B,) of N, those of N^(X) and the true labels; None for unknown labels.

    >>> compare_labels(None, torch.tensor([0, 1, 2, 0]), torch.tensor([0, 1, 2, 3]))
    Agreement(4 points: N^(X) = true 75.00%)
    """

    warn_of_labels_from_one(extracted if network is None else network, true)

    def share(a: Tensor | None, b: Tensor | None) -> float | None:
        return None if a is None or b is None else float((a == b).double().mean())

    return Agreement(share(network, extracted), share(network, true), share(extracted, true), len(extracted), same_network)


def warn_of_labels_from_one(predicted: Tensor, true: Tensor | None) -> None:
    """Warn if the true labels y seem to count from 1, though all of them are labels of the network.

    That no label is 0 says little, as a part of the data may lack the first class. So a warning needs two labels or more, none
    of them 0, and predictions that equal y − 1 more than twice as often as y.

    >>> with warnings.catch_warnings(record=True) as found:
    ...     warn_of_labels_from_one(torch.tensor([0, 1, 0, 1]), torch.tensor([1, 2, 1, 2]))
    >>> print(found[0].message)
    do the labels count from 1? No label is 0, and y − 1 is the predicted label of 4 of 4 points, y of 0: pass y − 1
    """
    if true is None or not len(true) or int(true.min()) < 1 or bool((true == true[0]).all()):
        return
    true = true.to(predicted.device)
    shifted, plain = int((predicted == true - 1).sum()), int((predicted == true).sum())
    if shifted > 2 * plain:
        warnings.warn(
            f"do the labels count from 1? No label is 0, and y − 1 is the predicted label of {shifted:,} of {len(true):,} "
            f"points, y of {plain:,}: pass y − 1",
            stacklevel=3,
        )


def as_true_labels(y: Tensor | np.ndarray | None, points: int, num_classes: int) -> Tensor | None:
    """Labels as an int64 tensor on the CPU, one for each point, in 0 … num_classes − 1; None for no labels."""
    if y is None:
        return None
    if not isinstance(y, (Tensor, np.ndarray)):
        raise InputError(f"labels must be a tensor or an array, got {type(y).__name__}")
    if isinstance(y, np.ndarray):
        refuse_masked(y, "labels")
    array = y.detach().cpu().numpy() if isinstance(y, Tensor) and y.dtype != torch.bfloat16 else y
    if array.shape != (points,) or not isinstance(array, np.ndarray) or array.dtype.kind not in "iub":
        raise InputError(f"labels must be integers of shape ({points},), one for each point; got {tuple(y.shape)} {y.dtype}")
    outside = (array < 0) | (array >= num_classes)
    if outside.any():
        at = int(outside.argmax())
        hint = "; labels count from 0: pass y − 1" if array.min() >= 1 and array.max() == num_classes else ""
        raise InputError(f"labels must lie in 0 … {num_classes - 1}, as the network's do; point {at} has {array[at]}{hint}")
    return torch.from_numpy(array.astype(np.int64))
