"""Convolutions in the region engine: sparse columns, equal rows, windows; against dense matrices and rational enumeration."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import tropica as tp
from tests.oracles.cells import Affine, Bend, Cells, Largest, Layer, enumerate_cells
from tests.oracles.convex import box
from tropica.exact.rational_arrays import from_fractions
from tropica.regions.complex.sign_vectors import SignLayout
from tropica.regions.domains.constructors import Plane
from tropica.regions.engine.cell_blocks import Problem, make_problem, search_blocks
from tropica.regions.engine.exact_signs import ExactSigns
from tropica.regions.engine.tasks import Counters
from tropica.regions.lower.exact_points import embedded, exact_points
from tropica.regions.lower.lowering import Lowered, lower
from tropica.regions.lower.sparse_affine import exact_rows

ALL = frozenset(("signs", "volumes", "maps", "vertices"))


class Residual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.body(x))


def traced(*layers: nn.Module, shape: tuple[int, ...], seed: int = 0) -> tp.PiecewiseLinearNetwork:
    """Weights of few bits, so that rational enumeration is quick and coincidences are common."""
    torch.manual_seed(seed)
    model = nn.Sequential(*layers).double().eval().requires_grad_(False)
    for p in model.parameters():
        p.copy_(torch.randint(-8, 9, p.shape) / 8.0)
    return tp.trace(model, torch.zeros(2, *shape, dtype=torch.float64))


def matrix(function, size: int) -> np.ndarray:
    """The matrix of an affine function of flat inputs, and its constant in the last column."""
    points = torch.cat([torch.eye(size), torch.zeros(1, size)]).double()
    values = function(points).reshape(size + 1, -1).numpy()
    return np.concatenate([(values[:-1] - values[-1]).T, values[-1:].T], 1)


def layers_of(lowered: Lowered, plane: Plane) -> list[Layer]:
    """A chain of stages, as layers of the oracle."""
    layers: list[Layer] = []
    for op, stage in zip([*(s.affine for s in lowered.stages), lowered.output], [*lowered.stages, None], strict=True):
        (k,) = op.sources
        given = matrix(lambda x, op=op, k=k: op.apply({k: x}), op.source_size(k))
        weight, bias = given[:, :-1].astype(object), given[:, -1]
        if k < 0:  # in t, exactly
            basis = np.array([[Fraction(x) for x in row] for row in plane.basis.tolist()], object)
            origin = np.array([Fraction(x) for x in plane.origin.tolist()], object)
            exact = np.array([[Fraction(x) for x in row] for row in weight.tolist()], object)
            weight, bias = exact @ basis.T, exact @ origin + np.array([Fraction(b) for b in bias.tolist()], object)
        zero = np.zeros((1, weight.shape[1]), object)
        layers.append(Affine(np.concatenate([weight, zero]).tolist(), [*bias.tolist(), 0.0]))
        if stage is None:
            layers[-1] = Affine(weight.tolist(), list(bias))
        elif stage.kind == "window":
            layers.append(Largest([[j if j >= 0 else len(weight) for j in row if j != -1] for row in stage.inputs.tolist()]))
        else:
            layers.append(Bend([*stage.low.tolist(), 0.0], [*stage.high.tolist(), 0.0]))
            layers.append(Affine(np.eye(len(weight), len(weight) + 1).tolist(), [0.0] * len(weight)))
    return layers


def check(lowered: Lowered, plane: Plane, problem: Problem, expected: Cells) -> None:
    """Cells, volumes and maps as the oracle's; at each center the sign vector of its cell, found from its bits."""
    blocks = list(search_blocks(problem, want=ALL))
    assert sum(map(len, blocks)) == len(expected)
    sizes = problem.net.size[: len(lowered.stages)].tolist()
    layout = SignLayout(lowered, tuple(sizes), tuple(left.bits for left in problem.left))
    vectors = {}
    for block in blocks:
        signs = block.signs[:, : int(layout.offsets[-1])] & layout.bending
        for i, row in enumerate(signs):
            vectors[row.tobytes()] = block.volumes[i], block.maps[i], block.map_error[i]
        assert np.array_equal(layout.vectors(layout.pieces(signs), len(block)), signs)
    assert len(vectors) == len(expected)
    centers = [x for cell in expected.cells for x in cell.body.center()]
    points = exact_points(lowered, embedded(plane, from_fractions(centers, (len(expected), 2))))
    found = layout.vectors(points.pieces(lowered), len(expected))
    for cell, row in zip(expected.cells, found, strict=True):
        volume, own, error = vectors[row.tobytes()]
        assert volume == pytest.approx(float(cell.body.volume() or 0), rel=1e-9, abs=1e-12)
        right = np.array([[float(x) for x in form] for form in cell.outputs])
        assert (np.abs(right - own).sum(1) <= 6 * error + 1e-300).all()


