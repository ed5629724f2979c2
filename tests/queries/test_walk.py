"""Walks over neighbors against the rational enumerator, on networks full of coincidences."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import tropica as tp
from tests.degenerate_networks import Degenerate, degenerate_network
from tests.oracles.cells import enumerate_cells
from tests.oracles.convex import box

QUICK = (12, 13)


def start(case: Degenerate, domain: tp.Box) -> list[float]:
    """A point of the box that is on no border."""
    random = np.random.default_rng(0)
    while True:
        x = random.uniform(-2, 2, case.d).tolist()
        try:
            tp.cell(case.net, x, domain=domain, simplify="relu_pool" in case.name)
        except tp.InputError:
            continue
        return x


def check(case: Degenerate, order: str = "breadth") -> tp.Walk:
    domain = tp.Box(-2, 2, d=case.d)
    expected = enumerate_cells(case.layers, [box([-2] * case.d, [2] * case.d)])
    simplify = "relu_pool" in case.name
    walk = tp.walk_cells(case.net, start(case, domain), within=domain, order=order, simplify=simplify).run()
    found = [tuple(int(p) for stage in c.pieces for p in stage) for c in walk.cells]
    assert walk.complete, case.name
    assert len(set(found)) == len(found) == len(expected), case.name
    maps = [tuple(np.column_stack([c.outputs.weight, c.outputs.bias]).ravel().tolist()) for c in walk.cells]
    assert sorted(maps) == sorted(tuple(float(e) for form in c.outputs for e in form) for c in expected.cells), case.name
    return walk


@pytest.mark.parametrize("seed", QUICK)
def test_every_cell_is_visited_once(seed: int) -> None:
    check(degenerate_network(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_every_cell_is_visited_once_many(seed: int) -> None:
    check(degenerate_network(seed), ("breadth", "nearest")[seed % 2])


def quadrants() -> tp.PiecewiseLinearNetwork:
    return tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])


def test_nearest_first_goes_by_the_distance_to_the_closed_cell() -> None:
    steps = list(tp.walk_cells(quadrants(), [1.0, 2.0], order="nearest"))
    assert [round(s.distance, 9) for s in steps] == [0.0, 1.0, 2.0, round(math.sqrt(5), 9)]
    near = tp.walk_cells(quadrants(), [1.0, 2.0], max_distance=1.5, norm="linf").run()
    assert len(near) == 2
    assert near.complete


def test_a_walk_between_two_points_goes_from_facet_to_facet() -> None:
    walk = tp.walk_cells(quadrants(), [1.0, 1.0], to=[-1.0, -1.0]).run()  # the segment meets both hyperplanes at 0
    assert len(walk) == 3
    assert walk.complete
    assert len(walk.edges) == 2
    graph = tp.walk_cells(quadrants(), [1.0, 2.0]).run().to_networkx()
    assert sorted(d for _, d in graph.degree) == [2, 2, 2, 2]


def test_limits_end_a_walk() -> None:
    walk = tp.walk_cells(quadrants(), [1.0, 2.0], max_cells=2).run()
    assert len(walk) == 2
    assert not walk.complete
    with pytest.raises(tp.InputError, match="max_cells must be a positive number"):
        tp.walk_cells(quadrants(), [1.0, 2.0], max_cells=0)
    with pytest.raises(tp.InputError, match="order must be"):
        tp.walk_cells(quadrants(), [1.0, 2.0], order="best")


def test_many_starts_visit_each_cell_once() -> None:
    starts = [[1.0, 2.0], [3.0, 1.0], [-1.0, -1.0]]  # two of them in one cell
    steps = list(tp.walk_cells(quadrants(), starts))
    assert [(s.number, s.parent, s.start) for s in steps] == [(0, -1, 0), (1, -1, 2), (2, 0, 0), (3, 0, 0)]
    near = list(tp.walk_cells(quadrants(), starts, order="nearest"))
    assert [round(s.distance, 9) for s in near] == [0.0, 0.0, 1.0, 1.0]  # of the nearest start
    walk = tp.walk_cells(quadrants(), starts).run()
    assert (walk.complete, walk.depths, len(walk.edges)) == (True, [0, 0, 1, 1], 4)
    with pytest.raises(tp.InputError, match="one start, and one process"):
        tp.walk_cells(quadrants(), starts, to=[1.0, 1.0])
    with pytest.raises(tp.InputError, match="processes must be a whole number"):
        tp.walk_cells(quadrants(), starts, processes=0)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["breadth", "nearest"])
def test_processes_change_nothing(order: str) -> None:
    case = degenerate_network(24, d=2)
    domain = tp.Box(-2, 2, d=2)
    walks = [tp.walk_cells(case.net, start(case, domain), within=domain, order=order, processes=n).run() for n in (1, 2)]
    points = [[c.inside.numbers().tolist() for c in walk.cells] for walk in walks]
    assert points[0] == points[1]
    assert (walks[0].edges, walks[0].parents) == (walks[1].edges, walks[1].parents)
    assert walks[0].complete


@pytest.mark.parametrize("scale", [1.0, 3.0, 1e11])
def test_a_side_of_the_domain_on_the_hyperplane_of_a_unit(scale: float) -> None:
    """The facet there is the domain's: nothing lies beyond it, and walks and ranges end."""
    net = tp.from_layers([([[scale, 0.0], [0.0, 1.0]], None), ([[-1.0, 1.0]], [0.5])])
    box = tp.Box([-0.875, -1.0], [0.0, 1.0])
    cell = tp.cell(net, [-0.4, 0.5], domain=box)
    assert sorted(cell.facets.units) == ["domain[0]", "domain[1]", "domain[2]", "relu0[1]"]
    with pytest.raises(tp.InputError, match="border of the domain"):
        cell.neighbor(next(f for f in cell.facets if cell.facets.units[f] == "domain[0]"))
    assert len(list(tp.walk_cells(net, [-0.4, 0.5], within=box))) == tp.count_cells(net, box) == 2
    found = tp.output_range(net, box)
    assert found.exact
    assert (found.minimum.value, found.maximum.value) == (Fraction(1, 2), Fraction(3, 2))
