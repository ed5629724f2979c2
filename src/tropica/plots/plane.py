"""What pictures of the plane are made of: polygons, labels, the boundary between labels, points; and ``label_map`` of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from tropica.errors import InputError
from tropica.plots import style
from tropica.polyhedra.polygons import area

FEW = 2500
"""Up to so many polygons have edges of their own."""


def label_map(
    polygons: Sequence[np.ndarray],
    labels: np.ndarray,
    window: np.ndarray,
    *,
    boundary: Sequence[np.ndarray] = (),
    points: np.ndarray | None = None,
    names: np.ndarray | None = None,
    size: float = 26.0,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw convex polygons in the color of their labels, the decision boundary on top of them, and points on top of that.

    Args:
        polygons: P arrays (V, 2) of corners, in order.
        labels: (P,) whole numbers.
        window: (2, 2) the lower and the upper corner of what is drawn.
        boundary: segments (2, 2).
        points, names: (N, 2), and their labels (N,), a marker and a color each.
        size: of a marker, in square points; of many points markers are smaller.
        title: of the axes.
        ax: where to draw; new axes by default.

    Returns:
        The axes, without a legend: ``ax.get_legend_handles_labels()`` has the points.

    Raises:
        InputError: a polygon without a label.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> ax = label_map([square], np.array([3]), np.array([[0.0, 0.0], [1.0, 1.0]]), title="N")
    >>> ax.get_title(), [text.get_text() for text in ax.texts]
    ('N', ['3'])
    """
    if not len(polygons) or len(polygons) != len(labels):
        raise InputError(f"a label is needed for each polygon, one at least; found {len(labels)} for {len(polygons)}")
    with style.applied():
        ax = ax or style.shown_figure(3.4, 3.4).add_subplot()
        fill_labels(ax, polygons, np.asarray(labels), few=10 * FEW)
        if len(boundary):
            draw_boundary(ax, boundary)
        if points is not None:
            scatter_points(ax, points, names, (window[0], window[1]), size=size)
        ax.set_xlim(window[0, 0], window[1, 0])
        ax.set_ylim(window[0, 1], window[1, 1])
        ax.set_aspect("equal")
        ax.set_title(title)
    return ax


def fill_labels(ax: Axes, polygons: Sequence[np.ndarray], label: np.ndarray, *, few: int = FEW) -> list[Artist]:
    """Polygons in the colors of their labels; each label is written on its largest one, and has a patch for the legend."""
    starts = np.append(0, np.cumsum([len(p) for p in polygons]))
    corners = padded(starts, np.concatenate(polygons))
    colors = np.array([style.label_color(k, faint=True) for k in range(label.max() + 1)])
    fill(ax, corners, colors[label], few=few)
    size = area(corners)
    handles: list[Artist] = []
    for k in np.unique(label).tolist():
        largest = corners[np.where(label == k, size, -1).argmax()]
        if size[label == k].sum() > size.sum() / 1000:
            halo = [Stroke(linewidth=1.8, foreground="white"), Normal()]
            x, y = largest.mean(0)
            ax.text(
                x, y, str(k), ha="center", va="center", fontsize=8, fontweight="bold", path_effects=halo, zorder=5, clip_on=True
            )
        handles.append(Patch(facecolor=tuple(colors[k]), edgecolor="0.3", linewidth=0.4, label=f"predicted {k}"))
    return handles


def fill(ax: Axes, corners: np.ndarray, colors: np.ndarray, *, few: int = FEW) -> None:
    """Polygons (P, V, 2), with edges of their own where they are no more than ``few``, the finer the more there are."""
    fine = 0.25 * min(1.0, (FEW / len(corners)) ** 0.5)
    look = {"edgecolors": "0.25", "linewidths": fine} if len(corners) <= few else {"edgecolors": "face", "linewidths": 0.15}
    cells = PolyCollection(corners, facecolors=colors, zorder=1, rasterized=len(corners) > FEW, **look)  # type: ignore[arg-type]
    ax.add_collection(cells, autolim=False)


def padded(starts: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Polygons (P, V, 2) of the most corners that there are, the last corner of others repeated: one array is drawn quickly."""
    counts = np.diff(starts)
    column = np.minimum(np.arange(counts.max()), counts[:, None] - 1)
    return at[starts[:-1, None] + column, :2]


def draw_boundary(ax: Axes, pieces: Sequence[np.ndarray]) -> Artist:
    """Segments (2, 2) in black on white, and a line for the legend."""
    casing = [Stroke(linewidth=2.2, foreground="white"), Normal()]
    lines = LineCollection(pieces, colors=style.BLACK, linewidths=1.1, path_effects=casing, zorder=3)  # type: ignore[arg-type]
    lines.set_capstyle("round")
    ax.add_collection(lines, autolim=False)
    return Line2D([], [], color=style.BLACK, linewidth=1.1, label="decision boundary")


def scatter_points(
    ax: Axes,
    points: np.ndarray,
    names: np.ndarray | None,
    limits: tuple[np.ndarray, np.ndarray] | None,
    *,
    size: float = 26.0,
) -> tuple[int, list[Artist]]:
    """Points (N, 2) inside the limits, a marker a label (N,); how many are outside, and what was drawn."""
    low, high = limits or (-np.inf, np.inf)
    inside = np.asarray(((points >= low) & (points <= high)).all(1))
    area_of = max(size * min(1.0, (200 / max(1, len(points))) ** 0.5), 6.0)
    look = {"s": area_of, "edgecolors": style.BLACK, "linewidths": 0.6 if area_of > 15 else 0.4, "zorder": 4}
    kinds: list[tuple[np.ndarray, object, str, str]] = []
    if names is None:
        kinds.append((inside, style.BLACK, "o", ""))
    for k in [] if names is None else np.unique(names).tolist():
        marker = style.MARKERS[k % len(style.MARKERS)]
        kinds.append((inside & (names == k), style.label_color(k), marker, f"label {k}"))
    handles: list[Artist] = []
    for which, color, marker, name in kinds:
        if which.any():
            text = f"{name} ({int(which.sum()):,})" if name else ""
            handles.append(ax.scatter(*points[which].T, color=color, marker=marker, label=text, **look))  # type: ignore[arg-type]
    return int((~inside).sum()), handles
