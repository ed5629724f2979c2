"""The common refinement of two hypersurfaces: against all sums, mixed volumes, and the region engine."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tropica as tp
from tests.polyhedra.configurations import lifted
from tests.sizes import examples
from tropica.errors import InputError
from tropica.polyhedra import overlay
from tropica.polyhedra.overlay import mixed_cells, overlay_cells, overlay_pairs
from tropica.polyhedra.polytope import Polytope
from tropica.polyhedra.upper_hull import essential


def pairs_of_configurations(most=7):
    return st.sampled_from([1, 2, 3]).flatmap(
        lambda d: st.tuples(lifted(most=most, dimensions=(d,)), lifted(most=most, dimensions=(d,)))
    )


def by_all_sums(p1, h1, p2, h2) -> list[list[int]]:
    sums = (p1[:, None] + p2[None]).reshape(len(p1) * len(p2), -1)
    found = essential(sums, (h1[:, None] + h2[None]).ravel())
    return [[int(i) // len(p2), int(i) % len(p2)] for i in found]


@examples(80)
@given(pairs_of_configurations())
def test_pairs_are_the_essential_ones_of_all_sums(both):
    (p1, h1), (p2, h2) = both
    assert overlay_pairs(p1, h1, p2, h2).tolist() == by_all_sums(p1, h1, p2, h2)


@examples(40)
@given(pairs_of_configurations(5))
def test_without_qhull_too(both):
    (p1, h1), (p2, h2) = both
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlay, "propose", lambda points: None)
        assert overlay_pairs(p1, h1, p2, h2).tolist() == by_all_sums(p1, h1, p2, h2)


@pytest.mark.parametrize("d", [2, 3])
def test_random_polynomials_against_all_sums(d):
    rng = np.random.default_rng(d)
    first, second = ((rng.random((60, d)), rng.normal(size=60)) for _ in range(2))
    (p1, h1), (p2, h2) = first, second
    # sums in Fractions: float64 would round them
    exact = [np.vectorize(Fraction, otypes=[object])(x) for x in (p1, h1, p2, h2)]
    assert overlay_pairs(p1, h1, p2, h2).tolist() == by_all_sums(*exact)


class Difference(torch.nn.Module):
    """f ⊘ g of two tropical polynomials, as a network of two maxima."""

    def __init__(self, p1, h1, p2, h2):
        super().__init__()
        self.f, self.g = (torch.nn.Linear(p.shape[1], len(p)).double() for p in (p1, p2))
        with torch.no_grad():
            for layer, p, h in ((self.f, p1, h1), (self.g, p2, h2)):
                layer.weight.copy_(torch.from_numpy(np.asarray(p, dtype=float)))
                layer.bias.copy_(torch.from_numpy(np.asarray(h, dtype=float)))

    def forward(self, x):
        return self.f(x).amax(1, keepdim=True) - self.g(x).amax(1, keepdim=True)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_cells_are_the_linear_regions_of_the_difference(d, seed):
    rng = np.random.default_rng(10 * d + seed)
    n = 6 if d == 3 else 9
    p1, p2 = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    h1, h2 = rng.normal(size=n), rng.normal(size=n)
    net = tp.trace(Difference(p1, h1, p2, h2).eval(), torch.zeros(2, d).double())
    regions = tp.linear_regions(net, tp.Space(d))
    assert overlay_cells(p1, h1, p2, h2) == len(regions.regions) == len(regions.maps)


@examples(40)
@given(lifted(most=6, dimensions=(2,)), lifted(most=6, dimensions=(2,)))
def test_parallelograms_add_up_to_the_mixed_volume(first, second):
    (p1, h1), (p2, h2) = first, second
    rng = np.random.default_rng(0)  # heights in general position
    h1, h2 = (h + rng.integers(0, 10**6, len(h)) for h in (h1, h2))
    total = 0
    for cell in mixed_cells(p1, h1, p2, h2):
        if cell.dimensions == (1, 1):
            u, v = p1[cell.first[-1]] - p1[cell.first[0]], p2[cell.second[-1]] - p2[cell.second[0]]
            total += abs(u[0] * v[1] - u[1] * v[0])
    a, b = Polytope(p1), Polytope(p2)
    assert total == (a + b).volume - a.volume - b.volume


@examples(40)
@given(pairs_of_configurations(5))
def test_mixed_cells_tie_where_they_say(both):
    (p1, h1), (p2, h2) = both
    for cell in mixed_cells(p1, h1, p2, h2):
        for p, h, tie in ((p1, h1, cell.first), (p2, h2, cell.second)):
            values = p @ cell.point + h
            assert {i for i in range(len(p)) if values[i] == values.max()} >= set(tie)
            assert all(values[i] == values.max() for i in tie)
        assert cell.mixed == (min(cell.dimensions) > 0)


def test_integers_beyond_floats_and_floats_together():
    huge = 2**60 + 1
    assert overlay_pairs(np.array([[0], [huge]]), [0, 0], [[0.0], [0.5]], [0.0, 0.0]).tolist() == [[0, 0], [1, 1]]
    assert overlay_cells(np.array([[0], [huge]]), [0, 0], [[0.0], [0.5]], [0.0, 1.0]) == 3
    assert Polytope([[huge, 0.5]]).vertices.tolist() == [[huge, Fraction(1, 2)]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[0]], [0], [[0, 1]], [0]), "same dimension; found 1 and 2"),
        (([[0]], [0, 1], [[0]], [0]), "the first has 1 points and 2 heights"),
        (([[0]], [0], np.zeros((0, 1)), []), "the second has none"),
        (([[0]], [0], [[np.nan]], [0]), "points of the second.*nan"),
    ],
)
def test_bad_input_is_named(arguments, words):
    for function in (overlay_pairs, overlay_cells, mixed_cells):
        with pytest.raises(InputError, match=words):
            function(*arguments)
