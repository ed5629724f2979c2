"""Figures of persistence diagrams, surfaces and walks: what is drawn, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

import tropica as tp

SIGNS = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
SADDLE = tp.from_layers([(SIGNS, [0.0] * 4), ([[1.0, 1.0, -1.0, -1.0]], [0.0])])  # |x| − |y|


def save(ax: Axes) -> bytes:
    raw = io.BytesIO()
    cast(Figure, ax.figure).savefig(raw, format="png", dpi=50)
    return raw.getvalue()


@pytest.mark.parametrize("superlevel", [False, True])
def test_a_marker_a_class(superlevel: bool) -> None:
    diagram = tp.persistence(tp.linear_regions(SADDLE, tp.Box(-1, 1, d=2)), superlevel=superlevel)
    ax = tp.plots.persistence(diagram)
    marks = [c for c in ax.collections if isinstance(c, PathCollection)]
    points = np.concatenate([np.asarray(c.get_offsets()) for c in marks])
    assert len(points) == len(diagram) == 2
    assert points[np.isfinite(diagram.death)].tolist() == [[1.0, 0.0] if superlevel else [-1.0, 0.0]]
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == ("−∞" if superlevel else "∞")
    low, high = ax.get_ylim()
    assert ((points[:, 1] > low) & (points[:, 1] < high)).all()
    assert save(ax)
    with pytest.raises(tp.InputError, match=r"tp.persistence\(cx\); found list"):
        tp.plots.persistence([])  # type: ignore[arg-type]


def test_a_polygon_of_a_surface(tmp_path: Path) -> None:
    rows = np.concatenate([np.eye(3), -np.eye(3)]).tolist()
    boundary = tp.linear_regions(tp.from_layers([(rows, [0] * 6), ([[1] * 6], [-1])]), tp.Box(-2, 2, d=3)).boundary()
    ax = tp.plots.surface(boundary)
    (drawn,) = [c for c in ax.collections if isinstance(c, Poly3DCollection)]
    assert len(drawn.get_facecolor()) == len(boundary) == 8
    assert ax.get_title() == "8 polygons, 6 vertices, closed"
    assert save(ax)
    mesh = boundary.mesh()
    assert tp.plots.surface(mesh).get_title() == ax.get_title()
    pytest.importorskip("plotly")
    mesh.save(tmp_path / "page.html")
    assert "Mesh(8 polygons, 6 vertices, closed)" in (tmp_path / "page.html").read_text()
    with pytest.raises(tp.InputError, match="boundary is needed"):
        tp.plots.surface(rows)  # type: ignore[arg-type]
    with pytest.raises(tp.InputError, match='projection="3d"'):
        tp.plots.surface(mesh, ax=Figure().add_subplot())


def test_the_cells_of_a_walk() -> None:
    walk = tp.walk_cells(SADDLE, [0.3, 0.2], within=tp.Box(-1, 1, d=2))
    with pytest.raises(tp.InputError, match="no cell yet"):
        tp.plots.neighborhood(walk)
    ax = tp.plots.neighborhood(walk.run())
    (cells,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    paths = [np.asarray(p.vertices)[:-1] for p in cells.get_paths()]
    areas = [abs((p[:, 0] * np.roll(p[:, 1], -1) - p[:, 1] * np.roll(p[:, 0], -1)).sum()) / 2 for p in paths]
    assert areas == pytest.approx([1.0] * 4)
    assert save(ax)
    net = tp.from_layers([(np.eye(3), [0.0] * 3), ([[1.0] * 3], [0.0])])
    ax = tp.plots.neighborhood(tp.walk_cells(net, [1.0, 2.0, 3.0]).run())  # eight octants
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == 12
    assert ax.get_title() == "8 cells, up to 3 facets from the start"
    with pytest.raises(tp.InputError, match="a walk is needed"):
        tp.plots.neighborhood(3)  # type: ignore[arg-type]
