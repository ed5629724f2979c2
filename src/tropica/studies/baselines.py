"""Nearest-neighbor baselines of N^(X): the label that N gives the training point nearest in pixels, or in its last features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from tropica.compare.nearest import nearest_neighbors
from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.studies.case import Case

SPACES = {"pixel": "pixels", "feature": "last features"}


def neighbor_indices(case: Case) -> dict[str, Tensor | None]:
    """The nearest training point of each test point in each of `SPACES`; None where the network cannot be cut."""
    points, test = case.points.inputs, case.test.inputs
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
