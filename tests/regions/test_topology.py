"""Faces, Betti numbers, persistence and critical points against ranks of boundary matrices in integers, and known shapes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

import tropica as tp
from tests.degenerate_networks import Degenerate, degenerate_network
from tests.oracles import topology as oracle
from tests.oracles.cells import Cell, decision_boundary, enumerate_cells
from tests.oracles.convex import Row, box

Layers = list[tuple[list[list[float]], list[float]]]


# ── against the oracle ────────────────────────────────────────────────────────────────────────────────────────────────────


def value(cell: Cell, vertex: Row) -> Fraction:
    """The first output at a vertex."""
    return sum((a * Fraction(x, vertex[-1]) for a, x in zip(cell.outputs[0], vertex, strict=True)), Fraction(0))


def check(case: Degenerate) -> None:
    d, domain = case.d, box([-2] * case.d, [2] * case.d)
    cells = enumerate_cells(case.layers, [domain]).cells
    cx = tp.linear_regions(case.net, tp.Box(-2, 2, d=d), simplify="relu_pool" in case.name)
    faces = oracle.complex_of(cell.body for cell in cells)
    dimensions = [oracle.dimension(face) for face in faces]
    assert cx.vertex_values(output=0).complex.counts == tuple(np.bincount(dimensions).tolist()), case.name
    assert cx.betti_numbers() == (1,) + d * (0,)
    values = {v: value(cell, v) for cell in cells for v in cell.body.vertices}
    levels = sorted(set(values.values()))
    for c in {float(levels[i]) for i in (0, len(levels) // 3, len(levels) // 2, -1)}:
        below = {face for face in faces if all(values[v] <= c for v in face)}
        above = {face for face in faces if all(values[v] >= c for v in face)}
        assert list(cx.betti_numbers(below=c, output=0)) == oracle.relative_betti(below, d), case.name
        assert list(cx.betti_numbers(above=c, output=0)) == oracle.relative_betti(above, d), case.name
    found = tp.critical_points(cx, output=0)
    changes = [oracle.relative_betti([f for f in faces if max(map(values.__getitem__, f)) == c], d) for c in levels]
    changes = [change for change in changes if any(change)]
    left = found.ranks.tolist()
    for change in changes:  # those of several points of one value add up
        while any(change):
            change = np.subtract(change, left.pop(0)).tolist()
            assert min(change) >= 0
    assert not left
    diagram = tp.persistence(cx, output=0)  # a class begins or ends at each change of homology
    begun = np.bincount(diagram.dimension, minlength=d + 1)
    ended = np.bincount(diagram.dimension[np.isfinite(diagram.death)], minlength=d + 1)
    assert (begun + np.append(0, ended[:-1])).tolist() == found.ranks.sum(0).tolist()
    cut, pairs = decision_boundary(case.layers, domain, case.outputs)
    bodies = [cell.body for cell in cut.cells]
    facets = [frozenset(bodies[i].vertices) & frozenset(bodies[j].vertices) for i, j, _, _ in pairs]
    pieces = oracle.below(oracle.complex_of(bodies), facets)
    assert list(cx.boundary().betti_numbers()) == oracle.relative_betti(pieces, d - 1), case.name
    for label in range(max(2, case.outputs)):
        own = oracle.complex_of(cell.body for cell in cut.cells if cell.pattern[-1] == label)
        assert list(cx.betti_numbers(label=label)) == oracle.relative_betti(own, d), case.name


@pytest.mark.parametrize("seed", [10, 19, 23])
def test_all_of_it_is_that_of_the_oracle(seed: int) -> None:
    check(degenerate_network(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [8, 11, 12, 13, 14, 15, 17, 20, 21, 24, *range(25, 60)])
def test_all_of_it_is_that_of_the_oracle_many(seed: int) -> None:
    case = degenerate_network(seed)
    if int(tp.count_cells(case.net, tp.Box(-2, 2, d=case.d))) <= 60:
        check(case)


def test_the_margin_of_a_label_among_three() -> None:
    """Its diagram is that of the network with the margin as its output."""
    random = np.random.default_rng(0)
    layers = [
        (random.standard_normal((6, 2)), random.standard_normal(6)),
        (random.standard_normal((3, 6)), random.standard_normal(3)),
    ]
    linear = [torch.nn.Linear(w.shape[1], w.shape[0]).double() for w, _ in layers]

    class Margin(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(linear[0], torch.nn.ReLU(), linear[1])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = self.layers(x)
            return z[:, 1:2] - torch.maximum(z[:, 0:1], z[:, 2:3])

    for layer, (weight, bias) in zip(linear, layers, strict=True):
        layer.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    example, domain = torch.zeros(2, 2, dtype=torch.float64), tp.Box(-2, 2, d=2)
    cx = tp.linear_regions(tp.trace(Margin().layers.eval(), example), domain)
    wanted = tp.linear_regions(tp.trace(Margin().eval(), example), domain)
    for superlevel in (False, True):
        a, b = tp.persistence(cx, label=1, superlevel=superlevel), tp.persistence(wanted, superlevel=superlevel)
        assert a.dimension.tolist() == b.dimension.tolist()
        np.testing.assert_allclose([a.birth, a.death], [b.birth, b.death], atol=1e-12)
    assert cx.betti_numbers(label=1) == wanted.betti_numbers(label=1)


# ── known shapes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def square_torus() -> Layers:
    """max(|m − 2|, |z|) − 1 with m = max(|x|, |y|): a tube of square sections around a square."""
    return [
        ([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], [0] * 6),
        ([[-1, -1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1]], [0] * 3),  # relu(|y| − |x|), |x|, |z|
        ([[1, 1, 0], [-1, -1, 0], [0, 0, 1]], [-2, 2, 0]),  # relu(±(m − 2)), |z|
        ([[-1, -1, 1], [1, 1, 0]], [0, 0]),  # relu(|z| − |m − 2|), |m − 2|
        ([[1, 1]], [-1]),
    ]


def doubled(layers: Layers) -> Layers:
    """The same function with every unit twice, each with half of its outgoing weights."""
    found: Layers = []
    for i, (weight, bias) in enumerate(layers):
        columns = [[w / 2 for w in row for _ in (0, 1)] if i else list(row) for row in weight]
        copies = 1 if i == len(layers) - 1 else 2
        found.append(([row for row in columns for _ in range(copies)], [b for b in bias for _ in range(copies)]))
    return found


@pytest.mark.parametrize("layers", [square_torus(), doubled(square_torus())], ids=["once", "doubled"])
def test_a_torus(layers: Layers) -> None:
    cx = tp.linear_regions(tp.from_layers(layers), tp.Box(-4, 4, d=3))
    boundary = cx.boundary()
    mesh = boundary.mesh()
    assert boundary.betti_numbers() == (1, 2, 1)
    assert (mesh.closed, mesh.euler_characteristic, set(mesh.edges.values())) == (True, 0, {2})
    assert cx.betti_numbers(below=0) == cx.betti_numbers(label=0) == (1, 1, 0, 0)
    assert cx.betti_numbers(above=0) == cx.betti_numbers(label=1) == (1, 1, 1, 0)  # duality in a box
    assert cx.betti_numbers(below=1) == (1, 0, 0, 0)  # the hole is closed by a point
    assert cx.betti_numbers(below=-1) == (1, 1, 0, 0)  # a circle
    diagram = tp.persistence(cx)
    assert diagram.to_dataframe().to_numpy().tolist() == [[0, -1, np.inf], [1, -1, 1]]
    assert diagram.betti_numbers(0) == (1, 1, 0, 0)


def two_diamonds(distance: float) -> tp.RegionComplex:
    """The smaller of |x − a| + |y| and |x + a| + |y|, minus 1: |(|x| − a)| + |y| − 1."""
    layers: Layers = [
        ([[1, 0], [-1, 0], [0, 1], [0, -1]], [0] * 4),
        ([[1, 1, 0, 0], [-1, -1, 0, 0], [0, 0, 1, 1]], [-distance, distance, 0]),
        ([[1, 1, 1]], [-1]),
    ]
    return tp.linear_regions(tp.from_layers(layers), tp.Box(-4, 4, d=2))


def test_curves_that_touch_touch() -> None:
    cx = two_diamonds(1.0)
    assert (cx.betti_numbers(below=0), cx.betti_numbers(label=0)) == ((1, 0, 0), (1, 0, 0))
    assert (cx.betti_numbers(above=0), cx.betti_numbers(label=1)) == ((1, 2, 0), (1, 2, 0))
    assert cx.boundary().betti_numbers() == (1, 2)
    apart = two_diamonds(float(np.nextafter(np.float32(1), np.float32(2))))
    assert (apart.betti_numbers(below=0), apart.boundary().betti_numbers()) == ((2, 0, 0), (2, 2))
    points = tp.critical_points(cx)
    assert points.points[points.inside].tolist() == [[-1, 0], [1, 0], [0, 0]]
    assert points.index[points.inside].tolist() == [0, 0, 1]
    assert points.values[points.inside].tolist() == [-1, -1, 0]


def test_euler_characteristics_add_up() -> None:
    random = np.random.default_rng(3)
    layers = [(random.standard_normal((m, n)).tolist(), random.standard_normal(m).tolist()) for n, m in ((3, 7), (7, 1))]
    cx = tp.linear_regions(tp.from_layers(layers), tp.Box(-2, 2, d=3))

    def euler(betti: tuple[int, ...]) -> int:
        return sum((-1) ** k * b for k, b in enumerate(betti))

    for level in (-1.0, 0.3, 1.7):
        boundary = cx.boundary(level=level)
        both = euler(cx.betti_numbers(below=level)) + euler(cx.betti_numbers(above=level))
        assert both - euler(boundary.betti_numbers()) == 1
        assert euler(boundary.betti_numbers()) == boundary.mesh().euler_characteristic


@pytest.mark.slow
def test_four_dimensions() -> None:
    """A cross-polytope: its boundary is a sphere of dimension 3."""
    rows = np.concatenate([np.eye(4), -np.eye(4)]).tolist()
    cx = tp.linear_regions(tp.from_layers([(rows, [0] * 8), ([[1] * 8], [-1])]), tp.Box(-2, 2, d=4))
    assert cx.boundary().betti_numbers() == (1, 0, 0, 1)
    assert cx.betti_numbers(above=0) == (1, 0, 0, 1, 0)
    assert tp.critical_points(cx).index.tolist() == [0]


def test_a_mesh_of_the_cells_that_there_are() -> None:
    net = tp.from_layers(square_torus())
    assert len(tp.linear_regions(net, tp.Box(-4, 4, d=3)).boundary(level=9).mesh()) == 0
    part = tp.linear_regions(net, tp.Box(-4, 4, d=3), max_cells=20, threads=1)
    mesh = part.boundary().mesh()
    assert (mesh.area, set(mesh.edges.values()) <= {1, 2}) == (pytest.approx(part.boundary().measure), True)
    with pytest.raises(tp.InputError, match="max_cells=20 ended the enumeration"):
        part.boundary().betti_numbers()


def test_what_has_no_topology_is_refused() -> None:
    net = tp.from_layers([([[1, 0], [0, 1]], [0, 0]), ([[1, 1], [1, -1]], [0, 0])])
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    with pytest.raises(tp.InputError, match="says which set is meant; found below and label"):
        cx.betti_numbers(below=0, label=1)
    with pytest.raises(tp.InputError, match="output= says whose level"):
        cx.betti_numbers(output=0)
    with pytest.raises(tp.InputError, match="which of the 2 outputs"):
        cx.betti_numbers(below=0)
    with pytest.raises(tp.InputError, match="below= must be a finite number; found nan"):
        cx.betti_numbers(below=float("nan"), output=0)
    with pytest.raises(tp.InputError, match="label must be a number from 0 to 1; found 2"):
        tp.persistence(cx, label=2)
    with pytest.raises(tp.InputError, match="found both"):
        tp.persistence(cx, label=1, output=0)
    with pytest.raises(tp.InputError, match="max_cells=1 ended the enumeration"):
        tp.linear_regions(net, tp.Box(-1, 1, d=2), max_cells=1).betti_numbers()
    with pytest.raises(tp.InputError, match="bounded domain"):
        tp.persistence(tp.linear_regions(net, tp.Space(2)), output=0)
