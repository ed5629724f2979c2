"""The figure of a complex: polygons, colors, texts, and refused input."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

import tropica as tp
from tests.regions.test_complex import NONLINEARITIES, mlp, traced
from tropica.plots.cell_colors import cell_colors
from tropica.plots.label_polygons import label_polygons


@pytest.fixture(scope="module")
def cx() -> tp.RegionComplex:
    model = mlp(2, 12, 12, 3, seed=1)
    with torch.no_grad():  # so that all three labels occur
        model[-1].bias -= model(8 * torch.rand(1000, 2, dtype=torch.float64) - 4).mean(0)
    return tp.linear_regions(traced(model, 2), tp.Box(-4, 4, d=2))


def cells(ax: Axes) -> PolyCollection:
    (found,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    return found


def save(ax: Axes) -> bytes:
    raw = io.BytesIO()
    cast(Figure, ax.figure).savefig(raw, format="png", dpi=50)
    return raw.getvalue()


def areas(corners: list[np.ndarray]) -> np.ndarray:
    return np.array([abs((p[:, 0] * np.roll(p[:, 1], -1) - p[:, 1] * np.roll(p[:, 0], -1)).sum()) / 2 for p in corners])


@pytest.mark.parametrize("by", ["pattern", "map", "region"])
def test_a_polygon_a_cell(cx: tp.RegionComplex, by: Any) -> None:
    ax = tp.plots.regions(cx, by=by)
    paths = cells(ax).get_paths()
    assert len(paths) == len(cx)
    np.testing.assert_allclose(areas([np.asarray(p.vertices)[:-1] for p in paths]), cx.volumes, atol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x₁", "x₂")
    assert (ax.get_xlim(), ax.get_ylim(), ax.get_aspect()) == ((-4, 4), (-4, 4), 1)
    assert ax.get_title() == f"{len(cx)} cells, {len(cx.regions)} regions, {len(cx.maps)} maps"
    assert ax.get_legend() is None
    colors = np.asarray(cells(ax).get_facecolor())
    assert len(colors) == len(cx)
    for members in {"pattern": [], "map": cx.maps, "region": cx.regions}[by]:
        assert (colors[members] == colors[members[0]]).all()
    assert save(ax)


def test_neighbors_differ_in_lightness(cx: tp.RegionComplex) -> None:
    light = cell_colors(cx.adjacency, np.arange(len(cx)))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.abs(np.diff(light[cx.adjacency], axis=1)).min() > 0.05


def test_the_boundary_is_the_exact_one(cx: tp.RegionComplex) -> None:
    ax = tp.plots.regions(cx)
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == len(cx.boundary())
    assert not [c for c in tp.plots.regions(cx, boundary=False).collections if isinstance(c, LineCollection)]


@pytest.mark.parametrize("outputs", [1, 3])
def test_areas_of_labels_are_the_networks(outputs: int) -> None:
    """The areas cover the domain, and at a random point of each the network predicts its label."""
    net = traced(mlp(2, 12, 12, outputs, seed=7), 2)
    cx = tp.linear_regions(net, tp.Box(-4, 4, d=2))
    polygons, label = label_polygons(cx)
    assert len(polygons) > len(cx)
    assert areas(polygons).sum() == pytest.approx(64)
    rng = np.random.default_rng(0)
    inside = np.stack([rng.dirichlet(np.ones(len(p))) @ p for p in polygons])
    sure = areas(polygons) > 1e-9
    np.testing.assert_array_equal(net.predict(torch.from_numpy(inside)).numpy()[sure], label[sure])
    ax = tp.plots.regions(cx, by="label")
    assert len(cells(ax).get_paths()) == len(polygons)
    box = ax.get_legend()
    assert box is not None
    assert {f"predicted {k}" for k in label.tolist()} <= {t.get_text() for t in box.get_texts()}
    assert save(ax)


def test_a_label_at_no_vertex_is_found() -> None:
    """max(−x, x − 0.001, 0.5): label 2 in the interior of a cell whose vertices have labels 0 and 1."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 3)).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
        model[0].bias.copy_(torch.tensor([0.0, -0.001, 0.5]))
    polygons, label = label_polygons(tp.linear_regions(traced(model, 2), tp.Box(-1, 1, d=2)))
    assert dict(zip(label.tolist(), areas(polygons).tolist(), strict=True)) == pytest.approx({0: 1.0, 1: 0.998, 2: 2.002})


def test_points_have_a_marker_a_label(cx: tp.RegionComplex) -> None:
    t = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, -1.0], [9.0, 0.0]])
    ax = tp.plots.regions(cx, data=t, labels=[0, 4, 4, 0])
    first, second = [c for c in ax.collections if not isinstance(c, (PolyCollection, LineCollection))]
    assert np.asarray(first.get_offsets()).tolist() == [[0, 0]]
    assert np.asarray(second.get_offsets()).tolist() == [[1, 1], [2, -1]]
    box = ax.get_legend()
    assert box is not None
    assert [t.get_text() for t in box.get_texts()] == ["decision boundary", "label 0 (1)", "label 4 (2)"]
    assert box.get_title().get_text() == "1 outside"
    marks = [np.asarray(c.get_paths()[0].vertices) for c in (first, second)]
    assert marks[0].shape != marks[1].shape
    assert save(ax)
    plain = tp.plots.regions(cx, data=[[0.0, 0.0]])
    assert plain.get_legend() is None


def test_a_plane_and_given_axes() -> None:
    net = traced(NONLINEARITIES["pool"]().double().eval(), 2)
    figure = Figure()
    ax = figure.add_subplot()
    found = tp.linear_regions(net, tp.Plane([0.0, 0.0], [1.0, 0.0], [0.5, 1.0], [1, 2]))
    assert tp.plots.regions(found, ax=ax, title="pools") is ax
    assert (ax.get_xlabel(), ax.get_ylim(), ax.get_title()) == ("t₁", (-2, 2), "pools")
    assert len(cells(ax).get_paths()) == len(found)
    assert save(ax)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"by": "color"}, "pattern, map, label, region"),
        ({"labels": [1]}, "pass the points as data="),
        ({"data": [[1.0, 2.0, 3.0]]}, r"coordinates t \(N, 2\)"),
        ({"data": [[1.0, float("nan")]]}, "finite"),
        ({"data": [[1.0, 2.0]], "labels": [1, 2]}, "1 whole numbers"),
        ({"data": [[1.0, 2.0]], "labels": [0.5]}, "1 whole numbers"),
        ({"data": [["a", "b"]]}, "numbers"),
    ],
)
def test_refusals(cx: tp.RegionComplex, more: dict[str, Any], text: str) -> None:
    with pytest.raises(tp.InputError, match=text):
        tp.plots.regions(cx, **more)


@pytest.mark.parametrize("domain", [tp.Space(2), tp.Box(-1, 1, d=3), tp.Segment([0, 0], [1, 1])], ids=["space", "3-d", "line"])
def test_other_domains_are_refused(domain: Any) -> None:
    size = domain.dimension if domain.dimension > 1 else 2
    found = tp.linear_regions(traced(mlp(size, 3, 2), size), domain)
    with pytest.raises(tp.InputError, match=r"polytopes of dimension 2|a complex is needed"):
        tp.plots.regions(found)  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match="a complex is needed"):
        tp.plots.regions("cells")  # type: ignore[arg-type]
