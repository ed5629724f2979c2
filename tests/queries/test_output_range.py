"""Exact ranges of outputs against the vertices of all cells."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import tropica as tp
from tests.degenerate_networks import degenerate_network
from tests.oracles.cells import enumerate_cells
from tests.oracles.convex import box
from tropica.queries.all_cells import AllCells
from tropica.queries.lipschitz_range import LipschitzSearch
from tropica.regions.lower.lowering import lower


@pytest.mark.parametrize("seed", [12, 16, *(pytest.param(s, marks=pytest.mark.slow) for s in (13, 24, 30, 35, 46))])
def test_the_range_is_that_of_all_vertices(seed: int) -> None:
    case = degenerate_network(seed)
    c = [Fraction(int(v)) for v in np.random.default_rng(seed).integers(-3, 4, case.outputs)]
    found = tp.output_range(case.net, tp.Box(-2, 2, d=case.d), [int(v) for v in c])
    values = []
    for one in enumerate_cells(case.layers, [box([-2] * case.d, [2] * case.d)]).cells:
        form = [sum(v * f[i] for v, f in zip(c, one.outputs, strict=True)) for i in range(case.d + 1)]
        values += [Fraction(sum(a * x for a, x in zip(form, v, strict=True))) / v[-1] for v in one.body.vertices]
    assert found.exact, case.name
    assert (found.minimum.value, found.maximum.value) == (min(values), max(values)), case.name


def test_bad_objectives_and_limits() -> None:
    net, square = tp.from_layers([([[1.0, -1.0]], None), ([[1.0], [2.0]], None)]), tp.Box(-1, 1, d=2)
    for call, message in (
        (lambda: tp.output_range(net, square, 2), "an output 0 … 1"),
        (lambda: tp.output_range(net, square, [1.0]), "must have 2 numbers"),
        (lambda: tp.output_range(net, square, "large"), "objective must be"),
        (lambda: tp.output_range(net, square, "lipschitz"), "needs norm="),
        (lambda: tp.output_range(net, square, "lipschitz", norm="l2"), "exact for one output"),
        (lambda: tp.output_range(net, square, "lipschitz", norm="l1", output=2), "one of 0 … 1"),
        (lambda: tp.output_range(net, square, 0, norm="l1"), "norm and output are for"),
        (lambda: tp.output_range(net, tp.Space(2)), "needs a box"),
        (lambda: tp.output_range(net, tp.Box([0, 1], [1, 1])), "as many dimensions"),
        (lambda: tp.output_range(net, square, max_boxes=0), "max_boxes must be a positive"),
    ):
        with pytest.raises(tp.InputError, match=message):
            call()
    stopped = tp.output_range(net, square, 1, max_seconds=1e-9)
    assert not stopped.exact
    assert stopped.minimum.bound <= stopped.minimum.value
    assert stopped.maximum.bound >= 4


@pytest.mark.parametrize("seed", [12, *(pytest.param(s, marks=pytest.mark.slow) for s in (16, 13, 24, 30))])
def test_the_lipschitz_constant_is_that_of_all_cells(seed: int) -> None:
    case = degenerate_network(seed)
    cells = enumerate_cells(case.layers, [box([-2] * case.d, [2] * case.d)]).cells
    rows = [[[abs(Fraction(v)) for v in form[: case.d]] for form in one.outputs] for one in cells]
    columns = [max(sum(row[i] for row in one) for i in range(case.d)) for one in rows]
    for norm, output, wanted in (
        ("l1", None, columns),
        ("linf", None, [max(sum(row) for row in one) for one in rows]),
        ("l2", 0, [sum(v * v for v in one[0]) for one in rows]),
    ):
        found = tp.output_range(case.net, tp.Box(-2, 2, d=case.d), "lipschitz", norm=norm, output=output)
        assert found.exact, case.name
        assert (found.minimum.value, found.maximum.value) == (min(wanted), max(wanted)), (case.name, norm)


def halves(inputs: int) -> np.ndarray:
    """(2, inputs): the sums of the first and of the last inputs."""
    return np.kron(np.eye(2), np.ones(inputs // 2))


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_ranges_in_many_dimensions(scale: float) -> None:
    """|u| + |v| and relu(u) − relu(v) for sums u, v of 8 inputs each, on [−1/8, 1/8]^16."""
    absolute = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]) @ halves(16)
    layers = [(absolute * scale, None), ([[1.0, 1, 1, 1], [1, 0, -1, 0]], None)]
    net, square = tp.from_layers(layers), tp.Box(-0.125, 0.125, d=16)
    size = Fraction(float(scale))
    for c, least, most in (([1, 0], 0, 2), ([0, 1], -1, 1), ([1, -1], 0, 3)):
        found = tp.output_range(net, square, c, max_seconds=20)
        assert found.minimum.bound <= least * size <= found.minimum.value
        assert found.maximum.value <= most * size <= found.maximum.bound
        assert found.maximum.value == most * size
        assert scale != 1 or float(found.maximum.bound) == pytest.approx(most, abs=1e-5)
    assert tp.output_range(net, square, [0, 1]).maximum.exact


@pytest.mark.parametrize("seed", [12, 16, *(pytest.param(s, marks=pytest.mark.slow) for s in range(100, 124))])
def test_the_range_of_enumerated_cells_is_that_of_all_vertices(seed: int) -> None:
    """What the search does after some boxes, at once: extremes of an output and of the Jacobian's norms."""
    case = degenerate_network(seed, d=1 + seed % 3)
    domain = tp.Box(-1, 2, d=case.d)
    cells, wanted = AllCells(case.net, domain), enumerate_cells(case.layers, [box([-1] * case.d, [2] * case.d)]).cells
    tp.linear_regions(case.net, domain)  # compiles the kernels, which may take longer than the limit
    found = cells.within(5)
    if found is None:  # signs that are not proven, or a busy machine
        assert seed >= 100
        return
    assert len(found) == len(wanted), case.name
    for sign in (1, -1):
        c = [Fraction(sign)] + [Fraction(0)] * (case.outputs - 1)
        values = [
            Fraction(sum(a * x for a, x in zip(o.outputs[0], v, strict=True))) / v[-1] for o in wanted for v in o.body.vertices
        ]
        best = cells.least(c)
        assert best is not None
        assert best[0] == min(sign * v for v in values), case.name
        columns = [max(sum(abs(f[i]) for f in one.outputs) for i in range(case.d)) for one in wanted]
        search = LipschitzSearch(case.net, lower(case.net), domain, "l1", list(range(case.outputs)), sign, 0)
        assert search.least_of(cells)[0] == min(sign * v for v in columns), case.name


def test_a_limit_of_seconds_is_kept() -> None:
    """Boxes with many cells are not taken apart beyond the limit."""
    random = np.random.default_rng(0)
    layers = [(random.standard_normal((n, m)), random.standard_normal(n)) for m, n in ((6, 24), (24, 24), (24, 1))]
    found = tp.output_range(tp.from_layers(layers), tp.Box(-1, 1, d=6), max_seconds=0.3)
    assert found.seconds < 20
    assert found.minimum.bound <= found.minimum.value
