"""What the commands explain, influence, layerwise and compare share: their data, their terms and their networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tropica as tp
from tropica.cli import options
from tropica.cli.models import load_model
from tropica.cli.reading import read_points
from tropica.errors import InputError

if TYPE_CHECKING:
    from tropica.data.batches import Data
    from tropica.data.file_data import FileData


@dataclass(frozen=True)
class Compared:
    """A network, its extracted function, and points for both.

    Attributes:
        net: the network; for terms of an inner layer, the part behind it.
        function: the extracted function.
        points: the points, with names and labels.
        inputs: what net and function take: the points, or their values at the inner layer.
        training: the training points in the same form.
    """

    net: tp.PiecewiseLinearNetwork
    function: tp.ExtractedFunction
    points: tp.LabelledData
    inputs: Data
    training: Data


def load_compared(
    terms: str,
    model: str,
    data: str,
    train: str | None,
    *,
    subset: str,
    limit: int | None,
    label: str | None,
    weights: Path | None,
    arg: list[str] | None,
    memory: int | None,
    device: options.DeviceName = options.DeviceName.cpu,
) -> Compared:
    """Load a store of terms, the network that they were extracted from, points, and the training points of the terms.

    Raises:
        InputError, DataError, StoreError: these do not exist or do not fit each other.
    """
    stored = load_terms(terms)
    regression = bool(stored.num_targets)
    points = read_points(data, subset, limit=limit, label=label, targets=regression)
    training = read_points(train or data, "train", limit=len(stored), lazy=True, label=label, targets=regression)
    net = load_model(model, points, weights, arg).to(device.torch)
    settings: dict[str, Any] = {"memory": memory, "device": device.torch}
    if stored.lossy:
        settings |= {"net": net, "data": training}
    function = tp.ExtractedFunction(stored, **settings)
    at = stored.about.get("at")
    if not at:
        return Compared(net, function, points, points, training)
    from tropica.decomposition.prepare import inner_points
    from tropica.network.batch_size import default_batch_size

    head, tail = net.cut(at)
    inner, of_training = (inner_points(head, part, default_batch_size(head)) for part in (points, training))
    return Compared(tail, function, points, inner, of_training)


def load_both(
    data: str, limit: int | None, test_limit: int | None, label: str | None
) -> tuple[tp.LabelledData | FileData, tp.LabelledData]:
    """The training points, read when they are needed, and the test points of a data set."""
    training = read_points(data, "train", limit=limit, lazy=True, label=label)
    return training, read_points(data, "test", limit=test_limit, label=label)


def load_terms(folder: str, hint: str = "tropica extract writes one") -> tp.LinearTerms:
    """Open a store of terms; a model in its place is an InputError that says so."""
    path = Path(folder)
    if path.is_file() or (not path.exists() and (":" in folder or path.suffix)):
        raise InputError(f"{folder}: not a folder of terms; {hint}")
    return tp.load_terms(path)
