"""The cells around a point: those of a walk, as polygons in the plane, or as a graph in rings in more dimensions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import Normalize

from tropica.errors import InputError
from tropica.plots import style
from tropica.queries.cell import Cell
from tropica.queries.walk import Walk

SHADES = "viridis_r"


def neighborhood(walk: Walk, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the cells that a walk has visited, colored by how many facets were crossed to each.

    In two dimensions cells are polygons; those that are unbounded end with the picture. In other dimensions each cell is a
    dot, in a ring for each number of facets, with a line for each facet that was crossed.

    Args:
        walk: of :func:`tropica.walk_cells`, as far as it has gone: ``walk.run()``.
        ax: axes to draw on; a new figure by default.
        title: the title of the axes; by default the number of cells.

    Returns:
        The axes.

    Raises:
        InputError: no walk, or one that has not begun.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> tp.plots.neighborhood(tp.walk_cells(net, [1.0, 2.0]).run()).get_title()
    '4 cells, up to 2 facets from the start'
    """
    if not isinstance(walk, Walk):
        raise InputError(f"a walk is needed, tp.walk_cells(net, x).run(); found {type(walk).__name__}")
    if not len(walk):
        raise InputError("the walk has visited no cell yet: walk.run(), or iterate over it")
    depth = np.array(walk.depths)
    far = int(depth.max())
    colors = ScalarMappable(Normalize(-0.5, far + 0.5), SHADES)
    with style.applied():
        ax = ax or style.axes(None, 4.4, 3.6)
        if walk.cells[0].dimension == 2:
            _polygons(ax, walk, depth, colors)
        else:
            _rings(ax, walk, depth, colors)
        ax.set_aspect("equal")
        where = f", up to {style.plural(far, 'facet')} from the start" if far else ""
        ax.set_title(title or style.plural(len(walk), "cell") + where)
        if far:
            bar = ax.figure.colorbar(colors, ax=ax, label="facets crossed", ticks=_ticks(far))  # type: ignore[union-attr]
            bar.outline.set_visible(False)  # type: ignore[operator]
    return ax


def _ticks(far: int) -> list[int]:
    return list(range(0, far + 1, max(1, far // 5)))


def _polygons(ax: Axes, walk: Walk, depth: np.ndarray, colors: ScalarMappable) -> None:
    starts = np.array([c.point.ravel() for c, parent in zip(walk.cells, walk.parents, strict=True) if parent < 0])
    corners = [c.vertices.reshape(-1, 2) for c in walk.cells]
    known = np.concatenate([*corners, [c.point.ravel() for c in walk.cells]])
    low, high = known.min(0), known.max(0)
    if not all(c.exact_faces().bounded for c in walk.cells):  # the picture is about the starts
        away = np.abs(known[:, None] - starts).max(2).min(1)
        half = 3 * float(np.median(away)) or 1.0
        low, high = starts.min(0) - half, starts.max(0) + half
    polygons = [clipped_cell(c, low, high) for c in walk.cells]
    shown = [i for i, p in enumerate(polygons) if len(p) > 2]
    faces = [style.mixed(colors.to_rgba(depth[i])[:3], 0.8) for i in shown]  # type: ignore[index]
    ax.add_collection(PolyCollection([polygons[i] for i in shown], facecolors=faces, edgecolors="white", linewidths=0.7))
    ax.scatter(*starts.T, color=style.BLACK, marker="o", s=20, edgecolors="white", linewidths=0.6, zorder=3)
    style.set_plane(ax, low, high)


def clipped_cell(cell: Cell, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The corners (V, 2) of a cell in a rectangle, in order around it."""
    ring = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    A, b = cell.halfspaces
    rows = cell.facets.rows
    for normal, offset in zip(A[rows], b[rows], strict=True):
        value = ring @ normal - offset
        found = []
        for i in range(len(ring)):
            j = (i + 1) % len(ring)
            if value[i] <= 0:
                found.append(ring[i])
            if value[i] * value[j] < 0:
                found.append(ring[i] + value[i] / (value[i] - value[j]) * (ring[j] - ring[i]))
        ring = np.array(found).reshape(-1, 2)
    return ring


def _rings(ax: Axes, walk: Walk, depth: np.ndarray, colors: ScalarMappable) -> None:
    """Each cell in the ring of its depth, near the angle of the cell that it was entered from."""
    angle, place = np.zeros(len(walk)), np.zeros((len(walk), 2))
    parents = np.array(walk.parents)
    for k in range(int(depth.max()) + 1):
        own = np.flatnonzero(depth == k)
        own = own[np.argsort(angle[np.maximum(parents[own], 0)], kind="stable")]
        angle[own] = 2 * np.pi * (np.arange(len(own)) + 0.5 * (k % 2)) / len(own)
        radius = k if len(depth[depth == 0]) == 1 else k + 1
        place[own] = radius * np.stack([np.cos(angle[own]), np.sin(angle[own])], 1)
    lines = [place[[a, b]] for a, b, _ in walk.edges if max(a, b) < len(walk)]
    ax.add_collection(LineCollection(lines, colors="0.75", linewidths=0.6, zorder=1))
    size = max(5.0, 60.0 * min(1.0, (40 / len(walk)) ** 0.5))
    ax.scatter(*place.T, c=colors.to_rgba(depth), s=size, edgecolors="white", linewidths=0.5, zorder=2)  # type: ignore[arg-type]
    ax.axis("off")
