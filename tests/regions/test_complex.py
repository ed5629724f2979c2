"""Cells of networks on boxes and on all of space: known counts, exact enumeration, dense sampling, geometry."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

import tropica as tp
from tests.oracles.clipping import area, relu_cells
from tests.oracles.enumeration import cells
from tests.oracles.segments import Dense, Layer
from tests.oracles.segments import Maxout as Pieces
from tests.regions.chains import as_network, integer_chains
from tests.sizes import examples, some_slow


def mlp(*sizes: int, seed: int = 0) -> nn.Sequential:
    """Default weights after ``manual_seed``."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double().eval()


def traced(model: nn.Module, *shape: int) -> tp.PiecewiseLinearNetwork:
    return tp.trace(model, torch.zeros(2, *shape, dtype=torch.float64))


def unbiased(*sizes: int) -> nn.Sequential:
    model = mlp(*sizes)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.bias.zero_()
    return model


BOXES = {(2, 16, 16, 16, 1): 178, (2, 64, 64, 64, 1): 6668, (3, 16, 16, 1): 1276, (4, 16, 16, 1): 6658, (5, 12, 12, 1): 4682}
SPACES = {(2, 16, 16, 16, 1): 1389, (3, 16, 16, 1): 5028, (4, 16, 16, 1): 41280, (5, 12, 12, 1): 30492}
CONES = {(2, 16, 16, 1): 62, (3, 10, 10, 1): 408}


@pytest.mark.parametrize("sizes", BOXES, ids=str)
def test_counts_on_a_box(sizes: tuple[int, ...]) -> None:
    cx = tp.linear_regions(traced(mlp(*sizes), sizes[0]), tp.Box(-1, 1, d=sizes[0]))
    assert len(cx.cells) == BOXES[sizes]
    assert cx.certified


@pytest.mark.parametrize("sizes", some_slow(SPACES, quick=2), ids=str)
def test_counts_in_space(sizes: tuple[int, ...]) -> None:
    assert len(tp.linear_regions(traced(mlp(*sizes), sizes[0]), tp.Space(sizes[0]))) == SPACES[sizes]


@pytest.mark.parametrize("sizes", CONES, ids=str)
def test_counts_without_biases(sizes: tuple[int, ...]) -> None:
    """All hyperplanes meet at the origin: every cell is a cone, and everything is decided there."""
    cx = tp.linear_regions(traced(unbiased(*sizes), sizes[0]), tp.Space(sizes[0]))
    assert len(cx) == CONES[sizes]
    assert cx.certified
    assert np.isinf(cx.volumes).all()
    box = tp.linear_regions(traced(unbiased(*sizes), sizes[0]), tp.Box(-1, 1, d=sizes[0]))
    assert len(box) == CONES[sizes]
    assert box.volume == pytest.approx(2.0 ** sizes[0])


@pytest.mark.parametrize("sizes", [(1, 12, 6, 1), (2, 8, 8, 1), (3, 5, 5, 1)], ids=str)
def test_volumes_in_space(sizes: tuple[int, ...]) -> None:
    """Bounded cells have the volumes that they have in a box around all of them; the others are unbounded."""
    d = sizes[0]
    net = traced(mlp(*sizes, seed=2), d)
    cx = tp.linear_regions(net, tp.Space(d))
    bounded = np.flatnonzero(np.isfinite(cx.volumes))
    assert 0 < len(bounded) < len(cx)
    assert all((len(cx.polygon(i)[1]) > 0) == np.isinf(cx.volumes[i]) for i in range(len(cx)))
    far = 1.1 * max(float(np.abs(cx.polygon(i)[0]).max()) for i in bounded)
    box = tp.linear_regions(net, tp.Box(-far, far, d=d))
    known = {row.tobytes(): volume for row, volume in zip(box.patterns, box.volumes, strict=True)}
    expected = [known[cx.patterns[i].tobytes()] for i in bounded]
    np.testing.assert_allclose(cx.volumes[bounded], expected, rtol=1e-6)


