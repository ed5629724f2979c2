"""The paper's theorems, as tests: zonotopes, decision boundaries, counts of regions, depth."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tropica as tp
from tests.sizes import some_slow
from tests.tropical.networks import c2, graph, linear, mlp
from tests.tropical.test_networks import brute_force
from tropica.errors import InputError
from tropica.polyhedra.polytope import Polytope
from tropica.studies.experiments.depth_width import depth_against_width, even_widths, random_network, regions_of, zigzag
from tropica.tropical.boundary_superset import boundary_superset
from tropica.tropical.overlay import overlay
from tropica.tropical.random_functions import random_rational

# ── one hidden layer ↔ zonotopes ───────────────────────────────────────────────────────────────────────────────────────


def upper(z) -> list[list]:
    return sorted(z.points(z.upper_signs).tolist())


def lifted(f: tp.TropicalPolynomial) -> list[list]:
    return sorted([*e, c] for e, c in f.to_dict().items())


@pytest.mark.parametrize("whole", [True, False], ids=["integer", "float"])
@pytest.mark.parametrize("sizes", [(2, 5, 1), (2, 4, 3), (3, 5, 2), (1, 3, 1)], ids=str)
def test_zonotopes_of_one_hidden_layer(sizes: tuple[int, ...], whole: bool) -> None:
    for seed in range(5):
        model = mlp(*sizes, seed=seed, whole=whole)
        net = graph(model, sizes[0])
        for r, z in zip(tp.to_tropical(net), tp.zonotopes(net), strict=True):
            assert z.f is z.h
            assert upper(z.h) == lifted(r.f)
            assert upper(z.g) == lifted(r.g)
            assert rows(z.g.polytope()) == rows(Polytope(z.g.vertices))


def rows(p: Polytope) -> list[list]:
    return sorted(p.vertices.tolist())


def test_zonotopes_of_c2() -> None:
    (z,) = tp.zonotopes(c2(last=True))
    r = tp.to_tropical(c2(last=True))[0]
    assert (len(z.g.upper_signs), len(z.h.upper_signs)) == (4, 7)
    assert z.g.dimension == 2  # a parallelogram in space
    assert upper(z.g) == lifted(r.g)
    # P(F) = Conv(P(H) ∪ P(G)), which has lower vertices too.
    assert isinstance(z.f, Polytope)
    above = tp.TropicalPolynomial({tuple(v[:-1]): v[-1] for v in sorted(z.f.vertices.tolist())})
    assert above == r.f


def test_zonotopes_with_other_thresholds() -> None:
    """max(z, c) in place of ReLU; several affine ops before and after."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (
                linear([[1, 2], [3, -1]], [1, 0]),
                linear([[1, -2], [2, 1]], [0, 1]),
                linear([[1, -1]], [2]),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(self.b(self.a(x)).clamp(min=-1.5))

    net = tp.trace(Net().eval(), torch.zeros(2, 2).double())
    (z,), r = tp.zonotopes(net), tp.to_tropical(net)[0]
    assert upper(z.h) == lifted(r.f)
    assert upper(z.g) == lifted(r.g)


@pytest.mark.parametrize(
    "model",
    [mlp(2, 3, 3, 1), nn.Sequential(linear([[1, 0]], [0])).eval(), mlp(2, 3, last=True)],
    ids=["two layers", "none", "ends in the layer"],
)
def test_zonotopes_refuse_other_networks(model: nn.Sequential) -> None:
    with pytest.raises(InputError, match="one hidden layer"):
        tp.zonotopes(model)


# ── decision boundaries ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sizes", [(2, 5, 2), (2, 5, 1), (2, 4, 3, 3), (3, 4, 2), (1, 5, 2)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_boundary_lies_in_the_hypersurface(sizes: tuple[int, ...], seed: int) -> None:
    d = sizes[0]
    net = graph(mlp(*sizes, seed=seed), d)
    found = boundary_superset(net)
    whole = found.operands[0]
    for operand in found.operands[1:]:
        whole = whole + operand
    assert whole == found.polynomial
    exact = tp.linear_regions(net, tp.Box(-20, 20, d=d)).boundary()
    if len(exact):
        assert found.margin(np.concatenate(exact.pieces)).max() < 1e-9
    # The pieces between different operands are exactly the whole boundary.
    surface, faces = found.hypersurface(), found.boundary_faces()
    tropical = found.network
    for face in faces:
        at = middle(surface, face)
        values = sorted(tropical.exact(at)) if len(tropical) > 1 else [Fraction(0), *tropical.exact(at)]
        assert values[-1] == values[-2] if len(tropical) > 1 else values[1] == 0
        assert found.contains(at)
    chosen = {face.dual for face in faces}
    for piece in exact.pieces:
        sides = tied(found.polynomial, piece.mean(0))
        assert any(a in sides and b in sides for a, b in chosen)


def middle(surface, face) -> list[Fraction]:
    """A point inside a face."""
    at = surface.vertices[list(face.vertices)].sum(0) * Fraction(1, len(face.vertices))
    return list(at + surface.rays[list(face.rays)].sum(0) if face.rays else at)


def tied(f: tp.TropicalPolynomial, x: np.ndarray) -> set[int]:
    numbers = f.table.floats()
    values = numbers[:, :-1] @ x + numbers[:, -1]
    return set(np.flatnonzero(values >= values.max() - 1e-9).tolist())


