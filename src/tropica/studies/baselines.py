"""Nearest-neighbor baselines of N^(X): the label that N gives the training point nearest in pixels, or in its last features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from torch import Tensor

from tropica.compare.nearest import nearest_neighbors
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.studies.case import Case, equal_share
from tropica.studies.tables import Cells, percent

SPACES = {"pixel": "pixels", "feature": "last features"}


HEADINGS = {"pixel_fidelity": "nearest in pixels vs N", "feature_fidelity": "nearest in features vs N"}
"""The columns of the tables that hold fidelities of the baselines."""
NOTE = (
    "Nearest: the baselines give a test point the label that N gives the nearest of the same points; features: the values of "
    "the last nonlinearity."
)


def baseline_cells(rows: pd.DataFrame) -> Cells:
    """The columns of the baselines in a table; none for the rows of earlier runs, which have none."""
    return {heading: (key, percent) for key, heading in HEADINGS.items() if key in rows}


def baseline_shares(case: Case, points: Tensor, labels: Tensor) -> dict[str, float | None]:
    """The fidelities of the baselines on the test points: the labels that N gives the nearest of ``points``, ``labels``."""
    found = neighbor_indices(case, points)
    return {
        f"{space}_fidelity": None if i is None else equal_share(labels[i], case.network_labels) for space, i in found.items()
    }


def neighbor_indices(case: Case, points: Tensor | None = None) -> dict[str, Tensor | None]:
    """The nearest of the training points, or of others, to each test point in each of `SPACES`; None: no cut of the network."""
    points, test = case.points.inputs if points is None else points, case.test.inputs
    head = last_features(case.net)
    found: dict[str, Tensor | None] = {"pixel": nearest_neighbors(points, test).index, "feature": None}
    if head is not None:
        found["feature"] = nearest_neighbors(points, test, features=head).index
    return found


def last_features(net: PiecewiseLinearNetwork) -> PiecewiseLinearNetwork | None:
    """The network up to its last nonlinearity; None if it has none, or cannot be cut there.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> last_features(tp.trace(model, torch.zeros(2, 4))).output_shape
    (8,)
    """
    if not net.nonlinearities:
        return None
    try:
        return net.cut(net.nonlinearities[-1].name)[0]
    except InputError:
        return None


def pack(equal: Tensor) -> str:
    """Booleans (N,) as hexadecimal digits, for JSON.

    >>> import torch
    >>> pack(torch.tensor([True, False, True])), unpack("a0", 3).tolist()
    ('a0', [1, 0, 1])
    """
    return np.packbits(equal.numpy()).tobytes().hex()


def unpack(text: str, count: int) -> np.ndarray:
    """The booleans that `pack` wrote, as 0 and 1."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8), count=count)


def stacked(runs: Mapping[int, list[np.ndarray]]) -> np.ndarray:
    """Answers by seed, averaged over the networks of a family: (seeds, points)."""
    return np.stack([np.mean(answers, axis=0) for _, answers in sorted(runs.items())])
