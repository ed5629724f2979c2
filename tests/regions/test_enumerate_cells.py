"""The engine's cells against rational enumeration: counts, sign vectors, maps, volumes; order, limits, errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tropica as tp
from tests.degenerate_networks import Degenerate, degenerate_network
from tests.oracles.cells import Cells, enumerate_cells
from tests.oracles.convex import box
from tests.traced import by_name, points, traced
from tropica.errors import InputError
from tropica.regions.domains.constructors import Ball, Box, Plane, Segment
from tropica.regions.engine.cell_blocks import CellBlock, Problem, Sizes, make_problem, search_blocks
from tropica.regions.kernels import sources_key
from tropica.regions.kernels.arrays import Capacity
from tropica.regions.lower.lowering import lower
from tropica.regions.streams import count_cells, iter_cells

THIN = json.loads((Path(__file__).parent / "thin-cells.json").read_text())
ALL = frozenset(("signs", "volumes", "maps", "vertices"))
TINY = Sizes(2, 3, 4, Capacity(vertices=32, listed=64, planes=16, stack=16))


def relu_network(case: dict) -> tp.PiecewiseLinearNetwork:
    layers: list[nn.Module] = []
    for layer in case["layers"]:
        weight = torch.tensor(layer["weight"], dtype=torch.float64)
        linear = nn.Linear(weight.shape[1], weight.shape[0]).double()
        linear.weight.data, linear.bias.data = weight, torch.tensor(layer["bias"], dtype=torch.float64)
        layers += [linear, nn.ReLU()]
    return tp.trace(nn.Sequential(*layers[:-1]).eval(), torch.zeros(2, case["dimension"], dtype=torch.float64))


def random_network(d: int, width: int, depth: int) -> tp.PiecewiseLinearNetwork:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [nn.Linear(width if k else d, width), nn.ReLU()]
    return tp.trace(nn.Sequential(*layers, nn.Linear(width, 1)).double().eval(), torch.zeros(2, d, dtype=torch.float64))


def problem_of(case: Degenerate) -> Problem:
    """The oracle's layers have a relu and a max-pool as one window."""
    return make_problem(lower(case.net, simplify="relu_pool" in case.name), Box(-2, 2, d=case.d))


def joined(blocks: list[CellBlock], name: str) -> np.ndarray:
    return np.concatenate([getattr(block, name) for block in blocks])


def check(case: Degenerate, blocks: list[CellBlock], expected: Cells) -> None:
    """Each cell once; every map within its bound of one of the oracle's, none of them taken twice."""
    assert sum(map(len, blocks)) == len(expected)
    assert len(np.unique(joined(blocks, "signs"), axis=0)) == len(expected)
    assert joined(blocks, "volumes").sum() == pytest.approx(4.0**case.d, rel=1e-9)
    right = np.array([[[float(x) for x in form] for form in cell.outputs] for cell in expected.cells])
    volumes = np.array([float(cell.body.volume()) for cell in expected.cells])
    free = np.ones(len(right), bool)
    for block in blocks:
        for own, error, volume in zip(block.maps, block.map_error, block.volumes, strict=True):
            near = (np.abs(right - own).sum(2) <= 2 * (case.d + 1) * error + 1e-300).all(1) & free
            same = np.flatnonzero(near & (np.abs(volumes - volume) <= 1e-9))
            assert len(same)
            free[same[0]] = False


@pytest.mark.parametrize("case", THIN, ids=[f"{i}-{case['kind']}" for i, case in enumerate(THIN)])
def test_thin_cells(case: dict) -> None:
    found = count_cells(relu_network(case), Box(*case["box"], d=case["dimension"]), threads=1)
    assert (found, found.complete, found.certified) == (case["cells"], True, True)


def check_seed(seed: int, kind: str | None = None, activation: str | None = None) -> None:
    case = degenerate_network(seed, kind=kind, activation=activation)
    expected = enumerate_cells(case.layers, [box([-2] * case.d, [2] * case.d)])
    check(case, list(search_blocks(problem_of(case), want=ALL)), expected)


@pytest.mark.parametrize("seed", range(6))
def test_degenerate_networks(seed: int) -> None:
    check_seed(seed)


@pytest.mark.parametrize("seed", [161, 355, 658, 682])
def test_volumes_that_kernels_have_wrong(seed: int) -> None:
    """Hyperplanes so nearly parallel that float vertices are far off: the public stream solves for them again."""
    case = degenerate_network(seed)
    expected = enumerate_cells(case.layers, [box([-2] * case.d, [2] * case.d)])
    check(case, list(iter_cells(case.net, Box(-2, 2, d=case.d), simplify="relu_pool" in case.name, threads=1)), expected)


def test_a_fan_through_the_origin() -> None:
    """Without biases all hyperplanes pass through the origin, and all of the next stage's forms vanish there."""
    check_seed(0, kind="unbiased", activation="relu")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 100))
def test_more_degenerate_networks(seed: int) -> None:
    check_seed(seed)


