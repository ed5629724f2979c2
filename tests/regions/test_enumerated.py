"""What relates the cells of a complex, against rational enumeration of degenerate networks; polytopes as domains."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tropica as tp
from tests.degenerate_networks import Degenerate, degenerate_network
from tests.oracles.cells import decision_boundary, enumerate_cells
from tests.oracles.convex import box
from tests.oracles.segments import Leaky
from tests.regions.chains import as_network, dense
from tropica.exact.rational_arrays import from_fractions
from tropica.regions.complex.audit import audit_cells
from tropica.regions.complex.distinct_maps import distinct_maps
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.enumerated import enumerate_cells as enumerated
from tropica.regions.engine.volume import hull_volume
from tropica.regions.lower.exact_points import embedded, exact_points

THIN = json.loads((Path(__file__).parent / "thin-cells.json").read_text())


def check(case: Degenerate) -> None:
    """Cells, patterns, volumes, maps, neighbors, regions and boundary of a network on [−3, 3]^d."""
    body = box([-3] * case.d, [3] * case.d)
    wanted = enumerate_cells(case.layers, [body])
    cx = tp.linear_regions(case.net, tp.Box(-3, 3, d=case.d))
    centers = [x for cell in wanted.cells for x in cell.body.center()]
    t = from_fractions(centers, (len(wanted), case.d))
    signs = exact_points(cx.locator.lowered, embedded(cx.domain, t)).signs
    number = cx.locator.of_signs(signs, len(wanted))
    assert cx.certified
    assert sorted(number.tolist()) == list(range(len(cx)))
    np.testing.assert_allclose(cx.volumes[number], [float(c.body.volume() or 0) for c in wanted.cells], rtol=1e-8, atol=1e-10)
    neighbors = {tuple(sorted(number[[i, j]].tolist())) for i, j in wanted.neighbors}
    assert {tuple(pair) for pair in cx.adjacency.tolist()} == neighbors
    assert len(cx.maps) == len(wanted.maps)
    assert {frozenset(cells.tolist()) for cells in cx.regions} == {frozenset(number[list(r)].tolist()) for r in wanted.regions}
    _, pairs = decision_boundary(case.layers, body, case.outputs)
    found = cx.boundary()
    assert sorted(map(tuple, found.labels.tolist())) == sorted((low, high) for *_, low, high in pairs)


@pytest.mark.parametrize(
    ("seed", "kind", "activation"),
    [
        (0, "multiple 0.1", "relu"),
        (1, "copies", "relu"),
        (2, "unbiased", "abs"),
        (3, "grid", "hardtanh"),
        (4, "scale 1e300", "relu"),
        (5, "ulp", "maximum"),
        (6, "pruned", "leaky"),
    ],
)
def test_degenerate(seed: int, kind: str, activation: str) -> None:
    check(degenerate_network(seed, d=2, kind=kind, activation=activation))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_many_degenerate(seed: int) -> None:
    case = degenerate_network(1000 + seed, d=1 + seed % 3)
    if "relu_pool" not in case.name and "sort" not in case.name:  # as written these have more cells than the oracle's windows
        check(case)


@pytest.mark.parametrize("seed", [1059, 1158])
def test_facets_that_are_flat_in_floating_point(seed: int) -> None:
    """Pieces of the boundary whose corners lie on a line, or coincide, as floats."""
    check(degenerate_network(seed, d=3))


def test_volume_of_flat_and_thin_hulls() -> None:
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert hull_volume(corners * [1, 0], 2) == hull_volume(corners[:1].repeat(3, 0), 2) == 0
    np.testing.assert_allclose(hull_volume(corners * [1, 1e-12] + [0, 1], 2), 1e-12, rtol=1e-3)


@pytest.mark.slow
def test_volumes_where_hyperplanes_are_nearly_parallel() -> None:
    """Two facets that meet at an angle of 1e-16: the float vertices of their ridge are far off, and are solved for again."""
    case = degenerate_network(116, d=4)
    check(case)
    streamed = sum(float(block.volumes.sum()) for block in tp.iter_cells(case.net, tp.Box(-3, 3, d=4), arrays=["volumes"]))
    assert abs(streamed / 6**4 - 1) < 1e-9


@pytest.mark.parametrize("case", [c for c in THIN if c["dimension"] == 2], ids=lambda c: c["kind"])
def test_thin_cells(case: dict) -> None:
    layers: list = []
    for layer in case["layers"]:
        layers += [dense(layer["weight"], layer["bias"]), Leaky(Fraction(0))]
    cx = tp.linear_regions(as_network(layers[:-1], 2), tp.Box(*case["box"], d=2))
    assert (len(cx), len(cx.maps), cx.certified) == (case["cells"], case["affine_maps"], True)


def thin_case() -> Enumerated:
    """A network with a unit that is a rounded tenth of another: cells thinner than rounding."""
    case = degenerate_network(0, d=2, kind="multiple 0.1", activation="relu")
    return enumerated(case.net, tp.Box(-3, 3, d=2))


def test_audit() -> None:
    """The check passes on what is right, and finds what each mechanism of the first edition made wrong."""
    good = thin_case()
    numbers = good.map_of
    assert audit_cells(good, numbers).passed
    maps = np.asarray(good.cells.maps)
    pairs = good.adjacency[numbers[good.adjacency[:, 0]] != numbers[good.adjacency[:, 1]]]
    a, b = (int(x) for x in pairs[0])
    # 1. a map evaluated at a center that is not inside of the cell: it becomes its neighbor's, and the two are merged
    swapped = maps.copy()
    swapped[a] = maps[b]
    found = audit_cells(
        replace(good, cells=replace(good.cells, maps=swapped)), np.where(numbers == numbers[a], numbers[b], numbers)
    )
    assert found.wrong_maps == (a,)
    assert a in found.wrongly_merged or b in found.wrongly_merged
    # 2. a thin cell is lost
    keep = np.arange(len(good)) != int(np.argmin(good.volumes))
    assert audit_cells(replace(good, cells=good.cells.select(keep)), numbers[keep]).open_facets
    # 3. a bound overflows, and a filter accepts a sign that does not hold on all of the cell
    signs = np.asarray(good.cells.signs).copy()
    signs[a] = signs[b]
    assert a in audit_cells(replace(good, cells=replace(good.cells, signs=signs)), numbers).contradicted


def test_cells_of_polytopes() -> None:
    """The coordinate planes on polytopes that are not boxes, and the points of borders."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1)).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))  # type: ignore[operator]
    net = tp.trace(model, torch.zeros(2, 2, dtype=torch.float64))
    ball = tp.linear_regions(net, tp.Ball([0, 0], 1, norm="l1"))
    assert (len(ball), ball.volumes.tolist(), len(ball.adjacency)) == (4, [0.5] * 4, 4)
    assert ball.locate([[0, 0], [2, 0]]).tolist() == [0, -1]
    triangle = tp.linear_regions(net, tp.Triangle([-1, -1], [1, 0], [0, 1]))
    assert (len(triangle), round(triangle.volume, 12)) == (4, 1.5)
    assert len(tp.linear_regions(net, tp.Polytope.from_vertices([[0, 0], [1, 0], [1, 1]]))) == 1
    flat = tp.linear_regions(net, tp.Box([-1, 0.5], [1, 0.5]))
    assert (len(flat), flat.dimension, flat.adjacency.tolist()) == (2, 1, [[0, 1]])
    with pytest.raises(tp.InputError, match="3 coordinates"):
        tp.linear_regions(net, tp.Ball([0, 0, 0], 1))


def test_maps_that_floats_do_not_tell_apart() -> None:
    """Equal floats of different maps, and different floats of equal maps."""
    maps = np.array([[[1.0, 0.0]], [[1.0, 0.0]], [[1.0, 1e-17]], [[2.0, 0.0]]])
    asked: list[int] = []

    def exact(cells: np.ndarray) -> list:
        asked.extend(cells.tolist())
        return ["ABA"[c] for c in cells]

    number, undecided = distinct_maps(maps, np.full((4, 1), 1e-15), np.array([[-1.0], [1.0]]), exact)
    assert (number.tolist(), undecided, sorted(asked)) == ([0, 1, 0, 2], 0, [0, 1, 2])
