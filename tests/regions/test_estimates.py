"""Estimates against exact counts of small networks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tropica as tp
from tests.network_modules import build
from tests.traced import case_of, traced
from tropica.regions.domains.constructors import Box, Segment
from tropica.regions.estimates import (
    Estimate,
    _cells,
    _chord,
    estimate_density,
    estimate_patterns,
    estimate_regions,
    log_cells,
)


def mlp(*widths: int, seed: int = 0, scale: float = 1.0) -> tp.PiecewiseLinearNetwork:
    """A random network, its first layer's hyperplanes spread over [−scale, scale]."""
    layers = [m for i, o in itertools.pairwise(widths) for m in (nn.Linear(i, o), nn.ReLU())][:-1]
    model = build(lambda: nn.Sequential(*layers), seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model[0].weight.copy_(torch.randn(widths[1], widths[0], generator=generator))
        model[0].bias.copy_((torch.rand(widths[1], generator=generator) * 2 - 1) * scale * widths[0] ** 0.5)
    return tp.trace(model, torch.zeros(2, widths[0], dtype=torch.float64))


def grid(n: int) -> Tensor:
    """n² points over [−1, 1]²."""
    line = torch.linspace(-1, 1, n, dtype=torch.float64)
    return torch.cartesian_prod(line, line)


def cells_on(net: tp.PiecewiseLinearNetwork, x: Tensor) -> int:
    return len(torch.unique(net.activation_pattern(x), dim=0))


# ── sampled patterns ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_patterns_of_a_small_network() -> None:
    """Many samples meet every cell, and the estimate is their number."""
    net = mlp(2, 6, 2)
    exact = cells_on(net, grid(1500))
    found = estimate_patterns(net, Box(-1, 1, d=2), samples=40_000)
    assert found.at_least is not None
    assert found.at_least <= exact
    assert abs(found.value - exact) <= max(4 * found.standard_error, 0.1 * exact)
    assert found.samples == 40_000


def test_patterns_by_hand() -> None:
    """Chao1 of 3 cells met 1, 1, 2 times: 3 + 2²/(2·1), variance 1·(2²/2 + 2³ + 2⁴/4)."""
    net = mlp(1, 8, 1)
    t = torch.from_numpy(tp.linear_regions(net, Segment([-1.0], [1.0])).breakpoints)
    middle = 2 * (t[:-1] + t[1:]) / 2 - 1
    assert len(middle) >= 4
    x = middle[[0, 1, 2, 2], None]
    found = estimate_patterns(net, x)
    assert found == Estimate(5.0, math.sqrt(14.0), 4, "activation cells (Chao1)", 3)
    found = estimate_patterns(net, middle[[0, 1], None])  # no cell met twice: 2 + 2·1/2, variance 1 + 2·9/4 − 16/12
    assert (found.value, found.standard_error**2) == (3.0, pytest.approx(1 + 4.5 - 4 / 3))
    assert estimate_patterns(net, middle[[0, 0, 0], None]).value == 1


def test_more_cells_than_samples() -> None:
    """The estimate is above what was met, and below the truth it cannot see."""
    net = mlp(3, 20, 2)
    few, many = (estimate_patterns(net, Box(-1, 1, d=3), samples=n) for n in (300, 60_000))
    assert few.at_least is not None
    assert many.at_least is not None
    assert few.at_least < few.value <= many.value + 4 * few.standard_error
    assert few.at_least < many.at_least


# ── segments ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_density_in_one_dimension_is_exact() -> None:
    net = mlp(1, 12, 6, 1)
    cells = tp.linear_regions(net, Segment([-2.0], [3.0])).cells
    found = estimate_density(net, Box(-2, 3, d=1), segments=7)
    assert found.value == pytest.approx((len(cells) - 1) / 5)
    assert found.standard_error == pytest.approx(0, abs=1e-12)
    assert estimate_regions(net, Box(-2, 3, d=1), segments=7).value == pytest.approx(len(cells))


@pytest.mark.slow
def test_density_is_croftons() -> None:
    """One line through a square: its length per area, times 2/π, are the breakpoints per unit length."""
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU()).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2.0]]))
        model[0].bias.fill_(0.0)
    net = tp.trace(model, torch.zeros(2, 2, dtype=torch.float64))
    found = estimate_density(net, Box(-1, 1, d=2), segments=1500)
    expected = 2 / math.pi * math.sqrt(5) / 4  # from (−1, 1/2) to (1, −1/2)
    assert abs(found.value - expected) <= 4 * found.standard_error
    assert found.standard_error < 0.1 * expected