@pytest.mark.parametrize("sizes", [(2, 12, 12, 3), (3, 8, 8, 2), (4, 6, 6, 2)], ids=str)
def test_geometry(sizes: tuple[int, ...]) -> None:
    """Volumes add up, neighbors differ in one unit, dual degree ≤ 2d, counts ≤ bounds, maps and patterns are the network's."""
    d = sizes[0]
    net = traced(mlp(*sizes, seed=3), d)
    cx = tp.linear_regions(net, tp.Box(-1.5, 1, d=d))
    assert cx.volume == pytest.approx(2.5**d, rel=1e-12)
    assert cx.volumes.min() > 0
    assert 2 * len(cx.adjacency) <= 2 * d * len(cx)
    bits = np.unpackbits(cx.patterns, axis=1).astype(int)
    assert set(np.abs(bits[cx.adjacency[:, 0]] - bits[cx.adjacency[:, 1]]).sum(1)) == {1}
    assert len(np.unique(cx.patterns, axis=0)) == len(cx)
    for kind, value in tp.bounds.bounds_of(sizes[:-1]).values():
        assert kind == "lower" or len(cx) <= value
    weight, bias = cx.logits
    for cell in cx.cells[:: max(1, len(cx) // 40)]:
        corners = torch.from_numpy(cell.vertices)
        expected = net(corners).numpy()
        np.testing.assert_allclose(cell.vertices @ weight[cell.number].T + bias[cell.number], expected, atol=1e-12)
    assert len(cx.maps) <= len(cx.regions) <= len(cx.cells)


@pytest.mark.parametrize("sizes", [(2, 10, 10, 3), (3, 8, 6, 2)], ids=str)
def test_sampling_finds_nothing_else(sizes: tuple[int, ...]) -> None:
    net = traced(mlp(*sizes, seed=5), sizes[0])
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=sizes[0]))
    t = np.random.default_rng(int(torch.randint(2**31, ()))).uniform(-1, 1, (50_000, sizes[0]))
    found = cx.locate(t)
    assert found.min() >= 0
    shares = np.bincount(found, minlength=len(cx)) / len(t)
    exact = cx.volumes / cx.volume
    assert np.abs(shares - exact).max() < 6 * math.sqrt(0.25 / len(t))
    assert list(cx.locate([[2.0] * sizes[0]])) == [-1]


# ── exactness ─────────────────────────────────────────────────────────────────────────────────────────────────────────

small = st.integers(-2, 2)


@st.composite
def degenerate(draw: st.DrawFn) -> list[tuple[list[list[int]], list[int]]]:
    """Small integer weights: coinciding, parallel and dead units, corners hit exactly."""
    sizes = [2, draw(st.integers(1, 5)), draw(st.integers(1, 4)), 2]
    return [
        ([[draw(small) for _ in range(a)] for _ in range(b)], [draw(small) for _ in range(b)])
        for a, b in itertools.pairwise(sizes)
    ]


def as_module(layers: list[tuple[list[list[int]], list[int]]]) -> nn.Sequential:
    modules: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(len(weight[0]), len(weight)).double()
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight, dtype=torch.float64))
            linear.bias.copy_(torch.tensor(bias, dtype=torch.float64))
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1]).eval()


@examples(80)
@given(degenerate())
def test_degenerate_networks(layers: list[tuple[list[list[int]], list[int]]]) -> None:
    """The cells, their areas and patterns are those of exact enumeration."""
    exact = relu_cells(
        [([[Fraction(w) for w in r] for r in weight], [Fraction(c) for c in bias]) for weight, bias in layers], -1, 1
    )
    cx = tp.linear_regions(traced(as_module(layers), 2), tp.Box(-1, 1, d=2))
    assert cx.certified
    assert len(cx) == len(exact)
    assert sorted(cx.volumes) == pytest.approx(sorted(float(area(polygon)) / 2 for polygon, _, _ in exact), abs=1e-12)
    found = {np.packbits(np.array(pattern, dtype=bool)).tobytes() for _, pattern, _ in exact}
    assert {row.tobytes() for row in cx.patterns} == found
    assert len(cx.maps) == len({str(outputs) for _, _, outputs in exact})


@given(chain=integer_chains())
@examples(40)
def test_degenerate_chains_of_any_nonlinearity(chain: tuple[list[Layer], int]) -> None:
    """Relu, leaky relu, abs and maxout, in one to three dimensions: cells, patterns and maps are those of enumeration."""
    layers, d = chain
    exact = cells(layers, d, -1, 1)
    cx = tp.linear_regions(as_network(layers, d), tp.Box(-1, 1, d=d))
    assert cx.certified
    assert cx.undecided_maps == 0
    assert {row.tobytes() for row in cx.patterns} == {_packed(layers, choices) for choices, _ in exact}
    assert len(cx) == len(exact)
    assert len(cx.maps) == len({outputs for _, outputs in exact})
    assert cx.volume == pytest.approx(2.0**d)


@given(chain=integer_chains())
@examples(60)
def test_neighbors_of_degenerate_networks(chain: tuple[list[Layer], int]) -> None:
    """In the plane: two cells are neighbors where their polygons have a piece of line in common."""
    layers, d = chain
    assume(d == 2)
    cx = tp.linear_regions(as_network(layers, 2), tp.Box(-1, 1, d=2))
    assume(len(cx) <= 60)
    polygons = [cx.polygon(i)[0] for i in range(len(cx))]
    pairs = itertools.combinations(range(len(cx)), 2)
    assert {(i, j) for i, j in pairs if _common(polygons[i], polygons[j]) > 1e-6} == set(map(tuple, cx.adjacency.tolist()))


def _common(first: np.ndarray, second: np.ndarray) -> float:
    """The longest piece of line that two polygons have in common."""
    longest = 0.0
    for a, b in zip(first, np.roll(first, -1, 0), strict=True):
        length = np.linalg.norm(b - a)
        along = (b - a) / length
        for c, e in zip(second, np.roll(second, -1, 0), strict=True):
            if max(abs(np.linalg.det([along, c - a])), abs(np.linalg.det([along, e - a]))) < 1e-9:
                low, high = sorted(((c - a) @ along, (e - a) @ along))
                longest = max(longest, min(length, high) - max(0, low))
    return longest