def test_thresholds_and_bounds_of_one_logit() -> None:
    model = mlp(2, 5, 1, seed=4)
    net = graph(model, 2)
    found = boundary_superset(net, threshold="1/4")
    moved = nn.Sequential(*model[:-1], linear(model[2].weight.tolist(), (model[2].bias - 0.25).tolist())).eval()
    assert found.polynomial == (found.operands[0] + found.operands[1]).essential()
    exact = tp.linear_regions(graph(moved, 2), tp.Box(-20, 20, d=2)).boundary()
    assert len(exact)
    assert found.margin(np.concatenate(exact.pieces)).max() < 1e-9
    # Proposition 6.1: at most N(f) connected regions above, and N(g) below.
    cx = tp.linear_regions(graph(moved, 2), tp.Space(2))
    above, below = sides(cx)
    assert found.region_bounds is not None
    assert above <= found.region_bounds[0]
    assert below <= found.region_bounds[1]


def sides(cx: tp.RegionComplex) -> tuple[int, int]:
    """Connected parts where the logit is positive, and negative, counted on a refinement by its sign."""
    from scipy.ndimage import label

    axis = np.linspace(-30, 30, 400)
    grid = torch.from_numpy(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2))
    positive = (cx.net(grid)[:, 0] > 0).numpy().reshape(400, 400)
    return int(label(positive)[1]), int(label(~positive)[1])


# ── regions ↔ vertices ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("d", "n"), [(1, 7), (2, 8), (3, 7), (4, 6)])
def test_bound_of_theorem_6_3_is_attained(d: int, n: int) -> None:
    """A generic network with one hidden layer has Σ_{i≤d} C(n, i) regions, all its units' signs and all its maps."""
    model = mlp(d, n, 1, seed=d)
    want = sum(comb(n, i) for i in range(d + 1))
    assert tp.bounds.zhang2018((d, n)) == want
    found = overlay(tp.to_tropical(graph(model, d)))
    assert found.regions == want
    if d == 2:
        assert brute_force(model) == (want, want, want)


@pytest.mark.parametrize("sizes", some_slow([(2, 4, 4, 1), (1, 4, 4, 4, 1), (3, 3, 3, 1)], quick=2), ids=str)
def test_bound_of_theorem_6_3_holds(sizes: tuple[int, ...]) -> None:
    for seed in range(10):
        found = overlay(tp.to_tropical(graph(mlp(*sizes, seed=seed), sizes[0])))
        assert found.regions <= tp.bounds.zhang2018(sizes[:-1])


@pytest.mark.parametrize("seed", range(8))
def test_random_rational_maps(seed: int) -> None:
    """Cells by the vertices of P(f) + P(g), against the engine on the map's own network, and on a product's monomials."""
    r = random_rational(2, 12, degree=8, seed=seed)
    found = overlay(r)
    assert len(found) == len((r.f.essential() * r.g.essential()).essential())
    cx = tp.linear_regions(graph(tp.to_network(r), 2), tp.Space(2))
    assert (found.regions, found.maps) == (len(cx.regions), len(cx.maps))


def test_overlay_of_maps() -> None:
    net = graph(mlp(2, 4, 3, seed=1), 2)
    found = overlay(tp.to_tropical(net))
    cx = tp.linear_regions(net, tp.Space(2))
    assert (found.regions, found.maps) == (len(cx.regions), len(cx.maps))
    assert found.product.essential() == found.product
    one = overlay(tp.TropicalPolynomial({(1, 1): 0}))
    assert (len(one), one.regions, one.maps) == (1, 1, 1)
    with pytest.raises(InputError, match="found a int"):
        overlay(3)  # type: ignore[arg-type]


def test_regions_and_maps_differ() -> None:
    """A bump that is 0 on both sides: four cells, four regions, three maps; and cells that are one region."""
    x = tp.TropicalPolynomial.variable(0, 1)
    found = overlay(tp.TropicalRational((x + 0) * (x + 2), (x + 1) ** 2))
    assert (len(found), found.regions, found.maps) == (4, 4, 3)
    found = overlay(tp.TropicalRational((x + 0) * (x + 3), x + 0))  # the breakpoint at 0 cancels
    assert (len(found), found.regions, found.maps) == (3, 2, 2)


# ── depth against width ────────────────────────────────────────────────────────────────────────────────────────────────


def test_depth_against_width(tmp_path: Path) -> None:
    result = depth_against_width(12, 2, (1, 2, 3), draws=3, out=tmp_path)
    assert [row.widths for row in result.rows] == [(12,), (6, 6), (4, 4, 4)]
    for row in result.rows:
        assert row.lower <= row.constructed <= row.best <= row.upper
        assert max(row.random) <= row.best
    assert result.rows[0].constructed == result.rows[0].upper  # generic: attained
    assert result.rows[2].constructed > 2 * result.rows[0].upper  # more than any network of one hidden layer
    assert sorted(path.name for path in tmp_path.iterdir()) == ["depth-width.csv", "depth-width.json", "depth-width.png"]


def test_zigzag_against_brute_force() -> None:
    for widths in ((4, 3), (4, 4)):
        model = zigzag(widths, 2)
        assert regions_of(model, 2) == brute_force(model)[1]
    model = random_network((3, 3), 2, seed=1)
    assert regions_of(model, 2) == brute_force(model)[1]


def test_zigzag_folds() -> None:
    """Each fold goes up and down p times between 0 and 1."""
    model = zigzag((3, 4, 2), 1)
    line = tp.linear_regions(tp.trace(model, torch.zeros(2, 1).double()), tp.Segment([0.0], [1.0]))
    assert len(line.breakpoints) >= 3 * 4 * 3 - 1


def test_depth_study_refuses() -> None:
    with pytest.raises(InputError, match="cannot be split"):
        even_widths(7, 2, 1)
    with pytest.raises(InputError, match="cannot be split"):
        depth_against_width(4, 2, (3,))
    with pytest.raises(InputError, match="draws"):
        depth_against_width(4, 2, (1,), draws=0)
