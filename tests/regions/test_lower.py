"""Lowered networks: values of the network as written, in floating point and exactly; what is merged."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tropica as tp
from tests.degenerate_networks import ACTIVATIONS, KINDS, degenerate_network
from tests.oracles.cells import enumerate_cells
from tests.oracles.convex import box
from tests.traced import by_name, points, traced
from tropica.exact.rational_arrays import from_fractions
from tropica.regions.domains.constructors import Box
from tropica.regions.lower.exact_points import exact_maps, exact_points
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered, lower


def value(lowered: Lowered, x: Tensor) -> Tensor:
    """The outputs at points, stage by stage."""
    values = {-1: x.flatten(1)}
    for s, stage in enumerate(lowered.stages):
        z = stage.affine.apply({k: values[k] for k in stage.affine.sources})
        if stage.kind == "threshold":
            low, high = torch.from_numpy(stage.low), torch.from_numpy(stage.high)
            values[s] = torch.where(z > 0, high * z, low * z)
        else:
            inputs = torch.from_numpy(stage.inputs)
            given = torch.where(inputs == ZERO, 0.0, z[:, inputs.clamp(min=0)])
            values[s] = torch.where(inputs == NO_INPUT, -torch.inf, given).amax(2)
        assert values[s].shape[1] == stage.units
    return lowered.output.apply({k: values[k] for k in lowered.output.sources})


@by_name
@pytest.mark.parametrize("simplify", [True, False])
def test_values(name: str, simplify: bool) -> None:
    net, x = traced(name), points(name)
    torch.testing.assert_close(value(lower(net, simplify=simplify), x), net(x), rtol=1e-9, atol=1e-9)


@by_name
def test_matrices(name: str) -> None:
    """Multiplied out, the affine maps give what they give through the graph."""
    lowered = lower(traced(name))
    for affine in (*(stage.affine for stage in lowered.stages), lowered.output):
        if affine.dense_bytes > 1 << 21:
            continue
        values = {k: torch.randn(2, affine.source_size(k), dtype=torch.float64) for k in affine.sources}
        dense = sum(values[k].numpy() @ affine.weight(k).T for k in affine.sources) + affine.bias
        np.testing.assert_allclose(dense, affine.apply(values).numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS)))
def test_exact_values_and_maps(seed: int, activation: str) -> None:
    """Inside of every cell the oracle's outputs, in rational numbers; and its maps, from the pieces alone."""
    kind = KINDS[hash_of(activation, seed) % len(KINDS)]
    case = degenerate_network(seed, d=1 + seed % 2, kind=kind, activation=activation)
    cells = enumerate_cells(case.layers, [box([-3] * case.d, [3] * case.d)]).cells
    centers = [cell.body.center() for cell in cells]
    lowered = lower(case.net)
    found = exact_points(lowered, from_fractions([x for c in centers for x in c], (len(cells), case.d)))
    wanted = [
        [sum((a * b for a, b in zip(f, (*c, 1), strict=True)), Fraction(0)) for f in cell.outputs]
        for cell, c in zip(cells, centers, strict=True)
    ]
    assert found.outputs.numbers().tolist() == wanted
    maps = exact_maps(lowered, Box(-3, 3, d=case.d), dict(enumerate(found.pieces(lowered))))
    assert maps.numbers().tolist() == [[list(f) for f in cell.outputs] for cell in cells]


def hash_of(text: str, seed: int) -> int:
    return sum(map(ord, text)) + 7 * seed


