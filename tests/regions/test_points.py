"""Signs at points of a domain, against the evaluation in rational numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tropica as tp
from tests.networks import CASES, REPRESENTATIVE
from tests.traced import points, traced
from tropica.exact.rational_arrays import rationals
from tropica.regions.lower.exact_points import embedded, exact_points
from tropica.regions.lower.lowering import lower
from tropica.regions.lower.points import PointsOfDomain

QUICK = {case.name for case in REPRESENTATIVE}
NAMES = [pytest.param(c.name, marks=() if c.name in QUICK else pytest.mark.slow) for c in CASES if "nonlinearity" in c.tags]


def check(net: tp.PiecewiseLinearNetwork, domain: tp.Domain, t: np.ndarray) -> None:
    """Equal signs of all units that bend, with and without merged nonlinearities."""
    for simplify in (True, False):
        lowered = lower(net, simplify=simplify)
        expected = exact_points(lowered, embedded(domain, rationals(t))).signs
        for stage, found, wanted in zip(lowered.stages, PointsOfDomain(lowered, domain).signs(t), expected, strict=True):
            bends = stage.low != stage.high if stage.kind == "threshold" else np.ones(found.shape[1], bool)
            np.testing.assert_array_equal(found[:, bends], wanted[:, bends])


@pytest.mark.parametrize("name", NAMES)
def test_on_a_plane(name: str) -> None:
    a, b, c = points(name, 3)
    t = np.array([[0, 0], [1, 0], [0, 1], [0.5, 0.5], [0.3, 0.1], [1 / 3, 1 / 3]])
    check(traced(name), tp.Triangle(a, b, c), t)


def test_ties_and_tiny_values() -> None:
    """relu before a max-pool: units at 0, equal windows, points that only long numbers tell apart."""
    weight = torch.tensor([[[1.0, -1.0]], [[1.0, -1.0]]], dtype=torch.float64)
    convolution = torch.nn.Conv1d(1, 2, 2, bias=False).double()
    with torch.no_grad():
        convolution.weight.copy_(weight)
    layers = convolution, torch.nn.ReLU(), torch.nn.MaxPool1d(2, 1), torch.nn.Flatten(), torch.nn.Linear(2, 1).double()
    net = tp.trace(torch.nn.Sequential(*layers).eval(), torch.zeros(2, 1, 3).double())
    t = np.array([[0, 0, 0], [1, 1, 0], [2, 1, 0], [1e-300, 0, 1e-320], [1, 1 + 2.0**-52, 1], [1e300, -1e300, 1e300]])
    check(net, tp.Box(-1, 1, d=3), t)