def test_corners_of_unbounded_cells_that_are_joined() -> None:
    """max(x, y, −x − y): three cells, each a cone with one corner and two rays."""
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.MaxPool1d(3)).double().eval()
    with torch.no_grad():
        model.get_submodule("0").weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
    cx = tp.linear_regions(traced(model, 2), tp.Space(2))
    assert len(cx) == 3
    for cell in cx.cells:
        assert cell.vertices.tolist() == [[0.0, 0.0]]
        assert len(cell.rays) == 2


def _packed(layers: Sequence[Layer], choices: tuple[int, ...]) -> bytes:
    """Choices as ``net.activation_pattern`` packs them."""
    bits: list[int] = []
    left = list(choices)
    for before, layer in itertools.pairwise(layers):
        if isinstance(layer, Dense) or not isinstance(before, Dense):
            continue
        pieces = layer.pieces if isinstance(layer, Pieces) else 2
        width = max(1, (pieces - 1).bit_length())
        for _ in range(len(before.bias) // (pieces if isinstance(layer, Pieces) else 1)):
            bits += [int(digit) for digit in f"{left.pop(0):0{width}b}"]
    return np.packbits(bits).tobytes()


def test_euler_characteristic() -> None:
    """Vertices − edges + cells = 1 in the plane, as for any subdivided disk."""
    cx = tp.linear_regions(traced(mlp(2, 12, 12, 1, seed=int(torch.randint(10**6, ()))), 2), tp.Box(-1, 1, d=2))
    _, at = cx.corners
    vertices = len(np.unique(np.round(at * 2**40), axis=0))
    sides = len(at) - 2 * len(cx.adjacency)  # of the square
    assert vertices - (len(cx.adjacency) + sides) + len(cx) == 1


def test_duplicated_units() -> None:
    """Every unit twice: the same cells."""
    model = mlp(2, 8, 8, 1)
    double = mlp(2, 16, 8, 1)
    with torch.no_grad():
        double[0].weight.copy_(torch.cat([model[0].weight] * 2))
        double[0].bias.copy_(torch.cat([model[0].bias] * 2))
        double[2].weight.copy_(torch.cat([model[2].weight / 2] * 2, 1))
        double[2].bias.copy_(model[2].bias)
    for domain in (tp.Box(-1, 1, d=2), tp.Space(2)):
        one, two = (tp.linear_regions(traced(m, 2), domain) for m in (model, double))
        assert len(one) == len(two)
        assert len(one.adjacency) == len(two.adjacency)
        assert two.certified


# ── nonlinearities ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Maxout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 15), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).unflatten(1, (5, 3)).amax(2))


NONLINEARITIES = {
    "leaky": lambda: nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.1), nn.Linear(8, 8), nn.LeakyReLU(0.1), nn.Linear(8, 2)),
    "relu6": lambda: nn.Sequential(nn.Linear(2, 8), nn.Hardtanh(-0.5, 0.5), nn.Linear(8, 2)),
    "maxout": Maxout,
    "pool": lambda: nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.MaxPool1d(3), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
}


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_nonlinearities(name: str) -> None:
    """The patterns are those that dense sampling finds, each cell's map is the network's, and areas add up."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        net = traced(NONLINEARITIES[name]().double().eval(), 2)
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2), simplify=False)
    grid = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (60_000, 2)))
    sampled = {row.tobytes() for row in np.unique(net.activation_pattern(grid).numpy(), axis=0)}
    assert sampled <= {row.tobytes() for row in cx.patterns}
    missed = [i for i, row in enumerate(cx.patterns) if row.tobytes() not in sampled]
    assert all(cx.volumes[i] < 1e-3 for i in missed)
    assert cx.volume == pytest.approx(4)
    weight, bias = cx.logits
    cell = cx.locate(grid[:1000])
    values = np.einsum("nsd,nd->ns", weight[cell], grid[:1000].numpy()) + bias[cell]
    np.testing.assert_allclose(values, net(grid[:1000]).numpy(), atol=1e-12)


# ── how it is called ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_refusals() -> None:
    net = traced(mlp(2, 4, 1), 2)
    with pytest.raises(tp.InputError, match=r"or a torch\.nn\.Module is needed, got int"):
        tp.linear_regions(3, tp.Space(2))  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match="traced first"):
        tp.linear_regions(torch.nn.Conv2d(1, 1, 1).eval(), tp.Space(2))
    with pytest.raises(tp.InputError, match="have 3 coordinates, but an input of the network has 2"):
        tp.linear_regions(net, tp.Space(3))
    with pytest.raises(tp.InputError, match="2 coordinates each"):
        tp.linear_regions(net, tp.Space(2)).locate([[1.0, 2.0, 3.0]])
