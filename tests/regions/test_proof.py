"""What the engine proves: bounds on rounding, on where vertices are, and what happens when floating point misleads it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tropica as tp
from tests.regions.test_complex import mlp, traced
from tests.sizes import examples
from tropica.regions import step as steps
from tropica.regions import walk as walks
from tropica.regions.maps import affine_maps, errors
from tropica.regions.step import Step
from tropica.regions.walk import Walk


def _exact_at(walk: Walk, v: int) -> np.ndarray:
    point = walk.exact.point(v)
    return np.array([float(Fraction(point.top[i], point.bottom)) for i in range(walk.state.d + 1)])


@pytest.mark.parametrize("domain", [tp.Box(-1, 1, d=2), tp.Space(2), tp.Box(-2, 1, d=3)], ids=["square", "plane", "cube"])
@given(seed=st.integers(0, 10**6), log=st.integers(-6, 3))
@examples(5)
def test_vertices_are_as_near_as_is_said(domain: tp.Box | tp.Space, seed: int, log: int) -> None:
    """Exact places are within the bounds, also where the scales of the layers differ; and so are the values."""
    model = mlp(domain.dimension, 6, 6, 1, seed=seed)
    with torch.no_grad():
        model.get_submodule("0").weight.mul_(10.0**log)
    walk = Walk.through(traced(model, domain.dimension), domain)
    off = walk.state.vertices["off"]
    assert np.isfinite(off).all()
    for v in np.random.default_rng(seed).permutation(walk.state.vertices.size)[:40].tolist():
        exact, at = _exact_at(walk, v), walk.state.vertices["at"][v]
        # in homogeneous coordinates points on one ray are the same
        away = at - exact * (at @ exact) / (exact @ exact) if walk.unbounded else at - exact
        assert np.linalg.norm(away) <= off[v]
        if log == 0:
            assert off[v] < 1e-6  # a bound that says something


@given(seed=st.integers(0, 10**6))
@examples(10)
def test_values_are_as_near_as_is_said(seed: int) -> None:
    """The values with which a step begins differ from exact ones by the bounds at most."""
    seen: list[float] = []

    class Watched(Step):
        def run(self, values: np.ndarray, columns: np.ndarray, zero: np.ndarray | None) -> None:
            walk = self.walk
            off = walk.state.vertices["off"]
            for v in np.random.default_rng(seed).permutation(walk.state.vertices.size)[:20].tolist():
                for i in range(len(self.units)):
                    exact = float(walk.exact.value(v, walk.exact.functions[int(self.constraints[i])]))
                    assert abs(values[v, columns[i]] - exact) <= self.error[i] + self.slope[i] * off[v]
            seen.append(float(self.error.max()))
            super().run(values, columns, zero)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walks, "Step", Watched)
        Walk.through(traced(mlp(2, 8, 8, 8, 1, seed=seed), 2), tp.Box(-1, 1, d=2))
    assert seen  # a layer that is dead takes no step
    assert max(seen) < 1e-9


def test_a_walk_that_floating_point_misleads_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With limits far too small signs are taken as they stand; those that matter are found out, and the count is right."""
    started: list[float] = []
    run = Walk.run

    def watched(self: Walk, after: object = None) -> bool:
        self.slack *= 1e-9 if not started else 1
        started.append(self.slack)
        return run(self)

    # Every hyperplane passes through (1/3, 1/3), which is no float: rounding moves them apart.
    model = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 1)).double().eval()
    angles = torch.arange(12, dtype=torch.float64) * 0.25 + 0.1
    with torch.no_grad():
        model[0].weight[:] = torch.stack([angles.cos(), angles.sin()], 1)
        model[0].bias[:] = -(model[0].weight / 3).sum(1)
    wanted = len(tp.linear_regions(traced(model, 2), tp.Box(-1, 1, d=2)))
    monkeypatch.setattr(Walk, "run", watched)
    monkeypatch.setattr(Step, "_limit", lambda self, off, depth, which: self.error[which] + 1e-9 + 0 * off)
    monkeypatch.setattr(steps, "COMMON", 0.0)
    cx = tp.linear_regions(traced(model, 2), tp.Box(-1, 1, d=2))
    assert len(cx) == wanted


@given(seed=st.integers(0, 10**6))
@examples(10)
def test_maps_are_as_near_as_is_said(seed: int) -> None:
    """Coefficients differ from exact ones by the bounds at most."""
    cx = tp.linear_regions(traced(mlp(3, 7, 7, 2, seed=seed), 3), tp.Box(-1, 1, d=3))
    walk = Walk.start(cx.net, cx.domain)
    weight, bias = affine_maps(walk.folded, cx.centers)
    slope, shift = errors(walk.folded, cx.centers)
    for c in range(0, len(cx), max(1, len(cx) // 20)):
        *top, bottom = walk.exact.map(cx.centers[c])
        exact = np.array([float(Fraction(t, bottom)) for t in top]).reshape(4, 2)
        assert (np.abs(weight[c].T - exact[:3]) <= slope).all()
        assert (np.abs(bias[c] - exact[3]) <= shift).all()
    assert max(slope.max(), shift.max()) < 1e-10


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
    cx = tp.linear_regions(traced(model.eval(), 1, 4, 4), tp.Plane.through(a, b, c))
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