@pytest.mark.parametrize("seed", [0, 5])
def test_order_does_not_depend_on_threads(seed: int) -> None:
    problem = problem_of(degenerate_network(seed))
    one, two = (list(search_blocks(problem, want=ALL, threads=n, window=3, sizes=TINY)) for n in (1, 2))
    for name in ("signs", "volumes", "maps", "vertices", "facets"):
        assert np.array_equal(joined(one, name), joined(two, name))
    whole = list(search_blocks(problem, want=ALL))
    assert {row.tobytes() for row in joined(one, "signs")} == {row.tobytes() for row in joined(whole, "signs")}
    for threads in (1, 2):  # counting takes shortcuts, and uses arrays again
        counted = search_blocks(problem, want=frozenset(), sizes=TINY, threads=threads, window=3)
        assert sum(map(len, counted)) == sum(map(len, whole))


def test_vertices_lie_on_their_facets() -> None:
    """In a generic network every vertex of a planar cell lies on two facets, and neighboring units vanish there."""
    net = random_network(2, 16, 3)
    (block,) = iter_cells(net, Box(-1, 1, d=2))
    assert len(block) == 178
    assert block.volumes.sum() == pytest.approx(4)
    assert set(map(int.bit_count, block.incidence[:, 0].tolist())) == {2}
    assert np.array_equal(np.diff(block.vertex_start), np.diff(block.facet_start))
    values = net(torch.from_numpy(block.vertices)).detach().numpy()[:, 0]
    cell = np.repeat(np.arange(178), np.diff(block.vertex_start))
    own = np.einsum("nk,nk->n", block.maps[cell, 0, :2], block.vertices) + block.maps[cell, 0, 2]
    np.testing.assert_allclose(own, values, atol=1e-12)


def test_other_domains() -> None:
    """Two coordinates' signs: four triangles of an l1 ball, whose vertices lie on the hyperplanes; two parts of a segment."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double().eval()
    model[0].weight.data, model[0].bias.data = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    net = tp.trace(model, torch.zeros(2, 2, dtype=torch.float64))
    assert count_cells(net, Ball([0, 0], 1, norm="l1")) == 4
    assert count_cells(net, Segment([-1, 1], [2, 1])) == 2
    assert count_cells(net, Segment([0, 1], [0, 2])) == 1  # a unit that is 0 on the whole segment


@by_name
def test_all_networks_on_a_plane(name: str) -> None:
    """Every kind of network: patterns as the other engine counts them; the maps are the network's at a point of each cell."""
    net, x = traced(name), points(name, 3)
    origin, u, v = (p.flatten().numpy() for p in x)
    plane = Plane(origin, u, v, 0.05)
    blocks = list(iter_cells(net, plane, simplify=False))
    assert joined(blocks, "volumes").sum() == pytest.approx(0.01)
    assert sum(map(len, blocks)) == len(tp.linear_regions(net, plane, simplify=False).cells)
    assert count_cells(net, plane) <= sum(map(len, blocks))
    for block in blocks:
        centers = np.add.reduceat(block.vertices, block.vertex_start[:-1]) / np.diff(block.vertex_start)[:, None]
        inputs = torch.from_numpy(plane.embed(centers)).reshape(len(block), *net.input_shape)
        own = np.einsum("nok,nk->no", block.maps[:, :, :-1], centers) + block.maps[:, :, -1]
        torch.testing.assert_close(torch.from_numpy(own), net(inputs).detach(), rtol=1e-9, atol=1e-9)


def test_prune_and_limits() -> None:
    net = random_network(2, 16, 3)
    domain = Box(-1, 1, d=2)
    (block,) = iter_cells(net, domain, arrays=["maps", "vertices"])
    low, high = block.output_range()
    level = float(np.median(low))
    kept = sum(len(b) for b in iter_cells(net, domain, prune=lambda lo, hi: hi[0] < level))
    assert kept == int((high[:, 0] >= level).sum()) < 178
    found = count_cells(random_network(2, 32, 3), domain, max_cells=100)
    assert not found.complete
    assert found >= 100


def test_errors() -> None:
    net = random_network(2, 4, 1)
    with pytest.raises(InputError, match="have 3 coordinates, but an input of the network has 2"):
        count_cells(net, Box(0, 1, d=3))
    with pytest.raises(InputError, match=r"2\^784 vertices.*tp\.Plane"):
        count_cells(random_network(784, 4, 1), Box(0, 1, d=784))
    with pytest.raises(InputError, match="threads must be"):
        count_cells(net, Box(0, 1, d=2), threads=0)
    with pytest.raises(InputError, match="max_cells must be"):
        count_cells(net, Box(0, 1, d=2), max_cells=-1)
    with pytest.raises(InputError, match="arrays must be any of"):
        iter_cells(net, Box(0, 1, d=2), arrays=["polygons"])
    with pytest.raises(InputError, match="less than one block"):
        list(iter_cells(net, Box(0, 1, d=2), memory=10))


def test_a_changed_kernel_has_another_key(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("x = 1\n")
    before = sources_key(tmp_path)
    (tmp_path / "b.py").write_text("x = 2\n")
    assert sources_key(tmp_path) != before


@pytest.mark.slow
def test_kernels_as_python() -> None:
    """The kernels run as plain Python code too, where a debugger and coverage see them."""
    chosen = "thin or (degenerate and not more) or order"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", chosen]
    subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, check=True)
