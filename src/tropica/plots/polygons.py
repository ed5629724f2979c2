"""Elements of figures of the plane and of space: polygons, their labels, the decision boundary, points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from tropica.plots import style
from tropica.polyhedra.polygons import area

OUTLINED = 2500
"""Number of polygons up to which each has an outline."""
LABEL_SHARE = 0.55
"""Weight of a label's color in its area's mixture with white."""


def in_order(corners: np.ndarray) -> np.ndarray:
    """The corners (V, d) of a convex polygon, in the plane or in space, in the order around it.

    >>> in_order(np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])).tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    """
    around = corners - corners.mean(0)
    if corners.shape[1] > 2:
        around = around @ np.linalg.svd(around, full_matrices=False)[2][:2].T
    return corners[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]


def padded(starts: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Polygons as one array (P, V, 2), which is drawn quickly: the last corner of polygons with fewer is repeated.

    Args:
        starts: (P + 1,) where the corners of each polygon begin.
        corners: (n, 2 or more) of all polygons.
    """
    counts = np.diff(starts)
    column = np.minimum(np.arange(counts.max()), counts[:, None] - 1)
    return corners[starts[:-1, None] + column, :2]


def fill(ax: Axes, corners: np.ndarray, colors: np.ndarray, *, outlined: int = OUTLINED) -> None:
    """Fill polygons (P, V, 2); up to ``outlined`` of them have outlines, which are finer for more polygons."""
    fine = 0.25 * min(1.0, (OUTLINED / len(corners)) ** 0.5)
    look: dict[str, Any] = {"edgecolors": "face", "linewidths": 0.15}
    if len(corners) <= outlined:
        look = {"edgecolors": "0.25", "linewidths": fine}
    cells = PolyCollection(corners, facecolors=colors, zorder=1, rasterized=len(corners) > OUTLINED, **look)  # type: ignore[arg-type]
    ax.add_collection(cells, autolim=False)


def fill_labels(
    ax: Axes,
    polygons: Sequence[np.ndarray],
    label: np.ndarray,
    *,
    share: float = LABEL_SHARE,
    outlined: int = OUTLINED,
    written: bool = True,
) -> list[Artist]:
    """Fill polygons in the colors of their labels and, where ``written``, write each label on its largest polygon.

    Returns:
        A patch for each label, for the legend.
    """
    starts = np.append(0, np.cumsum([len(p) for p in polygons]))
    corners = padded(starts, np.concatenate(polygons))
    colors = np.array([style.label_color(k, share) for k in range(label.max() + 1)])
    fill(ax, corners, colors[label], outlined=outlined)
    size = area(corners)
    handles: list[Artist] = []
    for k in np.unique(label).tolist():
        largest = corners[np.where(label == k, size, -1).argmax()]
        if written and size[label == k].sum() > size.sum() / 1000:
            _write_label(ax, largest.mean(0), str(k))
        handles.append(Patch(facecolor=tuple(colors[k]), edgecolor="0.3", linewidth=0.4, label=f"predicted {k}"))
    return handles


def _write_label(ax: Axes, at: np.ndarray, text: str) -> None:
    halo = [Stroke(linewidth=1.8, foreground="white"), Normal()]
    look = {"ha": "center", "va": "center", "fontsize": 8, "fontweight": "bold", "zorder": 5, "clip_on": True}
    ax.text(at[0], at[1], text, path_effects=halo, **look)


def draw_boundary(ax: Axes, pieces: Sequence[np.ndarray], width: float = 1.1) -> Artist:
    """Draw segments (2, 2) in black on white; returns a line for the legend."""
    casing = [Stroke(linewidth=width + 1.1, foreground="white"), Normal()]
    lines = LineCollection(pieces, colors=style.BLACK, linewidths=width, path_effects=casing, zorder=3)  # type: ignore[arg-type]
    lines.set_capstyle("round")
    ax.add_collection(lines, autolim=False)
    return Line2D([], [], color=style.BLACK, linewidth=width, label="decision boundary")


def scatter_points(
    ax: Axes,
    points: np.ndarray,
    labels: np.ndarray | None,
    limits: tuple[np.ndarray, np.ndarray] | None,
    *,
    size: float = 26.0,
) -> tuple[int, list[Artist]]:
    """Draw points (N, 2) inside the limits, with a marker for each label (N,).

    Returns:
        The number of points outside, and the marks of each label for the legend.
    """
    low, high = limits or (-np.inf, np.inf)
    inside = np.asarray(((points >= low) & (points <= high)).all(1))
    mark = max(size * min(1.0, (200 / max(1, len(points))) ** 0.5), 6.0)
    look = {"s": mark, "edgecolors": style.BLACK, "linewidths": 0.6 if mark > 15 else 0.4, "zorder": 4}
    groups: list[tuple[np.ndarray, Any, str, str]] = []
    if labels is None:
        groups.append((inside, style.BLACK, "o", ""))
    else:
        known = np.unique(labels).tolist()
        groups += [(inside & (labels == k), style.label_color(k), style.marker(k), f"label {k}") for k in known]
    handles: list[Artist] = []
    for which, color, marker, name in groups:
        if which.any():
            text = f"{name} ({int(which.sum()):,})" if name else ""
            handles.append(ax.scatter(*points[which].T, color=color, marker=marker, label=text, **look))  # type: ignore[arg-type]
    return int((~inside).sum()), handles


def fill_in_space(ax: Axes, polygons: Sequence[np.ndarray], colors: Sequence[Any]) -> None:
    """Fill polygons (V, 3) in space and outline them."""
    if not polygons:
        return
    most = max(map(len, polygons))  # equal lengths: matplotlib 3.10 takes limits from uninitialized corners otherwise
    corners = [np.concatenate([q, np.repeat(q[-1:], most - len(q), axis=0)]) for q in polygons]
    ax.add_collection3d(Poly3DCollection(corners, facecolors=colors, edgecolors="none", zorder=1))  # type: ignore[attr-defined]
    rings = [np.concatenate([q, q[:1]]) for q in corners]
    ax.add_collection3d(Line3DCollection(rings, colors=style.BLACK, linewidths=0.6, zorder=2))  # type: ignore[attr-defined]
