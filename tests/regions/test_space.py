"""Cells of all of space: known counts, rational enumeration of degenerate networks on orthants, vertices, rays and lines."""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
import pytest
import torch
from torch import nn

import tropica as tp
from tests.degenerate_networks import Degenerate, degenerate_network
from tests.oracles.cells import Bend, Largest, enumerate_cells
from tests.oracles.convex import orthants
from tropica.exact.linear_algebra import solve
from tropica.exact.rational_arrays import from_fractions
from tropica.regions.engine.fan import fan_rays
from tropica.regions.lower.exact_points import embedded, exact_points


def check(case: Degenerate) -> None:
    """Cells, patterns, volumes, maps, neighbors, regions and boundary: the oracle's parts in orthants, joined by pattern."""
    wanted = enumerate_cells(case.layers, orthants(case.d))
    cx = tp.linear_regions(case.net, tp.Space(case.d))
    centers = [x for cell in wanted.cells for x in cell.body.center()]
    t = from_fractions(centers, (len(wanted), case.d))
    signs = exact_points(cx.locator.lowered, embedded(cx.domain, t)).signs
    number = cx.locator.of_signs(signs, len(wanted))
    known: dict[tuple[int, ...], int] = {}
    assert all(known.setdefault(c.pattern, n) == n for c, n in zip(wanted.cells, number.tolist(), strict=True))
    assert sorted(known.values()) == list(range(len(cx)))
    assert cx.certified
    assert tp.count_cells(case.net, tp.Space(case.d), simplify=False) == len(cx)
    sizes = [np.inf if (v := c.body.volume()) is None or v > sys.float_info.max else float(v) for c in wanted.cells]
    np.testing.assert_allclose(cx.volumes, np.bincount(number, sizes), rtol=1e-7, atol=1e-10)
    pairs = {tuple(sorted(number[[i, j]].tolist())) for i, j in wanted.neighbors if number[i] != number[j]}
    assert {tuple(pair) for pair in cx.adjacency.tolist()} == pairs
    assert len(cx.maps) == len(wanted.maps)
    assert cx.audit().passed
    label = Bend() if case.outputs == 1 else Largest([range(case.outputs)])
    cut = enumerate_cells([*case.layers, label], orthants(case.d))
    sides = {tuple(sorted((cut.cells[i].pattern, cut.cells[j].pattern))) for i, j in cut.neighbors}
    labels = sorted(tuple(sorted((a[-1], b[-1]))) for a, b in sides if a[-1] != b[-1])
    assert sorted(map(tuple, cx.boundary().labels.tolist())) == labels


@pytest.mark.parametrize(
    ("seed", "d", "kind", "activation"),
    [
        (0, 2, "multiple 0.1", "relu"),
        (1, 1, "copies", "abs"),
        (2, 2, "unbiased", "relu"),
        (3, 2, "grid", "maxout"),
        (4, 2, "scale 1e300", "relu"),
        (49, 2, "rows", "clamp_min"),
        (44, 3, "multiple 0.1", "hardtanh"),
        (121, 2, "scale 1e-165", "minimum"),
    ],
)
def test_degenerate(seed: int, d: int, kind: str, activation: str) -> None:
    check(degenerate_network(seed, d=d, kind=kind, activation=activation))


def test_volumes_beyond_floats() -> None:
    """Bounded cells whose area is more than float64 holds have the area ∞, not NaN."""
    assert tp.linear_regions(degenerate_network(64, d=2).net, tp.Space(2), simplify=False).volumes.tolist() == [math.inf] * 11


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
def test_many_degenerate(seed: int) -> None:
    case = degenerate_network(seed, d=1 + seed % 3)
    if "relu_pool" not in case.name and "sort" not in case.name:  # as written these have more cells than the oracle's windows
        check(case)


def arrangement(vectors: list[list[float]]) -> tp.PiecewiseLinearNetwork:
    """A layer without biases."""
    model = nn.Sequential(nn.Linear(len(vectors[0]), len(vectors), bias=False), nn.ReLU(), nn.Linear(len(vectors), 1))
    model = model.double().eval()
    model.get_submodule("0").weight.data = torch.tensor(vectors, dtype=torch.float64)
    return tp.trace(model, torch.zeros(2, len(vectors[0]), dtype=torch.float64))


@pytest.mark.parametrize(("d", "cells"), [(2, 6), (3, 32), (4, 370), pytest.param(5, 11292, marks=pytest.mark.slow)])
def test_all_zero_one_vectors(d: int, cells: int) -> None:
    found = tp.count_cells(arrangement([list(v) for v in itertools.product((0.0, 1.0), repeat=d) if any(v)]), tp.Space(d))
    assert (found, found.certified) == (cells, True)


