"""Exact distances to the nearest change of label."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import tropica as tp
from tropica.queries.distances import nearest_point


def network(seed: int, sizes: list[int]) -> tp.PiecewiseLinearNetwork:
    random = np.random.default_rng(seed)
    layers = [(random.standard_normal((n, m)), random.standard_normal(n)) for m, n in itertools.pairwise(sizes)]
    return tp.from_layers(layers)


def brute_force(net: tp.PiecewiseLinearNetwork, x: list[float], norm: str) -> float:
    """The least distance over all cells, each by itself."""
    best = math.inf
    label = tp.cell(net, x).outputs.label(np.array(x))
    for here in tp.walk_cells(net, x).run().cells:
        A, b = here.halfspaces
        w, c = here.outputs.weight, here.outputs.bias
        for k in range(len(c)):
            if k != label:
                rows, offsets = np.vstack([w[label] - w[k], A]), np.append(c[k] - c[label], b)
                y = nearest_point(rows, offsets, np.array(x), norm)[1]
                if y is not None and (rows @ y - offsets <= 1e-7).all():
                    best = min(best, float(np.linalg.norm(y - x, {"l1": 1, "l2": 2, "linf": np.inf}[norm])))
    return best


@pytest.mark.parametrize(("seed", "norm"), [(4, "l1"), (1, "l2"), (3, "linf")])
def test_the_radius_is_that_of_all_cells(seed: int, norm: str) -> None:
    net = network(seed, [2, 4, 3, 3])
    found = tp.robust_radius(net, [0.3, -0.2], norm=norm)
    expected = brute_force(net, [0.3, -0.2], norm)
    assert found.found or (found.lower > 1e9 and expected == math.inf)
    assert found.upper == pytest.approx(expected, rel=1e-6)


def test_many_dimensions() -> None:
    net = network(5, [10, 6, 3])
    x = np.full(10, 0.1)
    found = tp.robust_radius(net, x, norm="linf")
    assert found.found
    random = np.random.default_rng(0)
    near = torch.from_numpy(x + random.uniform(-1, 1, (5000, 10)) * found.lower * (1 - 1e-9))
    assert (net.predict(near) == found.label).all()
    small = tp.robust_radius(net, x, norm="linf", max_cells=1)
    assert small.lower <= found.lower * (1 + 1e-9)
    assert small.upper >= found.upper * (1 - 1e-9)


def test_no_other_label_and_ties() -> None:
    apart = tp.from_layers([([[1.0]], None), ([[1.0], [1.0]], [0.0, 1.0])])
    assert tp.robust_radius(apart, [0.5]).lower == math.inf
    tie = tp.from_layers([([[1.0]], None), ([[1.0], [1.0]], None)])
    assert float(tp.robust_radius(tie, [0.5])) == 0.0
    with pytest.raises(tp.InputError, match="norm must be"):
        tp.robust_radius(tie, [0.5], norm="l0")


def test_no_other_label_in_the_domain() -> None:
    """relu(x) + 1 > 0 everywhere: the radius is ∞, and known."""
    net = tp.from_layers([([[1.0, 1.0]], None), ([[1.0]], [1.0])])
    for norm in ("l1", "l2", "linf"):
        found = tp.robust_radius(net, [0.5, -0.25], norm=norm, domain=tp.Box(-1, 1, d=2))
        assert (found.found, found.lower, found.upper) == (True, np.inf, np.inf)
