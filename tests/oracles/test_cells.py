"""The rational enumeration of cells against counts known from an independent program, and against itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.degenerate_networks import degenerate_network
from tests.oracles.cells import Affine, Bend, Layer, decision_boundary, enumerate_cells
from tests.oracles.convex import box, orthants, simplex

THIN = json.loads((Path(__file__).parents[1] / "regions" / "thin-cells.json").read_text())


def relu_layers(case: dict) -> list[Layer]:
    """The layers of a case of thin-cells.json."""
    layers: list[Layer] = []
    for layer in case["layers"]:
        layers += [Affine(layer["weight"], layer["bias"]), Bend()]
    return layers[:-1]


@pytest.mark.parametrize("case", THIN, ids=[f"{i}-{case['kind']}" for i, case in enumerate(THIN)])
def test_known_counts(case: dict) -> None:
    (lo, hi), d = case["box"], case["dimension"]
    found = enumerate_cells(relu_layers(case), [box([lo] * d, [hi] * d)])
    assert (len(found), len(found.maps)) == (case["cells"], case["affine_maps"])
    assert len(found.patterns) == len(found)
    assert found.volume == (hi - lo) ** d


def test_coordinate_hyperplanes() -> None:
    """Two units that are the coordinates: four quadrants, on a box, on a simplex and in space."""
    layers = [Affine([[1, 0], [0, 1]], [0, 0]), Bend(), Affine([[1, 1]], [0])]
    square = enumerate_cells(layers, [box([-1, -1], [1, 1])])
    assert (len(square), len(square.maps), len(square.neighbors), len(square.common(0))) == (4, 4, 4, 6)
    assert square.integral() == [2]  # ∫ max(x, 0) + max(y, 0)
    assert len(enumerate_cells(layers, [simplex([[0, 0, 1], [1, 0, 1], [0, 1, 1]])])) == 1
    assert len(enumerate_cells(layers, orthants(2)).patterns) == 4


def test_boundary_of_the_larger_coordinate() -> None:
    layers = [Affine([[1, 0], [0, 1]], [0, 0])]
    cut, pairs = decision_boundary(layers, box([0, 0], [1, 1]), 2)
    assert (len(cut), pairs) == (2, [(0, 1, 0, 1)])


@pytest.mark.parametrize("seed", range(8))
def test_cells_fill_the_domain(seed: int) -> None:
    case = degenerate_network(seed)
    found = enumerate_cells(case.layers, [box([-3] * case.d, [3] * case.d)])
    assert len(found.patterns) == len(found)
    assert found.volume == 6**case.d
