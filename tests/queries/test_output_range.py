"""Exact ranges of outputs against the vertices of all cells."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import tropica as tp
from tests.degenerate_networks import degenerate_network
from tests.oracles.cells import enumerate_cells
from tests.oracles.convex import box


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
