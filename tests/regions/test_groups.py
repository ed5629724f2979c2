"""Complexes that are refined group by group: however small the groups are, the result is the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tropica as tp
from tests.oracles.segments import Layer
from tests.regions.chains import as_network, integer_chains
from tests.regions.test_complex import as_module, degenerate, mlp, traced, unbiased
from tests.sizes import examples
from tropica.regions import solid as solids
from tropica.regions.boundary import find_boundary
from tropica.regions.domain import Domain
from tropica.regions.parts import Walked
from tropica.regions.solid import Solid, solid_cells

WHOLE = 2**50
MEMORY = st.integers(11, 17).map(lambda log: 2**log)
"""From groups of a single cell or two to groups of some hundreds."""


def same(net: tp.PiecewiseLinearNetwork, domain: Domain, memory: int) -> int:
    """Compare the complex in groups with the complex in one piece; its cells."""
    one, many = (solid_cells(net, domain, memory=size) for size in (WHOLE, memory))
    assert (one.cells.keys == many.cells.keys).all()  # cells by the signs of all functions, in the same order
    assert (one.cells.counts == many.cells.counts).all()
    assert one.undecided == many.undecided == 0
    np.testing.assert_allclose(one.centers, many.centers, atol=1e-9)
    _same_vertices(one, many)
    first, second = (tp.RegionComplex(Walked(solid), domain, solid.folded.net) for solid in (one, many))
    assert (first.patterns == second.patterns).all()
    assert (first.adjacency == second.adjacency).all()
    assert (first.map_of == second.map_of).all()
    assert first.certified
    assert second.certified
    assert first.undecided_maps == second.undecided_maps
    assert [region.tolist() for region in first.regions] == [region.tolist() for region in second.regions]
    np.testing.assert_allclose(first.volumes, second.volumes, rtol=1e-6, atol=1e-12)
    assert (first.corners[0] == second.corners[0]).all()
    for a, b in zip(first.logits, second.logits, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    return len(first)


def _same_vertices(one: Solid, many: Solid) -> None:
    """Vertices by the constraints and cells around them: the same ones, at the same places, which are as often the same."""
    found = []
    for solid in (one, many):
        pairs = np.stack([solid.cells.faces, solid.cells.members], 1)
        pairs = pairs[np.lexsort(pairs.T)]
        around: dict[int, list[int]] = {}
        for cell, vertex in pairs.tolist():
            around.setdefault(vertex, []).append(cell)
        vertices = solid.state.vertices
        key = {v: (tuple(vertices["on"][v].tolist()), tuple(cells)) for v, cells in around.items()}
        assert len(set(key.values())) == len(key)  # none is there twice
        place = vertices["place"]
        classes: dict[int, list[object]] = {}
        for v, name in key.items():
            classes.setdefault(int(place[v]), []).append(name)
        found.append(({name: vertices["at"][v] for v, name in key.items()}, sorted(map(sorted, classes.values()))))
        exact = solid.exact.point(max(key))  # parents have the right numbers: the exact place is where the vertex is
        at = np.array([float(exact[i]) for i in range(len(exact.top))])
        assert np.abs(at - vertices["at"][max(key)]).max() < 1e-6 * max(1, np.abs(at).max())
    (first, places), (second, others) = found
    assert first.keys() == second.keys()
    assert places == others
    assert all(np.allclose(at, second[name], atol=1e-9) for name, at in first.items())


@pytest.mark.parametrize(
    ("sizes", "domain"),
    [
        ((1, 12, 8, 1), tp.Box(-1, 1, d=1)),
        ((2, 12, 12, 3), tp.Box(-1, 1, d=2)),
        pytest.param((3, 8, 8, 2), tp.Box(-1, 1, d=3), marks=pytest.mark.slow),
        ((4, 5, 5, 2), tp.Box(-1, 1, d=4)),
        pytest.param((2, 10, 10, 2), tp.Space(2), marks=pytest.mark.slow),
        ((3, 6, 6, 2), tp.Space(3)),
    ],
    ids=str,
)
@given(seed=st.integers(0, 10**6), memory=MEMORY)
@examples(6)
def test_random_networks(sizes: tuple[int, ...], domain: Domain, seed: int, memory: int) -> None:
    same(traced(mlp(*sizes, seed=seed), sizes[0]), domain, memory)


@given(layers=degenerate(), memory=MEMORY)
@examples(40)
def test_degenerate_networks(layers: list[tuple[list[list[int]], list[int]]], memory: int) -> None:
    same(traced(as_module(layers), 2), tp.Box(-1, 1, d=2), memory)


@given(chain=integer_chains(), memory=MEMORY)
@examples(40)
def test_degenerate_chains_of_any_nonlinearity(chain: tuple[list[Layer], int], memory: int) -> None:
    layers, d = chain
    same(as_network(layers, d), tp.Box(-1, 1, d=d), memory)


@pytest.mark.parametrize(
    "domain", [pytest.param(tp.Space(2), marks=pytest.mark.slow), tp.Box(-1, 1, d=2)], ids=["space", "box"]
)
def test_cones(domain: Domain) -> None:
    """Zero biases: all vertices but those of the domain are at one place, in whichever group."""
    assert same(traced(unbiased(2, 16, 16, 1), 2), domain, 2**13) == 62


@given(seed=st.integers(0, 10**6), memory=st.integers(15, 20).map(lambda log: 2**log))
@examples(2)
def test_planes_of_pooled_networks(seed: int, memory: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, 3),
        ).double()
        a, b, c = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    same(traced(model.eval(), 1, 6, 6), tp.Plane.through(a, b, c), memory)


def test_boundaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision boundary is found in groups, too."""
    net = traced(mlp(2, 16, 16, 3), 2)
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    assert isinstance(cx, tp.RegionComplex)
    whole = find_boundary(cx)
    monkeypatch.setattr("tropica.regions.solid.MEMORY", 2**14)
    parts = find_boundary(cx)
    assert len(whole) > 0
    assert (whole.labels == parts.labels).all()
    assert (whole.cells == parts.cells).all()
    np.testing.assert_allclose(whole.sizes, parts.sizes, rtol=1e-9)


def test_units_that_do_not_change_on_a_plane() -> None:
    """Images that differ in one corner: elsewhere all is constant, ties of equal background in pools among it. These are
    decided once, not at each vertex, and the first of equal options is taken, as the network does."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)
        ).double()
        images = torch.full((3, 1, 6, 6), 0.3, dtype=torch.float64)
        images[:, :, :2, :2] = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    net = traced(model.eval(), 1, 6, 6)
    plane = tp.Plane.through(*images)
    assert same(net, plane, 2**15) > 4
    solid = solid_cells(net, plane)
    assert solid.exact.functions.constants
    cx = tp.RegionComplex(Walked(solid), plane, solid.folded.net)
    weight, bias = cx.logits
    found = net(cx.embed(cx.centers)).numpy()
    np.testing.assert_allclose(np.einsum("csd,cd->cs", weight, cx.centers) + bias, found, atol=1e-12)
    assert (cx.patterns == net.activation_pattern(cx.embed(cx.centers)).numpy()).all()


def test_a_result_that_does_not_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solids, "LARGE", 10_000)
    monkeypatch.setattr(solids, "free_memory", lambda: 100_000)
    net = traced(mlp(2, 32, 32, 1), 2)
    with pytest.raises(tp.InputError, match=r"has come to [\d,]+ cells; .* takes \d+ kB, more than the 100 kB .* smaller Box"):
        solid_cells(net, tp.Box(-1, 1, d=2), memory=2**18)
