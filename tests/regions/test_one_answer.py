"""Cells, patterns of data, estimates and ``locate`` give one answer on networks with units that are 0 on whole areas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import tropica as tp
from tests.network.test_point_signs import network


@pytest.mark.parametrize("name", ["chain", "lattice"])
def test_one_answer(name: str) -> None:
    net = network(name, False)
    cx = tp.linear_regions(net, tp.Box(-2, 2, d=2), simplify=False)
    every = np.arange(len(cx))
    assert cx.locate(cx.centers).tolist() == every.tolist()
    grid = np.random.default_rng(0).uniform(-2, 2, (3000, 2))
    cell = cx.locate(np.concatenate([grid, cx.centers]))
    assert (cell >= 0).all()
    data = torch.from_numpy(np.concatenate([grid, cx.centers]))
    assert tp.count_patterns(net, data) == len(cx)
    assert tp.estimate_patterns(net.to(torch.float64), data).at_least == len(cx)
    np.testing.assert_array_equal(net.to(torch.float64).activation_pattern(data).numpy(), cx.patterns[cell])


def test_borders_belong_to_the_lowest_closed_cell() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1)).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    net = tp.trace(model, torch.zeros(2, 2).double())
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    assert len(cx) == 2  # at x = 0 both units are 0, which is the pattern of no cell
    assert cx.locate([[0.0, 0.3], [-1e-300, 0.3], [1e-300, 0.3], [0.0, 1.5]]).tolist()[0::3] == [0, -1]
    assert sorted(cx.locate([[-1e-300, 0.3], [1e-300, 0.3]]).tolist()) == [0, 1]


def test_borders_of_windows() -> None:
    model = (
        nn.Sequential(nn.Linear(2, 6), nn.Unflatten(1, (1, 6)), nn.MaxPool1d(3), nn.Flatten(), nn.Linear(2, 1)).double().eval()
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, -1], [1, 1], [1, -1], [0, 0]]))
        model[0].bias.zero_()
    cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 2).double()), tp.Box(-1, 1, d=2))
    vertices = np.concatenate([cx.polygon(c)[0] for c in range(len(cx))])
    holders = [[c for c in range(len(cx)) if _holds(cx.polygon(c)[0], v)] for v in vertices]
    assert cx.locate(vertices).tolist() == [min(holding) for holding in holders]


def _holds(polygon: np.ndarray, point: np.ndarray) -> bool:
    """Whether a convex polygon, in order around it, holds a point (small exact coordinates)."""
    ahead = np.roll(polygon, -1, 0) - polygon
    side = ahead[:, 0] * (point - polygon)[:, 1] - ahead[:, 1] * (point - polygon)[:, 0]
    return bool((side >= -1e-12).all() or (side <= 1e-12).all())


def test_points_of_a_plane_are_exact() -> None:
    """x = origin + t · basis is not rounded: a unit that is 0 on all of the plane is 0 at its points."""
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 1)).double().eval()
    u, v = torch.tensor([0.1, 0.2, 0.3]).double(), torch.tensor([0.7, -0.1, 0.2]).double()
    with torch.no_grad():
        model[0].weight[0] = torch.tensor([3.0, 0, -1.0])
        model[0].weight[1] = torch.tensor([1.0, 1.0, 1.0])
        model[0].weight[2] = -model[0].weight[0]
    plane = tp.Plane(np.zeros(3), u.numpy(), v.numpy(), extent=1.0)
    cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 3).double()), plane)
    t = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    assert (cx.locate(t) >= 0).all()
    assert cx.locate(cx.centers).tolist() == list(range(len(cx)))
