"""The predicate for the pieces at a point, against Fractions: units that are exactly 0, ties, numbers of every size."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

import tropica as tp
from tests.network_modules import Apply
from tests.oracles.exact_points import exact_pieces
from tropica.network.point_signs import PointSigns, SignSettings, UnitPieces


class Chain(nn.Module):
    """z ↦ relu(z) − relu(−z), which is z, some times, beside units that are 0 everywhere but not in floating point."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(times))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            z = layer(x)
            back = torch.relu(z) - torch.relu(-z)
            first, second = back.split(1, 1)
            zero = (first + second) - first - second
            x = back + torch.relu(zero) - torch.relu(-zero)
        return x


class Lattice(nn.Module):
    """The smallest of largest of few affine functions, by relus alone: max(a, b) = relu(a − b) + b."""

    def __init__(self) -> None:
        super().__init__()
        self.planes = nn.Linear(2, 4)

    def forward(self, x: Tensor) -> Tensor:
        a, b, c, d = self.planes(x).split(1, 1)
        first, second = torch.relu(a - b) + b, torch.relu(c - a) + a
        third = torch.relu(first - a) + a  # max(a, b) again
        low = first - torch.relu(first - second)
        return torch.cat([low - torch.relu(low - third), torch.relu(d) - torch.relu(-d)], 1)


def _pools() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.LeakyReLU(0.3),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        nn.AvgPool2d(2, 1),
        nn.PReLU(2),
        nn.AdaptiveMaxPool2d((2, 3)),
        nn.Flatten(),
        nn.Linear(12, 3),
        Apply("amax", lambda z: torch.cat([z.amax(1, keepdim=True), z.abs(), z.clamp(-0.5, 1.0)], 1)),
        nn.Linear(7, 2),
        nn.ReLU(),
    )


MODELS = {
    "chain": (lambda: Chain(2), (2,)),
    "lattice": (Lattice, (2,)),
    "pools": (_pools, (1, 5, 6)),
    "maximum": (lambda: nn.Sequential(nn.Linear(3, 4), Apply("max", lambda z: torch.maximum(z, z.flip(1)))), (3,)),
    "upsample": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 1, 2), nn.ReLU(), nn.Upsample(size=(3, 5), mode="bilinear"), nn.ReLU(), nn.Flatten()
        ),
        (1, 3, 4),
    ),
}


@cache
def network(name: str, coarse: bool) -> tp.PiecewiseLinearNetwork:
    """A network of float32 weights, or of multiples of 1/4, so that many units are exactly 0."""
    make, shape = MODELS[name]
    torch.manual_seed(1)
    model = make().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_((4 * p).round() / 4 if coarse else p)
    return tp.trace(model, torch.zeros(2, *shape))


def points(net: tp.PiecewiseLinearNetwork, n: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, *net.input_shape, generator=generator, dtype=torch.float64)
    x[n // 2 :] = x[n // 2 :].round()
    x[-1] = 0
    return x


def as_lists(found: list[UnitPieces], net: tp.PiecewiseLinearNetwork) -> dict[str, list[list[list[int]]]]:
    """Attaining pieces as the oracle gives them, with the active piece first."""
    lists: dict[str, list[list[list[int]]]] = {}
    for unit in found:
        assert unit.attaining is not None
        attaining = unit.attaining.reshape(*unit.attaining.shape[:2], -1)
        count, points, units = attaining.shape
        places = torch.arange(count).reshape(count, 1, 1).expand(attaining.shape)
        if unit.piece.dtype != torch.bool:
            shape = net.shapes[unit.node.inputs[0]][1:]
            flat = torch.arange(shape.numel(), dtype=torch.float64).reshape(1, *shape)
            places = unit.node.op.windows(flat, -1.0).long().reshape(count, 1, units).expand(attaining.shape)
        active = places.gather(0, unit.piece.long().reshape(1, points, units))[0]
        lists[unit.node.name] = []
        for p in range(points):
            row = []
            for u in range(units):
                every = places[attaining[:, p, u], p, u].tolist()
                assert every[0] == int(active[p, u])
                row.append(every)
            lists[unit.node.name].append(row)
    return lists


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_against_fractions(name: str, coarse: bool) -> None:
    net = network(name, coarse)
    x = points(net)
    wanted = exact_pieces(net, x)
    assert as_lists(net.signs(x, ties=True), net) == wanted
    exact = net.to(torch.float64)
    small = PointSigns(exact.graph, exact.constants, exact.shapes, SignSettings(numbers=1, limbs=1, growth=2))
    assert as_lists(small(x, ties=True), net) == wanted


def test_zero_units_are_zero() -> None:
    """What floating point computes as ±1e-16 is told from what is that small."""
    net = network("chain", False)
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact, model = net.activation_pattern(x.float()), net.activation_pattern(x.float(), floating="model")
    assert len(exact.unique(dim=0)) < len(model.unique(dim=0))


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e150, 1e300])
def test_numbers_of_every_size(scale: float) -> None:
    """Underflow, overflow and cancellation do not decide a sign."""
    first = [[1.0, 1.0, -1.0], [1.0, -1.0, 0.0], [0.1, 0.2, -0.3]]
    second = [[1.0, -1.0, 3.0], [1e-100, 1.0, -1.0]]
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False), nn.ReLU()).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(first, dtype=torch.float64) * scale)
        model[2].weight.copy_(torch.tensor(second, dtype=torch.float64) * 1e-160)
    net = tp.trace(model, torch.zeros(2, 3).double())
    rows = [[1.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.1, 0.2, 0.3], [1e-150, 1e-160, 1e-150], [1e308, 1e308, 1e308]]
    x = torch.tensor(rows, dtype=torch.float64)
    assert as_lists(net.signs(x, ties=True), net) == exact_pieces(net, x)


def test_floating_is_a_word() -> None:
    net = network("lattice", False)
    with pytest.raises(tp.InputError, match='floating must be "exact" or "model"; found True'):
        net.activation_pattern(torch.zeros(1, 2), floating=True)  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match="finite points"):
        net.activation_pattern(torch.full((1, 2), torch.nan))
