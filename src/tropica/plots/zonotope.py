"""Zonotopes with their generators."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from tropica.errors import InputError
from tropica.plots import style
from tropica.plots.hypersurface import draw_polygons
from tropica.polyhedra.zonotope import Zonotope

FEW = 12
"""Up to so many generators are named."""
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def zonotope(z: Zonotope, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a zonotope in the plane or in space, with its generators as arrows from its offset.

    Args:
        z: in ℝ² or ℝ³; flat ones are drawn as what they are.
        ax: where to draw; new axes by default. For ℝ³, axes with ``projection="3d"``.
        title: of the axes; by default the numbers of generators and vertices.

    Returns:
        The axes.

    Raises:
        InputError: another dimension, something else than a Zonotope, flat axes for a zonotope in space.

    >>> zonotope(Zonotope([[1, 0], [0, 1], [1, 1]])).get_title()
    '3 generators, 6 vertices'
    """
    if not isinstance(z, Zonotope):
        raise InputError(f"a Zonotope is needed; found {type(z).__name__}")
    if z.ambient_dimension not in (2, 3):
        raise InputError(f"zonotopes are drawn in 2 or 3 dimensions; this one is in {z.ambient_dimension}")
    with style.applied():
        if z.ambient_dimension == 3:
            ax = ax or style.shown_figure(4.2, 4.0).add_subplot(projection="3d")
            if ax.name != "3d":
                raise InputError('a zonotope in space needs axes made with projection="3d"')
            _space(ax, z)
        else:
            ax = ax or style.shown_figure(3.6, 3.4).add_subplot()
            _plane(ax, z)
        ax.set_title(title or f"{len(z.generators)} generators, {len(z.vertices)} vertices")
    return ax


def _plane(ax: Axes, z: Zonotope) -> None:
    x = z.vertices.astype(np.float64)
    around = x - x.mean(0)
    order = np.argsort(np.arctan2(around[:, 1], around[:, 0]))
    if z.dimension == 1:
        order = np.array([0, -1])
    ax.add_patch(Polygon(x[order], facecolor="#DCEBF5", edgecolor=style.BLACK, linewidth=0.9, zorder=1))
    ax.scatter(*x.T, s=10, color=style.BLACK, zorder=3)
    start = z.offset.astype(np.float64)
    for i, g in enumerate(z.generators.astype(np.float64)):
        look = {"arrowstyle": "-|>", "color": style.VERMILION, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
        tip = (start[0] + g[0], start[1] + g[1])
        ax.annotate("", tip, (start[0], start[1]), arrowprops=look, zorder=4)
        if len(z.generators) <= FEW:
            ax.annotate(_name(i), tip, (3, 3), textcoords="offset points", color=style.VERMILION, fontsize=7.5, zorder=5)
    tips = np.concatenate([x, start + z.generators.astype(np.float64)])
    low, high = tips.min(0), tips.max(0)
    room = 0.1 * max(float((high - low).max()), 1e-300)
    ax.set_xlim(low[0] - room, high[0] + room)
    ax.set_ylim(low[1] - room, high[1] + room)
    ax.set_aspect("equal")
    ax.set_xlabel("coordinate 1")
    ax.set_ylabel("coordinate 2")


def _space(ax: Axes, z: Zonotope) -> None:
    hull = z.polytope()
    x = hull.vertices.astype(np.float64)
    polygons = [_ring(x[list(f)]) for f in hull.faces(2)] if hull.dimension >= 2 else [x]
    draw_polygons(ax, polygons, [(0.34, 0.71, 0.91, 0.16)] * len(polygons))
    ax.computed_zorder = False  # type: ignore[attr-defined]  # arrows stay in front of the faces
    ax.scatter(*x.T, s=8, color=style.BLACK, depthshade=False, zorder=3)
    start = z.offset.astype(np.float64)
    for i, g in enumerate(z.generators.astype(np.float64)):
        ax.quiver(*start, *g, color=style.VERMILION, linewidth=1.6, arrow_length_ratio=0.12, zorder=4)
        if len(z.generators) <= FEW:
            ax.text(*(start + 1.06 * g), _name(i), color=style.VERMILION, fontsize=7.5, zorder=5)  # type: ignore[call-arg]
    low, high = x.min(0), x.max(0)
    extent = np.maximum(high - low, 0.05 * max(float((high - low).max()), 1e-300))
    for axis, name in enumerate("xyz"):
        middle = (low + high)[axis] / 2
        getattr(ax, f"set_{name}lim")(middle - 0.55 * extent[axis], middle + 0.55 * extent[axis])
        getattr(ax, f"set_{name}label")(f"coordinate {axis + 1}")
    ax.set_box_aspect(np.maximum(extent, 0.4 * extent.max()), zoom=0.78)  # type: ignore[arg-type]


def _ring(corners: np.ndarray) -> np.ndarray:
    """Corners of a convex polygon in space, in order."""
    around = corners - corners.mean(0)
    u, v = np.linalg.svd(around, full_matrices=False)[2][:2]
    return corners[np.argsort(np.arctan2(around @ v, around @ u))]


def _name(i: int) -> str:
    return "g" + str(i + 1).translate(SUBSCRIPTS)
