"""A decision boundary or a level set in three dimensions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from tropica.errors import InputError
from tropica.plots import style
from tropica.regions.complex.boundary import Boundary
from tropica.regions.mesh import Mesh

FEW = 2000
"""Polygons up to which their edges are drawn."""
LIGHT = np.array([0.4, -0.5, 0.77])


def surface(boundary: Boundary | Mesh, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw a boundary in three dimensions: flat polygons in the light, a color for each pair of labels that meet in them.

    Args:
        boundary: ``cx.boundary()`` or its ``.mesh()``.
        ax: axes made with ``projection="3d"``; a new figure by default.
        title: the title of the axes; by default the numbers of polygons and vertices, and whether the surface is closed.

    Returns:
        The axes.

    Raises:
        InputError: no boundary, another dimension, axes of a plane.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.25, 0.5]], [0.0])])
    >>> tp.plots.surface(tp.linear_regions(net, tp.Box(-9, 9, d=3)).boundary()).get_title()
    '1 polygon, 4 vertices, open'
    """
    if not isinstance(boundary, Boundary | Mesh):
        raise InputError(f"a boundary is needed, cx.boundary() or its mesh(); found {type(boundary).__name__}")
    mesh = boundary.mesh() if isinstance(boundary, Boundary) else boundary
    pairs, which = np.unique(mesh.labels, axis=0, return_inverse=True)
    with style.applied():
        ax = style.axes_in_space(ax, "a surface")
        base = np.array([style.mixed(style.SERIES[i % len(style.SERIES)], 0.75) for i in range(len(pairs))])
        if len(mesh):
            shade = 0.45 + 0.55 * np.abs(_normals(mesh) @ (LIGHT / np.linalg.norm(LIGHT)))
            edges = {"edgecolors": (0, 0, 0, 0.5), "linewidths": 0.25} if len(mesh) <= FEW else {"edgecolors": "none"}
            colors = base[which.ravel()] * shade[:, None]
            ax.add_collection3d(Poly3DCollection(_corners(mesh), facecolors=colors, **edges))  # type: ignore[attr-defined]
            low, high = mesh.vertices.min(0), mesh.vertices.max(0)
        else:
            low, high = np.zeros(3), np.ones(3)
        low, high = np.where(high > low, low, low - 0.5), np.where(high > low, high, high + 0.5)
        style.set_space(ax, low, high, ("x₁", "x₂", "x₃"), high - low)
        for axis, side in zip(("x", "y", "z"), high - low, strict=True):
            getattr(ax, f"{axis}axis").set_major_locator(MaxNLocator(max(2, round(5 * side / (high - low).max()))))
        facts = (style.plural(len(mesh), "polygon"), style.plural(len(mesh.vertices), "vertex", "vertices"))
        ax.set_title(title or ", ".join((*facts, "closed" if mesh.closed else "open")))
        if len(pairs) > 1:
            names = [Patch(color=color, label=f"{a} | {b}") for color, (a, b) in zip(base, pairs.tolist(), strict=True)]
            ax.legend(handles=names, title="labels", loc="upper left")
    return ax


def _corners(mesh: Mesh) -> list[np.ndarray]:
    """The corners of each polygon, the last repeated: of equal lengths, as matplotlib 3.10 wants them."""
    most = max(map(len, mesh.polygons))
    return [mesh.vertices[np.append(p, np.full(most - len(p), p[-1]))] for p in mesh.polygons]


def _normals(mesh: Mesh) -> np.ndarray:
    """Unit normals (F, 3), by the sum of the triangles of each polygon."""
    sizes = np.array([len(p) - 2 for p in mesh.polygons])
    a, b, c = (mesh.vertices[mesh.triangles[:, k]] for k in range(3))
    found = np.zeros((len(mesh), 3))
    np.add.at(found, np.repeat(np.arange(len(mesh)), sizes), np.cross(b - a, c - a))
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-300)