def test_density_between_data() -> None:
    net = traced("mnist_conv")
    x = case_of("mnist_conv").inputs(2, 0, torch.float64)
    found = estimate_density(net, x, segments=3)
    regions = tp.linear_regions(net, Segment(x[0], x[1]), simplify=False)
    assert found.value == pytest.approx((len(regions.cells) - 1) / regions.volume)
    assert found.standard_error == pytest.approx(0, abs=1e-12)
    more = estimate_density(net, case_of("mnist_conv").inputs(20, 0, torch.float64), segments=30)
    assert more.value > 0
    assert 0 < more.standard_error < more.value


def test_chords() -> None:
    """They end on the box, and go through it."""
    random = np.random.default_rng(0)
    box = Box([-1, 0, 2], [1, 3, 2.5])
    for _ in range(50):
        a, b = _chord(box, random)
        for end in (a, b):
            assert bool(((end >= box.lo) & (end <= box.hi)).all())
            assert bool(np.isclose(end, box.lo).any() or np.isclose(end, box.hi).any())


# ── regions ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_formula() -> None:
    """d = 1: 1 + λL; d = 2: 1 + λ(a + b) + π λ²ab/4; d = 3: the ball's volume 4π/3; the derivative by differences."""
    assert _cells(0.0, np.array([2.0, 3.0])) == (1.0, 5.0)
    assert _cells(3.0, np.array([2.0]))[0] == pytest.approx(7)
    assert _cells(3.0, np.array([2.0, 5.0]))[0] == pytest.approx(1 + 3 * 7 + math.pi * 9 * 10 / 4)
    sides = np.array([1.0, 2.0, 3.0])
    value, slope = _cells(2.0, sides)
    assert value == pytest.approx(1 + 2 * 6 + math.pi * 11 + 4 / 3 * math.pi * 6)
    assert slope == pytest.approx((_cells(2.0 + 1e-6, sides)[0] - _cells(2.0 - 1e-6, sides)[0]) / 2e-6)
    assert _cells(1e3, np.full(784, 10.0))[0] == math.inf
    # The last of the summands, the volume times κ_784 (λ/2)^784, outweighs all others at such a density.
    last = 392 * math.log(math.pi) - math.lgamma(393) + 784 * math.log(1e9 / 2 * 10)
    assert log_cells(1e9, np.full(784, 10.0))[0] == pytest.approx(last, rel=1e-5)
    assert log_cells(0.0, sides) == pytest.approx((0.0, math.log(6)))


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(2, 30, 1), (2, 16, 16, 1)])
def test_regions_in_the_plane(widths: tuple[int, ...]) -> None:
    """Random networks in two dimensions: within a third of the count on a fine grid, on average over six of them."""
    box, x = Box(-1, 1, d=2), grid(300)
    ratios: list[float] = []
    for seed in range(6):
        net = mlp(*widths, seed=seed)
        ratios.append(estimate_regions(net, box, segments=40, seed=seed).value / cells_on(net, x))
    assert 2 / 3 < np.mean(ratios) < 3 / 2


def test_a_network_without_breakpoints() -> None:
    net = traced("linear_only")
    found = estimate_regions(net, Box(-1, 1, d=4), segments=3)
    assert (found.value, found.standard_error) == (1.0, 0.0)


def test_the_same_seed_gives_the_same() -> None:
    net = mlp(2, 6, 2)
    box, few = Box(-1, 1, d=2), {"segments": 10}
    for estimate, options in ((estimate_density, few), (estimate_regions, few), (estimate_patterns, {"samples": 30})):
        first, again, other = (estimate(net, box, seed=s, **options) for s in (0, 0, 1))
        assert first == again
        assert first != other
        assert repr(first).startswith("estimate of ")


def test_refusals() -> None:
    net = mlp(2, 6, 2)
    with pytest.raises(tp.InputError, match="samples"):
        estimate_patterns(net, Box(-1, 1, d=2), samples=1)
    with pytest.raises(tp.InputError, match="segments"):
        estimate_density(net, Box(-1, 1, d=2), segments=0)
    with pytest.raises(tp.InputError, match="Box"):
        estimate_regions(net, torch.zeros(3, 2))  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match="3 coordinates"):
        estimate_regions(net, Box(-1, 1, d=3))
    with pytest.raises(tp.InputError, match="3 coordinates"):
        estimate_patterns(net, Box(-1, 1, d=3))
    with pytest.raises(tp.InputError, match="two different points"):
        estimate_density(net, torch.zeros(5, 2))
    with pytest.raises(tp.InputError):
        estimate_density(net, torch.zeros(5, 3))
