"""Zonotopes with their generators."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.polygons import fill_in_space, in_order
from tropica.polyhedra.zonotope import Zonotope

MAX_NAMED = 12
"""Number of generators up to which each is labeled."""
TEXT = {"color": style.VERMILION, "fontsize": 7.5}


def zonotope(z: Zonotope, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a zonotope in the plane or in space, with its generators as arrows from its offset.

    Args:
        z: a zonotope in ℝ² or ℝ³, of any dimension.
        ax: axes to draw on; a new figure by default. For ℝ³, axes with ``projection="3d"``.
        title: the title of the axes; by default the numbers of generators and vertices.

    Returns:
        The axes.

    Raises:
        InputError: not a Zonotope, another ambient dimension, two-dimensional axes for a zonotope in space.

    >>> zonotope(Zonotope([[1, 0], [0, 1], [1, 1]])).get_title()
    '3 generators, 6 vertices'
    """
    if not isinstance(z, Zonotope):
        raise InputError(f"a Zonotope is needed; found {type(z).__name__}")
    if z.ambient_dimension not in (2, 3):
        raise InputError(f"zonotopes are drawn in 2 or 3 dimensions; this one is in {z.ambient_dimension}")
    with style.applied():
        if z.ambient_dimension == 3:
            ax = style.axes_in_space(ax, "a zonotope in space")
            _draw_in_space(ax, z)
        else:
            ax = style.axes(ax, 3.6, 3.4)
            _draw_in_plane(ax, z)
        counts = style.plural(len(z.generators), "generator"), style.plural(len(z.vertices), "vertex", "vertices")
        ax.set_title(title or ", ".join(counts))
    return ax


def _draw_in_plane(ax: Axes, z: Zonotope) -> None:
    x, generators, start = (part.astype(np.float64) for part in (z.vertices, z.generators, z.offset))
    corners = x[[0, -1]] if z.dimension == 1 else in_order(x)
    ax.add_patch(Polygon(corners, facecolor="#DCEBF5", edgecolor=style.BLACK, linewidth=0.9, zorder=1))
    ax.scatter(*x.T, s=10, color=style.BLACK, zorder=3)
    arrow = {"arrowstyle": "-|>", "color": style.VERMILION, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    for i, tip in enumerate((start + generators).tolist()):
        ax.annotate("", (tip[0], tip[1]), (start[0], start[1]), arrowprops=arrow, zorder=4)
        if len(generators) <= MAX_NAMED:
            ax.annotate(_name(i), (tip[0], tip[1]), (3, 3), textcoords="offset points", zorder=5, **TEXT)
    drawn = np.concatenate([x, start + generators])
    low, high = drawn.min(0), drawn.max(0)
    room = 0.1 * max(float((high - low).max()), 1e-300)
    style.set_plane(ax, low - room, high + room, ("coordinate 1", "coordinate 2"))


def _draw_in_space(ax: Axes, z: Zonotope) -> None:
    hull = z.polytope()
    x, generators, start = (part.astype(np.float64) for part in (hull.vertices, z.generators, z.offset))
    polygons = [in_order(x[list(f)]) for f in hull.faces(2)] if hull.dimension >= 2 else [x]
    fill_in_space(ax, polygons, [(0.34, 0.71, 0.91, 0.16)] * len(polygons))
    ax.computed_zorder = False  # type: ignore[attr-defined]  # arrows stay in front of the faces
    ax.scatter(*x.T, s=8, color=style.BLACK, depthshade=False, zorder=3)
    for i, g in enumerate(generators):
        ax.quiver(*np.concatenate([start, g]).tolist(), color=style.VERMILION, linewidth=1.6, arrow_length_ratio=0.12, zorder=4)
        if len(generators) <= MAX_NAMED:
            ax.text(*(start + 1.06 * g), _name(i), zorder=5, **TEXT)  # type: ignore[call-arg]
    low, high = x.min(0), x.max(0)
    extent = np.maximum(high - low, 0.05 * max(float((high - low).max()), 1e-300))
    middle = (low + high) / 2
    names = ("coordinate 1", "coordinate 2", "coordinate 3")
    style.set_space(ax, middle - 0.55 * extent, middle + 0.55 * extent, names, np.maximum(extent, 0.4 * extent.max()))


def _name(i: int) -> str:
    return "g" + str(i + 1).translate(style.SUBSCRIPTS)
