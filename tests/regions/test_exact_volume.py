"""Volumes from exact vertices and their incidence with facets, against polytopes in fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tropica.polyhedra.polytope import Polytope
from tropica.regions.engine.cell_blocks import CellBlock
from tropica.regions.engine.exact_volume import exact_volume

CROSS = [[s * (k == i) for k in range(4)] for i in range(4) for s in (1, -1)]
CUBE = [[(i >> k) & 1 for k in range(4)] for i in range(16)]
PYRAMID = [[0, 0, 0], [2, 0, 0], [0, 2, 0], [2, 2, 0], [1, 1, 3]]
RANDOM = np.random.default_rng(0).integers(-9, 9, (12, 3)).tolist()


@pytest.mark.parametrize("points", [[[0], [3]], [[0, 0], [1, 0], [0, 1], [2, 2]], PYRAMID, CROSS, CUBE, RANDOM])
@pytest.mark.parametrize("exponent", [0, -3, 200])
def test_is_the_volume_of_a_polytope(points: list[list[int]], exponent: int) -> None:
    hull = Polytope([[Fraction(x, 7) for x in p] for p in points])
    facets = hull.faces(hull.dimension - 1)
    vertices, d = hull.vertices.tolist(), hull.dimension
    incidence = np.array([sum(1 << j for j, facet in enumerate(facets) if v in facet) for v in range(len(vertices))], np.uint64)
    block = CellBlock(
        1,
        vertex_start=np.array([0, len(vertices)]),
        facet_start=np.array([0, len(facets)]),
        incidence=incidence[:, None],
    )
    scaled = [([int(x * 7) * (i + 1) for x in v], 7 * (i + 1)) for i, v in enumerate(vertices)]
    expected = float(Fraction(hull.volume) * Fraction(2) ** (exponent * d))
    assert exact_volume(block, 0, scaled, exponent) == pytest.approx(expected, rel=1e-14)