def test_hyperplanes_on_the_walls_of_the_fan() -> None:
    """The cells end at walls: these facets are the units'."""
    rays = fan_rays(2)
    net = arrangement([[float(-y), float(x)] for x, y in rays.tolist()])
    cx = tp.linear_regions(net, tp.Space(2))
    assert (len(cx), len(cx.adjacency), cx.audit().passed) == (6, 6, True)
    assert all(len(cell.vertices) == 1 and len(cell.rays) == 2 for cell in cx.cells)


def test_rays_span_space() -> None:
    for d in range(1, 13):
        rays = fan_rays(d)
        shares = solve(rays[:d].T, -rays[d][:, None])
        assert shares is not None
        assert all(x > 0 for x in shares.ravel())


def test_cells_with_lines() -> None:
    """Two half-planes, and three strips: no vertex; points and directions that generate them."""
    cx = tp.linear_regions(arrangement([[1.0, 0.5]]), tp.Space(2))
    assert (len(cx), len(cx.adjacency), cx.audit().passed) == (2, 1, True)
    for cell in cx.cells:
        assert len(cell.vertices)
        assert len(cell.rays) >= 2
    affine = tp.linear_regions(tp.trace(nn.Linear(2, 1).eval(), torch.zeros(2, 2)), tp.Space(2))
    assert (len(affine), affine.volume, affine.locate([[3.0, -1e9]]).tolist()) == (1, np.inf, [0])


def test_boundaries_and_preimages_of_cells_with_lines() -> None:
    """relu(x) + relu(x − 1) against y: three strips; parts of a cell in several cones of the fan count as one."""
    linear, model = nn.Linear(2, 3).double(), nn.Linear(3, 1).double()
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 0], [1.0, 0], [0, 1.0]]))
        linear.bias.copy_(torch.tensor([0.0, -1, 0]))
        model.weight.copy_(torch.tensor([[1.0, 1, -1]]))
        model.bias.zero_()
    pieces = nn.Sequential(linear, nn.PReLU(3, init=0.0).double(), model).eval()
    with torch.no_grad():
        pieces.get_submodule("1").weight.copy_(torch.tensor([0.0, 0, 1]))  # y does not bend
    cx = tp.linear_regions(tp.trace(pieces, torch.zeros(2, 2, dtype=torch.float64)), tp.Space(2))
    found = cx.boundary()
    assert (len(cx), found.labels.tolist(), sorted(found.sizes.tolist())) == (
        3,
        [[0, 1]] * 3,
        [pytest.approx(2**0.5), math.inf, math.inf],
    )
    assert sorted(p.round(12).tolist() for p in found.pieces) == [[[0, 0]], [[0, 0], [1, 1]], [[1, 1]]]
    band = cx.preimage([[1.0], [-1.0]], [1.0, 1.0])  # |N| ≤ 1
    assert (len(band), sorted(band.volumes.tolist())) == (3, [pytest.approx(2), math.inf, math.inf])
    assert sorted(len(v) for v in band.vertices) == [2, 2, 4]
    plane = tp.linear_regions(tp.trace(nn.Linear(2, 2).eval(), torch.zeros(2, 2)), tp.Space(2)).boundary()
    assert (plane.labels.tolist(), plane.sizes.tolist()) == ([[0, 1]], [math.inf])


def test_a_boundary_that_is_far_away() -> None:
    """The zero of an output whose slope is lost beside its constant, at 1e28, is a point."""
    assert tp.linear_regions(degenerate_network(3, d=1).net, tp.Space(1)).boundary().sizes.tolist() == [1]


def test_a_stream_of_space() -> None:
    """Blocks have what was asked for: together the cells of the complex, with its volumes; a branch can be pruned."""
    case = degenerate_network(7, d=2, kind="generic", activation="relu")
    cx = tp.linear_regions(case.net, tp.Space(2))
    blocks = list(tp.iter_cells(case.net, tp.Space(2), simplify=False))
    assert sum(map(len, blocks)) == len(cx)
    np.testing.assert_allclose(np.sort(np.concatenate([np.asarray(b.volumes) for b in blocks])), np.sort(cx.volumes))
    low, high = (np.concatenate(x) for x in zip(*(b.output_range() for b in blocks), strict=True))
    assert np.isinf(high).any()
    level = float(np.median(low[np.isfinite(low)]))
    kept = list(tp.iter_cells(case.net, tp.Space(2), simplify=False, arrays=["signs"], prune=lambda a, b: b[0] < level))
    assert sum(map(len, kept)) == int((high[:, 0] >= level).sum())
