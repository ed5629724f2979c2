"""The cell of a point: its inequalities, facets, neighbors, distances."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch

import tropica as tp


def network(seed: int = 0, d: int = 3, width: int = 6) -> tp.PiecewiseLinearNetwork:
    random = np.random.default_rng(seed)
    sizes = [d, width, width, 3]
    return tp.from_layers(
        [
            (random.standard_normal((n, m)).astype(np.float32), random.standard_normal(n).astype(np.float32))
            for m, n in itertools.pairwise(sizes)
        ]
    )


def tent() -> tp.PiecewiseLinearNetwork:
    """relu(x) + relu(−x), and relu of that less 1."""
    return tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], [0.0]), ([[1.0]], [-1.0]), ([[1.0]], None)])


def test_the_map_and_the_half_spaces_are_those_of_the_point() -> None:
    net = network()
    x = torch.tensor([[0.1, -0.4, 0.7]])
    r = tp.cell(net, x)
    assert torch.allclose(r.map(x), net(x).double(), atol=1e-5)
    A, b = r.halfspaces
    assert (A @ x.double().numpy()[0] < b).all()
    others = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    same = (net.activation_pattern(others) == net.activation_pattern(x)).all(1).numpy()
    assert (r.contains(others) == same).all()


def test_facets_neighbors_and_back() -> None:
    r = tp.cell(network(), [0.1, -0.4, 0.7])
    assert r.facets.complete
    for f in r.facets:
        beyond = r.neighbor(f)
        back = [beyond.neighbor(g) for g in beyond.facets]
        assert any(all((p == q).all() for p, q in zip(c.pieces, r.pieces, strict=True)) for c in back)


def test_not_every_unit_of_a_facet_changes_beyond_it() -> None:
    r = tp.cell(tent(), [0.5])
    at_zero = next(f for f in r.facets if r.facets.units[f] == "relu0[0]")
    beyond = r.neighbor(at_zero)
    assert [p.tolist() for p in beyond.pieces] == [[0, 1], [1], [0]]  # the second layer stays positive


def test_distances_are_those_to_hyperplanes_and_to_ties() -> None:
    r = tp.cell(tp.from_layers([([[3.0, 4.0]], [0.0]), ([[1.0], [0.0]], [0.0, 5.0])]), [1.0, 0.0])
    assert [r.distance(norm=n) for n in ("l1", "l2", "linf")] == pytest.approx([3 / 4, 3 / 5, 3 / 7])
    ties = [r.distance(norm=n, to="label") for n in ("l1", "l2", "linf")]
    assert ties == pytest.approx([2 / 4, 2 / 5, 2 / 7], rel=1e-6)
    assert all(t.lower <= t <= t.upper and t.to == 0 for t in ties)
    apart = tp.from_layers([([[1.0]], None), ([[1.0], [1.0]], [0.0, 1.0])])
    assert tp.cell(apart, [0.5]).distance(to="label") == float("inf")


def test_volume_vertices_and_the_largest_ball() -> None:
    r = tp.cell(tent(), [0.5], domain=tp.Box(-1, 1, d=1))
    assert r.vertices.ravel().tolist() == [0.0, 1.0]
    assert r.volume == 1.0
    assert r.center.tolist() == pytest.approx([0.5])
    assert r.radius == pytest.approx(0.5)
    free = tp.cell(network(d=2), [50.0, 3.0])
    assert free.volume == float("inf")
    assert free.radius == float("inf")


def test_many_dimensions_prove_facets_by_rays() -> None:
    net = network(d=12, width=9)
    box = tp.Box(-1, 1, d=12)
    r = tp.cell(net, np.full(12, 0.01), domain=box)
    A, b = r.halfspaces
    assert r.facets.complete
    for row in range(len(b)):  # the oracle: a linear program for each row
        from scipy.optimize import linprog

        rest = np.delete(np.arange(len(b)), row)
        top = -linprog(-A[row], A_ub=np.vstack([A[rest], A[row]]), b_ub=np.append(b[rest], b[row] + 1), bounds=(None, None)).fun
        assert (row in r.facets.rows) == (top > b[row] + 1e-7)
    inner = next(f for f in r.facets if not r.facets.units[f].startswith("domain"))
    assert sum((p != q).sum() for p, q in zip(r.neighbor(inner).pieces, r.pieces, strict=True)) >= 1


def test_a_point_is_read_exactly() -> None:
    net = tp.from_layers([([[3.0]], [-1.0]), ([[1.0]], None)])
    assert tp.cell(net, [0.3333333333333333]).pieces[0].tolist() == [0]
    with pytest.raises(tp.InputError, match=r"on the border of a cell: relu0\[0\] is 0 there"):
        tp.cell(net, [Fraction(1, 3)])


@pytest.mark.parametrize(
    ("x", "domain", "message"),
    [
        ([2.0], tp.Box(-1, 1, d=1), "outside of the domain"),
        ([0.75], tp.Box(-1, 0.75, d=1), "on the border of the domain"),
        ([float("nan")], None, "finite"),
        ([1.0, 2.0], None, "one point of shape"),
        ([1.0], tp.Box([0, 0], [1, 1]), "coordinates"),
    ],
)
def test_bad_points(x: list[float], domain: tp.Box | None, message: str) -> None:
    with pytest.raises(tp.InputError, match=message):
        tp.cell(tent(), x, domain=domain)


def test_bad_arguments() -> None:
    r = tp.cell(tent(), [0.5])
    for call, message in (
        (lambda: r.distance(norm="l3"), "norm must be"),
        (lambda: r.distance(to="moon"), "to must be"),
        (lambda: r.distance([5.0]), "outside of the cell"),
        (lambda: r.neighbor(9), "has facets 0"),
        (lambda: r.find_facets(max_seconds=0), "positive"),
        (lambda: tp.cell(1, [0.5]), "is needed, got int"),  # pyright: ignore[reportArgumentType]
    ):
        with pytest.raises(tp.InputError, match=message):
            call()
