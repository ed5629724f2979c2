"""What is proven where floating point misleads: maps that are almost equal, units that vanish on areas, ties of pools."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import tropica as tp
from tests.regions.test_complex import traced


def test_maps_that_are_almost_equal_are_two() -> None:
    """|x₁ + 2⁻⁵⁰ x₂| and |x₁|, added with weights that cancel: slopes that differ by 2⁻⁵⁰ are different maps."""
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)).double().eval()
    with torch.no_grad():
        model[0].weight[:] = torch.tensor([[1.0], [-1.0]])
        model[0].bias.zero_()
        model[2].bias.zero_()
        model[2].weight[:] = torch.tensor([[1.0, -1.0]])  # x, by two units: one map
        assert len(tp.linear_regions(traced(model, 1), tp.Box(-1, 1)).maps) == 1
        model[2].weight[0, 1] = -1 - 2.0**-50  # x, and (1 + 2⁻⁵⁰) x
    cx = tp.linear_regions(traced(model, 1), tp.Box(-1, 1))
    assert (len(cx), len(cx.regions), len(cx.maps), cx.undecided_maps) == (2, 2, 2, 0)


def test_losing_options_of_a_pool_do_not_make_maps() -> None:
    """Cells that differ in units that no winner needs have one map; those that differ in one that matters have two."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
        ).double()
        a, b, c = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    cx = tp.linear_regions(traced(model.eval(), 1, 4, 4), tp.Plane.through(a, b, c), simplify=False)
    weight, bias = cx.logits
    rows = np.concatenate([weight.reshape(len(cx), -1), bias], 1)
    distinct = len(np.unique(np.round(rows / 1e-9), axis=0))
    assert len(cx.maps) == distinct < len(cx)
    assert cx.certified
    assert cx.undecided_maps == 0


def test_patterns_where_a_function_vanishes() -> None:
    """x and a copy of it, subtracted: zero all over, which rounding may make anything; the pattern is that of zero."""
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 1)).double().eval()
    with torch.no_grad():
        model[0].weight[2:] = model[0].weight[:2]
        model[0].bias[2:] = model[0].bias[:2]
        model[2].weight[0] = torch.tensor([0.1, 0.7, -0.1, -0.7])
        model[2].bias[0] = 0
    cx = tp.linear_regions(traced(model, 2), tp.Box(-1, 1, d=2))
    bits = np.unpackbits(cx.patterns, axis=1)
    assert not bits[:, 4].any()
    assert cx.certified


def test_units_that_do_not_change_on_a_plane() -> None:
    """Images that differ in one corner: elsewhere all is constant, ties of equal background in pools among it, of which the
    first is taken, as the network does."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)
        ).double()
        images = torch.full((3, 1, 6, 6), 0.3, dtype=torch.float64)
        images[:, :, :2, :2] = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    net = traced(model.eval(), 1, 6, 6)
    cx = tp.linear_regions(net, tp.Plane.through(*images), simplify=False)
    assert len(cx) > 4
    assert cx.certified
    weight, bias = cx.logits
    found = net(cx.embed(cx.centers)).numpy()
    np.testing.assert_allclose(np.einsum("csd,cd->cs", weight, cx.centers) + bias, found, atol=1e-12)
    assert (cx.patterns == net.activation_pattern(cx.embed(cx.centers)).numpy()).all()