NETWORKS = {
    "pools": (
        (nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 2), nn.ReLU(), nn.Flatten()),
        (1, 4, 4),
    ),
    "strides": ((nn.Conv1d(1, 2, 3, stride=2), nn.LeakyReLU(0.25), nn.Conv1d(2, 2, 2, groups=2), nn.MaxPool1d(2, 1)), (1, 9)),
    "overlap": ((nn.Conv2d(1, 1, 2), nn.MaxPool2d(2, 1, padding=1), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten()), (1, 4, 4)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("background", [False, True])
def test_against_rational_enumeration(name: str, background: bool) -> None:
    """Sparse and dense columns; images with a background of zeros, on which rows and windows are equal."""
    modules, shape = NETWORKS[name]
    net = traced(*modules, nn.Flatten(), shape=shape)
    random = np.random.default_rng(1)
    images = random.integers(-4, 5, (3, int(np.prod(shape)))) / 4.0
    if background:
        images[:, : images.shape[1] // 2] = 0
    plane = Plane(*images, 1.0)
    lowered = lower(net)
    expected = enumerate_cells(layers_of(lowered, plane), [box([-1] * 2, [1] * 2)])
    for small in (0, 1 << 20):
        check(lowered, plane, make_problem(lowered, plane, small), expected)


@pytest.mark.parametrize("background", [False, True])
def test_windows_of_relus_as_written(background: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows whose relus are off, and windows that share an input, are 0 or equal on whole cells, without exact arithmetic."""
    vanishes, everywhere = ExactSigns.vanishes, []
    monkeypatch.setattr(ExactSigns, "vanishes", lambda *a: everywhere.append(vanishes(*a)) or everywhere[-1])
    modules = (nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 1), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Flatten())
    net = traced(*modules, nn.Linear(8, 2), shape=(1, 4, 4))
    images = np.random.default_rng(2).integers(-4, 5, (3, 16)) / 4.0
    if background:
        images[:, :8] = 0
    plane = Plane(*images, 1.0)
    lowered = lower(net, simplify=False)
    expected = enumerate_cells(layers_of(lowered, plane), [box([-1] * 2, [1] * 2)])
    check(lowered, plane, make_problem(lowered, plane), expected)
    assert not any(everywhere)


@pytest.mark.parametrize("name", ["pools", "strides"])
def test_units_that_bend_on_the_domain(name: str) -> None:
    """A network restricted to a small domain in floating point: the cells of exact arithmetic, maps within their bounds."""
    modules, shape = NETWORKS[name]
    net = traced(*modules, nn.Flatten(), shape=shape)
    plane = Plane(*np.random.default_rng(3).standard_normal((3, int(np.prod(shape)))), 0.25)
    lowered = lower(net)
    right, counters = list(search_blocks(make_problem(lowered, plane), want=ALL)), Counters()
    blocks = list(search_blocks(make_problem(lowered, plane, most=0), want=ALL, counters=counters))
    assert counters.undecided == 0
    one, other = (
        {round(float(v), 9): (m, e) for b in s for v, m, e in zip(b.volumes, b.maps, b.map_error, strict=True)}
        for s in (right, blocks)
    )
    assert one.keys() == other.keys()
    for volume, (weight, error) in one.items():
        assert (np.abs(weight - other[volume][0]).sum(1) <= 6 * (error + other[volume][1])).all()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(2, 3, 3, padding=1), (2, 5, 6)),
        (nn.Conv2d(4, 4, (3, 2), stride=(2, 1), groups=2), (4, 7, 5)),
        (nn.Conv1d(2, 2, 3, dilation=2), (2, 12)),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.AvgPool2d(2)), (1, 8, 8)),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (3, 4)),
    ],
)
def test_sparse_rows(module: nn.Module, shape: tuple[int, ...]) -> None:
    """The matrix found from probes is that of all columns, exactly."""
    net = traced(nn.ReLU(), module, nn.ReLU(), nn.Flatten(), shape=shape)
    op = lower(net).stages[1].affine
    probed, whole = exact_rows(op, 0, small=0), exact_rows(op, 0, small=1 << 30)
    for name in ("starts", "columns"):
        assert np.array_equal(getattr(probed, name), getattr(whole, name))
    assert (probed.numerators * whole.denominator == whole.numerators * probed.denominator).all()


def test_residual_blocks_with_sparse_columns() -> None:
    """Values that are carried past a stage: cells and maps as with dense columns."""
    block = Residual(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1)))
    net = traced(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), block, nn.Flatten(), shape=(1, 3, 3), seed=1)
    images = np.random.default_rng(2).integers(-4, 5, (3, 9)) / 4.0
    plane, lowered = Plane(*images, 0.5), lower(net)
    sparse, dense = (list(search_blocks(make_problem(lowered, plane, small), want=ALL)) for small in (0, 1 << 20))
    assert [len(b) for b in sparse] == [len(b) for b in dense]
    for one, other in zip(sparse, dense, strict=True):
        np.testing.assert_allclose(one.maps, other.maps, atol=1e-12)
        assert np.array_equal(one.signs, other.signs)
