"""Tropical figures: positions, colors, and degenerate input."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

import tropica as tp
from tests.polyhedra.test_worked_example import F
from tropica.errors import InputError
from tropica.plots import boundary_superset, dual_subdivision, hypersurface, zonotope
from tropica.plots.clipped_hypersurface import clipped_hypersurface
from tropica.plots.hypersurface import curve_and_dual
from tropica.polyhedra.dual_complexes import hypersurface as complex_of
from tropica.polyhedra.zonotope import Zonotope

FIGURE_1 = ([[2, 0], [0, 2], [1, 1], [1, 0], [0, 1], [0, 0]], [1, 1, 2, 2, 2, 2])
LINE = ([[0, 0], [1, 0], [0, 1]], [0, 0, 0])


def save(ax) -> bytes:
    raw = io.BytesIO()
    ax.figure.savefig(raw, format="png", dpi=50)
    return raw.getvalue()


def segments(ax) -> list[np.ndarray]:
    return [s for c in ax.collections if isinstance(c, LineCollection) for s in c.get_segments()]


def test_the_dual_has_every_edge_and_monomial():
    ax = dual_subdivision(FIGURE_1)
    assert {tuple(map(tuple, np.sort(s, axis=0))) for s in segments(ax)} == {
        tuple(map(tuple, np.sort(np.array(FIGURE_1[0], float)[list(f.dual)], axis=0))) for f in complex_of(*FIGURE_1).faces(1)
    }
    (dots,) = [c for c in ax.collections if not isinstance(c, (LineCollection, PolyCollection))]
    assert sorted(map(tuple, np.asarray(dots.get_offsets()).tolist())) == sorted(map(tuple, FIGURE_1[0]))
    assert [t.get_text() for t in ax.texts] == [str(c) for c in FIGURE_1[1]]
    assert ax.get_title() == "max-plus: 3 cells, 6 of 6 monomials essential"
    assert "exponent of x₁" in ax.get_xlabel()
    assert save(ax)


def test_monomials_that_never_win_are_hollow():
    ax = dual_subdivision(([[0, 0], [1, 0], [2, 0], [0, 2]], [0, -1, 0, 0]))
    hollow, full = [c for c in ax.collections if not isinstance(c, (LineCollection, PolyCollection))]
    assert np.asarray(hollow.get_offsets()).tolist() == [[1, 0]]
    assert np.asarray(hollow.get_facecolor())[0, :3].tolist() == [1, 1, 1]
    assert len(np.asarray(full.get_offsets())) == 3


def test_a_curve_has_its_edges_where_monomials_tie():
    ax = hypersurface(F, limits=((-20, 20), (-20, 20)))
    points, heights = np.array(F[0], float), np.array(F[1], float)
    lines = segments(ax)
    assert len(lines) == 9 + 5
    for segment in lines:
        for x in (segment[0], segment.mean(0), segment[1]):
            top = np.sort(points @ x + heights)
            assert top[-1] - top[-2] < 1e-6
    assert ax.get_title() == "max-plus: 7 vertices, 9 bounded edges, 5 rays"
    assert (ax.get_xlim(), ax.get_ylim()) == ((-20, 20), (-20, 20))
    assert save(ax)


def test_regions_are_where_their_monomial_is_largest_and_fill_the_box():
    ax = hypersurface(FIGURE_1)
    (patches,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    rings = [p.vertices[:-1] for p in patches.get_paths()]
    area = sum(map(shoelace, rings))
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    assert area == pytest.approx((x1 - x0) * (y1 - y0))
    largest = [int((np.array(FIGURE_1[0]) @ r.mean(0) + FIGURE_1[1]).argmax()) for r in rings]
    assert sorted(largest) == list(range(6))


def shoelace(ring) -> float:
    x, y = ring.T
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2


def test_a_region_and_its_monomial_have_one_color_and_numbers_match():
    curve, dual = curve_and_dual(FIGURE_1)
    (patches,) = [c for c in curve.collections if isinstance(c, PolyCollection)]
    (dots,) = [c for c in dual.collections if not isinstance(c, (LineCollection, PolyCollection))]
    places = np.asarray(dots.get_offsets())
    for path, color in zip(patches.get_paths(), np.asarray(patches.get_facecolor()), strict=True):
        monomial = int((np.array(FIGURE_1[0]) @ path.vertices[:-1].mean(0) + FIGURE_1[1]).argmax())
        dot = int((places == FIGURE_1[0][monomial]).all(1).argmax())
        assert np.asarray(dots.get_facecolor())[dot, :3] == pytest.approx(color[:3])
    numbers = {t.get_text(): np.array(t.get_position()) for t in curve.texts}
    assert set(numbers) == {"1", "2", "3"}
    cx = complex_of(*FIGURE_1)
    named = [t for t in dual.texts if t.get_bbox_patch() is not None]
    for text in named:
        vertex = cx.vertices[int(text.get_text()) - 1].astype(float)
        assert numbers[text.get_text()] == pytest.approx(vertex)
    assert len(named) == 3
    assert save(curve)


def test_surfaces_lie_on_ties():
    rng = np.random.default_rng(0)
    points, heights = rng.integers(0, 4, (9, 3)), rng.integers(-4, 4, 9)
    ax = hypersurface((points, heights))
    assert ax.name == "3d"
    assert "unbounded facets" in ax.get_title()
    assert ax.get_zlabel() == "x₃"
    assert save(ax)
    drawn = clipped_hypersurface((points, heights), (3,))
    pieces = [drawn.facet(f.dual) for f in drawn.complex.faces(2)]
    assert sum(len(p) > 2 for p in pieces) > 3
    for x in np.concatenate([p for p in pieces if len(p)]):
        top = np.sort(drawn.points @ x + drawn.heights)
        assert top[-1] - top[-2] < 1e-6


@pytest.mark.parametrize(
    "p",
    [
        ([[3, 4]], [5]),
        ([[0, 0], [2, 2], [4, 4]], [0, 1, 0]),
        ([[0, 0], [1, 0]], [0, 0]),
        ([[0, 0], [0, 0], [1, 1]], [0, 2, 0]),
        (np.array([[0.5, 0], [0, 0.25]]), [1e-3, 7]),
    ],
)
def test_degenerate_and_tiny_polynomials_are_drawn(p):
    assert save(hypersurface(p))
    assert save(dual_subdivision(p))
    assert save(curve_and_dual(p)[0])


def test_min_plus_is_drawn_as_min_plus():
    """min(2 + 2x, x + y, 2 + 2y, x, y − 1, 3): 4 vertices, 3 bounded edges, 6 rays, 4 cells of the dual."""
    p = tp.MinPlusPolynomial({(2, 0): 2, (1, 1): 0, (0, 2): 2, (1, 0): 0, (0, 1): -1, (0, 0): 3}, names=["u", "v"])
    ax = hypersurface(p)
    assert ax.get_title() == "min-plus: 4 vertices, 3 bounded edges, 6 rays"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("u", "v")
    for segment in segments(ax):
        for x in (segment[0], segment.mean(0), segment[1]):
            least = np.sort(p.exponents @ x + p.coefficients)
            assert least[1] - least[0] < 1e-6
    (patches,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    smallest = [int((p.exponents @ q.vertices[:-1].mean(0) + p.coefficients).argmin()) for q in patches.get_paths()]
    assert sorted(smallest) == list(range(6))
    dual = dual_subdivision(p)
    assert dual.get_title() == "min-plus: 4 cells, 6 of 6 monomials essential"
    assert [t.get_text() for t in dual.texts] == ["2", "0", "2", "0", "−1", "3"]
    with pytest.raises(InputError, match="a MinPlusPolynomial is needed, or a pair"):
        hypersurface(SimpleNamespace(exponents=np.array(LINE[0]), coefficients=np.array(LINE[1])))


def test_the_librarys_own_objects_are_drawn():
    p = tp.TropicalPolynomial.from_arrays(*FIGURE_1)
    assert hypersurface(p).get_title() == hypersurface(FIGURE_1).get_title()
    net = example()
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    superset = boundary_superset(cx, tp.boundary_superset(net)).collections
    by_hand = boundary_superset(cx, ([[0, 0], [1, 0], [0, 1]], [0, 0, 0])).collections
    found, expected = (
        sorted(np.sort(s, axis=0).round(9).tolist() for c in part[1:2] for s in c.get_segments())
        for part in (superset, by_hand)
    )
    assert found == expected


def test_given_axes_are_drawn_on():
    figure = Figure()
    one, two = figure.subplots(1, 2)
    assert hypersurface(LINE, ax=one) is one
    assert dual_subdivision(LINE, ax=two, title="δ(f)").get_title() == "δ(f)"
    assert curve_and_dual(LINE, axes=(one, two)) == (one, two)


def test_zonotopes_show_their_generators():
    flat = zonotope(Zonotope([[1, 0], [0, 1], [1, 1]], [2, 3]))
    arrows = [t for t in flat.texts if t.arrow_patch is not None]
    assert [t.xy for t in arrows] == [(3, 3), (2, 4), (3, 4)]
    assert [t.get_text() for t in flat.texts if t.get_text()] == ["g₁", "g₂", "g₃"]
    assert save(flat)
    space = zonotope(Zonotope(np.random.default_rng(0).normal(size=(4, 3))))
    assert space.get_title() == "4 generators, 14 vertices"
    assert save(space)
    for g in ([[1, 2]], [[1, 2, 3]], [[1, 2, 3], [2, 1, 0]], [[0, 0]], np.zeros((0, 2))):
        assert save(zonotope(Zonotope(g)))


def example():
    """x ↦ (relu(x₁) − x₂, 0) on a box, and F₁ ⊙ G₂ ⊕ F₂ ⊙ G₁ = max(0, x₁, x₂)."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2)).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        model[0].bias.zero_()
        model[2].weight.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
        model[2].bias.zero_()
    return tp.trace(model, torch.zeros(2, 2).double())