def test_exact_weights_are_the_floats_where_they_can_be() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"dtype": torch.float64}
        layers = nn.Linear(3, 4, **sizes), nn.Flatten(), nn.Linear(4, 5, **sizes), nn.ReLU(), nn.Linear(5, 2, **sizes)
    model = nn.Sequential(*layers).eval()
    lowered = lower(tp.trace(model, torch.zeros(2, 3, dtype=torch.float64)))
    first, last = lowered.stages[0].affine, lowered.output
    assert (first.exact, last.exact) == (False, True)
    assert last.weight(0).tolist() == model[4].weight.tolist()  # type: ignore[union-attr]
    a, b = ([[Fraction(x) for x in row] for row in model[i].weight.tolist()] for i in (0, 2))  # type: ignore[union-attr]
    product = [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*a, strict=True)] for row in b]
    assert first.exact_weight(-1).numbers().tolist() == product
    assert first.weight(-1).tolist() == [[float(x) for x in row] for row in product]


def pool_network(*layers: nn.Module) -> tp.PiecewiseLinearNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 2), *layers, nn.Flatten(), nn.LazyLinear(2)).double()
    x = torch.randn(2, 1, 6, 6, dtype=torch.float64)
    model(x)
    return tp.trace(model.eval(), x)


@pytest.mark.parametrize(
    ("layers", "kinds", "zero"),
    [
        ([nn.ReLU(), nn.MaxPool2d(2)], ["window"], True),
        ([nn.MaxPool2d(2, padding=1), nn.ReLU()], ["window"], True),
        ([nn.ReLU(), nn.ZeroPad2d(1), nn.MaxPool2d(3), nn.ReLU()], ["window"], True),
        ([nn.ReLU(), nn.ConstantPad2d(1, -1.0), nn.MaxPool2d(3)], ["threshold", "window"], False),
        ([nn.LeakyReLU(0.1), nn.MaxPool2d(2)], ["window", "threshold"], False),
        ([nn.ReLU(), nn.Conv2d(2, 2, 1), nn.MaxPool2d(2)], ["threshold", "window"], False),
        ([nn.MaxPool2d(2), nn.MaxPool2d(2)], ["window", "window"], False),
    ],
)
def test_merged(layers: list[nn.Module], kinds: list[str], zero: bool) -> None:
    net = pool_network(*layers)
    lowered = lower(net)
    assert [stage.kind for stage in lowered.stages] == kinds
    assert any((stage.inputs == ZERO).any() for stage in lowered.stages) == zero
    assert len(lower(net, simplify=False).stages) == len(net.nonlinearities)
    x = torch.randn(50, 1, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(value(lowered, x), net(x))


def test_a_relu_that_others_read_is_kept() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(x)
            return torch.cat([h.flatten(1), nn.functional.max_pool1d(h, 2).flatten(1)], 1)

    net = tp.trace(Both().eval(), torch.randn(2, 1, 4).double())
    assert [stage.kind for stage in lower(net).stages] == ["threshold", "window"]


def test_upto() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double().eval()
    net, x = tp.trace(model, torch.zeros(2, 2).double()), torch.randn(5, 2).double()
    lowered = lower(net, upto="2")
    assert len(lowered.stages) == 1
    torch.testing.assert_close(value(lowered, x), model[:3](x))
    with pytest.raises(tp.InputError, match="nothing in the network is called"):
        lower(net, upto="nowhere")


def test_what_is_kept_of_a_network_is_never_stale() -> None:
    """Constants that change in place, other options, other domains."""
    net = tp.from_layers([([[1.0], [1.0]], [0.0, -0.5]), ([[1.0, 1.0]], [0.0])])
    assert [tp.count_cells(net, tp.Box(-1, 1, d=1)) for _ in range(2)] == [3, 3]
    assert tp.count_cells(net, tp.Box(-1, 0.25, d=1)) == 2
    assert tp.count_cells(net, tp.Space(1)) == 3
    bias = next(c for c in net.constants.values() if c.flatten().tolist() == [0.0, -0.5])
    bias[1] = 5.0
    assert [tp.count_cells(net, d) for d in (tp.Box(-1, 1, d=1), tp.Space(1), tp.Box(-9, 1, d=1))] == [2, 3, 3]
    assert tp.linear_regions(net, tp.Box(-9, 1, d=1)).audit().passed
    assert lower(net) is lower(net)
    assert lower(net) is not lower(net, simplify=False)
