"""The decision boundary: labels tie on it, differ across it, and nothing is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tropica as tp
from tests.regions.test_complex import mlp, traced


@pytest.mark.parametrize("sizes", [(1, 16, 8, 3), (2, 12, 12, 4), (2, 16, 16, 1), (3, 8, 8, 3)], ids=str)
def test_labels_tie(sizes: tuple[int, ...]) -> None:
    model = mlp(*sizes, seed=1)
    with torch.no_grad():  # so that the labels meet
        model[-1].bias -= model(8 * torch.rand(1000, sizes[0], dtype=torch.float64) - 4).mean(0)
    net = traced(model, sizes[0])
    cx = tp.linear_regions(net, tp.Box(-4, 4, d=sizes[0]))
    found = cx.boundary()
    assert len(found) == len(found.labels) == len(found.cells) == len(found.sizes)
    assert found.undecided == 0
    assert found.sizes.min() > 0
    assert found.measure == pytest.approx(sum(found.pairs.values()))
    middles = np.stack([piece.mean(0) for piece in found.pieces])
    scores = net.scores(cx.embed(middles)).sort(1, descending=True)
    np.testing.assert_allclose(scores.values[:, 0], scores.values[:, 1], atol=1e-12)
    np.testing.assert_array_equal(np.sort(scores.indices[:, :2].numpy(), axis=1), found.labels)
    assert (cx.locate(middles) == found.cells).mean() > 0.9  # a piece may lie on the border of its cell


def test_every_change_of_label_is_on_it() -> None:
    """Bisection between neighboring points of a grid that have different labels ends on a piece."""
    net = traced(mlp(2, 12, 12, 3, seed=1), 2)
    found = tp.linear_regions(net, tp.Box(-4, 4, d=2)).boundary()
    axis = torch.linspace(-3.9, 3.9, 60, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis).reshape(60, 60, 2)
    label = net.predict(grid.reshape(-1, 2)).reshape(60, 60)
    i, j = (label[1:] != label[:-1]).nonzero(as_tuple=True)
    assert len(i) > 10
    low, high = grid[i, j], grid[i + 1, j]
    want = label[i, j]
    for _ in range(60):
        middle = (low + high) / 2
        same = net.predict(middle) == want
        low, high = torch.where(same[:, None], middle, low), torch.where(same[:, None], high, middle)
    ends = np.stack(found.pieces)
    a, b, p = ends[:, 0], ends[:, 1], low.numpy()[:, None]
    share = np.clip(((p - a) * (b - a)).sum(2) / ((b - a) ** 2).sum(1), 0, 1)[..., None]
    assert np.linalg.norm(p - a - share * (b - a), axis=2).min(1).max() < 1e-10


def test_one_label_has_no_boundary() -> None:
    model = mlp(2, 4, 2)
    with torch.no_grad():
        model[-1].bias.copy_(torch.tensor([100.0, 0.0]))
    found = tp.linear_regions(traced(model, 2), tp.Box(-1, 1, d=2)).boundary()
    assert len(found) == 0
    assert found.measure == 0
    assert found.pairs == {}