def test_the_boundary_lies_in_its_superset():
    net = example()
    cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
    superset = ([[0, 0], [1, 0], [0, 1]], [0, 0, 0])
    ax = boundary_superset(cx, superset)
    outer, exact = (c for c in ax.collections if isinstance(c, LineCollection))
    assert len(outer.get_segments()) == 3
    assert len(exact.get_segments()) == len(cx.boundary().pieces)
    legend = [t.get_text() for t in ax.get_legend().get_texts()]
    assert legend == ["decision boundary", "tropical superset", "predicted 0", "predicted 1"]
    assert exact.get_linewidth()[0] > outer.get_linewidth()[0]
    assert ax.get_xlim() == (-1, 1)
    assert save(ax)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hypersurface([[0, 0]]), "pair"),
        (lambda: hypersurface(3), "found int"),
        (lambda: hypersurface(([[0], [1]], [0, 0])), "2 or 3 variables; the polynomial has 1"),
        (lambda: dual_subdivision(([[0, 0, 0]], [0])), "for 2 variables; the polynomial has 3"),
        (lambda: hypersurface(LINE, limits=((0, 0), (0, 1))), "low < high"),
        (lambda: hypersurface(LINE, limits=(0, 1)), "2 pairs"),
        (lambda: hypersurface(LINE, limits="all"), "2 pairs"),
        (lambda: hypersurface(([[0, 0], [0, np.nan]], [0, 0])), "nan"),
        (lambda: hypersurface((np.eye(3), [0, 0, 0]), ax=Figure().add_subplot()), "projection"),
        (lambda: curve_and_dual(LINE, axes=[Figure().add_subplot()]), "two axes are needed"),
        (lambda: zonotope([[1, 2]]), "a Zonotope is needed; found list"),
        (lambda: zonotope(Zonotope([[1]])), "this one is in 1"),
        (lambda: zonotope(Zonotope(np.eye(3)), ax=Figure().add_subplot()), "projection"),
        (lambda: boundary_superset(None, LINE), "found NoneType"),
        (lambda: boundary_superset(tp.linear_regions(example(), tp.Space(2)), LINE), "found Space"),
        (lambda: boundary_superset(tp.linear_regions(example(), tp.Box(-1, 1, d=2)), ([[0]], [0])), "has 1"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
